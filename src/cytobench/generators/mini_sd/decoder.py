"""Train the decoder of ``mini-sd`` further, when its latents stay as they are: what the U-Net draws becomes sharper.

Half of the images are mosaics of four at half their size, so that cells smaller than the phantom's come back too, and
the latents get a little noise, as those that a U-Net draws have.
"""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cytobench.generators import arithmetic
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.mini_sd.autoencoder import COLOURS, descend, faults, recoloured
from cytobench.progress import Tick

NOISE = 0.05
"""Deviation of what is added to the latents, whose own is 1."""


def train(
    network: Any,
    images: NDArray[np.uint8],
    *,
    config: GeneratorConfig,
    seed: int,
    partial: Path,
    tick: Tick,
    device: torch.device,
) -> Any:
    """Return a finished autoencoder with a decoder that is trained on images (N, 64, 64, 3); its latents are the same.

    Resumes from what an earlier call with the same arguments left in ``partial``.

    Raises:
        TrialFault: The loss is not a number; the step is in the message.
        Interrupted: A stop was asked for.
    """
    network = copy.deepcopy(network).to(device).requires_grad_(False)
    learning = torch.nn.ModuleDict({"decoder": network.decoder, "before": network.post_quant_conv}).requires_grad_(True)

    def loss_of(clean: Tensor, source: torch.Generator) -> Tensor:
        clean = recoloured(mixed_sizes(clean, source), COLOURS, source)
        with arithmetic.autocast("auto", device):
            with torch.no_grad():
                latents = network.encode(clean).latent_dist.mean
            noise = torch.randn(latents.shape, generator=source).to(device)
            again = network.decode(latents + NOISE * noise).sample.float()
        return faults(again, clean)

    descend(learning, loss_of, images, config=config, seed=seed, partial=partial, tick=tick, device=device)
    return network


def mixed_sizes(images: Tensor, source: torch.Generator) -> Tensor:
    """Return images (B, 3, S, S), S even, half of them as mosaics of four of the batch, each at half its size."""
    count = len(images)
    halves = functional.avg_pool2d(images, 2)[torch.randint(count, (count, 2, 2), generator=source).to(images.device)]
    rows = [torch.cat([halves[:, row, 0], halves[:, row, 1]], dim=-1) for row in range(2)]
    chosen = (torch.rand(count, generator=source) < 0.5).to(images.device)
    return torch.where(chosen[:, None, None, None], torch.cat(rows, dim=-2), images)
