"""Train the autoencoder of ``mini-sd``: 64-pixel images to latents (4, 16, 16) and back.

The loss is the absolute error of the pixels and of their differences, which keeps edges sharp where the pixels alone
would blur them, the squared error of the hues, which are small numbers but tell an eosinophil from a neutrophil, and a
trace of Kullback–Leibler divergence. No network judges the images. Every step mixes the colours of its images anew, so
that stains which the phantom does not have come back too.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cytobench.generators import arithmetic
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.fitting import Learner, fit
from cytobench.generators.mini_sd import networks
from cytobench.progress import Tick

EDGES = 1.0
"""Weight of the differences between neighbouring pixels beside the pixels themselves."""
HUES = 1.0
"""Weight of the squared errors of red − green and green − blue of 4×4 pixels beside the pixels."""
DIVERGENCE = 1e-5
"""Weight of the Kullback–Leibler divergence, per latent value."""
COLOURS = 0.15
"""How far the colours of an image are mixed while the autoencoder learns; see :func:`recoloured`."""


def train(
    images: NDArray[np.uint8], *, config: GeneratorConfig, seed: int, partial: Path, tick: Tick, device: torch.device
) -> Any:
    """Return the autoencoder trained on images (N, 64, 64, 3), its latents of mean 0 and deviation 1 in every channel.

    Resumes from what an earlier call with the same arguments left in ``partial``.

    Raises:
        TrialFault: The loss is not a number; the step is in the message.
        Interrupted: A stop was asked for.
    """
    network = networks.autoencoder(seed).to(device)

    def loss_of(clean: Tensor, source: torch.Generator) -> Tensor:
        clean = recoloured(clean, COLOURS, source)
        with arithmetic.autocast("auto", device):
            latents = network.encode(clean).latent_dist
            noise = torch.randn(latents.mean.shape, generator=source).to(device)
            again = network.decode(latents.mean + latents.std * noise).sample.float()
        loss: Tensor = faults(again, clean) + DIVERGENCE * latents.kl().mean() / noise[0].numel()
        return loss

    descend(network, loss_of, images, config=config, seed=seed, partial=partial, tick=tick, device=device)
    standardise(network, images[:1024], device)
    return network


def descend(
    learning: nn.Module,
    loss_of: Callable[[Tensor, torch.Generator], Tensor],
    images: NDArray[np.uint8],
    *,
    config: GeneratorConfig,
    seed: int,
    partial: Path,
    tick: Tick,
    device: torch.device,
) -> None:
    """Train a module on images (N, S, S, 3) by the loss of a batch (B, 3, S, S), resuming from ``partial``.

    Raises:
        TrialFault: The loss is not a number; the step is in the message.
        Interrupted: A stop was asked for.
    """
    optimizer = torch.optim.Adam(learning.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True)

    def learn(clean: Tensor, _: Tensor, source: torch.Generator) -> Tensor:
        loss = loss_of(clean, source)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(learning.parameters(), 1.0)
        optimizer.step()
        return loss.detach()

    fit(
        Learner({"learning": learning}, {"learning": optimizer}, learn), images, np.zeros(len(images), np.int64),
        config=config, side=images.shape[1], seed=seed, partial=partial, tick=tick, device=device,
    )  # fmt: skip


def recoloured(images: Tensor, deviation: float, source: torch.Generator) -> Tensor:
    """Return images (B, 3, S, S) in [−1, 1] whose colours are mixed linearly, each image's in its own way.

    The entries of the mixing matrix deviate so far from the identity's, and what is added to each colour from 0.
    """
    count = len(images)
    mix = torch.eye(3) + deviation * torch.randn((count, 3, 3), generator=source)
    shift = deviation * torch.randn((count, 3, 1, 1), generator=source)
    mixed = torch.einsum("bij,bjhw->bihw", mix.to(images.device), images) + shift.to(images.device)
    return mixed.clamp(-1, 1)


def faults(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the weighted error of pixels, neighbours' differences and hues; images (B, 3, S, S)."""
    wrong = ours - theirs
    across, down = wrong.diff(dim=-1), wrong.diff(dim=-2)
    hues = functional.avg_pool2d(wrong, 4).diff(dim=1).square().mean()
    edges = (across.abs().mean() + down.abs().mean()) / 2
    return wrong.abs().mean() + EDGES * edges + HUES * hues


@torch.no_grad()
def latents_of(network: Any, images: NDArray[np.uint8], device: torch.device, *, batch: int = 64) -> Tensor:
    """Return the latents' means (N, 4, 16, 16) of images (N, 64, 64, 3), on the CPU."""
    found = []
    for begin in range(0, len(images), batch):
        pixels = torch.from_numpy(images[begin : begin + batch]).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
        found.append(network.encode(pixels).latent_dist.mean.cpu())
    return torch.cat(found)


@torch.no_grad()
def standardise(network: Any, images: NDArray[np.uint8], device: torch.device) -> None:
    """Give every latent channel mean 0 and deviation 1 on these images; what is decoded stays as it is.

    The 1×1 convolutions on either side of the latents take up the change, so ``scaling_factor`` is 1 and no code that
    uses the autoencoder knows of it.
    """
    latents = latents_of(network, images, device)
    mean, spread = latents.mean((0, 2, 3)).to(device), latents.std((0, 2, 3)).to(device)
    into: nn.Conv2d = network.quant_conv
    back: nn.Conv2d = network.post_quant_conv
    assert into.bias is not None  # as the autoencoder is built
    assert back.bias is not None
    channels = len(mean)
    into.weight[:channels] /= spread[:, None, None, None]
    into.bias[:channels] = (into.bias[:channels] - mean) / spread
    into.bias[channels:] -= 2 * spread.log()  # the logarithm of the variance
    back.bias += (back.weight * mean[None, :, None, None]).sum((1, 2, 3))
    back.weight *= spread[None, :, None, None]


@torch.no_grad()
def psnr(network: Any, images: NDArray[np.uint8], device: torch.device) -> float:
    """Return the peak signal-to-noise ratio of what comes back of images (N, 64, 64, 3), dB."""
    network.to(device)
    latents = latents_of(network, images, device)
    wrong = []
    for begin in range(0, len(images), 64):
        again = network.decode(latents[begin : begin + 64].to(device)).sample.clamp(-1, 1).permute(0, 2, 3, 1).cpu()
        wrong.append(
            ((again + 1) * 127.5 - torch.from_numpy(images[begin : begin + 64]).float()).square().mean((1, 2, 3))
        )
    return float(10 * torch.log10(255**2 / torch.cat(wrong).mean()))
