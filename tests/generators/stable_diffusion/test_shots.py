"""Which images an adapter learns from."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cytobench.generators.stable_diffusion.shots import chosen, farthest, features
from tests.generators.toy import discs

NONE = np.zeros(40, np.int64)


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return discs(40, 32)


@pytest.mark.parametrize("shots", [1, 4, 8, 16])
def test_so_many_are_chosen_each_once(shots: int, images: NDArray[np.uint8]) -> None:
    rows = chosen(images, NONE, shots, seed=0)
    assert len(rows) == len(set(rows)) == shots
    assert list(rows) == sorted(rows)
    assert list(chosen(images, NONE, shots, seed=0)) == list(rows)


def test_each_class_has_its_own(images: NDArray[np.uint8]) -> None:
    labels = np.arange(40) % 4
    assert [int((labels[chosen(images, labels, 5, seed=0)] == label).sum()) for label in range(4)] == [5] * 4


def test_nothing_is_repeated_where_there_are_fewer(images: NDArray[np.uint8]) -> None:
    assert list(chosen(images[:3], NONE[:3], 16, seed=0)) == [0, 1, 2]
    assert list(chosen(images, NONE, 0, seed=0)) == list(range(40))


def test_another_seed_chooses_others(images: NDArray[np.uint8]) -> None:
    assert len({tuple(chosen(images, NONE, 4, seed)) for seed in range(6)}) > 2


def test_the_blurred_and_the_odd_are_left_out(images: NDArray[np.uint8]) -> None:
    spoilt = images.copy()
    spoilt[3:9] = gaussian_filter(images[3:9].astype(float), (0, 2, 2, 0)).astype(np.uint8)
    spoilt[20:24] = 255 - images[20:24]  # dark ground, light cell
    for seed in range(5):
        assert not set(chosen(spoilt, NONE, 16, seed)) & {*range(3, 9), *range(20, 24)}


def test_they_are_unlike_one_another() -> None:
    places = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [9.0]])
    assert list(farthest(places, np.arange(6), 0, 3)) == [0, 5, 3]


def test_how_a_cell_lies_does_not_matter(images: NDArray[np.uint8]) -> None:
    turned = images.copy()
    turned[::2] = np.rot90(images[::2], axes=(1, 2))
    np.testing.assert_allclose(features(turned), features(images), atol=1e-6)
