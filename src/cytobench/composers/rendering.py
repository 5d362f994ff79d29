"""From places to pictures: all cells of all scenes are added up at once, then the light is let through.

A pixel is one 64-bit word of four lanes: densities of red, green and blue, and how many cells lie there. Adding words
adds the lanes, so that one scatter-add a pixel does the work of four, and the count of cells, from which the occlusion
follows, comes for nothing. The lanes never overflow: see ``UNITS``.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cytobench.composers.grain import Grain, grown
from cytobench.composers.levels import MOST_CELLS
from cytobench.composers.library import Library
from cytobench.composers.optics import DARKEST, transmittance
from cytobench.composers.placement import TURNS, Placed, turned

LANES = 4
TOGETHER = 64  # scenes whose canvas stays in the processor's cache
ROAM = 512  # pixels by which a scene's part of the background may lie elsewhere than another's
UNITS = float(int(65535 / ((MOST_CELLS + 1) * DARKEST)))
"""Of density in an octave: 267, so that rounding moves no pixel by more than one grey level."""


class Sheet(NamedTuple):
    """Cells of about one size as words."""

    cells: NDArray[np.int64]
    """(N,): which of the stock."""
    words: NDArray[np.uint64]
    """(N, side²)."""
    masks: NDArray[np.bool_]
    """(N, side²)."""
    side: int
    inset: int
    """Where the square begins in the stock's larger square, pixels."""


class Rendered(NamedTuple):
    """Pictures of B scenes with up to n cells."""

    images: NDArray[np.uint8]
    """(B, S, S, 3)."""
    covered: NDArray[np.int64]
    """(B, n): pixels of each cell within the picture on which others lie."""


def sheets(libraries: Sequence[Library], stock_side: int) -> tuple[Sheet, ...]:
    """Return all cells of a stock ready for scatter-adds, those of one size together: empty rims are not added."""
    found = []
    begin = 0
    for one in libraries:
        side = one.masks.shape[1]
        shown = (one.dense > 0).any(axis=3) | one.masks
        ranks = np.minimum(np.arange(side), np.arange(side)[::-1])  # distance of a row from the square's rim
        rims = np.min([np.where(shown.any(axis=axis), ranks, side).min(axis=1) for axis in (1, 2)], axis=0)
        for rim in np.unique(rims):
            which = np.flatnonzero(rims == rim)
            inner = np.s_[which, rim : side - rim, rim : side - rim]
            lanes = np.empty((*one.masks[inner].shape, LANES), np.uint16)
            lanes[..., :3] = np.rint(one.dense[inner] * UNITS)
            lanes[..., 3] = one.masks[inner]
            words = lanes.view(np.uint64).reshape(len(which), -1)
            inset = (stock_side - side) // 2 + int(rim)
            masks = one.masks[inner].reshape(words.shape)
            found.append(Sheet(begin + which, words, masks, side - 2 * int(rim), inset))
        begin += len(one.masks)
    return tuple(found)


def backdrop(colour: NDArray[np.float32], grain: Grain, size: int, seed: int) -> NDArray[np.float32]:
    """Return the static background (S + ``ROAM``, S + ``ROAM``, 4), 0 to 255, the last lane 0.

    One colour, as uneven as in the cells' pictures; every scene of S pixels is put before a part of it, so that two of
    them hardly ever show the same grain.
    """
    side = size + ROAM
    light = np.zeros((side, side, LANES), np.float32)
    light[..., :3] = np.clip(colour * transmittance(grown(grain, side, seed)), 0, 255)
    return light


def render(
    kinds: tuple[Sheet, ...],
    placed: Placed,
    behind: NDArray[np.float32],
    corners: NDArray[np.int64],
    *,
    size: int,
    strength: NDArray[np.float32] | None = None,
    blur: float = 0.0,
) -> Rendered:
    """Return the pictures of placed cells.

    Args:
        kinds: The stock's cells, sheet by sheet.
        placed: What lies where.
        behind: The background, see :func:`backdrop`.
        corners: Row and column in it where each scene begins, (B, 2), 0 to ``ROAM``.
        size: Side of the pictures, pixels.
        strength: Factor of the stain of each scene in red, green and blue, (B, 3); None leaves it.
        blur: Standard deviation, pixels, of the defocus of everything but the background.
    """
    count = len(placed.cells)
    parts = [slice(first, first + TOGETHER) for first in range(0, count, TOGETHER)]
    found = [
        _rendered(
            kinds, placed.some(part), behind, corners[part], size, None if strength is None else strength[part], blur
        )
        for part in parts
    ]
    return Rendered(*(np.concatenate(both) for both in zip(*found, strict=True)))


