"""What a frozen set brings along: its generators' fits, of which nothing is left but the list of what they saw.

Each is a folder in the artefact of the set's images, named ``images/<key>/fits/<fit>``, so that the guard finds it
where it finds the fits of this run.
"""

from pathlib import Path

import pandas as pd

from cytobench.datasets.imageset import write_table
from cytobench.datasets.readers.listing import Ancestry
from cytobench.errors import IntegrityFault
from cytobench.store import digest

SEEN = "seen.csv"  # what a generator was trained on: the guard reads it
FITS = "fits"
DIGITS = 24  # hex digits of a fit's name


def bring(folder: Path, reference: str, ancestry: Ancestry) -> list[str]:
    """Write what the generators of a frozen set saw into its artefact; return the fit of every image by reference.

    Args:
        folder: The artefact of its images.
        reference: How that is named.
        ancestry: As published.

    Raises:
        IntegrityFault: An image of a fit of which nothing is told.
    """
    seen = pd.DataFrame(ancestry.seen, columns=["run", "set", "label", "pixel_sha256"], dtype=str)
    names = {run: digest(run)[:DIGITS] for run in sorted({*ancestry.runs} - {""})}
    untold = sorted(names.keys() - set(seen["run"]))
    if untold:
        raise IntegrityFault(f"what {untold[0]} saw is not told with its images", fix="get the frozen set again")
    for run, name in names.items():
        rows = seen[seen["run"] == run].drop(columns="run").assign(id="", group="")
        write_table(folder / FITS / name / SEEN, rows[["id", "label", "group", "pixel_sha256", "set"]])
    return [f"{reference}/{FITS}/{names[run]}" if run else "" for run in ancestry.runs]


def is_brought(reference: str) -> bool:
    """Tell whether a reference is of a fit that a frozen set brought along."""
    return f"/{FITS}/" in reference
