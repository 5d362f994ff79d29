"""What an atlas says of the five white cells, measured on pictures and masks."""

import functools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from cytobench.datasets.phantom import CLASSES, SITES, Smears, draw
from cytobench.datasets.phantom.morphology import KINDS

COUNT = 60


@functools.cache
def smears_of(label: str) -> Smears:
    return draw(label, range(COUNT), site=SITES["a"], size=64, seed=5)


def solidity(mask: NDArray[np.bool_]) -> float:
    """Return the share of its convex hull that a mask fills."""
    corners = np.argwhere(mask)[:, None] + np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    return float(mask.sum() / ConvexHull(corners.reshape(-1, 2)).volume)


def solidities(label: str) -> NDArray[np.float64]:
    return np.array([solidity(mask) for mask in smears_of(label).nuclei])


def diameters(label: str) -> NDArray[np.float64]:
    """Return diameters of circles of the central cells' areas, µm."""
    area: NDArray[np.float64] = (smears_of(label).instances == 1).mean(axis=(1, 2)) * SITES["a"].field ** 2
    return 2 * np.sqrt(area / np.pi)


def cytoplasm(label: str) -> NDArray[np.float64]:
    """Return the mean colour of each cell between nucleus and rim, (N, 3)."""
    smears = smears_of(label)
    colours = []
    for image, instances, nucleus in zip(smears.images, smears.instances, smears.nuclei, strict=True):
        where = ndimage.binary_erosion(instances == 1) & ~ndimage.binary_dilation(nucleus, iterations=2)
        if where.any():
            colours.append(image[where].mean(axis=0))
    return np.array(colours)


def test_a_lymphocytes_nucleus_is_round_the_others_are_not() -> None:
    round_ones = solidities("lymphocyte")
    assert np.median(round_ones) > 0.93
    assert np.median(solidities("neutrophil")) < 0.87
    assert np.median(solidities("eosinophil")) < 0.92
    assert np.percentile(solidities("monocyte"), 25) < np.percentile(round_ones, 5)


def test_a_neutrophils_nucleus_falls_into_lobes_when_its_threads_are_cut() -> None:
    """Erosion parts two to five lobes in most neutrophils, and none in a lymphocyte."""

    def lobes(label: str) -> NDArray[np.int64]:
        masks = draw(label, range(COUNT), site=SITES["a"], size=128, seed=5).nuclei
        cut = [ndimage.label(ndimage.binary_erosion(mask, iterations=5))[0] for mask in masks]
        return np.array([(np.bincount(pieces.ravel())[1:] >= 8).sum() for pieces in cut])  # crumbs don't count

    neutrophils = lobes("neutrophil")
    assert 0.5 < (neutrophils >= 2).mean() < 0.97  # the rest are bands and lobes that lie on one another
    assert neutrophils.max() <= 6
    assert (lobes("lymphocyte") == 1).mean() > 0.95


def test_the_nucleus_fills_a_lymphocyte_and_leaves_room_in_a_granulocyte() -> None:
    def filled(label: str) -> float:
        smears = smears_of(label)
        return float(np.median(smears.nuclei.sum(axis=(1, 2)) / (smears.instances == 1).sum(axis=(1, 2))))

    assert filled("lymphocyte") > 0.55
    assert 0.15 < filled("neutrophil") < 0.4
    assert 0.15 < filled("eosinophil") < 0.4
    assert filled("neutrophil") < filled("monocyte") < filled("lymphocyte")


def test_sizes_are_those_of_an_atlas() -> None:
    """Lymphocytes are the smallest and monocytes the largest, but the ranges overlap."""
    middle = {label: float(np.median(diameters(label))) for label in CLASSES}
    assert min(middle, key=middle.__getitem__) == "lymphocyte"
    assert max(middle, key=middle.__getitem__) == "monocyte"
    assert 8 < middle["lymphocyte"] < 10.5
    assert 12 < middle["neutrophil"] < 14
    assert 13.5 < middle["monocyte"] < 18
    assert diameters("lymphocyte").max() > diameters("monocyte").min()


def test_an_eosinophils_cytoplasm_is_the_reddest() -> None:
    redness = {label: np.median(cytoplasm(label)[:, 0] - cytoplasm(label)[:, 1]) for label in CLASSES}
    others = [value for label, value in redness.items() if label != "eosinophil"]
    assert redness["eosinophil"] > max(others) + 20


def test_lymphocytes_and_monocytes_have_blue_cytoplasm_and_neutrophils_pink() -> None:
    blueness = {label: np.median(cytoplasm(label)[:, 2] - cytoplasm(label)[:, 0]) for label in CLASSES}
    assert blueness["lymphocyte"] > 10
    assert blueness["monocyte"] > 0
    assert blueness["neutrophil"] < -10
    assert blueness["eosinophil"] < -30


def test_a_basophils_granules_darken_its_cytoplasm_and_hide_its_nucleus() -> None:
    def contrast(label: str) -> float:
        smears = smears_of(label)
        nucleus = np.array([image[mask].mean() for image, mask in zip(smears.images, smears.nuclei, strict=True)])
        return float(np.median(cytoplasm(label).mean(axis=1)) - np.median(nucleus))

    darkness = {label: np.median(cytoplasm(label).mean(axis=1)) for label in CLASSES}
    assert darkness["basophil"] == min(darkness.values())
    assert contrast("basophil") < 0.6 * min(contrast("neutrophil"), contrast("eosinophil"))


@pytest.mark.parametrize("label", CLASSES)
def test_every_nucleus_fits_into_its_cell(label: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        cell = KINDS[label](rng)
        reach = np.hypot(*cell.nucleus.centres.T) + cell.nucleus.radii
        assert reach.max() <= cell.radius
        assert len(cell.nucleus.bridges) == len(cell.nucleus.radii) - 1
