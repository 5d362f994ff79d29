"""Cells as layers of dye."""

import numpy as np
import pytest

from cytobench.datasets.phantom.fields import axis
from cytobench.datasets.phantom.morphology import KINDS
from cytobench.datasets.phantom.painting import BLUE, EOSIN, HAEM, PURPLE, RedCell, red_cell, white_cell

GRID = axis(128, 24.0)
SMOOTH = np.zeros((128, 128), np.float32)


def painted_red_cell(pallor: float, spikes: int = 0, centre: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    whole = SMOOTH.copy()
    cell = RedCell(centre, radius=3.6, stretch=1.0, angle=0.0, haem=1.0, pallor=pallor, spikes=spikes)
    rows, cols, haem, _ = red_cell(cell, SMOOTH, GRID, GRID)
    whole[rows, cols] = haem
    return whole


def test_a_resting_red_cell_is_pale_in_the_middle_as_measured() -> None:
    """Evans and Fung give 0.81 µm in the middle and 2.57 µm at the thickest, which lies at 0.7 of the radius."""
    row = painted_red_cell(1.0)[64]
    assert row[64] / row.max() == pytest.approx(0.81 / 2.57, abs=0.02)
    assert abs(float(GRID[int(row.argmax())])) / 3.6 == pytest.approx(0.7, abs=0.06)


def test_a_flat_red_cell_is_even() -> None:
    inner = painted_red_cell(0.0)[55:73, 55:73]
    assert np.ptp(inner) < 1e-6


def test_a_red_cell_at_the_border_is_cut_off() -> None:
    assert 0.3 < painted_red_cell(0.0, centre=(12.0, 0.0)).sum() / painted_red_cell(0.0).sum() < 0.7


def test_spikes_lengthen_the_outline() -> None:
    def outline(spikes: int) -> float:
        inside = (painted_red_cell(0.0, spikes) > 0.4).astype(int)
        return float(np.abs(np.diff(inside, axis=0)).sum() + np.abs(np.diff(inside, axis=1)).sum())

    assert outline(12) > 1.05 * outline(0)


@pytest.mark.parametrize("label", sorted(KINDS))
def test_a_white_cell_holds_its_dyes_and_no_haem(label: str) -> None:
    rng = np.random.default_rng(7)
    for _ in range(10):
        painted = white_cell(KINDS[label](rng), (0.5, -0.5), GRID, GRID, rng)
        assert painted.dyes.min() >= 0
        assert not painted.dyes[HAEM].any()
        assert not painted.dyes[:, painted.cover == 0].any()
        assert (painted.inside | ~painted.nucleus).all()
        assert painted.dyes[[PURPLE, BLUE]][:, painted.nucleus].mean() > 0.3
        assert painted.dyes[EOSIN].any()
