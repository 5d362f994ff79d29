"""Train the U-Net and the text encoder of ``mini-sd`` together, on latents and captions.

ε-prediction with Stable Diffusion's schedule (Rombach et al. 2022), errors weighted by min-SNR (Hang et al. 2023), one
caption in ten empty for classifier-free guidance (Ho & Salimans 2022), moving averages of the weights.
"""

import copy
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytobench.generators import arithmetic
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.fitting import Learner, fit, follow
from cytobench.generators.mini_sd import networks
from cytobench.generators.mini_sd.autoencoder import recoloured
from cytobench.generators.schedule import stratified
from cytobench.progress import Tick

COLOURS = 0.04
"""How far the colours of an image are mixed: stains vary more from laboratory to laboratory than from site a to b."""
EMPTY = 0.1
"""Share of the captions that are left empty."""
GAMMA = 5.0
"""Where min-SNR weighting cuts."""
HORIZON = 0.05
"""Steps over which the weights are averaged, as a share of all steps."""


class Texts(NamedTuple):
    """Captions as tokens' numbers."""

    captions: Tensor
    """(N, versions, 77): several for every image."""
    empty: Tensor
    """(77,): the empty caption."""


def train(
    images: NDArray[np.uint8],
    texts: Texts,
    encoder: Any,
    drawer: nn.ModuleDict,
    *,
    config: GeneratorConfig,
    seed: int,
    partial: Path,
    tick: Tick,
    device: torch.device,
) -> nn.ModuleDict:
    """Return the averaged networks after training on images (N, 64, 64, 3) and their captions.

    Args:
        images: The images; every step flips and turns its own and encodes them anew.
        texts: Captions, in the order of the images.
        encoder: The finished autoencoder; it does not change.
        drawer: What :func:`fresh` builds; it is trained in place.
        config: Steps, batch and learning rate.
        seed: Names all randomness.
        partial: Folder of the checkpoint; an earlier call with the same arguments is resumed.
        tick: Told of every step.
        device: Where it computes.

    Raises:
        TrialFault: The loss is not a number; the step is in the message.
        Interrupted: A stop was asked for.
    """
    live = drawer.to(device)
    average = copy.deepcopy(live).requires_grad_(False)
    encoder.to(device).requires_grad_(False)
    optimizer = torch.optim.AdamW(
        live.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), weight_decay=1e-2, fused=True
    )
    signal = kept()
    captions, empty = texts.captions.to(device), texts.empty.to(device)
    decay = 1 - 1 / max(1.0, HORIZON * config.steps)

    def learn(clean: Tensor, numbers: Tensor, source: torch.Generator) -> Tensor:
        clean = recoloured(clean, COLOURS, source)
        count = len(clean)
        version = torch.randint(captions.shape[1], (count,), generator=source).to(device)
        silent = (torch.rand(count, generator=source) < EMPTY).to(device)
        step = stratified(count, len(signal), source)
        a2 = signal[step, None, None, None].to(device)  # (B, 1, 1, 1)
        ids = torch.where(silent[:, None], empty, captions[numbers, version])  # (B, 77)
        with torch.no_grad(), arithmetic.autocast("auto", device):
            latents = encoder.encode(clean).latent_dist.mean.float()
        noise = torch.randn(latents.shape, generator=source).to(device)
        with arithmetic.autocast(precision(device), device):
            told = live["text_encoder"](ids).last_hidden_state
            guess = live["unet"](a2.sqrt() * latents + (1 - a2).sqrt() * noise, step.to(device), told).sample.float()
        loss: Tensor = (weights(a2) * (guess - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(live.parameters(), 1.0)
        optimizer.step()
        follow(average, live, decay)
        return loss.detach()

    fit(
        Learner({"live": live, "average": average}, {"drawer": optimizer}, learn), images, np.arange(len(images)),
        config=config, side=images.shape[1], seed=seed, partial=partial, tick=tick, device=device,
    )  # fmt: skip
    return average


def kept() -> Tensor:
    """Return ᾱ_t of Stable Diffusion's schedule, (1000,): β rises linearly in its square root."""
    first, last = networks.BETAS
    betas = torch.linspace(first**0.5, last**0.5, networks.NOISE_STEPS, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0).float()


def weights(a2: Tensor) -> Tensor:
    """Return the weight of ε's squared error, ``min(SNR, γ) / SNR`` with SNR = ᾱ / (1 − ᾱ)."""
    return (GAMMA * (1 - a2) / a2).clamp(max=1.0)


def precision(device: torch.device) -> Precision:
    """Return the precision of these small networks: on two processors bfloat16 was no faster than float32."""
    return "auto" if device.type == "cuda" else "float32"


def fresh(vocabulary: int, *, seed: int) -> nn.ModuleDict:
    """Return an untrained ``unet`` and ``text_encoder`` for so many tokens, whose last two are the marks."""
    text_encoder = networks.text_encoder(seed, vocabulary=vocabulary, first=vocabulary - 2, last=vocabulary - 1)
    return nn.ModuleDict({"unet": networks.unet(seed), "text_encoder": text_encoder})
