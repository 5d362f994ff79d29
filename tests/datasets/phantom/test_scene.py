"""Neighbours and patients."""

import numpy as np
import pytest

from cytobench.datasets.phantom import SITES, scene
from cytobench.datasets.phantom.fields import axis
from cytobench.datasets.phantom.morphology import neutrophil
from cytobench.datasets.phantom.painting import HAEM, RedCell
from cytobench.datasets.phantom.scene import patient_of, red_cells_around

A = SITES["a"]


def test_a_patient_is_a_function_of_site_number_and_seed() -> None:
    def stain(site: str, number: int, seed: int) -> list[float]:
        values: list[float] = patient_of(SITES[site], number, seed=seed).stain.tolist()
        return values

    assert stain("a", 3, 0) == stain("a", 3, 0)
    assert len({tuple(stain(*each)) for each in (("a", 3, 0), ("b", 3, 0), ("a", 4, 0), ("a", 3, 1))}) == 4


def test_stains_of_patients_spread_as_the_site_says() -> None:
    stains = np.log([patient_of(A, number, seed=0).stain[1:] for number in range(400)])
    np.testing.assert_allclose(np.exp(stains.mean(axis=0)), [A.eosin, A.purple, A.blue], rtol=0.02)
    np.testing.assert_allclose(stains.std(axis=0), A.stain_spread_patient, rtol=0.12)


def test_red_cells_leave_room_for_the_white_one() -> None:
    rng = np.random.default_rng(0)
    for number in range(30):
        for cell in red_cells_around(6.5, patient_of(A, number, seed=0), A, rng):
            assert np.hypot(*cell.centre) > 6.5 + 1.8


def test_denser_films_have_more_red_cells() -> None:
    rng = np.random.default_rng(0)
    patient = patient_of(A, 0, seed=0)
    sparse, dense = (
        np.mean([len(red_cells_around(6, patient._replace(red_density=each), A, rng)) for _ in range(20)])
        for each in (0.005, 0.012)
    )
    assert 1.5 * sparse < dense


def test_the_white_cell_lies_on_top(monkeypatch: pytest.MonkeyPatch) -> None:
    """A red cell in the same place is pushed aside, dyes and mask alike."""
    beneath = RedCell((3.0, 0.0), radius=3.6, stretch=1.0, angle=0.0, haem=1.0, pallor=0.0, spikes=0)
    monkeypatch.setattr(scene, "red_cells_around", lambda *_: [beneath])
    grid = axis(64, A.field)
    rng = np.random.default_rng(2)
    for number in range(5):
        seen = scene.white_cell_scene(neutrophil(rng), scene.patient_of(A, number, seed=0), A, grid, rng)
        inside = seen.instances == 1
        disc = (grid - 3.0) ** 2 + grid[:, None] ** 2 < 3.0**2
        assert (inside & disc).sum() > 100
        assert seen.dyes[HAEM][inside & disc].mean() < 0.1 * scene.HAEM_DENSITY
