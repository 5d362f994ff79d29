"""The images that ``mini-sd`` learns from: phantom smears with what is seen in them, for captions.

The phantom's seed is the pool's own, so that no image of a demo run (which draws its cells from the phantom too) is
ever among them.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom import CLASSES, SITES, Smears, draw, draw_red_cells
from cytobench.seeds import seed_for

SIDE = 64
"""Pixels."""
RED_CELL = len(CLASSES)
"""The kind number of a single red cell; smaller numbers are the places in ``CLASSES``."""
_TURN = (*range(len(CLASSES)), *range(len(CLASSES)), RED_CELL)
"""Kinds of the images of one turn at one site: one in eleven is a red cell."""


class Pool(NamedTuple):
    """Images and what is seen in them."""

    images: NDArray[np.uint8]
    """(N, 64, 64, 3)."""
    kinds: NDArray[np.int64]
    """(N,): places in ``CLASSES``, or :data:`RED_CELL`."""
    sites: NDArray[np.int64]
    """(N,): places in ``SITES``."""
    covers: NDArray[np.float64]
    """(N,): share of the image that the central cell covers, 0 to 1."""
    neighbours: NDArray[np.int64]
    """(N,): red cells and platelets around it."""


def pool_of(count: int, *, seed: int, part: str = "training") -> Pool:
    """Draw images 0 … ``count`` − 1: image n is the same in a pool of any size.

    Args:
        count: How many.
        seed: Another seed, other patients and cells.
        part: Another part, other patients and cells: ``training`` or ``held out``.
    """
    sites = list(SITES.values())
    numbers = np.arange(count)
    places, turns = numbers % len(sites), numbers // len(sites)
    kinds = np.array(_TURN)[turns % len(_TURN)].reshape(-1)
    images = np.empty((count, SIDE, SIDE, 3), np.uint8)
    covers, neighbours = np.zeros(count), np.zeros(count, np.int64)
    own = seed_for(seed, "mini-sd", part)
    for place, site in enumerate(sites):
        for kind in range(RED_CELL + 1):
            rows = np.flatnonzero((places == place) & (kinds == kind))
            indices = turns[rows].tolist()
            smears = (
                draw_red_cells(indices, site=site, size=SIDE, seed=own)
                if kind == RED_CELL
                else draw(CLASSES[kind], indices, site=site, size=SIDE, seed=own)
            )
            images[rows], covers[rows], neighbours[rows] = smears.images, _covers(smears), _neighbours(smears)
    return Pool(images, kinds, places, covers, neighbours)


def _covers(smears: Smears) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = (smears.instances == 1).mean(axis=(1, 2))
    return shares


def _neighbours(smears: Smears) -> NDArray[np.int64]:
    found: NDArray[np.int64] = np.maximum(smears.instances.max(axis=(1, 2), initial=0).astype(np.int64) - 1, 0)
    return found
