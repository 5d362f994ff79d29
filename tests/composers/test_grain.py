"""The unevenness of the background: measured between cells and grown again, it is what it was."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from cytobench.composers.grain import NONE, grown, measured
from cytobench.composers.library import cut
from cytobench.composers.optics import density

COLOURS = np.array([[1.0, 0.0, 0.0], [0.7, 0.7, 0.0], [-0.5, 0.2, 0.4]]) * 0.02  # whose product is their covariance


def uneven(seed: int, *, soft: float, size: int = 96) -> NDArray[np.float32]:
    """Return deviations in octaves that go together in their colours and from pixel to pixel."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(size, size, 3)), (soft, soft, 0))
    noise /= noise.std()
    return np.asarray(noise @ COLOURS.T, np.float32)


def alike(dense: NDArray[np.float32], lag: int) -> float:
    """Return the correlation of pixels so far apart in a row."""
    return float(np.corrcoef(dense[:, lag:].ravel(), dense[:, : dense.shape[1] - lag].ravel())[0, 1])


@pytest.mark.parametrize("soft", [0.3, 1.0, 2.0])
def test_what_is_grown_has_the_colours_and_the_softness_of_what_was_measured(soft: float) -> None:
    empty = np.ones((96, 96), np.bool_)
    empty[20:70, 30:80] = False  # a cell
    fields = []
    for seed in range(24):
        dense = uneven(seed, soft=soft)
        dense[~empty] = 3.0
        fields.append((dense, empty))
    again = grown(measured(fields), 256, seed=1)
    flat = again.reshape(-1, 3)
    assert np.cov(flat.T) == pytest.approx(COLOURS @ COLOURS.T, abs=0.1 * float(np.linalg.norm(COLOURS @ COLOURS.T)))
    for lag in (1, 2, 4):
        before = np.mean([alike(uneven(seed, soft=soft), lag) for seed in range(24)])
        assert alike(again, lag) == pytest.approx(before, abs=0.08)


def test_a_light_that_drifts_goes_on_drifting() -> None:
    """Deviations that reach farther than any pixel's neighbour are not lost."""
    fields = [(uneven(seed, soft=6.0), np.ones((96, 96), np.bool_)) for seed in range(24)]
    again = grown(measured(fields), 256, seed=2)
    assert alike(again, 4) > 0.7
    assert again.std() == pytest.approx(np.mean([dense.std() for dense, _ in fields]), rel=0.25)


def test_one_seed_gives_one_grain_that_goes_on_beyond_its_edge() -> None:
    grain = measured([(uneven(0, soft=2.0), np.ones((96, 96), np.bool_))])
    again = grown(grain, 64, seed=3)
    assert np.array_equal(again, grown(grain, 64, seed=3))
    assert not np.array_equal(again, grown(grain, 64, seed=4))
    assert np.abs(again[:, 0] - again[:, -1]).mean() < 1.5 * np.abs(again[:, 0] - again[:, 1]).mean()


def test_where_no_background_is_there_is_no_grain() -> None:
    assert np.array_equal(measured([(uneven(0, soft=1.0), np.zeros((96, 96), np.bool_))]), NONE)
    assert np.array_equal(measured([]), NONE)
    assert not grown(NONE, 64, seed=0).any()


def test_a_library_measures_between_its_cells_at_the_size_of_the_scenes() -> None:
    pictures = []
    for seed in range(12):
        picture = Image.new("RGB", (128, 128), (230, 215, 190))
        for x, y in ((64, 64), (14, 20), (112, 100)):
            ImageDraw.Draw(picture).ellipse((x - 18, y - 18, x + 18, y + 18), fill=(150, 100, 150))
        light = np.asarray(picture) * np.exp2(uneven(seed, soft=2.0, size=128))
        pictures.append(np.clip(np.rint(light), 0, 255).astype(np.uint8))
    whole = cut(pictures, ["a"] * 12, [str(seed) for seed in range(12)], diameter=37)
    corner = np.concatenate([density(one[70:, :40], np.array([230.0, 215, 190])).reshape(-1, 3) for one in pictures])
    again = grown(whole.grain, 128, seed=0)
    assert np.cov(again.reshape(-1, 3).T) == pytest.approx(np.cov(corner.T), abs=0.25 * np.cov(corner.T).max())
    half = grown(cut(pictures, ["a"] * 12, [str(seed) for seed in range(12)], diameter=18.5).grain, 128, seed=0)
    assert alike(half, 1) == pytest.approx(alike(again, 2), abs=0.15), "half the size is half as soft"
