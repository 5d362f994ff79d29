"""Pictures and prompts as a base model sees them: computed once, since neither changes while an adapter is trained."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from cytobench.generators.fitting import turned

AT_ONCE = 8
"""Pictures that the autoencoder is handed together."""


class Moments(NamedTuple):
    """What the autoencoder makes of N pictures in each of V positions (1, or the square's 8 symmetries)."""

    mean: Tensor
    """(V, N, C, h, w), scaled as the U-Net expects it, on the CPU."""
    deviation: Tensor
    """(V, N, C, h, w), of the normal distribution that latents are drawn from."""

    def drawn(self, position: Tensor, row: Tensor, source: torch.Generator) -> Tensor:
        """Return latents (B, C, h, w) of pictures ``row`` (B,) in positions (B,)."""
        mean, deviation = self.mean[position, row], self.deviation[position, row]
        return mean + deviation * torch.randn(mean.shape, generator=source)


def to_base(images: NDArray[np.uint8], canvas: int) -> Tensor:
    """Return pictures (N, H, W, 3) as (N, 3, canvas, canvas) in [−1, 1]: a cell keeps its share of the side."""
    return _resized(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()).float() / 127.5 - 1, canvas)


def from_base(pictures: Tensor, image_size: int) -> NDArray[np.uint8]:
    """Return pictures (N, 3, S, S) in [−1, 1] as images (N, image_size, image_size, 3), smoothed where smaller."""
    pixels = ((_resized(pictures.float().cpu(), image_size) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).numpy())


@torch.no_grad()
def encoded(vae: Any, images: NDArray[np.uint8], *, canvas: int, turns: bool) -> Moments:
    """Return the latents' distributions of images (N, H, W, 3), of all their flips and turns with ``turns``."""
    means, deviations = [], []
    for position in range(8 if turns else 1):
        for start in range(0, len(images), AT_ONCE):
            some = torch.from_numpy(images[start : start + AT_ONCE].transpose(0, 3, 1, 2).copy())
            placed = turned(some, torch.full((len(some),), position)).permute(0, 2, 3, 1).numpy()
            pictures = to_base(placed, canvas).to(vae.device, vae.dtype)
            distribution = vae.encode(pictures).latent_dist
            means.append(distribution.mean.float().cpu() * vae.config.scaling_factor)
            deviations.append(distribution.std.float().cpu() * vae.config.scaling_factor)
    shape = (8 if turns else 1, len(images), *means[0].shape[1:])
    return Moments(torch.cat(means).reshape(shape), torch.cat(deviations).reshape(shape))


def tokens(tokenizer: Any, prompts: tuple[str, ...]) -> Tensor:
    """Return prompts as token numbers (K, 77), padded."""
    length = tokenizer.model_max_length
    found: Tensor = tokenizer(
        list(prompts), padding="max_length", max_length=length, truncation=True, return_tensors="pt"
    ).input_ids
    return found


def embedded(text_encoder: Any, numbers: Tensor) -> Tensor:
    """Return what the U-Net is told, (K, 77, D), for tokens (K, 77)."""
    hidden: Tensor = text_encoder(numbers.to(text_encoder.device))[0]
    return hidden


def _resized(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    return interpolate(pictures, size=(side, side), mode="bicubic", antialias=True).clamp(-1, 1)
