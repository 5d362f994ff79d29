"""Fixtures that every room's tests share: small pictures made on the spot."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cytobench.seeds import seed_for


def picture(*names: str | int, size: int = 24) -> Image.Image:
    """Return a noise picture that depends on its names."""
    rng = np.random.default_rng(seed_for(*names))
    return Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8))


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[..., Path]:
    """Return a maker of folder-per-class sets of distinct pictures."""

    def make(counts: Mapping[str, int], name: str = "set", size: int = 24) -> Path:
        root = tmp_path / name
        for label, count in counts.items():
            (root / label).mkdir(parents=True)
            for number in range(count):
                picture(name, label, number, size=size).save(root / label / f"{number:03d}.png")
        return root

    return make
