"""Where an artefact comes from, read off the keys: steps name their inputs, so the guard can prove what was seen."""

from collections.abc import Iterator, Mapping

import pandas as pd

from cytobench.benchmarks.steps.brought import FITS, SEEN, is_brought, is_composition
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import FitGenerator
from cytobench.datasets.guard import Exposure, exposure, union
from cytobench.datasets.imageset import read_table
from cytobench.datasets.made import TOLD
from cytobench.datasets.readers.listing import COMPOSED
from cytobench.errors import IntegrityFault
from cytobench.store import DONE, read_json


def ancestors(context: Context, reference: str, *, shown: bool = False) -> Iterator[str]:
    """Yield an artefact ``kind/key`` and all that it was made from, each once.

    Args:
        context: Where they lie.
        reference: The artefact.
        shown: Of cells that were cut out, follow the generators of those very cells, and not of their whole sets: half
            of a set may come from other generators.
    """
    waiting, seen = [reference], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        yield one
        folder = context.folder(one)
        if not is_brought(one):
            if shown and one.startswith(COMPOSED):
                waiting += sorted({run for run in read_table(folder / SEEN)["generator_run"] if run})
                continue
            waiting += read_json(folder / DONE)["inputs"].values()
        waiting += [f"{one}/{FITS}/{fit.name}" for fit in sorted((folder / FITS).glob("*"))]


def generated_from(context: Context, rows: pd.DataFrame) -> Exposure:
    """Return everything that the generators of some images, and any generator before them, were trained on."""
    return union(_exposure(told_of(context, run)) for run in _runs(rows))


def composed_of(context: Context, rows: pd.DataFrame) -> Mapping[str, Exposure]:
    """Return the cells that were cut out for some images, by what composed these."""
    return {run: _exposure(_seen(context, run)) for run in _runs(rows) if is_composition(run)}


def told_of(context: Context, run: str) -> pd.DataFrame:
    """Return all that a fit or a composition, and any before it, used: columns ``TOLD``, each row as used by it."""
    tables = [_seen(context, one) for one in ancestors(context, run, shown=True)]
    return pd.concat(tables, ignore_index=True).assign(generator_run=run)[list(TOLD)].drop_duplicates()


def _runs(rows: pd.DataFrame) -> list[str]:
    return sorted({run for run in rows["generator_run"] if run})


def _exposure(told: pd.DataFrame) -> Exposure:
    return union(exposure(rows, str(name)) for name, rows in told.groupby("set"))


def tells(reference: str) -> bool:
    """Tell whether an artefact says what it used: a fit or a composition of this run, or one that was brought along."""
    return reference.startswith((f"{FitGenerator.kind}/", COMPOSED)) or is_brought(reference)


def _seen(context: Context, reference: str) -> pd.DataFrame:
    """Return what one artefact itself used; nothing where it is neither a fit nor a composition."""
    if not tells(reference):
        return pd.DataFrame(columns=list(TOLD), dtype=str)
    path = context.folder(reference) / SEEN
    if not path.exists():
        raise IntegrityFault(
            f"{path} is missing: what this generator saw is not known", fix="delete its folder, run again"
        )
    return read_table(path)
