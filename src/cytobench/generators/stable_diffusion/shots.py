"""Which few images an adapter learns from: sharp, typical and unlike one another, by a rule that anyone can repeat.

Of a class's images the blurred and the odd ones are left out, one is drawn among the most typical, and each further
one is the farthest from those chosen (Gonzalez 1985). No image is taken twice.
"""

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.profile import measure
from cytobench.seeds import seed_for

RINGS = 6
SHARPEST, MOST_TYPICAL = 0.75, 0.75
"""Shares of a class's images that are kept by focus, then by distance from the class's median."""
FIRST_AMONG = 0.5
"""The first shot is drawn from this share of those, the most typical."""


def chosen(images: NDArray[np.uint8], labels: NDArray[np.int64], shots: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of the images to learn from, ascending.

    Args:
        images: (N, H, W, 3)
        labels: (N,) their classes.
        shots: So many of each class, or all where a class has fewer; 0 for all.
        seed: Names the one draw that is random.
    """
    if shots == 0:
        return np.arange(len(images))
    rows = [
        _of_class(images, np.flatnonzero(labels == label), shots, seed_for(seed, "shots", int(label)))
        for label in np.unique(labels)
    ]
    return np.sort(np.concatenate(rows))


def _of_class(images: NDArray[np.uint8], rows: NDArray[np.int64], shots: int, seed: int) -> NDArray[np.int64]:
    if len(rows) <= shots:
        return rows
    looks = features(images[rows])
    focus = measure(images[rows]).focus
    sharp = _best(-focus, np.arange(len(rows)), max(shots, round(SHARPEST * len(rows))))
    oddness = np.sqrt((looks**2).mean(axis=1))
    pool = _best(oddness, sharp, max(shots, round(MOST_TYPICAL * len(sharp))))
    first = pool[np.random.default_rng(seed).integers(max(1, round(FIRST_AMONG * len(pool))))]
    return rows[farthest(looks, pool, int(first), shots)]


def features(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what images (N, H, W, 3) look like, whichever way up they are: (N, 3 · RINGS + 3).

    Mean colour of rings around the centre and the colours' deviations, each as robust standard deviations from the
    median of all.
    """
    side = images.shape[1]
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    ring = np.minimum((np.hypot(rows, columns) / (side / 2) * RINGS).astype(int), RINGS - 1).ravel()
    flat = images.reshape(len(images), side * side, 3).astype(np.float64)
    rings = [flat[:, ring == number].mean(axis=1) for number in range(RINGS)]
    values = np.concatenate([*rings, flat.std(axis=1)], axis=1)
    centred = values - np.median(values, axis=0)
    spread = 1.4826 * np.median(np.abs(centred), axis=0)
    return np.asarray(centred / np.maximum(spread, 1.0))  # a level of 255 at least: less is noise


def farthest(looks: NDArray[np.float64], pool: NDArray[np.int64], first: int, count: int) -> NDArray[np.int64]:
    """Return ``count`` rows of the pool: the first, then each time the one whose nearest chosen one is farthest."""
    picked = [first]
    distance = np.linalg.norm(looks[pool] - looks[first], axis=1)
    distance[pool == first] = -1
    while len(picked) < count:
        place = int(distance.argmax())
        picked.append(int(pool[place]))
        distance = np.minimum(distance, np.linalg.norm(looks[pool] - looks[pool[place]], axis=1))
        distance[place] = -1
    return np.array(picked)


def _best(badness: NDArray[np.floating], rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the ``count`` rows with the least of something, the least first."""
    return rows[np.argsort(badness[rows], kind="stable")[:count]]
