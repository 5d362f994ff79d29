"""Intervals of statistics of two samples, from what each single image contributes.

Every statistic here comes with its jackknife contributions: what it would be without one image, for every image. Their
scatter gives its variance without drawing anything, so that no image is ever counted twice; a bootstrap's copies make
a Fréchet distance larger and a nearest neighbour nearer. Between samples of one distribution a distance has no linear
part, and there the jackknife's error is too large by √2, never too small: Efron & Stein 1981, "The jackknife estimate
of variance", Annals of Statistics 9, 586-596.

An interval is about the value that sets of these sizes have on average, not about that of endless ones: of n images,
the Fréchet distance is larger for every n, and a precision belongs to its n, too.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

LEVEL = 0.95
_Z_SQUARED = float(special.ndtri((1 + LEVEL) / 2)) ** 2


class Statistic(NamedTuple):
    """A number about two samples, and what every image has to do with it."""

    value: float
    first: NDArray[np.float64]
    """(n,) ``(n - 1) (value - value without image i)`` of the first sample, or the derivative that is its limit."""
    second: NDArray[np.float64]
    """(m,) the same of the second."""


class Interval(NamedTuple):
    """A value with its 95 % limits."""

    value: float
    low: float
    high: float


def interval(
    found: Statistic, *, possible: tuple[float, float] = (-math.inf, math.inf), shares_of: int | None = None
) -> Interval:
    """Return a statistic with its interval, by Student's t with as many degrees of freedom as the smaller sample has.

    Args:
        found: At least two images on each side.
        possible: Smallest and largest value that there can be.
        shares_of: For a share of images, of how many: none or all of them have no scatter and are yet not certain, so
            that the limit is Wilson's (1927, doi:10.1080/01621459.1927.10502953).
    """
    parts = (found.first, found.second)
    error = math.sqrt(sum(float(np.var(part, ddof=1)) / len(part) for part in parts))
    reach = float(special.stdtrit(min(map(len, parts)) - 1, (1 + LEVEL) / 2)) * error
    low, high = found.value - reach, found.value + reach
    if shares_of is not None and found.value >= 1.0:
        low = min(low, shares_of / (shares_of + _Z_SQUARED))
    if shares_of is not None and found.value <= 0.0:
        high = max(high, _Z_SQUARED / (shares_of + _Z_SQUARED))
    least, most = possible
    return Interval(found.value, max(least, low), min(most, high))
