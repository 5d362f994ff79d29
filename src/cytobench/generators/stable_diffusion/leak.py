"""The signal that noise at the last level still holds: its colours and layout are taken from the shots.

Stable Diffusion's schedule leaves a little of the picture in its noisiest latents (a_T = .068), and its U-Net has
learnt to read colour from it. Noise without that trace starts pictures in random stains, which few steps of an adapter
do not unlearn. So the first latents get the trace of the shots: their mean layout, and the mean colour of one of them.

Everaert et al. 2024, Exploiting the Signal-Leak Bias in Diffusion Models; Lin et al. 2024 (the flaw of the schedule).
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from cytobench import checkpoint
from cytobench.errors import IntegrityFault
from cytobench.generators.stable_diffusion.latents import Moments

FILE = "leak.safetensors"
SPREAD = 0.4
"""Deviation of pictures' mean latents in what a base was trained on, where latents have deviation 1."""


class Leak(NamedTuple):
    """What is known of the latents of some shots."""

    layout: Tensor
    """(C, h, w): the mean picture, without its mean."""
    colours: Tensor
    """(N, C): the mean of each picture."""


def measured(moments: Moments) -> Leak:
    """Return the leak of shots, over all their positions."""
    mean = moments.mean.mean(dim=(0, 1))  # (C, h, w)
    return Leak(mean - mean.mean(dim=(1, 2), keepdim=True), moments.mean[0].mean(dim=(2, 3)))


def begun(noise: Tensor, leak: Leak, signal: float, source: torch.Generator) -> Tensor:
    """Return first latents (B, C, h, w): noise, the shots' layout, and the colour of a shot drawn for each.

    The colour's share is what carries it through the base's own reading of noise, whose mean over h · w values has
    deviation 1 / √(h · w): √(a² + s² / (h · w · SPREAD²)) with signal a and noise s = √(1 − a²).

    Args:
        noise: Standard normal (B, C, h, w).
        leak: Of the shots.
        signal: a at the level where drawing starts.
        source: Draws the shots.
    """
    rest = (1 - signal**2) ** 0.5
    share = (signal**2 + rest**2 / (noise[0, 0].numel() * SPREAD**2)) ** 0.5
    colours = leak.colours[torch.randint(len(leak.colours), (len(noise),), generator=source)]  # (B, C)
    centred = noise - noise.mean(dim=(2, 3), keepdim=True)
    first: Tensor = rest * centred + signal * leak.layout + share * colours[:, :, None, None]
    return first


def save(folder: Path, leak: Leak | None) -> None:
    """Write a leak beside its adapter; None is no file."""
    if leak is not None:
        checkpoint.save(folder / FILE, leak._asdict(), {})


def load(folder: Path) -> Leak | None:
    """Read what :func:`save` wrote.

    Raises:
        IntegrityFault: The file is truncated.
    """
    try:
        return Leak(**checkpoint.load(folder / FILE).tensors)
    except FileNotFoundError:
        return None
    except TypeError as error:
        raise IntegrityFault(f"{folder / FILE} is not a generator's", fix="fit the generator again") from error
