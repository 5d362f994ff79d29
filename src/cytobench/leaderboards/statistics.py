"""How sure a number is: 95 % intervals over test images and seeds, and tests of differences.

**Images.** Bayesian bootstrap (Rubin 1981, doi:10.1214/aos/1176345338): every resample gives each test image a random
weight. It is stratified by true class, because the class counts of a frozen split are chosen and not drawn, and because
then no resample can lose a class. All trials on one target get the same weights, so that their differences are paired.

**Few images.** Weights are drawn so that a class of m images scatters by its unbiased variance. Every resample holds,
beside the test images, about one image in all that is classified right and one that is wrong, because the bootstrap of
10 right out of 10 is the single point 1; when everything is right (or wrong) the interval reaches at least as far as
Wilson's (1927, doi:10.1080/01621459.1927.10502953). With hundreds of images it is the ordinary bootstrap's.

**Seeds.** With several seeds the value is their mean, and the scatter between them adds Student-t noise with its
standard error: few seeds give wide intervals. With one seed the interval is about these weights, not the recipe.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from cytobench.leaderboards.metrics import area, averages, margins, midranks, predicted

RESAMPLES = 2000
LEVEL = 0.95
CHUNK = 250  # resamples at once: 40 MB of weights for 20,000 test images
MANY = 200  # images of a class from which on the correction for few does not show, and is not worth its time
LEAST_SHAPE = 0.1  # of the weights of two images; 0 would be exact, and not computable
MACRO_AUC = "auc_macro"

Draws = dict[str, NDArray[np.float64]]
"""The resampled values (resamples,) of every metric by name; the macro AUC is missing when it is not defined."""


class Estimate(NamedTuple):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Difference(NamedTuple):
    """How much larger the first is than the second."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, before any correction for their number."""


class _Features(NamedTuple):
    """What one trial needs of every image to recompute its scores under other weights."""

    columns: NDArray[np.float64]
    """(n, C + C): one-hot prediction; for class k the share of the opposite side that the image is ranked right of."""
    areas: NDArray[np.float64] | None
    """(C,) one-vs-rest AUC; None when a class is absent."""


def draw(
    labels: NDArray[np.int64],
    groups: Sequence[Sequence[NDArray[np.floating]]],
    *,
    image_seed: int,
    group_seeds: Sequence[int],
    resamples: int = RESAMPLES,
) -> list[list[Draws]]:
    """Return resampled scores of every trial on one target.

    Args:
        labels: (n,) true classes.
        groups: For every group (one backbone on one source) the logits (n, C) of its trials, one for each seed.
        image_seed: Decides the weights of the images, the same for all groups.
        group_seeds: For every group, decides the two images that were not seen.
        resamples: How many.
    """
    if not groups:
        return []
    classes = groups[0][0].shape[1]
    order = np.argsort(labels, kind="stable")
    support = np.bincount(labels, minlength=classes)
    features = [[_features(labels[order], logits[order]) for logits in trials] for trials in groups]
    image_rng = np.random.default_rng(image_seed)
    group_rngs = [np.random.default_rng(seed) for seed in group_seeds]
    parts: list[list[list[Draws]]] = [[[] for _ in trials] for trials in groups]
    for first in range(0, resamples, CHUNK):
        weights = _weights(image_rng, min(CHUNK, resamples - first), support)  # (B, n), in the order of the labels
        for trials, rng, kept in zip(features, group_rngs, parts, strict=True):
            unseen = _unseen(rng, len(weights), support)
            for one, draws in zip(trials, kept, strict=True):
                draws.append(_rescored(one, weights, unseen, support))
    return [[_joined(draws) for draws in kept] for kept in parts]


def _features(labels: NDArray[np.int64], logits: NDArray[np.floating]) -> _Features:
    n, classes = logits.shape
    columns = np.zeros((n, 2 * classes))
    columns[np.arange(n), predicted(logits)] = 1.0
    odds, areas = margins(logits), np.zeros(classes)
    for k in range(classes):
        positive = labels == k
        found = area(odds[:, k], positive)
        if found is None:
            return _Features(columns, None)
        areas[k] = found
        columns[:, classes + k] = _placements(odds[:, k], positive)
    return _Features(columns, areas)


