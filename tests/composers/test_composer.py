"""Scenes: the limits hold, the truth is the truth, and scene k is scene k wherever it is drawn."""

import itertools

import numpy as np
import pytest

from cytobench.composers.composer import Composer, Optics
from cytobench.composers.grain import EVEN
from cytobench.composers.levels import Level, named
from cytobench.composers.library import Library, matched
from cytobench.composers.optics import transmittance
from cytobench.composers.placement import turned
from cytobench.composers.rendering import ROAM
from cytobench.errors import UsageFault
from tests.composers.conftest import OPTICS, composer

MANY = 400


@pytest.mark.parametrize("level", ["sparse", "smear", "complex", "1.25"])
def test_no_limit_is_ever_exceeded(level: str, white: Library, red: Library) -> None:
    ours = composer(white, red, level)
    scenes = ours.draw("lymphocyte", range(MANY // 4))
    for row in range(len(scenes.images)):
        scene = scenes.one(row)
        assert ours.level.number[0] <= len(scene.masks) - 1 <= ours.level.number[1]
        for one, other in itertools.combinations(scene.masks, 2):
            assert (one & other).sum() <= ours.level.overlap * min(one.sum(), other.sum())
        hidden = scene.masks[0] & scene.masks[1:].any(axis=0)
        assert hidden.sum() <= (1 - ours.level.visible) * scene.masks[0].sum() + 1e-9
        assert scenes.placed.visible[row] == pytest.approx(1 - hidden.sum() / scene.masks[0].sum())


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_no_limit_is_exceeded_in_ten_thousand_scenes(white: Library, red: Library) -> None:
    ours = composer(white, red, "complex")
    level, shown = ours.level, []
    for label in ours.classes:
        for scenes in ours.blocks(label, range(5000)):
            for row in range(len(scenes.images)):
                scene = scenes.one(row)
                flat = scene.masks.reshape(len(scene.masks), -1).astype(np.float32)
                shared = flat @ flat.T  # exact: counts below 2²⁴
                areas = np.diag(shared)
                most = level.overlap * np.minimum(areas[:, None], areas)
                assert (shared <= most + np.diag(areas)).all()
                count = flat.sum(axis=0)
                assert np.allclose(scene.occluded, (flat * (count > 1)).sum(axis=1) / areas)
                for mask, (left, top, width, height) in zip(scene.masks, scene.boxes, strict=True):
                    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
                    assert (left, top, width, height) == (xs[0], ys[0], xs[-1] - xs[0] + 1, ys[-1] - ys[0] + 1)
                shown.append(1 - scene.occluded[0])
    assert len(shown) == 10_000
    assert min(shown) >= level.visible


def test_boxes_are_the_masks_extent_and_occlusion_is_counted(white: Library, red: Library) -> None:
    scenes = composer(white, red, "complex").draw("neutrophil", range(60))
    for row in range(60):
        scene = scenes.one(row)
        count = scene.masks.sum(axis=0)
        assert scene.labels[0] == "neutrophil"
        assert scenes.placed.areas[row, : len(scene.masks)].tolist() == scene.masks.sum(axis=(1, 2)).tolist()
        for mask, (left, top, width, height), occluded in zip(scene.masks, scene.boxes, scene.occluded, strict=True):
            ys, xs = np.nonzero(mask)
            assert (left, top, left + width - 1, top + height - 1) == (xs.min(), ys.min(), xs.max(), ys.max())
            assert occluded == pytest.approx((mask & (count > 1)).sum() / mask.sum())


def test_pictures_are_the_product_of_transmittances(white: Library, red: Library) -> None:
    ours = composer(white, red, "complex")
    scenes = ours.draw("neutrophil", range(8))
    placed, pad = scenes.placed, ours.stock.side
    corners = ours.corners("neutrophil", np.arange(8)).tolist()
    for row in range(8):
        light = np.zeros((64 + 2 * pad, 64 + 2 * pad, 3), np.float32)
        for rank in np.flatnonzero(placed.cells[row] >= 0):
            cell = placed.cells[row, rank]
            library = white if cell < len(white.masks) else matched(red, white)
            number = cell if library is white else cell - len(white.masks)
            side = library.masks.shape[1]
            inset = (ours.stock.side - side) // 2
            top, left = placed.tops[row, rank] + inset + pad, placed.lefts[row, rank] + inset + pad
            square = turned(library.dense[number : number + 1], int(placed.turns[row, rank]))[0]
            light[top : top + side, left : left + side] += square
        behind = ours._behind[corners[row][0] :, corners[row][1] :][:64, :64, :3]
        wanted = behind * transmittance(light[pad:-pad, pad:-pad])
        assert np.abs(scenes.images[row] - wanted).max() <= 1.5


def test_every_scene_has_a_grain_of_its_own_before_one_light(white: Library, red: Library) -> None:
    fine = EVEN.copy()
    fine[0, 0] = 0.05 * np.eye(3)
    scenes = composer(white._replace(grain=fine), red, "base").draw("lymphocyte", range(40))
    corner = scenes.images[:, :12, :12].astype(float)  # no cell reaches it
    assert np.abs(corner.mean(axis=(1, 2)) - white.background).max() < 5, "the light is the same"
    noise = (corner - corner.mean(axis=(1, 2), keepdims=True)).reshape(40, -1)
    alike = np.corrcoef(noise) - np.eye(40)
    assert alike.max() < 0.5, "no two scenes show the same grain"
    assert noise.std(axis=1).min() > 2


def test_few_scenes_share_a_place_in_the_background_and_levels_do(white: Library, red: Library) -> None:
    base, full = (composer(white, red, level) for level in ("base", "complex"))
    places = base.corners("lymphocyte", np.arange(2000))
    assert np.array_equal(places, full.corners("lymphocyte", np.arange(2000)))
    assert len(np.unique(places, axis=0)) > 1980
    assert places.min() >= 0
    assert places.max() <= ROAM


def test_a_complex_scene_contains_its_base_scene(white: Library, red: Library) -> None:
    base, full = (composer(white, red, level).draw("lymphocyte", range(30)) for level in ("base", "complex"))
    for row in range(30):
        alone, scene = base.one(row), full.one(row)
        assert np.array_equal(alone.masks[0], scene.masks[0])
        assert alone.cells[0] == scene.cells[0]
        assert (scene.image <= alone.image).all(), "cells only take light away"
        changed = (scene.image != alone.image).any(axis=2)
        reach = scene.masks[1:].any(axis=0)
        for _ in range(3):  # the soft edge
            reach = reach | np.roll(reach, 1, 0) | np.roll(reach, -1, 0) | np.roll(reach, 1, 1) | np.roll(reach, -1, 1)
        assert not (changed & ~reach).any()
        assert changed.any()


def test_neighbours_stay_when_more_are_added(white: Library, red: Library) -> None:
    few, more = (Level(number=(n, n)) for n in (3, 6))
    one, other = (composer(white, red, level).draw("lymphocyte", range(40)) for level in (few, more))
    assert np.array_equal(one.placed.cells[:, :4], other.placed.cells[:, :4])
    same = (one.placed.tops[:, :4] == other.placed.tops[:, :4]).all(axis=1)
    assert same.mean() > 0.9, "all but the scenes that had to begin again"


def test_a_scene_does_not_depend_on_its_company(white: Library, red: Library) -> None:
    ours = composer(white, red, "crowded")
    all_of_them = ours.draw("neutrophil", range(40))
    some = ours.draw("neutrophil", [31, 2, 17])
    assert np.array_equal(some.images, all_of_them.images[[31, 2, 17]])
    joined = np.concatenate([one.images for one in ours.blocks("neutrophil", range(300))])
    assert np.array_equal(joined[:40], all_of_them.images)


def test_seeds_and_classes_give_other_scenes(white: Library, red: Library) -> None:
    one, other = (composer(white, red, "complex", seed=seed).draw("neutrophil", range(20)) for seed in (0, 1))
    assert not np.array_equal(one.placed.tops, other.placed.tops)
    lymphocytes = composer(white, red, "complex").draw("lymphocyte", range(20))
    assert not np.array_equal(one.placed.tops, lymphocytes.placed.tops)


def test_every_cell_is_the_centre_as_often_as_the_others(white: Library, red: Library) -> None:
    ours = composer(white, red, "base")
    mine = white.labels.count("neutrophil")
    centres = ours.draw("neutrophil", range(5 * mine)).placed.cells[:, 0]
    assert sorted(np.unique(centres, return_counts=True)[1]) == [5] * mine


def test_the_kinds_are_mixed_as_the_level_says(white: Library, red: Library) -> None:
    scenes = composer(white, red, Level(number=(4, 8), white=0.3)).draw("lymphocyte", range(MANY))
    around = scenes.placed.cells[:, 1:]
    share = ((around >= 0) & (around < len(white.masks))).sum() / (around >= 0).sum()
    assert share == pytest.approx(0.3, abs=0.04)
    assert (composer(white, None, "complex").draw("lymphocyte", [0]).placed.cells < len(white.masks)).all()


def test_what_cannot_be_placed_ends_with_a_clear_error(white: Library, red: Library) -> None:
    level = Level(number=(25, 25), overlap=0.0, visible=1.0)
    with pytest.raises(UsageFault) as caught:
        composer(white, red, level).draw("lymphocyte", range(1))
    assert "25 cells around one do not fit" in str(caught.value)
    assert "on another cell" in str(caught.value)
    assert "overlap" in caught.value.fix


def test_harder_levels_drift_and_lose_focus(white: Library, red: Library) -> None:
    level = named("base").model_copy(update={"drift": 0.2})
    plain = composer(white, red, "base").draw("lymphocyte", range(30)).images.astype(float)
    drifted = composer(white, red, level).draw("lymphocyte", range(30)).images.astype(float)
    middle = np.s_[:, 28:36, 28:36]
    ratio = np.log((255 - drifted[middle]).mean(axis=(1, 2, 3)) / (255 - plain[middle]).mean(axis=(1, 2, 3)))
    assert 0.02 < ratio.std() < 0.3
    assert np.array_equal(drifted[:, 0], plain[:, 0]), "the empty background keeps its light and its grain"
    soft = composer(white, red, named("base").model_copy(update={"defocus": 0.6})).draw("lymphocyte", range(30)).images
    sharpness = [np.abs(np.diff(images.astype(float), axis=1))[:, 20:44, 20:44].mean() for images in (plain, soft)]
    assert sharpness[1] < 0.8 * sharpness[0]


def test_larger_scenes_show_the_same_places(white: Library, red: Library) -> None:
    """A scene of 64 and one of 32 µm share nothing but rules; a field too small for its cells is refused."""
    with pytest.raises(UsageFault, match="pixels wide"):
        Composer(white, red, named("base"), optics=Optics(image_size=24, field=32), seed=0)
    wide = Composer(white, red, named("complex"), optics=OPTICS.model_copy(update={"image_size": 150}), seed=0)
    scene = wide.draw("lymphocyte", [3]).one(0)
    assert scene.image.shape == (150, 150, 3)
    assert scene.masks.shape[1:] == (150, 150)


def test_an_unknown_class_is_refused_with_the_near_ones(white: Library, red: Library) -> None:
    with pytest.raises(UsageFault, match="lymphocyte"):
        composer(white, red, "base").draw("lymphocite", [0])
