"""Precision, recall, density and coverage: which images lie where the other set has some.

Around every image of a set lies a ball that reaches to its k-th nearest neighbour in that set. Precision: synthetic
images within a real ball; recall: real images within a synthetic one (Kynkäänniemi et al. 2019, arXiv:1904.06991).
Density: real balls around a synthetic image, over k; coverage: real balls that hold a synthetic image (Naeem et al.
2020, arXiv:2002.09797). A share of none when two sets have nothing in common, but not 1 for two sets of one
distribution: what is reached there is the floor.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from cytobench.benchmarks.fidelity.distances import blocks, nearest_among
from cytobench.benchmarks.fidelity.intervals import Statistic

K = 5
"""Neighbours that a ball reaches to, as in the package of Naeem et al."""


class Coverage(NamedTuple):
    """The four, with every image's jackknife; the first sample is the real one."""

    precision: Statistic
    recall: Statistic
    density: Statistic
    coverage: Statistic


class _Balls(NamedTuple):
    """What the balls of one set hold of another, and what they would hold without one of their neighbours."""

    held: NDArray[np.int64]
    """(q,) balls around each point of the other set."""
    sole: NDArray[np.int64]
    """(q,) the ball, where there is one alone."""
    holding: NDArray[np.int64]
    """(n,) points in each ball."""
    only: NDArray[np.int64]
    """(n,) the point in each ball, where there is one alone."""
    more: sparse.csr_array
    """(n, q) points that a ball holds only when one of its neighbours is left out."""
    neighbours: sparse.csr_array
    """(n, n) 1 where the second is a neighbour of the first."""
    k: int


def statistics(real: NDArray[np.floating], synthetic: NDArray[np.floating], *, k: int = K) -> Coverage:
    """Return the four for features (n, d) and (m, d), n and m at least k + 2; exact neighbours, float64."""
    x, y = (np.asarray(one, dtype=np.float64) for one in (real, synthetic))
    around_real, around_synthetic = _balls(x, y, k), _balls(y, x, k)
    precision, recall = _held(around_real), _held(around_synthetic)
    return Coverage(
        precision,
        Statistic(recall.value, recall.second, recall.first),
        _density(around_real),
        _coverage(around_real),
    )


def _balls(x: NDArray[np.float64], points: NDArray[np.float64], k: int) -> _Balls:
    n, q = len(x), len(points)
    near = nearest_among(x, k + 1)
    held, sole = np.zeros(q, dtype=np.int64), np.zeros(q, dtype=np.int64)
    holding, only = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int64)
    more = []
    for rows, squared in blocks(x, points):
        within = squared <= near.squared[rows, k - 1, None]
        held += within.sum(axis=0)
        sole += np.arange(rows.start, rows.stop) @ within
        holding[rows] = within.sum(axis=1)
        only[rows] = within @ np.arange(q)
        more.append(sparse.csr_array((squared <= near.squared[rows, k, None]) & ~within, dtype=np.int64))
    pairs = (np.repeat(np.arange(n), k), near.rows[:, :k].ravel())
    neighbours = sparse.csr_array((np.ones(n * k, dtype=np.int64), pairs), shape=(n, n))
    return _Balls(held, sole, holding, only, sparse.vstack(more, format="csr"), neighbours, k)


def _held(balls: _Balls) -> Statistic:
    """Return the share of points within a ball: without a ball's centre, its neighbours' balls grow."""
    n, q = len(balls.holding), len(balls.held)
    value = float((balls.held > 0).mean())
    grown = ((balls.neighbours.T @ balls.more) > 0).astype(np.int64)  # (n, q): without a, point j is in a larger ball
    gained = grown @ (balls.held == 0).astype(np.int64)
    points = np.flatnonzero(balls.held == 1)
    alone = sparse.csr_array((np.ones(len(points), dtype=np.int64), (balls.sole[points], points)), shape=(n, q))
    lost = np.asarray((alone - alone * grown).sum(axis=1)).ravel()
    return Statistic(value, (n - 1) * (lost - gained) / q, _of_points(balls.held > 0))


def _density(balls: _Balls) -> Statistic:
    q = len(balls.held)
    grown = balls.neighbours.T @ np.asarray(balls.more.sum(axis=1)).ravel()
    own = (len(balls.holding) - 1) * (balls.holding - grown) / (balls.k * q)
    return Statistic(float(balls.held.mean() / balls.k), own, _of_points(balls.held / balls.k))


def _coverage(balls: _Balls) -> Statistic:
    n, q = len(balls.holding), len(balls.held)
    covered = balls.holding > 0
    value = float(covered.mean())
    begin = ~covered & (np.asarray(balls.more.sum(axis=1)).ravel() > 0)  # held from the next neighbour on
    without = (covered.sum() - covered + balls.neighbours.T @ begin.astype(np.int64)) / (n - 1)
    lost = np.bincount(balls.only[balls.holding == 1], minlength=q) / n
    return Statistic(value, (n - 1) * (value - without), (q - 1) * lost)


def _of_points(values: NDArray[np.generic]) -> NDArray[np.float64]:
    """Return the jackknife of a mean over the points."""
    plain: NDArray[np.float64] = values.astype(np.float64)
    plain -= plain.mean()
    return plain