def _placements(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return for every image the share of the opposite side that it is on the right side of, ties counting half.

    Source: DeLong, DeLong & Clarke-Pearson 1988, doi:10.2307/2531595.
    """
    below = midranks(scores)
    own = np.empty_like(below)
    own[positive], own[~positive] = midranks(scores[positive]), midranks(scores[~positive])
    beaten = below - own  # members of the opposite side below this one
    shares: NDArray[np.float64] = np.where(positive, beaten / (~positive).sum(), 1.0 - beaten / positive.sum())
    return shares


def _weights(rng: np.random.Generator, resamples: int, support: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return random weights (B, n) of the images, class after class; those of a class sum to their number.

    A class mean of m images then scatters by its unbiased variance: the plain Bayesian bootstrap's is too small by
    (m - 1) / (m + 1), which a smaller shape of the weights makes up for.
    """
    parts = []
    for count in support[support > 0]:
        shape = max((count - 2) / count, LEAST_SHAPE)
        size = (resamples, int(count))
        drawn = rng.standard_gamma(shape, size) if count < MANY else rng.standard_exponential(size)
        parts.append(drawn * (count / drawn.sum(axis=1, keepdims=True)))
    return np.concatenate(parts, axis=1)


def _unseen(rng: np.random.Generator, resamples: int, support: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights (B, C, C) that sum to about one image on the diagonal and to about one beside it."""
    classes, present = len(support), int((support > 0).sum())
    shape = np.full((classes, classes), 1.0 / (present * (classes - 1)))
    np.fill_diagonal(shape, 1.0 / present)
    drawn = rng.standard_gamma(shape, size=(resamples, classes, classes))
    drawn[:, support == 0] = 0.0
    return drawn


def _rescored(
    trial: _Features, weights: NDArray[np.float64], unseen: NDArray[np.float64], support: NDArray[np.int64]
) -> Draws:
    resamples, classes = len(weights), len(support)
    counts = np.zeros((resamples, classes, classes))
    places = np.zeros((resamples, classes, classes))  # mean placement of the images of class c for the AUC of class k
    edges = np.concatenate([[0], np.cumsum(support)])
    for c in np.flatnonzero(support):
        own = weights[:, edges[c] : edges[c + 1]]  # (B, n_c)
        sums = own @ trial.columns[edges[c] : edges[c + 1]]  # (B, 2 C)
        row = sums[:, :classes] + unseen[:, c]
        counts[:, c] = row / row.sum(axis=1, keepdims=True) * support[c]
        places[:, c] = sums[:, classes:] / support[c]
    draws = averages(counts)
    if trial.areas is not None:
        draws[MACRO_AUC] = _macro_areas(trial.areas, places, unseen, support)
    return draws


def _macro_areas(
    areas: NDArray[np.float64],
    places: NDArray[np.float64],
    unseen: NDArray[np.float64],
    support: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return resampled macro AUCs (B,).

    To first order reweighting changes an AUC by what it changes for the positives plus what it changes for the
    negatives; on the logit scale, so that no limit leaves 0 … 1. A perfect ranking has no such scatter: there the
    images that were not seen decide.
    """
    centre = float(areas.mean())
    if centre in (0.0, 1.0):
        right = np.diagonal(unseen, axis1=1, axis2=2)
        mass = unseen.sum(axis=2)
        contrary = mass - right if centre == 1.0 else right
        off: NDArray[np.float64] = np.abs(centre - (contrary / (support + mass)).mean(axis=1))
        return off
    positives = np.diagonal(places, axis1=1, axis2=2)
    negatives = (np.einsum("bck,c->bk", places, support) - positives * support) / (support.sum() - support)
    shift = (positives + negatives - 2 * areas).mean(axis=1) / (centre * (1.0 - centre))
    moved: NDArray[np.float64] = special.expit(special.logit(centre) + shift)
    return moved


def _joined(draws: Sequence[Draws]) -> Draws:
    return {name: np.concatenate([one[name] for one in draws]) for name in draws[0]}


def estimate(values: Sequence[float], draws: Sequence[NDArray[np.float64]], *, n: int, seed: int) -> Estimate:
    """Return the mean over seeds with its interval, within 0 … 1.

    Args:
        values: One for each seed.
        draws: For each seed the resampled values (resamples,).
        n: Test images.
        seed: Decides the noise that stands for the seeds not tried.
    """
    value = float(np.mean(values))
    spread = np.mean(draws, axis=0)
    if len(values) > 1:
        noise = np.random.default_rng(seed).standard_t(len(values) - 1, size=len(spread))
        spread = spread + _standard_error(values) * noise
    low, high = (float(one) for one in np.quantile(spread, [(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    z_squared = float(special.ndtri((1 + LEVEL) / 2)) ** 2
    if value == 1.0:
        low = min(low, n / (n + z_squared))
    if value == 0.0:
        high = max(high, z_squared / (n + z_squared))
    return Estimate(value, max(0.0, min(low, value)), min(1.0, max(high, value)))


def difference(
    first: Sequence[float],
    first_draws: Sequence[NDArray[np.float64]],
    second: Sequence[float],
    second_draws: Sequence[NDArray[np.float64]],
    *,
    freedom: int,
) -> Difference:
    """Return how much better the first is than the second on the same test images, and whether chance could do it.

    The error of the difference has a part from the images, which is paired, and one from the seeds of each side, which
    is not; their degrees of freedom are joined after Satterthwaite 1946 (doi:10.2307/3002019).

    Args:
        first: Values of the first, one for each seed.
        first_draws: Their resampled values, from one call of :func:`draw` with those of the second.
        second: Values of the second.
        second_draws: Their resampled values.
        freedom: Degrees of freedom of the images: their number less that of the classes, at least 1.
    """
    value = float(np.mean(first) - np.mean(second))
    images = float(np.var(np.mean(first_draws, axis=0) - np.mean(second_draws, axis=0)))
    parts = [(images, freedom)]
    parts += [(_standard_error(side) ** 2, len(side) - 1) for side in (first, second) if len(side) > 1]
    variance = sum(part for part, _ in parts)
    if variance == 0.0:
        return Difference(value, value, value, 1.0 if value == 0.0 else 0.0)
    joined = variance**2 / sum(part**2 / own for part, own in parts)
    error = math.sqrt(variance)
    reach = float(special.stdtrit(joined, (1 + LEVEL) / 2)) * error
    return Difference(value, value - reach, value + reach, float(2 * special.stdtr(joined, -abs(value) / error)))


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1) / math.sqrt(len(values)))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number: below .05 by chance in one family of twenty at most.

    Source: Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    corrected = [0.0] * len(p)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=lambda one: p[one])):
        worst = max(worst, min(1.0, p[index] * (len(p) - rank)))
        corrected[index] = worst
    return corrected
