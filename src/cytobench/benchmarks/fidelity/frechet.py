"""The Fréchet distance between two sets of features, each taken for a Gaussian; float64 throughout.

``|a - b|² + tr S + tr T - 2 tr (S T)^½`` with means a, b and covariances S, T: Dowson & Landau 1982
(doi:10.1016/0047-259X(82)90077-X); for images Heusel et al. 2017, arXiv:1706.08500. With any F and G for which
``F'F = S`` and ``G'G = T`` the last term is the sum of the singular values of ``FG'``, so that no square root of a
product of matrices is ever taken: of fewer images than features F is the centred features themselves.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity.intervals import Statistic

NONE = 1e-12  # of the largest singular value: what is smaller is rounding


class Moments(NamedTuple):
    """What the distance takes from a set of features (n, d)."""

    mean: NDArray[np.float64]
    """(d,)"""
    centred: NDArray[np.float64]
    """(n, d), divided by √(n - 1), so that the covariance is the product with itself."""
    factor: NDArray[np.float64]
    """(r, d) with the same product; r is at most d."""

    @property
    def trace(self) -> float:
        """Return the trace of the covariance."""
        return float(np.vdot(self.centred, self.centred))


def moments(features: NDArray[np.floating]) -> Moments:
    """Return mean and covariance factor of features (n, d), at least two of them, all finite."""
    rows = np.asarray(features, dtype=np.float64)
    mean = np.asarray(rows.mean(axis=0), dtype=np.float64)
    centred: NDArray[np.float64] = (rows - mean) / np.sqrt(len(rows) - 1)
    return Moments(mean, centred, centred if len(rows) <= rows.shape[1] else _factor(centred.T @ centred))


def _factor(covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return F with F'F = covariance: Cholesky's where the covariance has full rank, else by its eigenvectors."""
    try:
        return np.asarray(np.linalg.cholesky(covariance).T, dtype=np.float64)
    except np.linalg.LinAlgError:
        values, vectors = np.linalg.eigh(covariance)
        kept = values > len(values) * np.finfo(np.float64).eps * values[-1]
        return np.asarray((vectors[:, kept] * np.sqrt(values[kept])).T, dtype=np.float64)


def distance(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Return the Fréchet distance of two sets of features (n, d) and (m, d); never negative, the same either way."""
    return between(moments(first), moments(second))


def between(a: Moments, b: Moments) -> float:
    """Return the distance of two sets that were summarised before."""
    if (b.trace, len(b.factor)) < (a.trace, len(a.factor)):  # one order, so that rounding is the same either way
        a, b = b, a
    F, G = a.factor, b.factor
    if len(F) < F.shape[1] or len(G) < G.shape[1]:
        root = float(np.linalg.svd(F @ G.T, compute_uv=False).sum())
    else:  # twice as fast as singular values, and as exact where both have full rank
        M = F @ G.T
        root = float(np.sqrt(np.linalg.eigvalsh(M @ M.T).clip(0.0)).sum())
    return max(_gap(a, b) + a.trace + b.trace - 2.0 * root, 0.0)


def _gap(a: Moments, b: Moments) -> float:
    return float(np.square(a.mean - b.mean).sum())


def statistic(first: NDArray[np.floating], second: NDArray[np.floating]) -> Statistic:
    """Return the distance with what every image contributes: its derivative by that image's weight.

    With ``FG' = U diag(s) V'``, the sum of s changes by ``½ Σ_k (A G' V)²_ik / s_k`` when row i of the centred
    features A gets more weight.
    """
    a, b = moments(first), moments(second)
    U, s, V = np.linalg.svd(a.factor @ b.factor.T, full_matrices=False)
    kept = s > NONE * s.max(initial=0.0)
    U, s, V = U[:, kept], s[kept], V[kept].T
    value = max(_gap(a, b) + a.trace + b.trace - 2.0 * float(s.sum()), 0.0)
    return Statistic(value, _pull(a, b, (a.centred @ b.factor.T) @ V, s), _pull(b, a, (b.centred @ a.factor.T) @ U, s))


def _pull(own: Moments, other: Moments, rotated: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the derivative of the distance by the weight of every image of one side."""
    n = len(own.centred)
    spread = np.square(own.centred).sum(axis=1) - (np.square(rotated) / s).sum(axis=1)
    moved = 2.0 * np.sqrt(n - 1) * (own.centred @ (own.mean - other.mean))
    pull: NDArray[np.float64] = n * spread + moved
    pull -= pull.mean()
    return pull
