"""Chunks, canvases and pixels."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.generators import sampling


def numbered(chunk: int) -> tuple[list[int], "object"]:
    asked: list[int] = []

    def draw(number: int) -> NDArray[np.uint8]:
        asked.append(number)
        return np.arange(number * chunk, (number + 1) * chunk, dtype=np.uint8).reshape(chunk, 1, 1, 1)

    return asked, draw


@pytest.mark.parametrize("indices", [[0], [5, 3, 3, 17], list(range(20)), [19, 0]])
@pytest.mark.parametrize("chunk", [1, 4, 7])
def test_every_index_gets_its_own_image(indices: list[int], chunk: int) -> None:
    _, draw = numbered(chunk)
    images = sampling.in_chunks(indices, chunk=chunk, draw=draw)  # type: ignore[arg-type]
    assert images[:, 0, 0, 0].tolist() == indices


def test_no_chunk_is_drawn_twice_or_in_vain() -> None:
    asked, draw = numbered(4)
    sampling.in_chunks([9, 1, 8, 0], chunk=4, draw=draw)  # type: ignore[arg-type]
    assert asked == [0, 2]


def test_noise_has_a_seed_for_each_chunk_and_label() -> None:
    firsts = {
        torch.rand((), generator=sampling.noise_source(seed, label, number)).item()
        for seed in (0, 1)
        for label in (0, 1)
        for number in (0, 1)
    }
    assert len(firsts) == 8


@pytest.mark.parametrize("size", [28, 31, 32])
def test_the_canvas_gives_back_what_it_was_given(size: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, size, size, 3), dtype=np.uint8)
    side = sampling.canvas(size, 16)
    on_canvas = sampling.to_canvas(images, side)
    assert on_canvas.shape == (2, 3, 32, 32)
    np.testing.assert_array_equal(sampling.from_canvas(on_canvas.float() / 127.5 - 1, size), images)


def test_values_out_of_range_are_clipped() -> None:
    assert sampling.from_canvas(torch.tensor([-3.0, 3.0, 0.0]).reshape(1, 3, 1, 1), 1).tolist() == [[[[0, 255, 128]]]]
