"""Cells by themselves: nothing of their background, nothing of their neighbours, the size that was asked for."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from cytobench.composers import library
from cytobench.composers.library import Library, cut, matched
from cytobench.composers.optics import transmittance
from cytobench.datasets.phantom import SITES, draw
from cytobench.errors import DataFault


def test_the_median_cell_has_the_diameter_that_was_asked_for(white: Library) -> None:
    diameters = 2 * np.sqrt(white.masks.sum(axis=(1, 2)) / np.pi)
    assert np.median(diameters) == pytest.approx(26, rel=0.03)


def test_nothing_is_left_of_the_background(white: Library, red: Library) -> None:
    for cells in (white, red):
        edge = np.concatenate([cells.dense[:, [0, -1]], cells.dense[:, :, [0, -1]].swapaxes(1, 2)], axis=2)
        assert np.median(edge) == 0
        away = cells.dense[~cells.masks]
        assert (away < 0.1).mean() > 0.97
        assert cells.dense[cells.masks].mean() > 0.3


@pytest.mark.parametrize("gap", [0, 1, 3])
def test_next_to_nothing_is_left_of_neighbours(gap: int) -> None:
    pictures = []
    for neighbours in (0, 1, 3):
        picture = Image.new("RGB", (192, 192), (245, 225, 200))
        for x, y in ((148 + gap, 96), (96, 148 + gap), (44 - gap, 96))[:neighbours]:
            ImageDraw.Draw(picture).ellipse((x - 18, y - 18, x + 18, y + 18), fill=(190, 150, 150))
        ImageDraw.Draw(picture).ellipse((62, 62, 130, 130), fill=(150, 130, 190))
        ImageDraw.Draw(picture).ellipse((78, 78, 114, 114), fill=(80, 40, 120))
        pictures.append(np.asarray(picture))
    found = cut(pictures, ["a"] * 3, list("xyz"), diameter=68)
    alone, *beside = found.dense.sum(axis=(1, 2, 3))
    assert np.array(beside) / alone == pytest.approx(1, abs=0.02)  # with a rim of each .03


def test_no_sliver_of_a_neighbour_is_left_beyond_a_gap() -> None:
    picture = Image.new("RGB", (192, 192), (245, 225, 200))
    ImageDraw.Draw(picture).ellipse((62, 62, 130, 130), fill=(150, 130, 190))
    ImageDraw.Draw(picture).ellipse((78, 78, 114, 114), fill=(80, 40, 120))
    for x, y in ((150, 96), (96, 150), (42, 96), (96, 42)):  # one pixel between
        ImageDraw.Draw(picture).ellipse((x - 18, y - 18, x + 18, y + 18), fill=(190, 150, 150))
    found = cut([np.asarray(picture)], ["a"], ["x"], diameter=72)
    middle, edge = found.masks.shape[1] // 2, round(35 * found.enlarged)
    assert found.masks[0, middle, middle + edge :].any(), "the smooth outline holds a rim of the others"
    assert found.dense[0, middle, middle + edge :].max() < 0.05


def _on_red_ones(cytoplasm: tuple[int, int, int], beside: int) -> np.ndarray:
    """Return a white cell whose middle is so many pixels away from a red one's; three others lie apart."""
    picture = Image.new("RGB", (128, 128), (245, 225, 200))
    for x, y in ((64 + beside, 64), (22, 22), (106, 106), (22, 106)):
        ImageDraw.Draw(picture).ellipse((x - 16, y - 16, x + 16, y + 16), fill=(190, 150, 150))
    ImageDraw.Draw(picture).ellipse((44, 44, 84, 84), fill=cytoplasm)
    ImageDraw.Draw(picture).ellipse((52, 52, 76, 76), fill=(80, 40, 120))
    grain = np.random.default_rng(beside).normal(0, 2, (128, 128, 3))
    return np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)


BLUE, RED = (150, 130, 190), (190, 150, 150)


