"""How much dye lies where: cells painted as layers of optical density.

Layers are (4, H, W) float32: haem, eosin, purple, blue (see :mod:`.optics`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom.anatomy import WhiteCell
from cytobench.datasets.phantom.fields import Field, blobs, chain, coverage, ellipse, pitch, waves

LAYERS = 4
HAEM, EOSIN, PURPLE, BLUE = range(LAYERS)

CHROMATIN = np.array([0.0, 0.03, 0.95, 0.78], np.float32)[:, None, None]
"""Dyes in the middle of a neutrophil's nucleus."""


class Painted(NamedTuple):
    """One white cell."""

    dyes: Field
    """(4, H, W)."""
    cover: Field
    """Share of each pixel that the cell covers, (H, W)."""
    inside: NDArray[np.bool_]
    """Pixels whose middle lies in the cell, (H, W)."""
    nucleus: NDArray[np.bool_]
    """Pixels whose middle lies in its nucleus, (H, W)."""


def white_cell(cell: WhiteCell, centre: tuple[float, float], x: Field, y: Field, rng: np.random.Generator) -> Painted:
    """Paint a white cell at ``centre`` (x, y) in µm."""
    pixel = pitch(x)
    angle = rng.uniform(0, 2 * np.pi)
    outline = ellipse(x, y, centre=centre, radius=cell.radius, stretch=cell.stretch, angle=angle)
    outline += cell.irregularity * waves(rng, x, y, shortest=6.0, longest=15.0, count=10)
    outline += cell.ruffle * waves(rng, x, y, shortest=1.5, longest=4.0, count=24)
    cover = coverage(outline, pixel)

    shape = cell.nucleus
    lobes = chain(x, y, shape.centres + np.array(centre), shape.radii, shape.bridges, blend=0.25)
    lobes += shape.roughness * waves(rng, x, y, shortest=1.8, longest=6.0, count=24)
    lobes = np.minimum(lobes, outline - np.float32(0.25))
    core = coverage(lobes, max(pixel, 0.25))

    fine = waves(rng, x, y, shortest=0.6, longest=shape.grain, count=64)
    broad = waves(rng, x, y, shortest=shape.grain, longest=8.0, count=24)
    membrane = np.exp(-np.abs(lobes - np.float32(0.15)) / np.float32(0.35))
    chromatin = shape.density * (0.88 + shape.clumping * (fine + 0.7 * broad) + 0.18 * membrane)
    chromatin = np.maximum(chromatin, 0.25 * shape.density) * core

    # `fine` continues outside the nucleus, where it serves as the cytoplasm's texture.
    edge = np.exp(-np.maximum(outline, 0) / np.float32(0.45))
    plasm = np.maximum(1 + cell.mottle * (0.6 * fine - 0.5 * broad) + cell.rim * edge, 0.1) * cover * (1 - 0.7 * core)

    dyes = chromatin * CHROMATIN
    for layer, amount in zip((EOSIN, PURPLE, BLUE), cell.cytoplasm, strict=True):
        dyes[layer] += np.float32(amount) * plasm
    if cell.granules.number:
        grains = _granules(cell, centre, x, y, rng) * cover * (1 - (1 - cell.granules.over_nucleus) * core)
        grains *= np.clip(1 + cell.granules.patchiness * broad, 0, None)
        for layer, amount in zip((EOSIN, PURPLE, BLUE), cell.granules.dyes, strict=True):
            dyes[layer] += np.float32(amount) * grains
    if cell.vacuoles:
        dyes *= 1 - 0.85 * _vacuoles(cell, centre, x, y, rng)
    return Painted(dyes, cover, outline > 0, lobes > 0)


def _scatter(
    rng: np.random.Generator, count: int, centre: tuple[float, float], inner: float, outer: float
) -> NDArray[np.float64]:
    """Return points (count, 2) spread evenly over a ring."""
    reach = np.sqrt(rng.uniform(inner**2, outer**2, count))
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.stack([centre[0] + reach * np.cos(angle), centre[1] + reach * np.sin(angle)], axis=1)


