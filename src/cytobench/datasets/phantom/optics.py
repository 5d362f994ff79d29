"""From dyes to a photograph: Beer–Lambert absorption, the lens, the sensor."""

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom.fields import Field, waves
from cytobench.datasets.phantom.sites import Site

ABSORBANCE = np.array(
    [
        [0.58, 0.95, 0.66],  # haem with the eosin bound to it: greyish pink
        [0.22, 1.00, 0.70],  # eosin Y, peak near 520 nm: orange-pink
        [0.40, 1.35, 0.36],  # azure B–eosin complex, peak near 550 nm: purple
        [0.85, 0.50, 0.08],  # methylene blue and free azures, peak near 650 nm: sky blue
    ],
    np.float32,
)
"""Optical density of a unit of each dye in red, green and blue, (4, 3); set by eye after May-Grünwald-Giemsa films."""


def photograph(
    dyes: Field,
    x: Field,
    y: Field,
    site: Site,
    *,
    light: NDArray[np.float64],
    blur: float,
    rng: np.random.Generator,
    sensor: np.random.Generator,
) -> NDArray[np.uint8]:
    """Return the image (H, W, 3) of dye layers (4, H, W).

    Args:
        dyes: Amounts, already scaled by the site's staining.
        x: Pixel centres, µm, (W,).
        y: Pixel centres, µm, (H,).
        site: Whose optics.
        light: Colour of the empty slide, 0 to 1, (3,).
        blur: Standard deviation of the point spread function, µm.
        rng: Draws what belongs to the scene (the same for every pixel size).
        sensor: Draws what belongs to the pixels.
    """
    layers, height, width = dyes.shape
    density = ABSORBANCE.T @ dyes.reshape(layers, -1)  # (3, H * W)
    seen = np.exp(-density).reshape(3, height, width)
    lit = _illumination(x, y, site, rng) * light.astype(np.float32)[:, None, None]
    seen = _lens(seen * np.float32(1 - site.glare) + np.float32(site.glare), x, y, site, blur) * lit

    area = float(x[1] - x[0]) ** 2
    shot = np.sqrt(np.maximum(seen, 0.01) / np.float32(site.photons * area))
    seen += shot * sensor.standard_normal(seen.shape, dtype=np.float32)
    blotches = np.stack([waves(rng, x, y, shortest=1.0, longest=2.5, count=24) for _ in range(2)])
    seen[0] += np.float32(site.chroma_noise) * blotches[0]
    seen[2] += np.float32(site.chroma_noise) * blotches[1]
    picture: NDArray[np.uint8] = np.clip(seen * 255 + 0.5, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return picture


def _illumination(x: Field, y: Field, site: Site, rng: np.random.Generator) -> Field:
    """Return the relative brightness (H, W) of the empty field."""
    u, v = x / np.float32(site.field), (y / np.float32(site.field))[:, None]
    slope = rng.normal(0, site.gradient, 2)
    level = np.exp(rng.normal(0, site.light_spread_image))
    lit: Field = (level * (1 + slope[0] * u + slope[1] * v - 2 * site.vignette * (u**2 + v**2))).astype(np.float32)
    return lit


def _lens(seen: Field, x: Field, y: Field, site: Site, blur: float) -> Field:
    """Return colour planes (3, H, W) as lens and camera pass them on: blurred, fringed, sharpened."""
    scales = np.array([1 + site.fringe, 1.0, 1 - site.fringe], np.float32)
    across = _spread(y, scales, blur, site.sharpening)
    along = _spread(x, scales, blur, site.sharpening)
    passed: Field = np.matmul(np.matmul(across, seen), along.transpose(0, 2, 1))
    return passed


def _spread(axis: Field, scales: Field, blur: float, sharpening: float) -> Field:
    """Return matrices (c, n, n) that blur along an axis (n,), magnify by each of ``scales`` (c,) and sharpen."""
    offset2 = (axis[:, None] / scales[:, None, None] - axis) ** 2
    pixel = float(axis[1] - axis[0])
    narrow, wide = (
        np.exp(-offset2 / np.float32(2 * (sigma**2 + (0.35 * pixel) ** 2))) for sigma in (blur, blur + 0.35)
    )
    narrow /= narrow.sum(axis=2, keepdims=True)
    wide /= wide.sum(axis=2, keepdims=True)
    kernels: Field = np.float32(1 + sharpening) * narrow - np.float32(sharpening) * wide
    return kernels
