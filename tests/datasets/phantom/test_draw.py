"""The promises of the public functions."""

import numpy as np
import pytest

from cytobench.datasets.phantom import CLASSES, SITES, Smears, draw, draw_red_cells
from cytobench.datasets.phantom.morphology import KINDS
from cytobench.errors import UsageFault

A, B = SITES["a"], SITES["b"]


def parts(smears: Smears, rows: list[int] | slice = slice(None)) -> list[bytes]:
    """Return the bytes of all parts of some rows."""
    whole = (smears.images, smears.instances, smears.nuclei, smears.patients)
    return [part[rows].tobytes() for part in whole]


def test_classes_are_the_kinds_that_can_be_drawn() -> None:
    assert tuple(sorted(KINDS)) == CLASSES


@pytest.mark.parametrize("label", CLASSES)
def test_image_k_does_not_depend_on_its_company(label: str) -> None:
    """Any subset of indices in any order gives the same bytes."""
    whole = draw(label, range(12), site=A, size=48, seed=3)
    picked = [11, 2, 7, 2]
    assert parts(draw(label, picked, site=A, size=48, seed=3)) == parts(whole, picked)


def test_red_cells_do_not_depend_on_their_company() -> None:
    whole = draw_red_cells(range(8), site=B, size=40, seed=3)
    assert parts(draw_red_cells([6, 1], site=B, size=40, seed=3)) == parts(whole, [6, 1])


def test_label_seed_site_and_index_each_change_the_picture() -> None:
    base = draw("neutrophil", [4], site=A, size=32, seed=0).images
    others = [
        draw("eosinophil", [4], site=A, size=32, seed=0),
        draw("neutrophil", [5], site=A, size=32, seed=0),
        draw("neutrophil", [4], site=B, size=32, seed=0),
        draw("neutrophil", [4], site=A, size=32, seed=1),
    ]
    assert not any(np.array_equal(base, other.images) for other in others)


@pytest.mark.parametrize("size", [28, 33, 64, 128])
def test_shapes_and_types(size: int) -> None:
    smears = draw("monocyte", [0, 9], site=B, size=size, seed=0)
    assert [(part.shape, part.dtype.name) for part in smears] == [
        ((2, size, size, 3), "uint8"),
        ((2, size, size), "uint16"),
        ((2, size, size), "bool"),
        ((2,), "int64"),
    ]


def test_nothing_asked_for_is_nothing_drawn() -> None:
    assert [len(part) for part in draw("basophil", [], site=A, size=32, seed=0)] == [0, 0, 0, 0]


@pytest.mark.parametrize("label", CLASSES)
def test_a_finer_grid_shows_the_same_scene(label: str) -> None:
    """A 192-pixel image, averaged over blocks of 3 × 3, is the 64-pixel image but for sharpness and noise."""
    coarse = draw(label, range(4), site=A, size=64, seed=0)
    fine = draw(label, range(4), site=A, size=192, seed=0)
    averaged = fine.images.reshape(4, 64, 3, 64, 3, 3).mean(axis=(2, 4))
    assert np.abs(averaged - coarse.images).mean() < 4
    np.testing.assert_allclose(
        (fine.instances == 1).mean(axis=(1, 2)), (coarse.instances == 1).mean(axis=(1, 2)), rtol=0.05
    )


def test_patients_take_consecutive_images() -> None:
    assert draw("basophil", [0, 4, 5, 14, 3], site=A, size=16, seed=0).patients.tolist() == [0, 0, 1, 2, 0]


def test_images_of_a_patient_resemble_one_another_in_light() -> None:
    """The slide's colour varies less within a patient than between patients, and is shared by all classes."""
    colours = np.stack(
        [
            np.percentile(draw(label, range(60), site=B, size=24, seed=0).images.reshape(60, -1, 3), 95, axis=1)
            for label in ("neutrophil", "lymphocyte")
        ],
        axis=1,
    ).reshape(12, 10, 3)  # (patient, image of either class, colour)
    balance = colours[..., 0] / colours[..., 2]
    assert balance.std(axis=1).mean() < 0.6 * balance.mean(axis=1).std()


def test_the_middle_of_every_image_lies_in_the_central_cell() -> None:
    for site in SITES.values():
        for label in CLASSES:
            smears = draw(label, range(40), site=site, size=32, seed=1)
            assert (smears.instances[:, 15:17, 15:17] == 1).all(), (site.name, label)


def test_masks_agree_with_one_another() -> None:
    """Instance numbers leave no gap, the nucleus lies inside the central cell, neighbours are there."""
    for site in SITES.values():
        for label in CLASSES:
            smears = draw(label, range(20), site=site, size=64, seed=2)
            assert not (smears.nuclei & (smears.instances != 1)).any()
            assert smears.nuclei.any(axis=(1, 2)).all()
            for instances in smears.instances:
                assert np.unique(instances).tolist() == list(range(int(instances.max()) + 1))
            assert 4 < smears.instances.max(axis=(1, 2)).mean() < 40


def test_dyed_pixels_are_those_of_the_masks() -> None:
    """The background of the masks is the brightest part of the image, the nucleus the darkest."""
    for site in SITES.values():
        smears = draw("neutrophil", range(20), site=site, size=64, seed=2)
        green = smears.images[..., 1].astype(float)
        background = green[smears.instances == 0].mean()
        red = green[smears.instances > 1].mean()
        nucleus = green[smears.nuclei].mean()
        assert nucleus + 40 < red < background - 20


def test_a_single_red_cell_lies_in_the_middle() -> None:
    smears = draw_red_cells(range(12), site=A, size=64, seed=0)
    assert smears.instances.max() == 1
    assert not smears.nuclei.any()
    rows, cols = np.nonzero(smears.instances.mean(axis=0))
    assert abs(rows.mean() - 31.5) < 2
    assert abs(cols.mean() - 31.5) < 2
    diameter = 2 * np.sqrt((smears.instances == 1).mean(axis=(1, 2)) / np.pi) * A.field
    assert 6.4 < diameter.mean() < 8.0  # µm; red cells measure 7.2


def test_sites_differ_in_colour_scale_sharpness_and_noise() -> None:
    one, other = (draw("neutrophil", range(40), site=site, size=64, seed=0) for site in (A, B))
    light = [np.percentile(smears.images.reshape(-1, 3), 95, axis=0) for smears in (one, other)]
    assert (light[0] - light[1] > 5).all()
    nucleus = [smears.images[smears.nuclei].mean(axis=0) for smears in (one, other)]
    assert nucleus[1][0] - nucleus[1][2] > nucleus[0][0] - nucleus[0][2] + 20  # magenta against blue-violet
    area = [(smears.instances == 1).mean() for smears in (one, other)]
    assert area[0] > 1.2 * area[1]
    quiet = [(smears.instances == 0)[:, 1:] & (smears.instances == 0)[:, :-1] for smears in (one, other)]
    steps = [
        np.median(np.abs(np.diff(smears.images[..., 0].astype(float), axis=1))[where])
        for smears, where in zip((one, other), quiet, strict=True)
    ]
    assert steps[1] > 1.5 * steps[0]


@pytest.mark.parametrize(
    ("label", "index", "size", "message"),
    [("platelet", 0, 64, "no class 'platelet'"), ("basophil", -1, 64, "image -1"), ("basophil", 0, 8, "8 px")],
)
def test_wrong_use_is_named(label: str, index: int, size: int, message: str) -> None:
    with pytest.raises(UsageFault, match=message):
        draw(label, [index], site=A, size=size, seed=0)
