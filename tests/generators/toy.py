"""Small images that the tests of the generators make."""

import numpy as np
from numpy.typing import NDArray


def discs(count: int, size: int, seed: int = 0) -> NDArray[np.uint8]:
    """Return images (count, size, size, 3) of a dark disc on a light ground, each of its own place, size and colour."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size]
    images = np.full((count, size, size, 3), 225.0)
    for image in images:
        row, column = rng.uniform(0.4, 0.6, 2) * size
        inside = np.hypot(rows - row, columns - column) < rng.uniform(0.2, 0.3) * size
        image[inside] = np.array([100, 60, 150]) + rng.uniform(-20, 20, 3)
    return np.clip(images + rng.normal(0, 2, images.shape), 0, 255).astype(np.uint8)
