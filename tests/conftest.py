"""Fixtures that every room's tests share: small pictures made on the spot."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cytobench.seeds import seed_for

if "PYTEST_XDIST_WORKER" in os.environ:  # several workers share the cores: one thread each, also in what they start
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fault", type=int, metavar="ROW", help="only tests of this row of the table of faults")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    row = config.getoption("--fault")
    if row is not None:
        kept = [item for item in items if any(row in mark.args for mark in item.iter_markers("fault"))]
        config.hook.pytest_deselected(items=[item for item in items if item not in kept])
        items[:] = kept


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
