"""The Fréchet distance of endlessly many images, extrapolated: FD∞.

The distance of n images is too large by about a constant over n (Chong & Forsyth 2020, "Effectively unbiased FID and
Inception score and where to find them", arXiv:1911.07023). Both sets are cut into 1, 2, 3 and 4 pieces, and a line
through the mean distances over ``1 / n`` is followed to 0; unlike random subsets, the pieces use every image equally
often, and every image's contribution to the intercept is known.
"""

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity import frechet
from cytobench.benchmarks.fidelity.intervals import Statistic

CUTS = np.arange(1, 5)
"""Pieces that the sets are cut into."""
_LINE = np.stack([np.ones(len(CUTS)), CUTS], axis=1)
WEIGHTS: NDArray[np.float64] = np.linalg.pinv(_LINE.astype(np.float64))[0]
"""By which the mean distances add up to the least-squares intercept."""


def least_images(width: int) -> int:
    """Return the images that are needed: in the smallest piece more than features, or the line is none."""
    return int(CUTS[-1]) * (width + 1)


def statistic(first: NDArray[np.floating], second: NDArray[np.floating], *, seed: int) -> Statistic:
    """Return FD∞ with what every image contributes; it may be below 0, as it is right on average.

    Args:
        first: (n, d), at least :func:`least_images`.
        second: (m, d), likewise.
        seed: Decides which images share a piece.
    """
    rng = np.random.default_rng(seed)
    orders = rng.permutation(len(first)), rng.permutation(len(second))
    value, pulls = 0.0, (np.zeros(len(first)), np.zeros(len(second)))
    for cuts, weight in zip(CUTS, WEIGHTS, strict=True):
        for piece in range(cuts):
            rows = [order[piece::cuts] for order in orders]
            found = frechet.statistic(first[rows[0]], second[rows[1]])
            value += weight * found.value / cuts
            for pull, mine, own in zip(pulls, rows, (found.first, found.second), strict=True):
                pull[mine] += weight * own * (len(pull) / (cuts * len(mine)))
    return Statistic(value, *pulls)
