"""Find the cell in the middle of a picture: where it is, and the light it stands before.

Nothing is learned. The background is the brightest colour that many pixels share; the cell is what is denser than the
background around the darkest thing near the middle, cut off where it touches its neighbours by a neck, and, where the
stain allows it, freed of pieces that have the hue of its neighbours.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import ConvexHull

from cytobench.composers.optics import WHITE, density

Mask = NDArray[np.bool_]
Field = NDArray[np.float32]

MIDDLE = 0.2
"""Standard deviation, as a share of the side, of how far from the middle the cell's darkest part may be."""
NECK = 0.7
"""Parts that hang together by less than this share of the cell's thickness are two cells."""
SMALLEST_SHARE = 0.01
"""Of the picture; less is a speck."""
FAINT = 0.1
"""Octaves; a picture with nothing denser shows nothing."""
COMMON = 0.02
"""Share of the picture that pale things away from the cell must take to tell what they look like."""
HUE_LIMIT = 3.0
"""Standard deviations of their hue within which a pixel is like them (Mahalanobis 1936)."""
HUE_NOISE = 0.003
"""Standard deviation that a hue is taken to have at least."""
NOTHING = "is no cell"
SOLID = 0.945
"""Share of the pixels of its convex hull that a single cell fills."""
ROUND = 0.975
"""The same of one that was parted from others by hue: less, and some of its own cytoplasm went with them."""
HOLLOW = 0.1
"""Share of a cell that may be as light as the background (the pallor of red cells is filled before)."""


class Segmented(NamedTuple):
    """What was found in a picture."""

    mask: Mask
    """(H, W): the cell."""
    others: Mask
    """(H, W): its neighbours, without the thin rim of shade that every cell has."""
    background: Field
    """(3,): light without the cell, 0 to 255."""
    around: Field
    """(3,): density of what lies around the cell and is not as dark as a nucleus, mostly red cells; NaN for nothing."""
    alike: float
    """Share of what lies next to the nucleus that has the hue of what lies around the cell; NaN where that is not told.

    High where cytoplasm is stained like red cells: then hue does not tell them apart."""
    contact: float
    """Share of the cell's outline that its neighbours lie at."""
    parted: bool
    """Whether pieces that have that hue were left out of the mask."""
    fault: str
    """Why the mask can't be trusted; empty when it can."""


def segment(image: NDArray[np.uint8], *, by_hue: bool = False) -> Segmented:
    """Return the central cell of a picture.

    Args:
        image: (H, W, 3).
        by_hue: Leave pieces out of the mask that have the hue of what lies around. Only for cells whose kind shows,
            by ``alike`` over many pictures, that its cytoplasm has another one.
    """
    side = min(image.shape[:2])
    background = background_colour(image)
    colours = density(image, background)
    dense = np.linalg.norm(colours, axis=2)
    dense = ndimage.gaussian_filter(dense, side / 128)
    if dense.max() < FAINT:
        empty = np.zeros(dense.shape, np.bool_)
        unknown = np.full(3, np.nan, np.float32)
        return Segmented(empty, empty, background, around=unknown, alike=np.nan, contact=0, parted=False, fault=NOTHING)
    low, high = thresholds(dense)
    from_middle = _from_middle(dense.shape)
    objects = _pallor_filled(dense > low, from_middle)
    core = _core(dense, objects & (dense > high), from_middle)
    mask = _cut_off(objects, core, side)
    whole = np.asarray(ndimage.binary_fill_holes(mask))
    pale = (dense > low) & (dense < high) & (ndimage.distance_transform_edt(~whole) > side / 32)
    around, alike = np.full(3, np.nan), np.nan
    pieces = np.zeros_like(whole)
    if pale.mean() > COMMON:
        around = np.median(colours[pale], axis=0)
        pieces, alike = _like_the_others(colours, pale, whole & (dense < high), core)
    parted = by_hue and bool(pieces.any())
    if parted:
        beside = (ndimage.distance_transform_edt(~pieces) <= max(side / 64, 1)) & (dense < high)  # where hues mix
        mask = _cut_off(_opened(objects & ~beside, side / 48) | core, core, side)
        whole = np.asarray(ndimage.binary_fill_holes(mask))
    others = _opened(objects & ~whole, side / 64)
    outline = ~whole & (ndimage.distance_transform_edt(~whole) <= max(side / 40, 1.5))
    return Segmented(
        whole,
        others,
        background,
        around=around.astype(np.float32),
        alike=alike,
        contact=float(others[outline].mean()) if outline.any() else 0.0,
        parted=parted,
        fault=_fault(mask, whole, ROUND if parted else SOLID),
    )


