"""What drawn images bring along: their generators' fits and compositions, of which only what they used is left.

Each is a folder in the artefact of the set's images, named ``images/<key>/fits/<fit>``, so that the guard finds it
where it finds the fits of this run.
"""

from pathlib import Path

import pandas as pd

from cytobench.datasets.imageset import write_table
from cytobench.datasets.readers.listing import COMPOSED, Ancestry, Seen
from cytobench.errors import IntegrityFault
from cytobench.store import digest

SEEN = "seen.csv"  # what a generator was trained on: the guard reads it
FITS = "fits"
BEFORE = "before"  # below a fit's own folder: what others had used before it
CUT = "cut-"  # a composition's name begins so: its images show what it used
DIGITS = 24  # hex digits of a fit's name


def bring(folder: Path, reference: str, ancestry: Ancestry) -> list[str]:
    """Write what drawn images were made from into their artefact; return what made every image by reference.

    Args:
        folder: The artefact of the images.
        reference: How that is named.
        ancestry: As published.

    Raises:
        IntegrityFault: An image of a fit of which nothing is told.
    """
    seen = pd.DataFrame(ancestry.seen, columns=list(Seen._fields), dtype=str)
    names = {run: _name(run) for run in sorted({*ancestry.runs} - {""})}
    untold = sorted(names.keys() - set(seen["run"]))
    if untold:
        raise IntegrityFault(f"what {untold[0]} saw is not told with its images", fix="get the frozen set again")
    before = seen[~seen["run"].isin(names)]
    for run, name in names.items():
        _write(folder / FITS / name, seen[seen["run"] == run])
        if len(before):
            _write(folder / FITS / name / FITS / BEFORE, before)
    return [f"{reference}/{FITS}/{names[run]}" if run else "" for run in ancestry.runs]


def is_brought(reference: str) -> bool:
    """Tell whether a reference is of a fit, or of a composition, that a set brought along."""
    return f"/{FITS}/" in reference


def is_composition(reference: str) -> bool:
    """Tell whether what a reference made shows pieces of what it used; a generator only learned from it."""
    return reference.startswith(COMPOSED) or reference.rpartition("/")[2].startswith(CUT)


def _name(run: str) -> str:
    return (CUT if run.startswith(COMPOSED) else "") + digest(run)[:DIGITS]


def _write(place: Path, rows: pd.DataFrame) -> None:
    write_table(place / SEEN, rows.assign(id="")[["id", "label", "group", "pixel_sha256", "set"]])