def test_hue_parts_the_cells_of_classes_whose_cytoplasm_has_its_own() -> None:
    """A class with the red cells' hue beside it is left as it is."""
    pictures = [_on_red_ones(colour, beside) for colour in (BLUE, RED) for beside in (0, 18)]
    found = cut(pictures, ["blue", "blue", "red", "red"], list("wxyz"), diameter=40)
    areas = found.masks.sum(axis=(1, 2))
    assert areas[1] / areas[0] == pytest.approx(1, abs=0.05)
    assert 1.2 < areas[3] / areas[2] < 1.5, "the red cell came along"
    assert found.alike["blue"] < 0.1
    assert found.alike["red"] > 0.8
    assert found.parted == 1


def test_edges_have_no_steps_where_a_neighbour_was_parted_off() -> None:
    picture = _on_red_ones(BLUE, 18)
    enlarged = cut([picture], ["a"], ["x"], diameter=40).enlarged
    found = cut([picture], ["a"], ["x"], diameter=40 / enlarged)  # as large as it is in the picture
    assert found.parted == 1
    middle = found.masks.shape[1] // 2
    softened = 0
    for row in range(middle - 6, middle + 6):
        dense, inside = found.dense[0, row].mean(axis=1), np.flatnonzero(found.masks[0, row])
        last, within = int(inside[-1]), dense[inside[-1] - 4]
        softened += bool(0.05 * within < dense[last + 1] < 0.5 * within)
        assert dense[last + 3 :].max(initial=0) < 0.05 * within, "nothing of the red cell"
    assert softened >= 10


def _touched(by: int) -> np.ndarray:
    """Return a cell with that many others at it."""
    picture = Image.new("RGB", (160, 160), (245, 225, 200))
    for x, y in ((120, 80), (80, 120), (40, 80))[:by]:
        ImageDraw.Draw(picture).ellipse((x - 22, y - 22, x + 22, y + 22), fill=(190, 150, 150))
    ImageDraw.Draw(picture).ellipse((58, 58, 102, 102), fill=(160, 110, 120))
    return np.asarray(picture)


def test_cells_that_touch_others_are_taken_until_there_are_enough_the_least_touched_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = [_touched(by) for by in (3, 0, 1, 2)]
    everything = cut(pictures, ["a"] * 4, list("wxyz"), diameter=20)
    assert everything.names == ("w", "x", "y", "z")
    assert everything.touching == {"a": 3}
    assert not everything.left_out
    monkeypatch.setattr(library, "ENOUGH", 3)
    found = cut(pictures, ["a"] * 4, list("wxyz"), diameter=20)
    assert found.names == ("x", "y", "z"), "in their order, without the one that three touch"
    assert found.left_out == {"touches others": 1}
    monkeypatch.setattr(library, "ENOUGH_AROUND", 1)
    assert cut(pictures, ["a"] * 4, list("wxyz"), diameter=20, distractors=True).names == ("x",)
    assert cut(pictures[2:], ["a", "b"], list("yz"), diameter=20, distractors=True).names == ("y", "z"), "of each class"
    alone = [pictures[1]] * 3
    assert cut(alone, ["a"] * 3, list("xyz"), diameter=20, distractors=True).names == ("x", "y", "z"), "none touches"


def test_more_pictures_are_looked_at_than_are_wanted() -> None:
    touched, alone = _touched(2), _touched(0)
    found = cut([touched, touched, alone, alone], ["a"] * 4, list("wxyz"), diameter=20, most=2)
    assert found.names == ("y", "z")
    assert found.left_out == {"touches others": 2}
    assert cut([alone] * 5, ["a"] * 5, list("vwxyz"), diameter=20, most=2).names == ("v", "w"), "no more than wanted"
    blank = np.full_like(alone, 230)
    assert cut([blank] * 9 + [alone], ["a"] * 10, list("qrstuvwxyz"), diameter=20, most=1).names == ("z",)
    late = cut([touched] * 5 + [alone], ["a"] * 6, list("uvwxyz"), diameter=20, most=1)
    assert late.names == ("u",), "five times as many are, no more"
    assert late.left_out == {"touches others": 4}