def background_colour(image: NDArray[np.uint8]) -> Field:
    """Return the brightest colour (3,) that is common in a picture: the mode of its lightest class of pixels."""
    pixels = image.reshape(-1, 3)
    darkness = density(pixels, WHITE).mean(axis=1)
    counts, edges = np.histogram(darkness, bins=np.arange(0, 9.03, 0.03))
    smooth = np.pad(ndimage.gaussian_filter1d(counts.astype(float), 1, mode="constant"), 1)
    peaks = (smooth[1:-1] >= smooth[:-2]) & (smooth[1:-1] > smooth[2:]) & (smooth[1:-1] > 0.2 * smooth.max())
    first = edges[np.flatnonzero(peaks)[0]] + 0.015
    colour: Field = np.median(pixels[np.abs(darkness - first) < 0.045], axis=0).astype(np.float32)
    return colour


def thresholds(dense: Field) -> tuple[float, float]:
    """Return the density above which something is, and the one above which it is dark as a nucleus.

    Three classes (Otsu, IEEE Trans. SMC 9 (1979) 62); the lower limit is then brought down to eight standard deviations
    of the background where that is less, so that pale cytoplasm is not lost.
    """
    between, high = _otsu(dense)
    empty = dense[dense < between]
    middle = np.median(empty)
    noise = 1.4826 * np.median(np.abs(empty - middle))
    low = float(np.clip(middle + 8 * noise, 0.25 * between, 0.6 * between))
    return low, high


def _otsu(values: Field, bins: int = 96) -> tuple[float, float]:
    """Return the two thresholds that make three classes as unlike as can be."""
    counts, edges = np.histogram(np.minimum(values, np.percentile(values, 99.5)), bins)
    weight = np.concatenate([[0.0], np.cumsum(counts)])
    moment = np.concatenate([[0.0], np.cumsum(counts * (edges[1:] + edges[:-1]) / 2)])
    i, j = np.triu_indices(bins - 1, 1)
    i, j = i + 1, j + 1
    cuts = (np.zeros_like(i), i, j, np.full_like(i, bins))
    spread = sum((moment[b] - moment[a]) ** 2 / np.maximum(weight[b] - weight[a], 1) for a, b in pairwise(cuts))
    best = int(np.argmax(spread))
    return float(edges[i[best]]), float(edges[j[best]])


def _from_middle(shape: tuple[int, ...]) -> Field:
    """Return the distance of every pixel (H, W) from the picture's middle, as a share of its side."""
    y, x = (np.arange(size) + 0.5 - size / 2 for size in shape)
    return np.asarray(np.hypot(y[:, None], x) / min(shape), np.float32)


