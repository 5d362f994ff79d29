"""Sample images of a set, class by class, as one picture."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytobench.leaderboards.canvas import PIXELS_PER_INCH, Drawing, Frame, canvas, file_name, grid, short
from cytobench.leaderboards.record import Nature

TILE = 96  # pixels that an image is shown with, about
GAP = 4


class Gallery(NamedTuple):
    """Some images of every class of a set."""

    images: NDArray[np.uint8]
    """(classes, k, H, W, 3)."""
    classes: tuple[str, ...]
    nature: Nature
    """Marked in the title unless real."""


def sample_grids(galleries: Mapping[str, Gallery]) -> tuple[Drawing, ...]:
    """Return the samples of several sets, by name, as one picture each."""
    return tuple(sample_grid(name, gallery, names=tuple(galleries)) for name, gallery in galleries.items())


def sample_grid(name: str, gallery: Gallery, *, names: tuple[str, ...]) -> Drawing:
    """Return a set's samples, one row for each class.

    Args:
        name: The set.
        gallery: Its samples.
        names: All sets that are shown, to tell their files apart.

    Raises:
        ValueError: The shape does not fit the classes, or there are no images.
    """
    shape = gallery.images.shape
    if len(shape) != 5 or shape[0] != len(gallery.classes) or shape[4] != 3 or not gallery.images.size:
        raise ValueError(f"samples of {name} have shape {shape}, not ({len(gallery.classes)}, k, H, W, 3) with k ≥ 1")
    picture = mosaic(gallery.images)
    mark = "" if gallery.nature == "real" else f" ({gallery.nature})"
    title = f"{short(name, 30)}{mark}: samples"
    size = (picture.shape[1] / PIXELS_PER_INCH, picture.shape[0] / PIXELS_PER_INCH)
    labels = [short(one, 18) for one in gallery.classes]
    left = 0.2 + 0.08 * max(len(one) for one in labels)
    beyond = max(0.1, 3.4 - left - size[0])  # a narrow picture still needs room for its title
    frame = Frame(left=left, right=beyond, top=0.5, bottom=0.1, across=0, down=0, above=0)
    with canvas() as (figure, png):
        axes = grid(
            figure, frame, (1, 1), size, title=f"{title}\n{shape[3]} × {shape[2]} px, {shape[1]} of each class"
        )[0]
        axes.imshow(picture, interpolation="none", aspect="auto")
        row = picture.shape[0] / len(labels)
        axes.set_yticks((np.arange(len(labels)) + 0.5) * row, labels, fontsize=9)
        axes.set_xticks([])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        return Drawing(f"samples-{file_name(name, names)}", title, png())


def mosaic(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (classes, k, H, W, 3) side by side on white.

    Small ones are enlarged by a whole factor with every pixel kept visible, so that no interpolation flatters a
    generator; large ones are reduced with Lanczos.
    """
    rows, columns, high, wide = images.shape[:4]
    side = max(high, wide)
    if side <= TILE:
        factor = max(1, round(TILE / side))
        tiles = images.repeat(factor, axis=2).repeat(factor, axis=3)
    else:
        size = (round(wide * TILE / side), round(high * TILE / side))
        flat = images.reshape(-1, high, wide, 3)
        small = [np.asarray(Image.fromarray(one).resize(size, Image.Resampling.LANCZOS)) for one in flat]
        tiles = np.stack(small).reshape(rows, columns, size[1], size[0], 3)
    padded = np.pad(tiles, [(0, 0), (0, 0), (0, GAP), (0, GAP), (0, 0)], constant_values=255)
    joined = padded.transpose(0, 2, 1, 3, 4)  # (rows, H, columns, W, 3)
    return joined.reshape(rows * joined.shape[1], columns * joined.shape[3], 3)
