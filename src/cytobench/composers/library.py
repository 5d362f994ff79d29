"""Cells cut from pictures, at the size that they will have in scenes."""

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from cytobench.composers.grain import EVEN, Grain, measured
from cytobench.composers.optics import DARKEST, WHITE, density, transmittance
from cytobench.composers.segmentation import Segmented, segment
from cytobench.errors import DataFault

Pictures = Sequence[NDArray[np.uint8]] | NDArray[np.uint8]

FEATHER = 0.06
"""Width of a cell's soft edge outside its mask, as a share of its diameter."""
BARE = 0.4
"""Octaves of the three colours together, below which a line across a cell's edge has left it; red cells have more."""
BESIDE = 4.0
"""Pixels from a neighbour up to which an edge is one that was cut."""
SAME_HUE = 0.25
"""Share of a class's cytoplasm stained like red cells from which on hue does not tell them apart."""
LOOKED_AT = 30
"""Pictures of a class that tell this."""
CONTACT = 0.08
"""Share of its outline from which on a cell is said to touch others."""
ENOUGH, ENOUGH_AROUND = 100, 20
"""Cells of a class from which on none is taken that touches others; the same of distractors."""
LOOKED_OVER = 5
"""Times as many cells of a class are looked at as are wanted, for those that touch the least."""
FLAT, AWAY = 0.25, 3.0
"""Octaves of the three colours together below which a pixel may be background; pixels it is away from all others."""
GRAINS, GRAIN_PIXELS = 64, 4_000_000
"""Pictures that tell how uneven the background is, at most; pixels of them from which on no more are looked at."""
OUTSIZE = 2.0
"""Cells wider than so many median diameters are clumps."""


class Cutout(NamedTuple):
    """A cell by itself."""

    dense: NDArray[np.float32]
    """(h, w, 3): octaves; 0 away from the cell."""
    mask: NDArray[np.bool_]
    """(h, w)."""


class Library(NamedTuple):
    """Cells of one kind at one scale, all in squares of one even side with the middle of each in the middle."""

    dense: NDArray[np.float32]
    """(N, side, side, 3): optical density, octaves, 0 to ``DARKEST``."""
    masks: NDArray[np.bool_]
    """(N, side, side)."""
    labels: tuple[str, ...]
    """(N,): class of each cell."""
    names: tuple[str, ...]
    """(N,): id of the picture that each was cut from."""
    background: NDArray[np.float32]
    """(3,): light without a cell, 0 to 255: the median over the pictures."""
    grain: Grain
    """How uneven that light is, at this scale."""
    around: NDArray[np.float32]
    """(3,): density of what lies around the cells in their pictures, octaves; NaN where nothing does."""
    enlarged: float
    """How many times the cells were enlarged; above 1 they are softer than the pictures could be."""
    alike: dict[str, float]
    """Share of what lies next to the nuclei of a class that has the hue of red cells, for the classes that tell it."""
    parted: int
    """Cells of classes where that is less than ``SAME_HUE`` that were parted by hue from red cells."""
    touching: dict[str, int]
    """Cells of each class that touch others and were taken all the same."""
    left_out: dict[str, int]
    """Pictures that could not be used, by reason."""


class _Kept(NamedTuple):
    """A picture whose cell can be used."""

    picture: NDArray[np.uint8]
    found: Segmented
    label: str
    name: str


def cut(
    pictures: Pictures,
    labels: Sequence[str],
    names: Sequence[str],
    *,
    diameter: float,
    most: int = 0,
    distractors: bool = False,
    tick: Callable[[], None] = lambda: None,
) -> Library:
    """Cut out the central cell of every picture and bring all to a common scale.

    Cells that touch others, and may have kept a sliver of them, are taken only until their class has ``ENOUGH``, those
    that touch the least first.

    Args:
        pictures: (H, W, 3) each, all of one magnification.
        labels: Class of each.
        names: Id of each.
        diameter: What the median cell's diameter will be, pixels.
        most: Cells of each class that are kept; 0 keeps all.
        distractors: Whether they are to lie around others: then fewer are enough, and no hue tells them apart.
        tick: Called for every picture.

    Raises:
        DataFault: No cell of some class could be cut out.
    """
    left_out: Counter[str] = Counter()
    alike = {} if distractors else _alike(pictures, labels)
    enough = ENOUGH_AROUND if distractors else ENOUGH
    kept = _without_clumps(_usable(pictures, labels, names, alike, most, enough, left_out, tick), left_out)
    without = sorted(set(labels) - {one.label for one in kept})
    if without or not kept:
        raise DataFault(
            f"no {without[0] if without else 'cell'} could be cut from its background",
            problems=[f"{count} pictures: the object in the middle {reason}" for reason, count in left_out.items()],
            fix="leave the class out, or give pictures of single cells with some background around them",
        )
    scale = diameter / float(np.median([_diameter(one.found.mask) for one in kept]))
    cutouts = [_cutout(one.picture, one.found, scale) for one in kept]
    side = max(max(one.mask.shape) for one in cutouts)
    side += side % 2  # even, so that squares of two libraries have one middle in every turn
    squares = [_squared(one, side) for one in cutouts]
    return Library(
        np.stack([one.dense for one in squares]),
        np.stack([one.mask for one in squares]),
        tuple(one.label for one in kept),
        tuple(one.name for one in kept),
        background=np.median([one.found.background for one in kept], axis=0).astype(np.float32),
        grain=EVEN if distractors else measured(_fields(kept[:GRAINS], scale)),
        around=_around([one.found.around for one in kept]),
        enlarged=scale,
        alike=alike,
        parted=sum(one.found.parted for one in kept),
        touching=dict(Counter(one.label for one in kept if one.found.contact > CONTACT)),
        left_out=dict(left_out),
    )


