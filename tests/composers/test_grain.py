"""The unevenness of the background: measured between cells and grown again, it is what it was."""

from collections.abc import Iterable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from cytobench.composers import library
from cytobench.composers.grain import EVEN, Grain, grown, measured
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
        assert alike(again, lag) == pytest.approx(before, abs=0.12)


def test_a_light_that_changes_slowly_leaves_no_blotches() -> None:
    """It is taken for light; of what is left the likeness dies out where that of the pictures does."""
    slope = np.linspace(-0.1, 0.1, 96, dtype=np.float32)[:, None, None]
    empty = np.ones((96, 96), np.bool_)
    again = grown(measured([(uneven(seed, soft=1.0) + slope, empty) for seed in range(24)]), 256, seed=2)
    plain = grown(measured([(uneven(seed, soft=1.0), empty) for seed in range(24)]), 256, seed=2)
    assert again.std() == pytest.approx(plain.std(), rel=0.15)
    for lag in (8, 12):
        assert alike(again, lag) < 0.1


@pytest.mark.parametrize(("share", "pictures"), [(0.03, 2), (0.3, 24)])
def test_ragged_pieces_of_background_make_it_no_stronger(share: float, pictures: int) -> None:
    fields = []
    for seed in range(pictures):
        empty = np.random.default_rng(100 + seed).random((96, 96)) < share
        fields.append((uneven(seed, soft=0.3), empty))
    assert grown(measured(fields), 256, seed=1).std() == pytest.approx(uneven(0, soft=0.3).std(), rel=0.1)


def test_colours_that_lie_beside_one_another_do_so_again() -> None:
    """Green follows red by two pixels to the right, as a mosaic of filters may have it; not to the left."""
    fields = []
    for seed in range(24):
        noise = np.random.default_rng(seed).normal(0, 0.02, (96, 96)).astype(np.float32)
        fields.append((np.stack([noise, np.roll(noise, 2, axis=1), noise], axis=2), np.ones((96, 96), np.bool_)))
    again = grown(measured(fields), 128, seed=0)
    red, green = again[..., 0], again[..., 1]
    assert np.corrcoef(np.roll(red, 2, axis=1).ravel(), green.ravel())[0, 1] > 0.8
    assert abs(np.corrcoef(np.roll(red, -2, axis=1).ravel(), green.ravel())[0, 1]) < 0.1


def test_one_seed_gives_one_grain_that_goes_on_beyond_its_edge() -> None:
    grain = measured([(uneven(0, soft=2.0), np.ones((96, 96), np.bool_))])
    again = grown(grain, 64, seed=3)
    assert np.array_equal(again, grown(grain, 64, seed=3))
    assert not np.array_equal(again, grown(grain, 64, seed=4))
    assert np.abs(again[:, 0] - again[:, -1]).mean() < 1.5 * np.abs(again[:, 0] - again[:, 1]).mean()


def test_where_no_background_is_there_is_no_grain() -> None:
    assert np.array_equal(measured([(uneven(0, soft=1.0), np.zeros((96, 96), np.bool_))]), EVEN)
    assert np.array_equal(measured([]), EVEN)
    assert not grown(EVEN, 64, seed=0).any()


def test_a_library_measures_between_its_cells_at_the_size_of_the_scenes() -> None:
    pictures = []
    for seed in range(12):
        picture = Image.new("RGB", (128, 128), (230, 215, 190))
        for x, y in ((64, 64), (14, 20), (112, 100)):
            ImageDraw.Draw(picture).ellipse((x - 18, y - 18, x + 18, y + 18), fill=(150, 100, 150))
        light = np.asarray(picture) * np.exp2(uneven(seed, soft=2.0, size=128))
        pictures.append(np.clip(np.rint(light), 0, 255).astype(np.uint8))
    whole = cut(pictures, ["a"] * 12, [str(seed) for seed in range(12)], diameter=37)
    corners = [density(one[70:, :40], np.array([230.0, 215, 190])).reshape(-1, 3) for one in pictures]
    corner = np.concatenate([one - one.mean(axis=0) for one in corners])
    again = grown(whole.grain, 128, seed=0)
    assert np.cov(again.reshape(-1, 3).T) == pytest.approx(np.cov(corner.T), abs=0.25 * np.cov(corner.T).max())
    half = grown(cut(pictures, ["a"] * 12, [str(seed) for seed in range(12)], diameter=18.5).grain, 128, seed=0)
    assert alike(half, 1) == pytest.approx(alike(again, 2), abs=0.15), "half the size is half as soft"


def test_a_pale_cell_is_no_background() -> None:
    picture = Image.new("RGB", (128, 128), (230, 215, 190))
    ImageDraw.Draw(picture).ellipse((34, 34, 94, 94), fill=(212, 198, 175))
    noise = np.random.default_rng(0).normal(0, 1, (128, 128, 3))
    pale = np.clip(np.rint(np.asarray(picture) + noise), 0, 255).astype(np.uint8)
    again = grown(cut([pale], ["a"], ["x"], diameter=61).grain, 128, seed=0)
    assert again.std() == pytest.approx(density(pale[:30], np.array([230.0, 215, 190])).std(), rel=0.3)


def test_noisy_pictures_have_their_noise_and_enlarged_ones_are_enlarged_with_it() -> None:
    picture = Image.new("RGB", (96, 96), (200, 190, 180))
    ImageDraw.Draw(picture).ellipse((30, 30, 66, 66), fill=(90, 60, 110))
    noise = np.random.default_rng(0).normal(0, 12, (8, 96, 96, 3))
    pictures = [np.clip(np.rint(np.asarray(picture) + one), 0, 255).astype(np.uint8) for one in noise]
    names = [str(number) for number in range(8)]
    found = cut(pictures, ["a"] * 8, names, diameter=37)
    corners = np.stack([density(one[:20], found.background) for one in pictures])
    corners -= corners.mean(axis=(0, 1, 2))
    again = grown(found.grain, 128, seed=0)
    assert again.std() == pytest.approx(corners.std(), rel=0.3), "a little less: cells are brought to their size, too"
    wide = grown(cut(pictures, ["a"] * 8, names, diameter=111).grain, 128, seed=0)
    assert alike(wide, 1) > 0.5 + alike(again, 1)


def test_a_few_large_pictures_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[int] = []

    def counted(fields: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Grain:
        looked.append(len(list(fields)))
        return EVEN

    picture = Image.new("RGB", (96, 96), (200, 190, 180))
    ImageDraw.Draw(picture).ellipse((30, 30, 66, 66), fill=(90, 60, 110))
    pictures, names = [np.asarray(picture)] * 5, list("vwxyz")
    monkeypatch.setattr(library, "measured", counted)
    for pixels in (5 * 96**2, 2 * 96**2, 1):
        monkeypatch.setattr(library, "GRAIN_PIXELS", pixels)
        cut(pictures, ["a"] * 5, names, diameter=37)
    assert looked == [5, 2, 1]


def test_distractors_tell_nothing_about_the_background() -> None:
    picture = Image.new("RGB", (96, 96), (200, 190, 180))
    ImageDraw.Draw(picture).ellipse((30, 30, 66, 66), fill=(90, 60, 110))
    noise = np.random.default_rng(0).normal(0, 3, (96, 96, 3))
    noisy = np.clip(np.rint(np.asarray(picture) + noise), 0, 255).astype(np.uint8)
    assert np.array_equal(cut([noisy], ["a"], ["x"], diameter=37, distractors=True).grain, EVEN)
    assert cut([noisy], ["a"], ["x"], diameter=37).grain.any()
