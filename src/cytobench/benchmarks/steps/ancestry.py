"""Where an artefact comes from, read off the keys: steps name their inputs, so the guard can prove what was seen."""

from collections.abc import Iterator

import pandas as pd

from cytobench.benchmarks.steps.brought import FITS, SEEN, is_brought
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import FitGenerator
from cytobench.datasets.guard import Exposure, exposure, union
from cytobench.datasets.imageset import read_table
from cytobench.errors import IntegrityFault
from cytobench.store import DONE, read_json

CUT_CELLS = "cells"
"""Kind of the step that cuts cells out of pictures: what is composed of them shows these pictures."""


def ancestors(context: Context, reference: str) -> Iterator[str]:
    """Yield an artefact ``kind/key`` and all that it was made from, each once."""
    waiting, seen = [reference], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one
        folder = context.folder(one)
        if is_brought(one):
            continue
        waiting += read_json(folder / DONE)["inputs"].values()
        waiting += [f"{one}/{FITS}/{fit.name}" for fit in sorted((folder / FITS).glob("*"))]


def generated_from(context: Context, rows: pd.DataFrame) -> Exposure:
    """Return everything that the generators of some images, and any generator before them, were trained on."""
    runs = sorted({run for run in rows["generator_run"] if run})
    return union(_seen(context, one) for run in runs for one in ancestors(context, run))


def _seen(context: Context, reference: str) -> Exposure:
    if not reference.startswith((f"{FitGenerator.kind}/", f"{CUT_CELLS}/")) and not is_brought(reference):
        return Exposure()
    path = context.folder(reference) / SEEN
    if not path.exists():
        raise IntegrityFault(
            f"{path} is missing: what this generator saw is not known", fix="delete its folder, run again"
        )
    return union(exposure(rows, str(name)) for name, rows in read_table(path).groupby("set"))