def _pallor_filled(objects: Mask, from_middle: Field) -> Mask:
    """Fill specks, and the hole in the middle of the picture: the light middle of a red cell."""
    labels, count = ndimage.label(~objects)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    middle = np.zeros(count + 1, np.bool_)
    middle[labels[from_middle < 0.1]] = True
    fill = (sizes < 0.003 * objects.size) | (middle & (sizes < 0.1 * objects.size))
    fill[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = False
    fill[0] = False
    return np.asarray(objects | fill[labels])


def _core(dense: Field, dark: Mask, from_middle: Field) -> Mask:
    """Return the dark piece with most dye near the middle of the picture; the middle itself where nothing is dark."""
    labels, count = ndimage.label(dark)
    if not count:
        return from_middle < 0.05
    weight = np.exp(-((from_middle / MIDDLE) ** 2)) * dense
    mass = ndimage.sum_labels(weight, labels, np.arange(1, count + 1))
    return np.asarray(labels == 1 + int(np.argmax(mass)))


def _cut_off(objects: Mask, core: Mask, side: int) -> Mask:
    """Return the object that holds the core, without what hangs on it by a neck."""
    thickness = ndimage.distance_transform_edt(np.pad(objects, 1))[1:-1, 1:-1]
    taken = NECK * thickness[core].max()
    labels, _ = ndimage.label(thickness > taken)
    own = np.setdiff1d(labels[core], 0)
    thick = np.isin(labels, own) if len(own) else core
    others = (labels > 0) & ~thick
    away = ndimage.distance_transform_edt(~thick)
    mask = objects & (away <= taken)
    if others.any():
        mask &= away < ndimage.distance_transform_edt(~others)
    smooth = ndimage.gaussian_filter((mask | core).astype(np.float32), side / 64) > 0.5
    labels, count = ndimage.label(smooth)
    held = np.bincount(labels[core], minlength=count + 1)
    held[0] = 0
    return np.asarray(labels == int(np.argmax(held))) if held.any() else core


def _like_the_others(colours: Field, pale: Mask, pale_own: Mask, core: Mask) -> tuple[Mask, float]:
    """Return pieces of the cell's pale parts that have the hue of what lies around, and their share beside the core.

    A hue is the direction of the density of the three colours, so that it does not depend on how much dye there is.
    """
    side = min(core.shape)
    soft = ndimage.gaussian_filter(colours, (side / 128, side / 128, 0))
    hues = soft / np.maximum(np.linalg.norm(soft, axis=2, keepdims=True), FAINT / 2)
    theirs = hues[ndimage.binary_erosion(pale, iterations=max(side // 64, 1))]
    if len(theirs) < COMMON * pale.size / 4:
        return np.zeros_like(core), np.nan
    apart = hues - np.median(theirs, axis=0)
    inverse = np.linalg.inv(np.cov(theirs.T) + HUE_NOISE**2 * np.eye(3))
    pieces = _opened(pale_own & (np.einsum("...i,ij,...j", apart, inverse, apart) < HUE_LIMIT**2), side / 50)
    away = ndimage.distance_transform_edt(~core)
    by_core = pale_own & (away > side / 64) & (away <= side / 10)
    return pieces, float(pieces[by_core].mean()) if by_core.any() else np.nan


def _opened(mask: Mask, radius: float) -> Mask:
    """Return a mask without what is thinner than twice that radius, pixels, and one pixel at least."""
    radius = max(radius, 1.0)
    thick = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1] > radius
    return np.asarray(mask & (ndimage.distance_transform_edt(~thick) <= radius)) if thick.any() else thick


def _fault(mask: Mask, whole: Mask, solid: float) -> str:
    area = int(whole.sum())
    if area < max(SMALLEST_SHARE * mask.size, 12):
        return NOTHING
    if whole[0].any() or whole[-1].any() or whole[:, 0].any() or whole[:, -1].any():
        return "touches the picture's edge"
    if area - int(mask.sum()) > HOLLOW * area:
        return "is a ring"
    return "is no single cell" if area < solid * pixels_of_hull(whole) else ""


def pixels_of_hull(mask: Mask) -> float:
    """Return how many pixels lie in a mask's convex hull: a disc of any size fills it (Pick 1899)."""
    points = np.argwhere(mask)
    if not np.ptp(points, axis=0).all():
        return float(len(points))  # a line
    hull = ConvexHull(points)
    steps = np.abs(np.diff(points[np.append(hull.vertices, hull.vertices[0])], axis=0))
    return float(hull.volume + np.gcd(*steps.T).sum() / 2 + 1)
