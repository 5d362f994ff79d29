"""What the classifiers' tests share: deterministic arithmetic and a backbone of two layers."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.classifiers.backbone import Backbone, Body
from cytobench.classifiers.network import Network, build
from cytobench.classifiers.weights import NONE


@pytest.fixture(autouse=True)
def deterministic() -> Iterator[None]:
    """Refuse operations whose result is not the same every time, as every run does."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def _tiny_body(classes: int, size: int) -> Body:
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
        torch.nn.BatchNorm2d(8),
        torch.nn.ReLU(),
        torch.nn.Dropout2d(0.1),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(8, classes),
    )
    return Body(module, ("6",), (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), size)


@pytest.fixture
def tiny() -> Backbone:
    """A convolution with batch normalisation and dropout."""
    return Backbone("tiny", "own", "tiny", _tiny_body)


@pytest.fixture
def network(tiny: Backbone) -> Network:
    """The tiny backbone for three classes of 12-px images."""
    return build(tiny, classes=3, image_size=12, weights=NONE, seed=0)


@pytest.fixture
def coloured() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noisy images of three classes (48, 12, 12, 3), each with more of one colour, and their labels."""
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 3
    images = rng.integers(0, 120, (48, 12, 12, 3))
    images[np.arange(48), :, :, labels] += 60
    return images.astype(np.uint8), labels.astype(np.int64)
