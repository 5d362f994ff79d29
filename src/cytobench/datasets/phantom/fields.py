"""Smooth fields on a pixel grid, given in µm so that a finer grid shows the same scene in more detail.

Coordinates: ``x`` (W,) and ``y`` (H,) are pixel centres, evenly spaced. Distances are positive inside a shape.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


def axis(size: int, span: float) -> Field:
    """Return the pixel centres (size,) of a field ``span`` µm wide, its middle at 0."""
    return ((np.arange(size) + 0.5) * (span / size) - span / 2).astype(np.float32)


def pitch(x: Field) -> float:
    """Return the pixel size, µm."""
    return float(x[1] - x[0])


def coverage(distance: Field, pixel: float) -> Field:
    """Return how much of each pixel lies inside a shape, 0 to 1."""
    covered: Field = np.clip(distance / np.float32(pixel) + np.float32(0.5), 0, 1)
    return covered


def waves(rng: np.random.Generator, x: Field, y: Field, *, shortest: float, longest: float, count: int = 40) -> Field:
    """Return a random field (H, W) of mean 0 and variance 1, its wavelengths spread evenly in log between two, µm.

    A sum of plane waves; details below the pixel size are averaged away as a sensor would.
    """
    length = np.exp(rng.uniform(np.log(shortest), np.log(longest), count))
    angle, phase = rng.uniform(0, 2 * np.pi, (2, count))
    kx, ky = 2 * np.pi / length * np.cos(angle), 2 * np.pi / length * np.sin(angle)
    weight = np.sqrt(2 / count) * np.sinc(kx * pitch(x) / (2 * np.pi)) * np.sinc(ky * pitch(y) / (2 * np.pi))
    # cos(a + b) = cos a cos b - sin a sin b turns the sum over waves into one matrix product.
    along = np.outer(x, kx.astype(np.float32)) + phase.astype(np.float32)
    across = np.outer(y, ky.astype(np.float32))
    weight = weight.astype(np.float32)
    right = np.concatenate([np.cos(along), -np.sin(along)], axis=1)
    left = np.concatenate([np.cos(across) * weight, np.sin(across) * weight], axis=1)
    product: Field = left @ right.T
    return product


def blobs(x: Field, y: Field, centres: NDArray[np.float64], sigmas: NDArray[np.float64], heights: Field) -> Field:
    """Return the sum (H, W) of Gaussian blobs: centres (n, 2) and sigmas (n,) in µm, heights (n,)."""
    wide = sigmas**2 + pitch(x) ** 2 / 12  # a pixel averages over its area
    scale = heights * sigmas**2 / wide
    along = np.exp(-((x - centres[:, :1]) ** 2) / (2 * wide[:, None]))
    across = np.exp(-((y - centres[:, 1:]) ** 2) / (2 * wide[:, None])) * scale[:, None]
    product: Field = across.astype(np.float32).T @ along.astype(np.float32)
    return product


def ellipse(x: Field, y: Field, *, centre: Sequence[float], radius: float, stretch: float, angle: float) -> Field:
    """Return the approximate distance (H, W) to an ellipse with axes ``radius * stretch`` and ``radius / stretch``."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    dx, dy = x - np.float32(centre[0]), (y - np.float32(centre[1]))[:, None]
    u, v = (dx * cos + dy * sin) / np.float32(stretch), (dy * cos - dx * sin) * np.float32(stretch)
    return np.float32(radius) - np.sqrt(u * u + v * v)


def chain(
    x: Field,
    y: Field,
    centres: NDArray[np.float64],
    radii: NDArray[np.float64],
    bridges: NDArray[np.float64],
    *,
    blend: float,
) -> Field:
    """Return the distance (H, W) to discs (n, 2), (n,) joined one to the next by bridges of half-width (n - 1,).

    Shapes closer than ``blend`` µm melt into one another.
    """
    centres = centres.astype(np.float32)
    dx, dy = x - centres[:, 0, None], y - centres[:, 1, None]  # (n, W), (n, H)
    parts = [r - np.sqrt(dx[i] ** 2 + dy[i][:, None] ** 2) for i, r in enumerate(radii.astype(np.float32))]
    for i, half in enumerate(bridges.astype(np.float32)):
        ax, ay = centres[i + 1] - centres[i]
        along = (dx[i] * ax + (dy[i] * ay)[:, None]) / max(float(ax * ax + ay * ay), 1e-6)
        along = np.clip(along, 0, 1)
        parts.append(half - np.sqrt((dx[i] - along * ax) ** 2 + (dy[i][:, None] - along * ay) ** 2))
    stack = np.stack(parts)
    top = stack.max(axis=0)
    melted: Field = top + np.float32(blend) * np.log(np.exp((stack - top) / np.float32(blend)).sum(axis=0))
    return melted