def _granules(cell: WhiteCell, centre: tuple[float, float], x: Field, y: Field, rng: np.random.Generator) -> Field:
    grains = cell.granules
    places = _scatter(rng, grains.number, centre, 0.0, cell.radius * cell.stretch)
    sigmas = grains.sigma * np.exp(rng.normal(0, 0.2, grains.number))
    return blobs(x, y, places, sigmas, rng.uniform(0.5, 1.3, grains.number).astype(np.float32))


def _vacuoles(cell: WhiteCell, centre: tuple[float, float], x: Field, y: Field, rng: np.random.Generator) -> Field:
    places = _scatter(rng, cell.vacuoles, centre, 0.45 * cell.radius, 0.9 * cell.radius)
    radii = rng.uniform(0.35, 0.9, cell.vacuoles)
    return coverage(chain(x, y, places, radii, np.zeros(0), blend=0.1), max(pitch(x), 0.3))


class RedCell(NamedTuple):
    """One red cell."""

    centre: tuple[float, float]
    radius: float
    stretch: float
    angle: float
    haem: float
    """Optical density of its thickest part, relative to the standard."""
    pallor: float
    """0 a flat disc, 1 the biconcave shape of a cell in suspension, up to 1.25 thinner still in the middle."""
    spikes: int
    """Crenations on its outline; 0 for a smooth cell."""


def some_red_cell(rng: np.random.Generator, centre: tuple[float, float], *, pallor: float, crenated: float) -> RedCell:
    """Return a red cell with a probability ``crenated`` of being spiky."""
    return RedCell(
        centre,
        radius=float(3.6 * np.exp(rng.normal(0, 0.08))),
        stretch=float(np.exp(abs(rng.normal(0, 0.07)))),
        angle=float(rng.uniform(0, np.pi)),
        haem=float(np.exp(rng.normal(0, 0.1))),
        pallor=float(np.clip(pallor + rng.normal(0, 0.15), 0, 1.25)),
        spikes=int(rng.integers(10, 15)) if rng.random() < crenated else 0,
    )


def red_cell(cell: RedCell, dent: Field, x: Field, y: Field) -> tuple[slice, slice, Field, Field]:
    """Paint one red cell in the window around it.

    Args:
        cell: Which.
        dent: Irregularity of outlines over the whole field (H, W), µm.
        x: Pixel centres, (W,).
        y: Pixel centres, (H,).

    Returns:
        The window's rows and columns, its haem (h, w) and the distance to the outline (h, w).
    """
    reach = cell.radius * cell.stretch + 1.2
    rows, cols = _window(y, cell.centre[1], reach), _window(x, cell.centre[0], reach)
    u, v = x[cols], y[rows]
    edge = ellipse(u, v, centre=cell.centre, radius=cell.radius, stretch=cell.stretch, angle=cell.angle)
    edge += dent[rows, cols]
    if cell.spikes:
        turn = np.arctan2((v - np.float32(cell.centre[1]))[:, None], u - np.float32(cell.centre[0]))
        edge += np.float32(0.28) * np.cos(cell.spikes * turn + np.float32(cell.angle))
    rho2 = np.clip(1 - edge / np.float32(cell.radius), 0, 1) ** 2
    # Thickness of a resting red cell, Evans & Fung, Microvasc. Res. 4 (1972) 335; 2.6 µm at its thickest.
    biconcave = np.sqrt(1 - rho2) * (0.81 + 7.83 * rho2 - 4.39 * rho2**2) / 2.6
    thickness = np.maximum(cell.pallor * biconcave + (1 - cell.pallor) * np.float32(0.8), 0)
    return rows, cols, np.float32(cell.haem) * thickness * coverage(edge, pitch(x)), edge


def _window(axis: Field, middle: float, reach: float) -> slice:
    first, last = np.searchsorted(axis, (middle - reach, middle + reach))
    return slice(int(first), int(last))
