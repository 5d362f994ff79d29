"""The kernel distance KID: the squared maximum mean discrepancy with the kernel ``(x·y / d + 1)³``.

Bińkowski et al. 2018, "Demystifying MMD GANs", arXiv:1801.01401; the unbiased estimator of Gretton et al. 2012 (JMLR
13, 723-773, eq. 3). It does not depend on n on average, and may be below 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity.intervals import Statistic

DEGREE = 3
BLOCK = 1024  # rows of the kernel's matrix at once


def statistic(first: NDArray[np.floating], second: NDArray[np.floating]) -> Statistic:
    """Return KID from all pairs of features (n, d) and (m, d), n and m at least 3, with every image's jackknife.

    The value without an image follows from that image's sum of the kernel alone.
    """
    x, y = (np.asarray(one, dtype=np.float64) for one in (first, second))
    n, m = len(x), len(y)
    xx, yy = _sums_among(x), _sums_among(y)
    xy, yx = _sums_between(x, y)
    own, other, cross = xx.sum() / (n * (n - 1)), yy.sum() / (m * (m - 1)), xy.sum() / (n * m)
    without_x = (xx.sum() - 2 * xx) / ((n - 1) * (n - 2)) + other - 2 * (xy.sum() - xy) / ((n - 1) * m)
    without_y = own + (yy.sum() - 2 * yy) / ((m - 1) * (m - 2)) - 2 * (xy.sum() - yx) / (n * (m - 1))
    value = float(own + other - 2 * cross)
    return Statistic(value, (n - 1) * (value - without_x), (m - 1) * (value - without_y))


def _kernel(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = (x @ y.T / x.shape[1] + 1.0) ** DEGREE
    return values


def _sums_among(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of the kernel of each row with all others, (n,)."""
    own: NDArray[np.float64] = (np.square(x).sum(axis=1) / x.shape[1] + 1.0) ** DEGREE
    return _sums_between(x, x)[0] - own


class _Sums(NamedTuple):
    rows: NDArray[np.float64]
    columns: NDArray[np.float64]


def _sums_between(x: NDArray[np.float64], y: NDArray[np.float64]) -> _Sums:
    rows, columns = np.empty(len(x)), np.zeros(len(y))
    for start in range(0, len(x), BLOCK):
        block = _kernel(x[start : start + BLOCK], y)
        rows[start : start + BLOCK] = block.sum(axis=1)
        columns += block.sum(axis=0)
    return _Sums(rows, columns)
