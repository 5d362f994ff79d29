"""Denoising diffusion, one model for each class, drawn from in 20 evaluations.

The model and its sources are in :mod:`cytobench.generators.diffusion`. The ``paper`` profile is the U-Net of the
WBC-USID benchmark with its 1,000 steps: five levels of 128, 128, 256, 256 and 512 channels, two residual blocks each on
the way down and up, attention before every change of resolution, strided and transposed convolutions. ``sampler =
"ancestral"`` with ``evaluations = 1000`` draws as Ho et al. 2020 do.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray

from cytobench.generators import diffusion, sampling, saved
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
from cytobench.generators.diffusion import Denoiser, DiffusionConfig
from cytobench.generators.fitting import seeded
from cytobench.progress import Tick
from cytobench.registry import plugin


class DdpmConfig(DiffusionConfig):
    """What a DDPM is made of."""


@plugin("generator", "ddpm")
class Ddpm:
    """Denoising diffusion with an attention U-Net, v- or noise prediction and sampling in 20 evaluations."""

    conditioning: ClassVar[Conditioning] = "none"
    config_type: ClassVar[type[GeneratorConfig]] = DdpmConfig

    def __init__(self, config: DdpmConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.network: Denoiser | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> DdpmConfig:
        """Return the configuration of a profile."""
        if name == "paper":
            return DdpmConfig(
                steps=100_000, batch=64, learning_rate=1e-4, chunk=sampling.chunk_for(image_size),
                channels=(128, 128, 256, 256, 512), blocks=2, patch=1, attention_side=image_size, average=0.9999,
            )  # fmt: skip
        if name == "standard":
            return DdpmConfig(
                steps=20_000, batch=64, learning_rate=4e-4, chunk=sampling.chunk_for(image_size),
                channels=(64, 128, 128), blocks=2, patch=2 if image_size > 32 else 1, attention_side=16, average=0.999,
            )  # fmt: skip
        return DdpmConfig(
            steps=100, batch=4, learning_rate=6e-3, chunk=25, channels=(16, 32, 32), blocks=1, patch=max(1, image_size
            // 32), attention_side=8, components=60, gamma=None, average=0.9, evaluations=14, precision="float32",
        )  # fmt: skip

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); see the contract."""
        fresh = seeded(seed, self._build)
        self.network = diffusion.train(fresh, images, labels, seed=seed, partial=partial, tick=tick)

    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        network = diffusion.fitted(self.network, "ddpm")
        return diffusion.drawn(network, label, indices, config=self.config, seed=seed)

    def save(self, folder: Path) -> None:
        """Write the averaged weights as safetensors and the configuration as JSON."""
        diffusion.write(folder, diffusion.fitted(self.network, "ddpm"), classes=self.classes)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(DdpmConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = diffusion.filled(ours._build, found.tensors)
        return ours

    def _build(self) -> Denoiser:
        return Denoiser(self.config, image_size=self.image_size, labels=self.classes, device=self.device)
