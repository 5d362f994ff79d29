"""Masks as rows of bits, so that the overlap of two cells is counted exactly at 64 pixels a step."""

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.uint64]
"""(..., H, W): bit b of word w is the pixel in column 64 w + b."""

WORD = 64
_BELOW = np.array([(1 << limit) - 1 for limit in range(WORD + 1)], np.uint64)  # [n]: the n lowest bits set


def packed(masks: NDArray[np.bool_]) -> Bits:
    """Return masks (..., H, S) as bits (..., H, ⌈S / 64⌉)."""
    missing = -masks.shape[-1] % WORD
    whole = np.pad(masks, [(0, 0)] * (masks.ndim - 1) + [(0, missing)])
    octets = np.packbits(whole, axis=-1, bitorder="little")
    return np.ascontiguousarray(octets).view("<u8").astype(np.uint64)


def count(bits: Bits) -> NDArray[np.int64]:
    """Return the number of pixels (...) of bitmaps (..., H, W)."""
    return np.asarray(np.bitwise_count(bits).sum(axis=(-2, -1), dtype=np.int64))


def moved(bits: Bits, down: NDArray[np.int64], right: NDArray[np.int64], rows: int) -> Bits:
    """Return bitmaps (P, H, W) moved by (P,) pixels, in a window of ``rows`` rows; what leaves the window is gone."""
    height, words = bits.shape[1:]
    source = np.arange(rows) - down[:, None]  # (P, rows)
    there = (source >= 0) & (source < height)
    begins = np.arange(len(bits))[:, None] * height
    lines = bits.reshape(-1, words).take(begins + np.where(there, source, 0), axis=0)
    lines *= there[:, :, None]
    if words == 1 and np.abs(right).max(initial=0) < WORD:  # the usual case
        ahead, back = (np.maximum(by, 0)[:, None, None].astype(np.uint64) for by in (right, -right))
        return np.asarray((lines << ahead) >> back)
    jump, shift = np.divmod(right, WORD)
    from_word = np.arange(words) - jump[:, None]  # (P, W)
    here, before = (
        np.where(
            ((at >= 0) & (at < words))[:, None, :],
            np.take_along_axis(lines, np.broadcast_to(np.clip(at, 0, words - 1)[:, None, :], lines.shape), axis=2),
            np.uint64(0),
        )
        for at in (from_word, from_word - 1)
    )
    up = shift[:, None, None].astype(np.uint64)
    carried = np.where(up > 0, before >> ((np.uint64(WORD) - up) & np.uint64(63)), np.uint64(0))
    return (here << up) | carried


def columns(first: NDArray[np.int64], last: NDArray[np.int64], words: int) -> Bits:
    """Return bits (P, 1, W) that are set from column ``first`` up to, not including, column ``last``."""
    start = np.arange(words) * WORD
    low = np.clip(first[:, None] - start, 0, WORD)
    high = np.clip(last[:, None] - start, 0, WORD)
    return np.asarray(_BELOW[high] & ~_BELOW[low])[:, None, :]