def matched(distractors: Library, cells: Library) -> Library:
    """Return distractors in the stain of the cells' pictures.

    What lies around the cells there (red cells, mostly) tells how strong it is: the distractors' densities are
    multiplied, colour by colour, until their median is the same. Every one is given the median hue of its class, since
    cells of one film do not differ in it; how dense it is stays its own. Where nothing lies around, they stay as they
    are.
    """
    if np.isnan(cells.around).any():
        return distractors
    tinted = distractors.dense * _tints(distractors)[:, None, None]
    strength = np.clip(cells.around / np.maximum(np.median(tinted[distractors.masks], axis=0), 0.02), 1 / 3, 3)
    return distractors._replace(dense=np.clip(tinted * strength, 0, DARKEST))


def _tints(library: Library) -> NDArray[np.float32]:
    """Return by what the densities of every cell (N, 3) are multiplied to give it the hue of its class."""
    labels, shown = np.array(library.labels), library.masks.any(axis=(1, 2))
    tints = np.ones((len(labels), 3))
    for label in dict.fromkeys(library.labels):
        rows = np.flatnonzero((labels == label) & shown)
        own = np.array([np.median(library.dense[row][library.masks[row]], axis=0) for row in rows]).reshape(-1, 3)
        hues = np.maximum(own, 0.02) / np.linalg.norm(np.maximum(own, 0.02), axis=1, keepdims=True)
        if len(rows):
            like = np.median(hues, axis=0)
            tints[rows] = like / np.linalg.norm(like) / hues
    return np.asarray(np.clip(tints, 1 / 2, 2), np.float32)


def _alike(pictures: Pictures, labels: Sequence[str]) -> dict[str, float]:
    """Return the share of each class's cytoplasm that has the hue of red cells, where its first pictures tell it."""
    shares = {}
    for label in dict.fromkeys(labels):
        first = islice((picture for picture, its in zip(pictures, labels, strict=True) if its == label), LOOKED_AT)
        told = [one for one in (segment(picture).alike for picture in first) if not np.isnan(one)]
        if told:
            shares[label] = float(np.mean(told))
    return shares


def _usable(
    pictures: Pictures,
    labels: Sequence[str],
    names: Sequence[str],
    alike: dict[str, float],
    most: int,
    enough: int,
    left_out: Counter[str],
    tick: Callable[[], None],
) -> list[_Kept]:
    """Return the cells that can be used; what else there is is counted by reason."""
    lone: dict[str, list[tuple[int, _Kept]]] = {label: [] for label in labels}
    touching: dict[str, list[tuple[float, int, _Kept]]] = {label: [] for label in labels}  # heaps, the worst first
    usable: Counter[str] = Counter()
    for place, (picture, label, name) in enumerate(zip(pictures, labels, names, strict=True)):
        tick()
        if most and (len(lone[label]) == most or usable[label] == most * LOOKED_OVER):
            continue
        one = _Kept(picture, segment(picture, by_hue=alike.get(label, 1) < SAME_HUE), label, name)
        if one.found.fault:
            left_out[one.found.fault] += 1
            continue
        usable[label] += 1
        if one.found.contact <= CONTACT:
            lone[label].append((place, one))
        else:
            heapq.heappush(touching[label], (-one.found.contact, -place, one))
        wanted = max(min(enough, most or enough) - len(lone[label]), 0)
        while len(touching[label]) > wanted:
            heapq.heappop(touching[label])
            left_out["touches others"] += 1
    kept = [*chain(*lone.values()), *((-place, one) for heap in touching.values() for _, place, one in heap)]
    return [one for _, one in sorted(kept, key=itemgetter(0))]


def _without_clumps(kept: list[_Kept], left_out: Counter[str]) -> list[_Kept]:
    """Return the cells without those that are much wider than the median one."""
    if not kept:
        return kept
    widths = np.array([_diameter(one.found.mask) for one in kept])
    wide = widths > OUTSIZE * np.median(widths)
    left_out.update({"is much wider than the others": int(wide.sum())} if wide.any() else {})
    return [one for one, clump in zip(kept, wide, strict=True) if not clump]


