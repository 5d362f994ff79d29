"""What could have been seen in the place of what was seen, if chance alone had chosen.

Images of one patient or slide resemble one another, and a patient is mostly seen as a whole or not at all. Then
patients were chosen, not images, and they alone can be exchanged: a unit is a group that is seen or unseen as a whole,
or an image of a group that is partly seen, or an image of which no group is known. Units are exchanged with their like:
groups of one class with groups of that class, groups of several classes with such, images with images of their class
and, in a group that is partly seen, of that group.

Of each kind as many units are taken of either side, whole: with fewer images of more patients, one side would lie
nearer to everything.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity.distances import CELLS
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.seeds import seed_for


class Exchange(NamedTuple):
    """As many seen units as unseen ones of each kind."""

    rows: NDArray[np.int64]
    """(n,) their images, as rows of the seen ones followed by the unseen ones."""
    units: NDArray[np.int64]
    """(n,) the unit of each image, below u."""
    kinds: NDArray[np.int64]
    """(u,) units of one number can be exchanged."""
    was_seen: NDArray[np.bool_]
    """(u,)"""


def balanced(seen: Shown, unseen: Shown, classes: int, *, seed: int) -> Exchange:
    """Return the units of two sides; of the side that has more of a kind, the seed decides which are taken.

    Args:
        seen: Images that a generator learned from; those whose class is -1 are left out.
        unseen: Others of the same origin.
        classes: Codes are below.
        seed: Of the choice.
    """
    codes = np.concatenate([seen.codes, unseen.codes])
    rows = np.flatnonzero((codes >= 0) & (codes < classes))
    codes, was = codes[rows], rows < len(seen.codes)
    names, groups = np.unique(np.concatenate([_groups(seen), _groups(unseen)])[rows], return_inverse=True)
    holds = np.zeros((len(names), classes, 2), dtype=bool)  # images of a group, by class and side
    holds[groups, codes, was.astype(np.int64)] = True
    known = (names != "")[groups]
    partly = known & np.all(np.any(holds, axis=1), axis=1)[groups]
    whole, several = known & ~partly, (np.any(holds, axis=2).sum(axis=1) > 1)[groups]
    own = np.arange(len(rows))
    units = np.where(whole, len(rows) + groups, own)
    marks = np.stack([whole, np.where(partly, groups, -1), np.where(whole & several, -1, codes)], axis=1)
    _, first, units = np.unique(units, return_index=True, return_inverse=True)
    kinds = np.unique(marks[first], axis=0, return_inverse=True)[1].reshape(-1)
    taken = _as_many(kinds, was[first], np.random.default_rng(seed_for(seed, "taken", "units")))
    number = np.cumsum(taken) - 1
    kept = taken[units]
    return Exchange(rows[kept], number[units[kept]], kinds[taken], was[first][taken])


def totals(scores: NDArray[np.float64], found: Exchange, *, count: int, seed: int) -> NDArray[np.float64]:
    """Return sums over what is called seen when that is shuffled among units of each kind, ``count`` of them.

    Args:
        scores: (n,) of each image.
        found: What can be exchanged.
        count: How many sums.
        seed: Of the shuffles.
    """
    of_units = np.bincount(found.units, weights=scores, minlength=len(found.kinds))
    rng = np.random.default_rng(seed)
    sums = np.zeros(count)
    for kind in np.unique(found.kinds):
        like = of_units[found.kinds == kind]
        step = max(1, CELLS // len(like))
        for start in range(0, count, step):
            part = sums[start : start + step]
            shuffled = rng.permuted(np.tile(like, (len(part), 1)), axis=1)  # (shuffles, units of this kind)
            part += shuffled[:, : len(like) // 2].sum(axis=1)
    return sums


def _groups(side: Shown) -> NDArray[np.str_]:
    return np.full(len(side.codes), "") if side.groups is None else side.groups


def _as_many(kinds: NDArray[np.int64], was: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Return which units are taken: of each kind as many seen ones as unseen ones."""
    taken = np.zeros(len(kinds), dtype=bool)
    for kind in np.unique(kinds):
        sides = [np.flatnonzero((kinds == kind) & (was == side)) for side in (True, False)]
        for one in sides:
            taken[rng.permutation(one)[: min(map(len, sides))]] = True
    return taken
