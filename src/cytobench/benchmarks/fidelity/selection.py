"""Which images are compared: as many of each class on every side."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.seeds import seed_for


class Shown(NamedTuple):
    """One side of a comparison."""

    pixels: NDArray[np.uint8]
    """(N, S, S, 3), in memory or a memory map."""
    codes: NDArray[np.int64]
    """(N,) classes; -1 is left out."""
    features: dict[str, NDArray[np.float32]]
    """(N, d) by the name of the extractor."""
    groups: NDArray[np.str_] | None = None
    """(N,) patient or slide, empty where it is unknown; None where none is known."""

    def taken(self, rows: NDArray[np.int64]) -> "Shown":
        """Return some of it."""
        features = {name: one[rows] for name, one in self.features.items()}
        groups = None if self.groups is None else self.groups[rows]
        return Shown(self.pixels[rows], self.codes[rows], features, groups)


def groups_of(table: pd.DataFrame, count: int) -> NDArray[np.str_]:
    """Return the patient or slide of each of ``count`` rows of pixels, from the table of their set; empty: unknown."""
    groups = np.full(count, "", dtype=object)
    groups[table["row"].to_numpy().astype(np.int64)] = table["group"].to_numpy()
    return groups.astype(np.str_)


def matched(sides: dict[str, Shown], classes: int, *, seed: int) -> dict[str, NDArray[np.int64]]:
    """Return the rows of every side, by its name: of each class as many as the side with fewest of it has.

    So all classes together have one mixture on every side. Which rows of a larger side are taken, its name and the
    seed decide.

    Args:
        sides: By name.
        classes: Codes are below.
        seed: Of the choice.
    """
    rows: dict[str, list[NDArray[np.int64]]] = {name: [] for name in sides}
    for code in range(classes):
        count = min(int((side.codes == code).sum()) for side in sides.values())
        for name, side in sides.items():
            rng = np.random.default_rng(seed_for(seed, "taken", name, code))
            found = np.flatnonzero(side.codes == code)
            rows[name].append(np.sort(rng.permutation(found)[:count]))
    return {name: np.concatenate(found) for name, found in rows.items()}


def halves(side: Shown, classes: int, *, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of two disjoint halves of a side, each with half of every class; an odd one out is left."""
    first, second = [], []
    for code in range(classes):
        rng = np.random.default_rng(seed_for(seed, "halves", code))
        found = rng.permutation(np.flatnonzero(side.codes == code))
        count = len(found) // 2
        first.append(np.sort(found[:count]))
        second.append(np.sort(found[count : 2 * count]))
    return np.concatenate(first), np.concatenate(second)