def _around(found: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    told = [one for one in found if not np.isnan(one).any()]
    return np.median(told, axis=0).astype(np.float32) if told else np.full(3, np.nan, np.float32)


def _diameter(mask: NDArray[np.bool_]) -> float:
    """Return the diameter of the disc of a mask's area, pixels."""
    return float(2 * np.sqrt(mask.sum() / np.pi))


def _cutout(picture: NDArray[np.uint8], found: Segmented, scale: float) -> Cutout:
    """Return a cell by itself: its density inside the mask, fading out in a soft edge, nothing of its neighbours.

    Beside a neighbour the mask's own edge is smoothed over two pixels: there the picture has none.
    """
    feather = max(FEATHER * _diameter(found.mask), 1.0)
    away, nearest = ndimage.distance_transform_edt(~found.mask, return_indices=True)
    dense = np.clip(density(picture, found.background), 0, DARKEST)
    beside = ndimage.distance_transform_edt(~found.others) <= BESIDE if found.others.any() else found.others
    dense = _without_slivers(dense, found.mask, beside | ~found.mask, feather)
    rim = ndimage.minimum_filter(dense, (3, 3, 1))[nearest[0], nearest[1]]  # of what lies between it and a neighbour
    shade = np.where(found.others, 0, np.clip(1 - away / feather, 0, 1))[:, :, None].astype(np.float32)
    smooth = np.clip((ndimage.gaussian_filter(found.mask.astype(np.float32), 1) - 0.1) / 0.8, 0, 1)
    edge = np.where(beside, smooth, found.mask)[:, :, None].astype(np.float32)
    beyond = np.minimum(dense, np.maximum(rim * shade, dense[nearest[0], nearest[1]] * edge))
    alone = np.where(found.mask[:, :, None], dense * edge, beyond)
    rows, cols = (np.flatnonzero((away < feather).any(axis=axis)) for axis in (1, 0))
    window = np.s_[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]
    light = _resized(transmittance(alone[window]), scale)  # a pixel is a sum of light, not of densities
    mask = _resized(found.mask[window].astype(np.float32)[:, :, None], scale)[:, :, 0] >= 0.5
    return Cutout(np.clip(density(WHITE * np.minimum(light, 1), WHITE), 0, DARKEST), mask)


def _without_slivers(
    dense: NDArray[np.float32], mask: NDArray[np.bool_], where: NDArray[np.bool_], feather: float
) -> NDArray[np.float32]:
    """Return the density (H, W, 3) without what bare field parts from the cell at its edge: another cell's, though the
    mask's smooth outline may hold a rim of it."""
    depth = ndimage.distance_transform_edt(mask)
    inner = depth > min(feather, depth.max() / 2)
    away, nearest = ndimage.distance_transform_edt(~inner, return_indices=True)
    rows, cols = np.nonzero((away > 0) & (away < 2 * feather) & where)
    way = np.linspace(0, 1, int(np.ceil(2 * feather)) + 1)[:, None]
    down, across = nearest[:, rows, cols] - np.stack([rows, cols])
    crossed = dense[np.rint(rows + way * down).astype(int), np.rint(cols + way * across).astype(int)]
    together = np.linalg.norm(crossed, axis=2)
    least = crossed[together.argmin(axis=0), np.arange(len(rows))]
    bare = together.min(axis=0) < BARE
    found = dense.copy()
    found[rows[bare], cols[bare]] = least[bare]
    return found


def _resized(planes: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    height, width = (max(round(size * scale), 1) for size in planes.shape[:2])
    way = Image.Resampling.HAMMING if scale < 1 else Image.Resampling.BICUBIC
    parts = [Image.fromarray(np.ascontiguousarray(plane)) for plane in planes.transpose(2, 0, 1)]
    return np.stack([np.asarray(part.resize((width, height), way)) for part in parts], axis=2)


def _squared(one: Cutout, side: int) -> Cutout:
    height, width = one.mask.shape
    top, left = (side - height) // 2, (side - width) // 2
    around = [(top, side - height - top), (left, side - width - left)]
    return Cutout(np.pad(one.dense, [*around, (0, 0)]), np.pad(one.mask, around))


def _fields(kept: Iterable[_Kept], scale: float) -> Iterator[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    """Yield the density of pictures at their final size, and where nothing but background is."""
    seen = 0
    for one in kept:
        if seen >= GRAIN_PIXELS:
            return
        seen += one.found.mask.size
        dense = density(one.picture, one.found.background)
        flat = np.linalg.norm(ndimage.gaussian_filter(dense, (1, 1, 0)), axis=2) < FLAT
        empty = ndimage.distance_transform_edt(flat & ~one.found.mask & ~one.found.others) > AWAY
        sized = density(WHITE * _resized(transmittance(dense), scale), WHITE)
        yield sized, _resized(empty.astype(np.float32)[:, :, None], scale)[:, :, 0] > 0.99
