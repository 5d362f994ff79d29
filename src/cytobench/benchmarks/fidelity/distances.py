"""Exact Euclidean distances between sets of features, block by block."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

CELLS = 16_000_000  # of one block of float64 distances, 128 MB


class Block(NamedTuple):
    """Squared distances of some rows of one set to all rows of another."""

    rows: slice
    squared: NDArray[np.float64]
    """(b, m)"""


class Nearest(NamedTuple):
    """The nearest rows of a set to each of its own."""

    squared: NDArray[np.float64]
    """(n, k) squared distances, the nearest first; a row is not its own neighbour."""
    rows: NDArray[np.int64]
    """(n, k)"""


def blocks(first: NDArray[np.float64], second: NDArray[np.float64]) -> Iterator[Block]:
    """Yield squared distances of (n, d) to (m, d); both are moved to one centre first, so that little is cancelled."""
    centre = second.mean(axis=0)
    x, y = first - centre, second - centre
    lengths, others = np.square(x).sum(axis=1), np.square(y).sum(axis=1)
    step = max(1, CELLS // len(y))
    for start in range(0, len(x), step):
        rows = slice(start, min(start + step, len(x)))
        squared = lengths[rows, None] + others - 2.0 * (x[rows] @ y.T)
        yield Block(rows, np.maximum(squared, 0.0, out=squared))


def nearest_among(features: NDArray[np.float64], k: int) -> Nearest:
    """Return the k nearest other rows of each row of (n, d), n above k."""
    squared, rows = np.empty((len(features), k)), np.empty((len(features), k), dtype=np.int64)
    for block in blocks(features, features):
        own = np.arange(block.rows.start, block.rows.stop)
        block.squared[np.arange(len(own)), own] = np.inf
        near = np.argpartition(block.squared, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(block.squared, near, axis=1)
        order = np.argsort(values, axis=1, kind="stable")
        squared[block.rows] = np.take_along_axis(values, order, axis=1)
        rows[block.rows] = np.take_along_axis(near, order, axis=1)
    return Nearest(squared, rows)


def nearest_in(queries: NDArray[np.float64], index: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return for each row of (n, d) the nearest row of (m, d), the first one among equals."""
    found = np.empty(len(queries), dtype=np.int64)
    for block in blocks(queries, index):
        found[block.rows] = block.squared.argmin(axis=1)
    return found
