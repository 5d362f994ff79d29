"""Small images, and weights, that the tests of the generators make."""

from pathlib import Path

import numpy as np
import torch
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


def write_squeezenet(path: Path) -> Path:
    """Write a SqueezeNet 1.0 with random weights, as torchvision's files are."""
    from torchvision.models import squeezenet1_0

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(squeezenet1_0(weights=None).state_dict(), path)
    return path
