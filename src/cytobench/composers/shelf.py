"""Libraries of cells in files, so that pictures are cut apart once and composed at many levels."""

from pathlib import Path

import numpy as np

from cytobench.composers.library import Library
from cytobench.store import atomic, read_json, write_json

ARRAYS = ("dense", "masks", "background", "grain", "around")


def put(folder: Path, name: str, library: Library) -> None:
    """Write a library as ``NAME.npz`` and ``NAME.json``."""
    with atomic(folder / f"{name}.npz") as file:
        np.savez(file, allow_pickle=False, **{part: getattr(library, part) for part in ARRAYS})
    facts = {part: value for part, value in library._asdict().items() if part not in ARRAYS}
    write_json(folder / f"{name}.json", facts)


def take(folder: Path, name: str) -> Library:
    """Return a library that :func:`put` wrote."""
    facts = read_json(folder / f"{name}.json")
    with np.load(folder / f"{name}.npz", allow_pickle=False) as arrays:
        kept = {part: arrays[part] for part in ARRAYS}
    return Library(**kept, **facts | {"labels": tuple(facts["labels"]), "names": tuple(facts["names"])})
