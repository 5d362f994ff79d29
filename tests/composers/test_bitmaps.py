"""Bits against plain masks."""

import numpy as np
import pytest

from cytobench.composers.bitmaps import columns, count, moved, packed


@pytest.mark.parametrize("side", [7, 64, 65, 150])
def test_moved_bits_are_moved_pixels(side: int) -> None:
    rng = np.random.default_rng(side)
    masks = rng.random((40, side, side)) < 0.5
    down, right = rng.integers(-side - 3, side + 4, (2, 40))
    wanted = np.zeros_like(masks)
    for mask, target, y, x in zip(masks, wanted, down, right, strict=True):
        for row in range(side):
            for col in np.flatnonzero(mask[row]):
                if 0 <= row + y < side and 0 <= col + x < side:
                    target[row + y, col + x] = True
    window = packed(np.ones((1, side, side), np.bool_))
    found = moved(packed(masks), down, right, side) & window
    assert np.array_equal(found, packed(wanted))
    assert np.array_equal(count(found), wanted.sum(axis=(1, 2)))


def test_columns_are_set_between_two_limits() -> None:
    first, last = np.array([0, 3, 64, 100, 5]), np.array([130, 3, 65, 200, 64])
    found = columns(first, last, 3)
    wanted = np.array([[a <= x < b for x in range(192)] for a, b in zip(first, last, strict=True)])
    assert np.array_equal(found, packed(wanted[:, None, :]))
