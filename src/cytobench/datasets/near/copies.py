"""Near-duplicates: one picture twice, mirrored, turned, recompressed, resized, zoomed, shifted or lit differently."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.near import alignment
from cytobench.datasets.near.neighbours import nearest
from cytobench.datasets.near.thumbnails import thumbnails, turned, undone, whitening
from cytobench.errors import UsageFault
from cytobench.progress import Tick, unheard

if TYPE_CHECKING:
    import torch

ORIENTATIONS = (
    "as it is",
    "turned 90°",
    "turned 180°",
    "turned 270°",
    "mirrored",
    "mirrored, turned 90°",
    "mirrored, turned 180°",
    "mirrored, turned 270°",
)
"""What the first image must undergo to look like the second; turns are anticlockwise."""
STEPS = len(ORIENTATIONS) + 1  # a search in each, and the verification
SMALLEST, LARGEST = 24, 256  # pixels
NEIGHBOURS = 4  # of each image in each orientation
LIKELY = 0.55  # inner product of whitened thumbnails from which on a pair is looked at closely
SAME = 0.95  # agreement from which on two images are one picture: round dark nuclei of two cells reach .945
BLOCK = 256  # pairs at once


class NearCopy(NamedTuple):
    """Two images that show one picture."""

    first: int
    """Row in the set, or in the first of two sets."""
    second: int
    """Row in the set, larger than ``first``, or in the second of two sets."""
    similarity: float
    """Agreement of their detail after alignment, SAME to 1; exactly 1 for equal pixels."""
    orientation: str
    """One of ORIENTATIONS."""


class _Pairs(NamedTuple):
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]


def near_copies(pixels: NDArray[np.uint8], *, tick: Tick = unheard) -> list[NearCopy]:
    """Find the near-duplicates within a set.

    Of images with equal pixels, each is paired with the first, which alone is compared with others. Of a picture that
    is there many times, each copy is paired with its NEIGHBOURS nearest per orientation, not with all.

    Args:
        pixels: (N, S, S, 3), S from SMALLEST to LARGEST.
        tick: Told of STEPS steps.

    Returns:
        Pairs in the order of their rows.

    Raises:
        UsageFault: Images that are not square RGB, too small or too large.
    """
    import torch

    _check(pixels)
    firsts: dict[bytes, int] = {}
    first_of = [firsts.setdefault(image.tobytes(), row) for row, image in enumerate(pixels)]
    found = [NearCopy(first, row, 1.0, ORIENTATIONS[0]) for row, first in enumerate(first_of) if first != row]
    rows = np.array(sorted(firsts.values()), np.int64)
    with torch.inference_mode():
        pairs = _likely(pixels[rows], None, tick)
        found += _verified(pixels, pixels, _Pairs(rows[pairs.first], rows[pairs.second], pairs.orientation), tick)
    return sorted(found)


def near_copies_between(first: NDArray[np.uint8], second: NDArray[np.uint8], *, tick: Tick = unheard) -> list[NearCopy]:
    """Find the images of a set that are near-duplicates of images of another set, as :func:`near_copies` does.

    An image with the pixels of one of the second set is paired with the first such, and with that one's like.

    Raises:
        UsageFault: Images that are not square RGB, too small or too large, sets of different sizes of image.
    """
    import torch

    _check(first)
    _check(second)
    if first.shape[1] != second.shape[1]:
        raise UsageFault(
            f"images of {first.shape[1]} and {second.shape[1]} pixels can not be compared",
            fix="decode both sets at one size",
        )
    known: dict[bytes, int] = {}
    for row, image in enumerate(second):
        known.setdefault(image.tobytes(), row)
    equal = [(row, known.get(image.tobytes(), -1)) for row, image in enumerate(first)]
    exact = [NearCopy(row, other, 1.0, ORIENTATIONS[0]) for row, other in equal if other >= 0]
    with torch.inference_mode():
        near = _verified(first, second, _likely(first, second, tick), tick)
    taken = {(one.first, one.second) for one in exact}
    return sorted(exact + [one for one in near if (one.first, one.second) not in taken])


def _likely(first: NDArray[np.uint8], second: NDArray[np.uint8] | None, tick: Tick) -> _Pairs:
    """Return the pairs whose thumbnails are alike, each once; within one set when there is no second."""
    import torch

    asked = thumbnails(first)
    known = asked if second is None else thumbnails(second)
    none = np.zeros((0, 3), np.int64)
    if not len(asked) or not len(known):
        return _Pairs(*none.T)
    white = whitening(known if second is None else torch.cat([asked, known]))
    index = white(known)
    found = [none]
    for orientation, name in enumerate(ORIENTATIONS):
        queries = white(turned(asked, orientation))
        near = nearest(queries, index, NEIGHBOURS, exclude_self=second is None)
        row, column = np.nonzero(near.similarity >= LIKELY)
        other = near.indices[row, column]
        pairs = np.stack([row, other, np.full(len(row), orientation)], axis=1)
        if second is None:  # the lower row first; seen from the other side the turn is undone
            back = row > other
            pairs[back] = np.stack([other[back], row[back], np.full(back.sum(), undone(orientation))], axis=1)
        found.append(pairs)
        tick(1, name)
    return _Pairs(*np.unique(np.concatenate(found), axis=0).T)


def _verified(first: NDArray[np.uint8], second: NDArray[np.uint8], pairs: _Pairs, tick: Tick) -> list[NearCopy]:
    """Return the pairs that are one picture, each in its best orientation."""
    best: dict[tuple[int, int], tuple[float, int]] = {}
    for part in _blocks(pairs):
        orientation = int(pairs.orientation[part[0]])
        left = turned(_planes(first[pairs.first[part]]), orientation)
        right = _planes(second[pairs.second[part]])
        agreed = alignment.agreement(alignment.detail(left), alignment.detail(right)).numpy()
        for pair, similarity in zip(part, agreed, strict=True):
            rows = (int(pairs.first[pair]), int(pairs.second[pair]))
            if similarity >= SAME and (rows not in best or best[rows][0] < similarity):
                best[rows] = (float(similarity), orientation)
        tick(0, "looking closely")
    tick(1, "")
    return [NearCopy(*rows, similarity, ORIENTATIONS[turn]) for rows, (similarity, turn) in best.items()]


def _blocks(pairs: _Pairs) -> Iterator[NDArray[np.int64]]:
    """Yield positions of pairs of one orientation, BLOCK at a time."""
    for orientation in range(len(ORIENTATIONS)):
        chosen = np.flatnonzero(pairs.orientation == orientation)
        for start in range(0, len(chosen), BLOCK):
            yield chosen[start : start + BLOCK]


def _planes(images: NDArray[np.uint8]) -> "torch.Tensor":
    import torch

    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _check(pixels: NDArray[np.uint8]) -> None:
    if pixels.ndim != 4 or pixels.shape[1] != pixels.shape[2] or pixels.shape[3] != 3 or pixels.dtype != np.uint8:
        raise UsageFault(
            f"pixels {pixels.shape} {pixels.dtype} are no square RGB images", fix="give (N, S, S, 3) uint8"
        )
    if not SMALLEST <= pixels.shape[1] <= LARGEST:
        raise UsageFault(
            f"near-duplicates of {pixels.shape[1]}-pixel images can not be told from others",
            fix=f"decode the set at {SMALLEST} to {LARGEST} pixels; 64 is usual",
        )