def _rendered(
    kinds: tuple[Sheet, ...],
    placed: Placed,
    behind: NDArray[np.float32],
    corners: NDArray[np.int64],
    size: int,
    strength: NDArray[np.float32] | None,
    blur: float,
) -> Rendered:
    count = len(placed.cells)
    spans = _spans(kinds, placed)
    edge = max([0, *(max(-one.first.min(), (one.first + one.sheet.side).max() - size) for one in spans)])
    wide = size + 2 * int(edge)
    canvas = np.zeros(count * wide * wide, np.uint64)
    places = []
    for one in spans:
        corner = (one.rows * wide + one.first[:, 0] + edge) * wide + one.first[:, 1] + edge
        places.append(corner[:, None] + _offsets(one.sheet.side, wide)[one.turns])  # (P, side²)
        np.add.at(canvas, places[-1].ravel(), one.sheet.words[one.cells].ravel())
    lanes = canvas.view(np.uint16).reshape(count, wide, wide, LANES)
    within = np.s_[:, edge : edge + size, edge : edge + size]
    several = np.zeros((count, wide, wide), np.bool_)
    several[within] = lanes[within][..., 3] > 1
    covered = np.zeros(placed.cells.shape, np.int64)
    for one, at in zip(spans, places, strict=True):
        covered[one.rows, one.ranks] = (several.ravel()[at] & one.sheet.masks[one.cells]).sum(axis=1)
    return Rendered(_developed(lanes[within], behind, corners, strength, blur), covered)


class _Span(NamedTuple):
    """The placements whose cells are of one sheet."""

    sheet: Sheet
    cells: NDArray[np.int64]
    rows: NDArray[np.int64]
    ranks: NDArray[np.int64]
    turns: NDArray[np.int64]
    first: NDArray[np.int64]
    """(P, 2): row and column in the picture of the sheet's square."""


def _spans(kinds: tuple[Sheet, ...], placed: Placed) -> list[_Span]:
    total = 1 + max(int(sheet.cells.max()) for sheet in kinds)
    kind_of, row_of = np.zeros((2, total + 1), np.int64)  # the last for the -1 of no cell
    kind_of[-1] = -1
    for kind, sheet in enumerate(kinds):
        kind_of[sheet.cells], row_of[sheet.cells] = kind, np.arange(len(sheet.cells))
    kinds_here = kind_of[placed.cells]
    spans = []
    for kind in np.unique(kinds_here[kinds_here >= 0]).tolist():
        rows, ranks = at = np.nonzero(kinds_here == kind)
        first = np.stack([placed.tops[at], placed.lefts[at]], axis=1) + kinds[kind].inset
        spans.append(_Span(kinds[kind], row_of[placed.cells[at]], rows, ranks, placed.turns[at], first))
    return spans


@functools.lru_cache(maxsize=64)
def _offsets(side: int, wide: int) -> NDArray[np.int64]:
    """Return (8, side²): where each pixel of a square goes when it is turned, in a canvas ``wide`` pixels wide."""
    own = np.arange(side * side).reshape(1, side, side)
    target = (np.arange(side)[:, None] * wide + np.arange(side)).ravel()
    offsets = np.empty((TURNS, side * side), np.int64)
    for turn in range(TURNS):
        offsets[turn, turned(own, turn).ravel()] = target
    return offsets


def _developed(
    lanes: NDArray[np.uint16],
    behind: NDArray[np.float32],
    corners: NDArray[np.int64],
    strength: NDArray[np.float32] | None,
    blur: float,
) -> NDArray[np.uint8]:
    """Return pictures (B, S, S, 3) of summed densities (B, S, S, 4)."""
    light = lanes.astype(np.float32)
    light *= np.float32(-1 / UNITS)
    if strength is not None:
        light[..., :3] *= strength[:, None, None]
    np.exp2(light, out=light)
    if blur:
        light = ndimage.gaussian_filter(light, (0, blur, blur, 0), mode="nearest")
    count, size = lanes.shape[:2]
    for picture, (top, left) in zip(light, corners.tolist(), strict=True):
        picture *= behind[top : top + size, left : left + size]
    light += np.float32(0.5)
    # Pillow drops the fourth lane ten times faster than a slice does.
    whole = Image.frombuffer("RGBX", (size, size * count), light.astype(np.uint8), "raw", "RGBX", 0, 1)
    return np.frombuffer(whole.tobytes("raw", "RGB"), np.uint8).reshape(count, size, size, 3)
