"""From dyes to pictures, against the physics."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from cytobench.datasets.phantom import SITES, Site
from cytobench.datasets.phantom.fields import Field, axis
from cytobench.datasets.phantom.optics import ABSORBANCE, photograph

PLAIN = replace(
    SITES["a"],
    gradient=0.0,
    vignette=0.0,
    glare=0.0,
    fringe=0.0,
    chroma_noise=0.0,
    light_spread_image=0.0,
    photons=1e12,
)


def shoot(dyes: Field, site: Site, *, blur: float = 0.05, seed: int = 0) -> NDArray[np.uint8]:
    grid = axis(dyes.shape[1], site.field)
    light = np.array(site.light)
    rng, sensor = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    return photograph(dyes, grid, grid, site, light=light, blur=blur, rng=rng, sensor=sensor)


def empty(size: int = 48) -> Field:
    return np.zeros((4, size, size), np.float32)


def test_an_empty_slide_has_the_colour_of_the_light() -> None:
    np.testing.assert_allclose(shoot(empty(), PLAIN), np.broadcast_to(np.array(PLAIN.light) * 255, (48, 48, 3)), atol=1)


@pytest.mark.parametrize("amounts", [(0.4, 0, 0, 0), (0, 0.5, 0.2, 0), (0, 0, 0.9, 0.7)])
def test_dyes_absorb_as_beer_and_lambert_say(amounts: tuple[float, float, float, float]) -> None:
    dyes = empty() + np.array(amounts, np.float32)[:, None, None]
    expected = 255 * np.array(PLAIN.light) * np.exp(-np.array(amounts) @ ABSORBANCE)
    np.testing.assert_allclose(shoot(dyes, PLAIN)[20, 20], expected, atol=1)


def test_blur_and_sharpening_keep_the_mean_and_blur_softens() -> None:
    dyes = empty()
    dyes[2, 16:32, 16:32] = 0.6
    sharp, soft = (shoot(dyes, PLAIN, blur=blur).astype(float) for blur in (0.1, 1.0))
    assert sharp.mean() == pytest.approx(soft.mean(), abs=0.5)
    assert np.abs(np.diff(soft, axis=0)).max() < 0.5 * np.abs(np.diff(sharp, axis=0)).max()


def test_glare_lifts_the_darks() -> None:
    dyes = empty() + np.float32(2.0)
    assert shoot(dyes, replace(PLAIN, glare=0.1)).mean() > shoot(dyes, PLAIN).mean() + 15


def test_fringes_part_red_from_blue_at_the_edge_only() -> None:
    dyes = empty(64)
    dyes[2] = (np.abs(axis(64, 24.0)) > 10).astype(np.float32)
    white = replace(PLAIN, light=(1.0, 1.0, 1.0), sharpening=0.0)
    straight, fringed = (shoot(dyes, replace(white, fringe=share)).astype(int) for share in (0.0, 0.04))
    shift = np.abs(fringed - straight).max(axis=0)  # (column, colour)
    assert shift[:, [0, 2]].max() > 20
    assert shift[:, 1].max() <= 1
    assert shift[24:40].max() <= 1


def test_shot_noise_is_that_of_the_photons_counted() -> None:
    site = replace(PLAIN, photons=2000.0, light=(0.8, 0.8, 0.8))
    area = (site.field / 96) ** 2
    expected = 255 * np.sqrt(0.8 / (site.photons * area))
    assert shoot(empty(96), site).astype(float).std() == pytest.approx(expected, rel=0.05)


def test_vignetting_darkens_the_corners() -> None:
    picture = shoot(empty(), replace(PLAIN, vignette=0.2)).astype(float)
    assert picture[0, 0, 1] / picture[24, 24, 1] == pytest.approx(0.8, abs=0.02)
