"""The unevenness of an empty background: how pictures have it, and as much of the same as a scene needs.

A camera's noise, what compression made of it and slow changes of light are told by one thing: how alike two pixels'
deviations are, colour by colour, by how far they lie apart (their autocovariance). Noise that is filtered with the
square root of its spectrum has the same (Wiener–Khinchin; for textures Galerne, Gousseau & Morel 2011,
doi:10.1109/TIP.2010.2052822).
"""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Grain = NDArray[np.float32]
"""(2 ``REACH``, 2 ``REACH``, 3, 3): a filter that makes it of white noise, octaves; its middle is at [0, 0]."""

REACH = 16
"""Pixels within which deviations are compared; what is more even is one light."""
NONE = np.zeros((2 * REACH, 2 * REACH, 3, 3), np.float32)
"""A background without any."""


def measured(fields: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Grain:
    """Return the grain of some pictures.

    Args:
        fields: Density (H, W, 3), octaves, of each and which of its pixels (H, W) show nothing but background.
    """
    alike = np.zeros((2 * REACH, 2 * REACH, 3, 3))
    pairs = np.zeros((2 * REACH, 2 * REACH, 1, 1))
    for dense, empty in fields:
        if not empty.any():
            continue
        apart = np.where(empty[..., None], dense - dense[empty].mean(axis=0), 0)
        shape = [size + 2 * REACH for size in empty.shape]
        seen = np.fft.fft2(empty.astype(np.float64), shape)[..., None]
        waves = np.fft.fft2(apart.astype(np.float64), shape, axes=(0, 1))
        alike += _near(waves[..., :, None] * waves[..., None, :].conj())
        pairs += _near((seen * seen.conj())[..., None])
    if not pairs.any():
        return NONE
    lag = np.minimum(np.arange(2 * REACH), 2 * REACH - np.arange(2 * REACH)) / REACH
    fading = np.cos(np.pi / 2 * np.minimum(np.hypot(*np.meshgrid(lag, lag)), 1)) ** 2
    spectrum = np.fft.fft2(alike / np.maximum(pairs, 1) * fading[..., None, None], axes=(0, 1))
    power, axes = np.linalg.eigh((spectrum + spectrum.conj().swapaxes(2, 3)) / 2)
    root = (axes * np.sqrt(np.maximum(power, 0))[..., None, :]) @ axes.conj().swapaxes(2, 3)
    return np.fft.ifft2(root, axes=(0, 1)).real.astype(np.float32)


def grown(grain: Grain, side: int, seed: int) -> NDArray[np.float32]:
    """Return deviations with that grain, octaves, (side, side, 3); they go on beyond an edge at the other.

    Args:
        side: Pixels, at least 2 ``REACH``.
    """
    noise = np.fft.fft2(np.random.default_rng(seed).normal(size=(side, side, 3)), axes=(0, 1))
    place = np.r_[:REACH, side - REACH : side]
    found = np.empty((side, side, 3), np.float32)
    for colour in range(3):
        spread = np.zeros((side, side, 3))
        spread[np.ix_(place, place)] = grain[:, :, colour]
        waves = (np.fft.fft2(spread, axes=(0, 1)) * noise).sum(axis=2)
        found[..., colour] = np.fft.ifft2(waves).real
    return found


def _near(waves: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return what a spectrum says about pixels that are less than ``REACH`` apart."""
    lags = np.fft.ifft2(waves, axes=(0, 1)).real
    place = np.r_[:REACH, -REACH:0]
    near: NDArray[np.float64] = lags[np.ix_(place, place)]
    return near