def test_nothing_to_cut_is_a_clear_fault() -> None:
    with pytest.raises(DataFault, match="no cell could be cut"):
        cut([], [], [], diameter=20)


def test_a_cell_on_its_own_background_is_what_it_was() -> None:
    picture = draw("monocyte", [0], site=SITES["a"], size=96, seed=5)
    own = picture.instances[0] == 1
    diameter = 2 * float(np.sqrt(own.sum() / np.pi))
    found = cut(picture.images, ["monocyte"], ["one"], diameter=diameter)
    assert found.enlarged == pytest.approx(1, abs=0.05)
    again = found.background * transmittance(found.dense[0])
    inside = found.masks[0]
    before = picture.images[0][own].mean(axis=0)
    assert np.abs(again[inside].mean(axis=0) - before).max() < 6


def test_what_cannot_be_cut_out_is_counted_and_a_class_without_cells_refused() -> None:
    good = draw("lymphocyte", range(3), site=SITES["a"], size=64, seed=2).images
    blank = np.full((2, 64, 64, 3), 240, np.uint8)
    found = cut([*good, blank[0]], ["a"] * 4, list("wxyz"), diameter=20)
    assert sum(found.left_out.values()) == 1
    assert found.names == ("w", "x", "y")
    with pytest.raises(DataFault, match="no b could be cut"):
        cut([*good, *blank], ["a"] * 3 + ["b"] * 2, list("vwxyz"), diameter=20)


def test_most_limits_each_class() -> None:
    pictures = draw("lymphocyte", range(6), site=SITES["a"], size=64, seed=2).images
    found = cut(pictures, list("aabbbb"), list("uvwxyz"), diameter=20, most=2)
    assert found.labels == tuple("aabb")


def test_distractors_take_the_stain_of_what_lies_around_the_cells(white: Library, red: Library) -> None:
    assert not np.isnan(white.around).any()
    pale = red._replace(dense=red.dense * np.array([0.5, 0.6, 0.7], np.float32))
    now = matched(pale, white)
    assert np.median(now.dense[now.masks], axis=0) == pytest.approx(white.around, rel=0.05)
    alone = white._replace(around=np.full(3, np.nan, np.float32))
    assert matched(pale, alone) is pale


def test_distractors_of_one_class_have_one_hue_and_their_own_density(red: Library, white: Library) -> None:
    tints = np.linspace(0.7, 1.3, len(red.names), dtype=np.float32)
    motley = red._replace(dense=red.dense * np.stack([tints, np.ones_like(tints), 1 / tints], axis=1)[:, None, None])
    now = matched(motley, white)

    def hues(one: Library) -> np.ndarray:
        own = np.array([np.median(dense[mask], axis=0) for dense, mask in zip(one.dense, one.masks, strict=True)])
        return np.asarray(own / np.linalg.norm(own, axis=1, keepdims=True))

    assert np.median(now.dense[now.masks], axis=0) == pytest.approx(white.around, rel=0.05)
    assert hues(motley).std(axis=0).max() > 0.05
    assert hues(now).std(axis=0).max() < 0.01
    before, after = (np.array([one.dense[i][one.masks[i]].mean() for i in range(len(tints))]) for one in (red, now))
    assert np.corrcoef(before, after)[0, 1] > 0.9


def test_a_distractor_of_which_no_pixel_is_left_hides_no_other(red: Library, white: Library) -> None:
    masks = red.masks.copy()
    masks[0] = False
    now = matched(red._replace(masks=masks), white)
    assert not np.isnan(now.dense).any()
    assert now.dense[1:][masks[1:]].mean() > 0.3
