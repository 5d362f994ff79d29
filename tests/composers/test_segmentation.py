"""The segmentation against the phantom's own truth, and what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cytobench.composers.library import SAME_HUE
from cytobench.composers.segmentation import background_colour, pixels_of_hull, segment
from cytobench.datasets.phantom import CLASSES, SITES, draw, draw_red_cells


def dice(one: np.ndarray, other: np.ndarray) -> float:
    return float(2 * (one & other).sum() / (one.sum() + other.sum()))


@pytest.mark.parametrize("site", ["a", "b"])
def test_white_cells_are_found_among_red_ones(site: str) -> None:
    smears = [draw(label, range(4), site=SITES[site], size=96, seed=3) for label in CLASSES]
    pictures = np.concatenate([one.images for one in smears])
    truths = np.concatenate([one.instances == 1 for one in smears])
    found = [segment(picture) for picture in pictures]
    scores = [dice(one.mask, truth) for one, truth in zip(found, truths, strict=True) if not one.fault]
    assert len(scores) >= 17
    assert np.mean(scores) > 0.93
    assert min(scores) > 0.7


def test_a_red_cell_is_found_with_its_pallor() -> None:
    smears = draw_red_cells(range(8), site=SITES["a"], size=96, seed=3)
    for picture, instances in zip(smears.images, smears.instances, strict=True):
        found = segment(picture)
        assert not found.fault
        assert dice(found.mask, instances == 1) > 0.9


def test_the_background_is_the_lightest_common_colour_not_the_commonest() -> None:
    picture = np.full((60, 60, 3), (150, 110, 120), np.uint8)  # red cells everywhere
    picture[:20] = (250, 230, 210)
    assert np.abs(background_colour(picture) - (250, 230, 210)).max() <= 2


def _disc(x: int, y: int, radius: int, picture: Image.Image, colour: tuple[int, int, int]) -> None:
    ImageDraw.Draw(picture).ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def test_a_touching_neighbour_is_cut_off() -> None:
    picture = Image.new("RGB", (96, 96), (245, 225, 200))
    _disc(72, 48, 12, picture, (190, 150, 150))
    _disc(46, 48, 17, picture, (150, 130, 190))
    _disc(46, 48, 9, picture, (80, 40, 120))
    found = segment(np.asarray(picture))
    truth = Image.new("RGB", (96, 96))
    _disc(46, 48, 17, truth, (255, 255, 255))
    assert not found.fault
    assert dice(found.mask, np.asarray(truth)[:, :, 0] > 0) > 0.95


def _hugged(cytoplasm: tuple[int, int, int], side: int = 128) -> np.ndarray:
    """Return a white cell that lies broadly on two red ones; two others lie apart."""
    picture = Image.new("RGB", (512, 512), (245, 225, 200))
    for x, y in ((336, 256), (256, 336), (96, 96), (416, 416)):
        _disc(x, y, 64, picture, (190, 150, 150))
    _disc(256, 256, 80, picture, cytoplasm)
    _disc(256, 256, 48, picture, (80, 40, 120))
    small = np.asarray(picture.resize((side, side), Image.Resampling.BOX))
    return np.clip(small + np.random.default_rng(0).normal(0, 2, small.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("side", [48, 64, 128])
def test_red_cells_that_a_white_one_lies_on_are_told_by_their_hue(side: int) -> None:
    picture = _hugged((150, 130, 190), side)
    truth = Image.new("RGB", (512, 512))
    _disc(256, 256, 80, truth, (255, 255, 255))
    wanted = np.asarray(truth.resize((side, side), Image.Resampling.BOX))[:, :, 0] > 127
    plain, by_hue = segment(picture), segment(picture, by_hue=True)
    assert dice(plain.mask, wanted) < 0.9, "without a neck they pass as one"
    assert not plain.parted
    assert plain.alike < 0.2
    assert by_hue.parted
    assert dice(by_hue.mask, wanted) > 0.92
    assert not by_hue.fault


def test_cytoplasm_of_the_red_cells_hue_is_said() -> None:
    assert segment(_hugged((190, 150, 150))).alike > 0.8


def test_a_lobed_nucleus_that_lost_its_cytoplasm_is_refused() -> None:
    """Parted by hue where cytoplasm has the hue of red cells, what is left is no whole cell."""
    picture = Image.new("RGB", (128, 128), (245, 225, 200))
    for x, y, radius in ((24, 24, 16), (104, 104, 16), (104, 24, 16), (64, 64, 26)):
        _disc(x, y, radius, picture, (190, 150, 150))
    for x in (55, 73):
        _disc(x, 64, 11, picture, (80, 40, 120))
    assert not segment(np.asarray(picture)).fault
    assert segment(np.asarray(picture), by_hue=True).fault


@pytest.mark.parametrize("radius", [3, 6, 12, 25])
def test_discs_of_any_size_fill_their_hull(radius: int) -> None:
    y, x = np.mgrid[-30:31, -30:31]
    disc = x**2 + y**2 <= radius**2
    assert pixels_of_hull(disc) == pytest.approx(disc.sum(), rel=0.01)
    assert pixels_of_hull(disc & (x < 0)) == pytest.approx((disc & (x < 0)).sum(), rel=0.03)
    ell = (x >= 0) & (y >= 0) & ((x < 5) | (y < 5)) & (x < 20) & (y < 20)
    assert pixels_of_hull(ell) > 1.3 * ell.sum()
    assert pixels_of_hull((y == 0) & (x > 0)) == 30


@pytest.mark.parametrize("side", [16, 28, 40])
def test_small_pictures_have_a_contact(side: int) -> None:
    """Where a fortieth of the side is less than a pixel, too."""
    alone = draw("lymphocyte", [0], site=SITES["a"], size=side, seed=1).images[0]
    assert 0 <= segment(alone).contact <= 1


def test_a_black_picture_is_no_cell() -> None:
    assert segment(np.zeros((64, 64, 3), np.uint8)).fault == "is no cell"


@pytest.mark.parametrize(
    ("discs", "fault"),
    [
        ([], "is no cell"),
        ([(0, 48, 30)], "edge"),
        ([(34, 48, 12), (46, 40, 12), (58, 48, 12), (70, 58, 12), (24, 60, 12)], "is no single cell"),
    ],
)
def test_what_is_no_single_cell_is_refused(discs: list[tuple[int, int, int]], fault: str) -> None:
    picture = Image.new("RGB", (96, 96), (245, 225, 200))
    for x, y, radius in discs:
        _disc(x, y, radius, picture, (90, 50, 130))
    assert fault in segment(np.asarray(picture)).fault


def test_whole_cells_of_jtsc_as_the_experts_drew_them() -> None:
    """Dice of whole cells on JTSC's 300 masks (Zheng et al. 2018), where the pictures are at hand."""
    root = Path(os.environ.get("CYTOBENCH_REAL_DATA", "/nowhere")) / "jtsc"
    if not root.is_dir():
        pytest.skip("CYTOBENCH_REAL_DATA names no folder with jtsc/")
    scores, alike = [], []
    for path in sorted(root.glob("*/*.png")):
        picture = np.asarray(Image.open(path).convert("RGB"))
        truth = np.asarray(Image.open(root.parent / "jtsc_masks" / path.parent.name / path.name).convert("L")) > 64
        found = segment(picture)
        scores.append(dice(found.mask, truth))
        alike.append(found.alike)
    means = np.random.default_rng(0).choice(scores, (5000, len(scores))).mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    print(f"\nDice {np.mean(scores):.3f} [{low:.3f}, {high:.3f}], n = {len(scores)}; alike {np.nanmean(alike):.2f}")  # noqa: T201
    assert low > 0.90
    assert np.nanmean(alike) > SAME_HUE, "in this stain, hue does not tell red cells from cytoplasm"
