import numpy as np
import pytest
import torch

from cytobench.datasets.near.thumbnails import thumbnails, turned, undone, whitening


@pytest.mark.parametrize("orientation", range(8))
def test_an_orientation_can_be_undone(orientation: int) -> None:
    image = torch.arange(9).view(3, 3)
    assert torch.equal(turned(turned(image, orientation), undone(orientation)), image)


def test_a_pair_is_as_alike_from_either_side() -> None:
    small = thumbnails(np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8))
    white = whitening(small)
    for orientation in range(8):
        there = white(turned(small, orientation)) @ white(small).T
        back = white(small) @ white(turned(small, undone(orientation))).T
        assert there == pytest.approx(back, abs=1e-2)


def test_a_blank_image_has_no_thumbnail() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
    pixels[2] = 200
    small = thumbnails(pixels)
    length = np.linalg.norm(whitening(small)(small), axis=1)
    assert length == pytest.approx([1, 1, 0, 1, 1], abs=1e-5)
