"""The unevenness of an empty background: how pictures have it, and as much of the same as a scene needs.

A camera's noise and what compression made of it are told by one thing: how alike two pixels' deviations are, colour by
colour, by how far they lie apart (their autocovariance). Noise that is filtered with the square root of its spectrum
has the same (Wiener–Khinchin; for textures Galerne, Gousseau & Morel 2011, doi:10.1109/TIP.2010.2052822).
"""

from collections.abc import Iterable
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Grain = NDArray[np.float32]
"""(2 ``REACH``, 2 ``REACH``, 3, 3): a filter that makes it of white noise, octaves; its middle is at [0, 0]."""

REACH = 16
"""Pixels within which deviations are compared."""
EVEN = np.zeros((2 * REACH, 2 * REACH, 3, 3), np.float32)
"""A background without any."""
EVEN.setflags(write=False)


def measured(fields: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Grain:
    """Return the grain of some pictures; what changes over more than ``REACH`` pixels is light, and left out.

    Args:
        fields: Density (H, W, 3), octaves, of each and which of its pixels (H, W) show nothing but background.
    """
    alike = np.zeros((2 * REACH, 2 * REACH, 3, 3))
    pairs = np.zeros((2 * REACH, 2 * REACH))
    for dense, empty in fields:
        if not empty.any():
            continue
        shape = [size + 2 * REACH for size in empty.shape]
        seen = fft.rfft2(empty.astype(np.float64), shape)
        pairs += _close_lags(seen * seen.conj(), shape)
        waves = [fft.rfft2(colour, shape) for colour in _deviations(dense, empty)]
        for one, other in combinations_with_replacement(range(3), 2):
            lags = _close_lags(waves[one] * waves[other].conj(), shape)
            alike[..., one, other] += lags
            if one != other:
                alike[..., other, one] += np.roll(lags[::-1, ::-1], 1, axis=(0, 1))  # the same pairs from the other end
    if not pairs.any():
        return EVEN
    lag = np.minimum(np.arange(2 * REACH), 2 * REACH - np.arange(2 * REACH)) / REACH
    fading = np.cos(np.pi / 2 * np.minimum(np.hypot(*np.meshgrid(lag, lag)), 1)) ** 2
    covariance = alike / np.maximum(pairs, 1)[..., None, None]
    power, axes = np.linalg.eigh(fft.fft2(covariance * fading[..., None, None], axes=(0, 1)))
    root = (axes * np.sqrt(np.maximum(power, 0))[..., None, :]) @ axes.conj().swapaxes(2, 3)
    grain = fft.ifft2(root, axes=(0, 1)).real
    had, has = np.diagonal(covariance[0, 0]), (grain**2).sum(axis=(0, 1, 3))  # more, where negative power was cut off
    return np.asarray(grain * np.sqrt(had / np.maximum(has, 1e-12))[:, None], np.float32)


def grown(grain: Grain, side: int, seed: int) -> NDArray[np.float32]:
    """Return deviations with that grain, octaves, (side, side, 3); they go on beyond an edge at the other.

    Args:
        grain: As :func:`measured` returns it.
        side: Pixels, at least 2 ``REACH``.
        seed: Of the noise.
    """
    noise = fft.rfft2(np.random.default_rng(seed).normal(size=(side, side, 3)), axes=(0, 1))
    place = np.r_[:REACH, side - REACH : side]
    found = np.empty((side, side, 3), np.float32)
    for colour in range(3):
        spread = np.zeros((side, side, 3))
        spread[np.ix_(place, place)] = grain[:, :, colour]
        found[..., colour] = fft.irfft2((fft.rfft2(spread, axes=(0, 1)) * noise).sum(axis=2), (side, side))
    return found


def _deviations(dense: NDArray[np.float32], empty: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return by how much empty pixels differ from the mean of those around them, (3, H, W), 0 elsewhere."""
    wide = 0.75 * REACH
    share = ndimage.gaussian_filter(empty.astype(np.float64), wide, mode="constant")
    own = np.where(empty[..., None], dense, 0).astype(np.float64)
    around = ndimage.gaussian_filter(own, (wide, wide, 0), mode="constant")
    apart = np.where(empty[..., None], dense - around / np.maximum(share, 1e-6)[..., None], 0)
    return np.ascontiguousarray(apart.transpose(2, 0, 1))


def _close_lags(waves: NDArray[np.complex128], shape: list[int]) -> NDArray[np.float64]:
    """Return what a spectrum says about pixels that are less than ``REACH`` apart."""
    lags = fft.irfft2(waves, shape)
    place = np.r_[:REACH, -REACH:0]
    near: NDArray[np.float64] = lags[np.ix_(place, place)]
    return near
