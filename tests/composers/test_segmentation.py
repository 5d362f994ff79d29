"""The segmentation against the phantom's own truth, and what it refuses."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cytobench.composers.library import SAME_HUE
from cytobench.composers.segmentation import background_colour, segment
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


def _hugged(cytoplasm: tuple[int, int, int]) -> np.ndarray:
    """Return a white cell that lies broadly on two red ones; two others lie apart."""
    picture = Image.new("RGB", (128, 128), (245, 225, 200))
    for x, y in ((84, 64), (64, 84), (24, 24), (104, 104)):
        _disc(x, y, 16, picture, (190, 150, 150))
    _disc(64, 64, 20, picture, cytoplasm)
    _disc(64, 64, 12, picture, (80, 40, 120))
    grain = np.random.default_rng(0).normal(0, 2, (128, 128, 3))
    return np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)


def test_red_cells_that_a_white_one_lies_on_are_told_by_their_hue() -> None:
    picture = _hugged((150, 130, 190))
    truth = Image.new("RGB", (128, 128))
    _disc(64, 64, 20, truth, (255, 255, 255))
    wanted = np.asarray(truth)[:, :, 0] > 0
    plain, by_hue = segment(picture), segment(picture, by_hue=True)
    assert dice(plain.mask, wanted) < 0.9, "without a neck they pass as one"
    assert plain.touched
    assert plain.alike < 0.2
    assert dice(by_hue.mask, wanted) > 0.92
    assert not by_hue.fault


def test_cytoplasm_of_the_red_cells_hue_is_said() -> None:
    assert segment(_hugged((190, 150, 150))).alike > 0.8


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
