"""Draw phantom smears: image k of a class is a function of (label, k, site, size, seed) alone.

The bytes are the same in any company, order and number of threads; another processor or NumPy may round a few pixels
to the neighbouring grey level.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom.fields import axis
from cytobench.datasets.phantom.morphology import KINDS
from cytobench.datasets.phantom.optics import photograph
from cytobench.datasets.phantom.scene import Patient, Scene, patient_of, red_cell_scene, white_cell_scene
from cytobench.datasets.phantom.sites import Site
from cytobench.errors import UsageFault
from cytobench.seeds import seed_for

CLASSES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
"""The white cells that can be drawn, in the order of their class numbers."""

SMALLEST = 16
"""Pixels; below that a nucleus is a handful of dots."""


class Smears(NamedTuple):
    """Images of single cells with the truth about them."""

    images: NDArray[np.uint8]
    """(N, S, S, 3)."""
    instances: NDArray[np.uint16]
    """(N, S, S): 0 background, 1 the central cell, 2 and up red cells and platelets; no number is left out."""
    nuclei: NDArray[np.bool_]
    """(N, S, S): nucleus of the central cell."""
    patients: NDArray[np.int64]
    """(N,)."""


def draw(label: str, indices: Sequence[int], *, site: Site, size: int, seed: int) -> Smears:
    """Draw white cells of one class in their surroundings.

    The same index shows the same scene at every size, and the same patient has the same stain in every class.

    Args:
        label: One of :data:`CLASSES`.
        indices: Which images, each 0 or more.
        site: Where the film was stained and photographed.
        size: Side of the images, pixels.
        seed: Another seed, other patients and cells.

    Raises:
        UsageFault: An unknown label, a negative index, a size below 16.
    """
    if label not in KINDS:
        raise UsageFault(f"the phantom has no class {label!r}", fix=f"choose one of {', '.join(CLASSES)}")

    def scene(rng: np.random.Generator, patient: Patient, size: int) -> Scene:
        grid = axis(size, site.field)
        return white_cell_scene(KINDS[label](rng), patient, site, grid, rng)

    return _draw(scene, label, indices, site=site, size=size, seed=seed)


def draw_red_cells(indices: Sequence[int], *, site: Site, size: int, seed: int) -> Smears:
    """Draw single red cells in the middle of an otherwise empty field (``nuclei`` is all False).

    Args:
        indices: Which images, each 0 or more.
        site: Where the film was stained and photographed.
        size: Side of the images, pixels.
        seed: Another seed, other patients and cells.

    Raises:
        UsageFault: A negative index, a size below 16.
    """

    def scene(rng: np.random.Generator, patient: Patient, size: int) -> Scene:
        return red_cell_scene(patient, site, axis(size, site.field), rng)

    return _draw(scene, "red cell", indices, site=site, size=size, seed=seed)


def _draw(
    scene_of: Callable[[np.random.Generator, Patient, int], Scene],
    label: str,
    indices: Sequence[int],
    *,
    site: Site,
    size: int,
    seed: int,
) -> Smears:
    if size < SMALLEST:
        raise UsageFault(f"phantom images of {size} px were asked for", fix=f"ask for {SMALLEST} px or more")
    if len(indices) and min(indices) < 0:
        raise UsageFault(f"phantom image {min(indices)} was asked for", fix="indices begin at 0")
    grid = axis(size, site.field)
    images = np.empty((len(indices), size, size, 3), np.uint8)
    instances = np.empty((len(indices), size, size), np.uint16)
    nuclei = np.empty((len(indices), size, size), np.bool_)
    patients = np.array([index // site.images_per_patient for index in indices], np.int64).reshape(-1)
    for row, (index, number) in enumerate(zip(indices, patients.tolist(), strict=True)):
        patient = patient_of(site, number, seed=seed)
        rng = np.random.default_rng(seed_for(seed, "phantom", site.name, label, int(index)))
        sensor = np.random.default_rng(seed_for(seed, "phantom sensor", site.name, label, int(index), size))
        scene = scene_of(rng, patient, size)
        stain = patient.stain * np.exp(rng.normal(0, site.stain_spread_image, 4))
        images[row] = photograph(
            scene.dyes * stain.astype(np.float32)[:, None, None],
            grid,
            grid,
            site,
            light=patient.light,
            blur=float(site.blur * np.exp(rng.normal(0, site.defocus))),
            rng=rng,
            sensor=sensor,
        )
        instances[row], nuclei[row] = scene.instances, scene.nucleus
    return Smears(images, instances, nuclei, patients)
