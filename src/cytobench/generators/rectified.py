"""The straight path from an image to noise, where on it a network is trained, and the way back in few evaluations.

A noised image is ``x_t = (1 − t) x_0 + t ε`` for t in [0, 1] (Liu et al. 2023, Lipman et al. 2023). Whoever knows a
guess at x_0 for every x_t knows the velocity ``(x_t − x_0) / t`` as well; the guess is what a network is asked for
here, in standard errors of a simpler one (see :mod:`cytobench.generators.guess`), which is the preconditioning of
Karras et al. 2022.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from cytobench.generators import schedule

CleanAt = Callable[[Tensor, float], Tensor]
"""The guess at x_0 (B, 3, S, S) for images x_t at a time t in (0, 1]."""


def levels(time: Tensor) -> tuple[Tensor, Tensor]:
    """Return a and s of ``x = a x_0 + s ε`` with a² + s² = 1 for times (B,): the path, scaled to unit variance."""
    scale = ((1 - time) ** 2 + time**2).sqrt()
    return (1 - time) / scale, time / scale


def times(count: int, *, mean: float, spread: float, source: torch.Generator) -> Tensor:
    """Return times (count,) to train at, logit-normal (Esser et al. 2024, eq. 19), one from each of ``count`` parts.

    Args:
        count: How many.
        mean: Of log(t / (1 − t)); above 0 there is more noise than image.
        spread: Its standard deviation.
        source: Of randomness.
    """
    return torch.sigmoid(mean + spread * schedule.normal(count, source)).clamp(max=1.0)


def spaced(evaluations: int, *, shift: float) -> list[float]:
    """Return the times at which a network is asked, from 1 down, and 0 at the end.

    Evenly spaced times u are moved to ``t = u / (u + (1 − u) / shift)``: a shift above 1 spends more of them where
    there is more noise, below 1 where there is less (Esser et al. 2024, eq. 23).
    """
    even = [1 - i / evaluations for i in range(evaluations + 1)]
    return [u / (u + (1 - u) / shift) for u in even]


def drawn(noise: Tensor, clean_at: CleanAt, *, evaluations: int, shift: float) -> Tensor:
    """Return images by a second-order multistep solver of ``dx/dt = (x − x_0) / t``.

    DPM-Solver++(2M) (Lu et al. 2022, algorithm 2) on the straight path, in steps of ``log((1 − t) / t)``: exact where
    the guess is constant, else of second order. The first two steps, after the place where the logarithm is −∞, and
    the last, which shows the guess itself, are of first order.

    Args:
        noise: Standard normal, the shape of the images.
        clean_at: The network's guess.
        evaluations: How often it is asked.
        shift: See :func:`spaced`.
    """
    path = spaced(evaluations, shift=shift)
    image, before, last = noise, None, math.inf
    for t, following in pairwise(path):
        clean = clean_at(image, t)
        if following == 0:
            return clean
        width = _log_ratio(following) - _log_ratio(t)
        toward = clean if before is None else clean + (clean - before) * width / (2 * last)
        kept = following / t
        image = kept * image + (1 - following - kept * (1 - t)) * toward
        before, last = clean, width
    return image


def _log_ratio(t: float) -> float:
    """Return log((1 − t) / t), half the logarithm of the signal-to-noise ratio."""
    return math.log((1 - t) / t) if t < 1 else -math.inf
