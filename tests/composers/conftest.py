"""Cells of the phantom, cut once for all tests of the room."""

import numpy as np
import pytest

from cytobench.composers.composer import Composer, Optics
from cytobench.composers.levels import Level, level_of
from cytobench.composers.library import Library, cut
from cytobench.datasets.phantom import SITES, draw, draw_red_cells

OPTICS = Optics(image_size=64)
PER_CLASS = 6


@pytest.fixture(scope="session")
def white() -> Library:
    """Return white cells of two classes."""
    smears = [draw(label, range(PER_CLASS), site=SITES["a"], size=80, seed=1) for label in ("lymphocyte", "neutrophil")]
    labels = [label for label in ("lymphocyte", "neutrophil") for _ in range(PER_CLASS)]
    names = [f"{label}-{k}" for k, label in enumerate(labels)]
    pictures = np.concatenate([one.images for one in smears])
    return cut(pictures, labels, names, diameter=OPTICS.pixels(OPTICS.cell_diameter))


@pytest.fixture(scope="session")
def red() -> Library:
    """Return red cells."""
    pictures = draw_red_cells(range(10), site=SITES["a"], size=80, seed=1).images
    names = [f"red-{k}" for k in range(10)]
    return cut(pictures, ["erythrocyte"] * 10, names, diameter=OPTICS.pixels(OPTICS.distractor_diameter))


def composer(white: Library, red: Library | None, level: Level | str, *, seed: int = 0) -> Composer:
    """Return a composer of small scenes."""
    found = level_of(level) if isinstance(level, str) else level
    return Composer(white, red, found, optics=OPTICS, seed=seed)
