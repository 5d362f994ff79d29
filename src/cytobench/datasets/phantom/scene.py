"""A field of the film: the white cell in the middle, red cells and platelets around it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom.anatomy import WhiteCell
from cytobench.datasets.phantom.fields import Field, blobs, chain, coverage, pitch, waves
from cytobench.datasets.phantom.painting import (
    BLUE,
    HAEM,
    LAYERS,
    PURPLE,
    RedCell,
    red_cell,
    some_red_cell,
    white_cell,
)
from cytobench.datasets.phantom.sites import Site
from cytobench.seeds import seed_for

HAEM_DENSITY = 0.42
"""Optical density of haem where a red cell of the standard stain is thickest."""


class Patient(NamedTuple):
    """What the images of one patient have in common."""

    stain: NDArray[np.float64]
    """Strength of haem, eosin, purple and blue, the site's included, (4,)."""
    light: NDArray[np.float64]
    """Colour of the empty slide, 0 to 1, (3,)."""
    scale: float
    """Diameter of white cells relative to the textbook's."""
    red_density: float
    """Red cells per µm²."""
    pallor: float
    """Mean central pallor of red cells, 0 to 1.25."""
    crenated: float
    """Share of red cells that are spiky."""


class Scene(NamedTuple):
    """Dyes on the slide and what they belong to."""

    dyes: Field
    """(4, H, W)."""
    instances: NDArray[np.uint16]
    """(H, W): 0 background, 1 the central cell, 2 and up the others."""
    nucleus: NDArray[np.bool_]
    """(H, W): nucleus of the central cell."""


def patient_of(site: Site, number: int, *, seed: int) -> Patient:
    """Return patient ``number`` of a site, the same for all classes and sizes."""
    rng = np.random.default_rng(seed_for(seed, "phantom patient", site.name, number))
    stain = np.array([site.haem, site.eosin, site.purple, site.blue]) * np.exp(
        rng.normal(0, site.stain_spread_patient, 4)
    )
    light = np.minimum(np.array(site.light) * np.exp(rng.normal(0, site.light_spread_patient, 3)), 1.0)
    return Patient(
        stain,
        light,
        scale=float(site.cell_scale * np.exp(rng.normal(0, 0.03))),
        red_density=float(site.red_density * np.exp(rng.normal(0, site.red_spread_patient))),
        pallor=float(np.clip(site.pallor + rng.normal(0, 0.15), 0, 1.25)),
        crenated=float(rng.uniform(0.1, 0.6)) if rng.random() < 0.08 else 0.0,
    )


def white_cell_scene(cell: WhiteCell, patient: Patient, site: Site, grid: Field, rng: np.random.Generator) -> Scene:
    """Return a white cell near the middle of the field with its neighbours."""
    centre = (float(rng.normal(0, 0.45)), float(rng.normal(0, 0.45)))
    # Enlarging the cell is shrinking the world that it is painted in.
    own = grid / np.float32(patient.scale)
    painted = white_cell(cell, centre, own, own, rng)
    reach = cell.radius * patient.scale
    around = red_cells_around(reach, patient, site, rng)
    dyes, numbers = _paint_red_cells(around, site, grid, rng)
    platelets = _platelets(reach, site, rng)
    for place in platelets:
        numbers = _paint_platelet(place, dyes, numbers, grid, rng)
    dyes *= 1 - 0.93 * painted.cover  # the white cell has pushed the others aside
    dyes += painted.dyes
    numbers[painted.inside] = 1
    return Scene(dyes, _renumbered(numbers), painted.nucleus)


def red_cell_scene(patient: Patient, site: Site, grid: Field, rng: np.random.Generator) -> Scene:
    """Return one red cell in the middle of an empty field."""
    cell = some_red_cell(rng, (0.0, 0.0), pallor=patient.pallor, crenated=patient.crenated)
    dyes, numbers = _paint_red_cells([cell], site, grid, rng)
    return Scene(dyes, np.minimum(numbers, 1).astype(np.uint16), np.zeros(numbers.shape, np.bool_))


def red_cells_around(reach: float, patient: Patient, site: Site, rng: np.random.Generator) -> list[RedCell]:
    """Return red cells scattered over the field and just beyond, few of them on one another."""
    half = site.field / 2 + 3.0
    wanted = int(rng.poisson(patient.red_density * (2 * half) ** 2))
    loose = rng.random() < 0.8  # in the thick part of a film red cells overlap
    places: list[tuple[float, float]] = []
    for _ in range(4 * wanted):
        if len(places) == wanted:
            break
        px, py = rng.uniform(-half, half, 2).tolist()
        gap = rng.uniform(6.3, 7.6) if loose or rng.random() < 0.5 else rng.uniform(3.0, 6.0)
        if px * px + py * py < (reach + rng.uniform(1.8, 3.8)) ** 2:
            continue
        if all((px - qx) ** 2 + (py - qy) ** 2 > gap * gap for qx, qy in places):
            places.append((px, py))
    return [some_red_cell(rng, place, pallor=patient.pallor, crenated=patient.crenated) for place in places]


def _paint_red_cells(
    cells: list[RedCell], site: Site, grid: Field, rng: np.random.Generator
) -> tuple[Field, NDArray[np.int64]]:
    dyes = np.zeros((LAYERS, len(grid), len(grid)), np.float32)
    numbers = np.zeros((len(grid), len(grid)), np.int64)
    dent = np.float32(0.14) * waves(rng, grid, grid, shortest=4.5, longest=12.0, count=24)
    for number, cell in enumerate(cells, start=2):
        rows, cols, haem, edge = red_cell(cell, dent, grid, grid)
        dyes[HAEM, rows, cols] += np.float32(HAEM_DENSITY) * haem
        dyes[BLUE, rows, cols] += np.float32(site.red_blue) * haem
        numbers[rows, cols][edge > 0] = number
    return dyes, numbers


def _platelets(reach: float, site: Site, rng: np.random.Generator) -> list[tuple[float, float]]:
    half = site.field / 2
    places = rng.uniform(-half, half, (int(rng.poisson(0.5)), 2)).tolist()
    return [(px, py) for px, py in places if np.hypot(px, py) > reach + 1.0]


def _paint_platelet(
    place: tuple[float, float],
    dyes: Field,
    numbers: NDArray[np.int64],
    grid: Field,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """Add a platelet to the layers and return the numbers with it."""
    radius = rng.uniform(0.6, 1.3)
    centres = np.array([place, place]) + rng.normal(0, 0.35 * radius, (2, 2))
    body = chain(grid, grid, centres, np.array([radius, 0.8 * radius]), np.array([0.7 * radius]), blend=0.2)
    cover = coverage(body, max(pitch(grid), 0.3))
    grains = blobs(
        grid, grid, np.array(place) + rng.normal(0, 0.5 * radius, (8, 2)), np.full(8, 0.25), np.ones(8, np.float32)
    )
    dyes[PURPLE] += cover * (0.3 + 0.3 * grains)
    dyes[BLUE] += cover * (0.25 + 0.15 * grains)
    return np.where(body > 0, numbers.max() + 1, numbers)


def _renumbered(numbers: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Return the numbers without gaps (cells hidden by others or outside the field leave some), in the same order."""
    present = np.bincount(numbers.ravel(), minlength=2) > 0
    present[:2] = True
    new = np.cumsum(present) - 1
    return new[numbers].astype(np.uint16)
