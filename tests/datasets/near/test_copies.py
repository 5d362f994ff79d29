import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cytobench.datasets.near.copies import ORIENTATIONS, SAME, STEPS, near_copies, near_copies_between
from cytobench.datasets.phantom import CLASSES, SITES, draw
from cytobench.errors import UsageFault

Pixels = NDArray[np.uint8]
SIZE = 64


@pytest.fixture(scope="module")
def cells() -> Pixels:
    """Sixty different cells."""
    drawn = [draw(label, range(12), site=SITES["a"], size=SIZE, seed=0).images for label in CLASSES[:5]]
    cells = np.concatenate(drawn)
    assert cells.shape == (60, SIZE, SIZE, 3)
    return cells


def oriented(image: Pixels, orientation: int) -> Pixels:
    """Turn an image as ORIENTATIONS says, without the code under test."""
    mirrored = image[:, ::-1] if orientation >= 4 else image
    return np.ascontiguousarray(np.rot90(mirrored, orientation % 4))


def recompressed(image: Pixels) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=75)
    return np.asarray(Image.open(buffer).convert("RGB"))


def seen(image: Pixels, zoom: float, shift: float = 0.0) -> Pixels:
    """Zoom about the centre and shift, both in parts of the side; the margin repeats."""
    wide = np.pad(image, ((8, 8), (8, 8), (0, 0)), mode="edge")
    side = SIZE / zoom
    left = 8 + (SIZE - side) / 2 + shift * SIZE
    box = (left, left, left + side, left + side)
    return np.asarray(Image.fromarray(wide).resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box))


def lit(image: Pixels, gain: float, offset: float) -> Pixels:
    return np.asarray(np.clip(image * gain + offset, 0, 255), np.uint8)


ALTERED: dict[str, Callable[[Pixels], Pixels]] = {
    "jpeg": recompressed,
    "zoomed in": lambda image: seen(image, 1.1),
    "zoomed out": lambda image: seen(image, 0.9),
    "shifted": lambda image: seen(image, 1.0, 0.03),
    "darker": lambda image: lit(image, 0.9, 0),
    "less contrast": lambda image: lit(image, 0.85, 20),
    "turned, jpeg": lambda image: recompressed(oriented(image, 1)),
    "mirrored, jpeg": lambda image: recompressed(oriented(image, 4)),
    "zoomed, jpeg": lambda image: recompressed(seen(image, 1.1)),
}


def test_different_cells_are_not_reported(cells: Pixels) -> None:
    assert near_copies(cells) == []


@pytest.mark.parametrize("name", ALTERED)
def test_altered_copies_are_found_and_nothing_else(cells: Pixels, name: str) -> None:
    chosen = range(0, 60, 7)
    planted = np.stack([ALTERED[name](cells[row]) for row in chosen])
    found = near_copies(np.concatenate([cells, planted]))
    assert [(one.first, one.second) for one in found] == [(row, 60 + place) for place, row in enumerate(chosen)]
    assert all(SAME <= one.similarity <= 1 for one in found)


@pytest.mark.parametrize("orientation", range(8))
def test_the_orientation_says_how_the_first_becomes_the_second(cells: Pixels, orientation: int) -> None:
    [found] = near_copies(np.concatenate([cells[:20], oriented(cells[3], orientation)[None]]))
    assert (found.first, found.second, found.orientation) == (3, 20, ORIENTATIONS[orientation])
    assert found.similarity == pytest.approx(1, abs=1e-4)


def test_the_orientation_holds_when_the_turned_image_comes_first(cells: Pixels) -> None:
    [found] = near_copies(np.concatenate([oriented(cells[3], 1)[None], cells[:20]]))
    assert (found.first, found.second, found.orientation) == (0, 4, "turned 270°")


def test_equal_pixels_are_paired_with_their_first(cells: Pixels) -> None:
    found = near_copies(np.concatenate([cells[:3], cells[1:2], cells[1:2]]))
    assert found == [(1, 3, 1.0, ORIENTATIONS[0]), (1, 4, 1.0, ORIENTATIONS[0])]


def test_a_copy_of_a_copy_is_paired_with_the_first_of_its_equals(cells: Pixels) -> None:
    found = near_copies(np.concatenate([cells[:2], cells[:1], recompressed(cells[0])[None]]))
    assert [(one.first, one.second) for one in found] == [(0, 2), (0, 3)]


def test_two_images_alone_are_compared_too(cells: Pixels) -> None:
    assert len(near_copies(np.stack([cells[0], recompressed(cells[0])]))) == 1
    assert near_copies(cells[:1]) == []
    assert near_copies(cells[:0]) == []


def test_blank_images_are_copies_only_when_equal() -> None:
    levels = [200, 210, 220, 230, 240, 200]
    blank = np.stack([np.full((SIZE, SIZE, 3), level, np.uint8) for level in levels])
    assert [(one.first, one.second) for one in near_copies(blank)] == [(0, 5)]


def test_nearly_blank_images_are_no_copies() -> None:
    noise = np.random.default_rng(0).integers(-1, 2, (30, SIZE, SIZE, 3))
    assert near_copies((230 + noise).astype(np.uint8)) == []


def test_two_sets_are_compared_row_by_row(cells: Pixels) -> None:
    ours = np.stack([cells[0], cells[50], oriented(cells[7], 5), recompressed(cells[4])])
    found = near_copies_between(ours, cells[:20])
    assert [(one.first, one.second) for one in found] == [(0, 0), (2, 7), (3, 4)]
    assert [one.orientation for one in found] == [ORIENTATIONS[0], "mirrored, turned 90°", ORIENTATIONS[0]]
    assert found[0].similarity == 1
    assert near_copies_between(cells[:0], cells) == near_copies_between(cells, cells[:0]) == []


def test_twice_gives_the_same_list_and_all_steps_are_told(cells: Pixels) -> None:
    told: list[int] = []
    pixels = np.concatenate([cells, recompressed(cells[9])[None]])
    assert near_copies(pixels, tick=lambda count, _: told.append(count)) == near_copies(pixels)
    assert sum(told) == STEPS


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((2, 64, 48, 3), np.uint8), "square"),
        (np.zeros((2, 64, 64, 3), np.float32), "square"),
        (np.zeros((2, 16, 16, 3), np.uint8), "16-pixel"),
        (np.zeros((2, 300, 300, 3), np.uint8), "300-pixel"),
    ],
)
def test_what_can_not_be_compared_is_refused(pixels: Pixels, why: str) -> None:
    with pytest.raises(UsageFault, match=why) as caught:
        near_copies(pixels)
    assert caught.value.fix


def test_sets_of_different_sizes_are_refused(cells: Pixels) -> None:
    with pytest.raises(UsageFault, match="64 and 32"):
        near_copies_between(cells, np.zeros((1, 32, 32, 3), np.uint8))
