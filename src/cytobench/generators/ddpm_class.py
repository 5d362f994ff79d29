"""Denoising diffusion, one model for all classes of a partition, told which one to draw.

As :mod:`cytobench.generators.ddpm`, with an embedding of the class beside that of the time: two models for a benchmark
instead of one for each class and partition. Part of the training images come without their class, so that drawing can
be led towards it (Ho & Salimans 2022). Images are picked as often as they occur: a rare class is seen rarely.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator

from cytobench.generators import diffusion, saved
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
from cytobench.generators.ddpm import Ddpm
from cytobench.generators.diffusion import Denoiser, DiffusionConfig
from cytobench.generators.fitting import seeded
from cytobench.progress import Tick
from cytobench.registry import plugin

DEMO_STEPS = 300
"""Of the demo profile: less than its five or more classes take together when each has its own model."""


class DdpmClassConfig(DiffusionConfig):
    """What a class-conditional DDPM is made of."""

    drawing: ClassVar[tuple[str, ...]] = (*DiffusionConfig.drawing, "guidance")

    unlabelled: float = Field(default=0.1, ge=0, lt=1)
    """Part of the training images whose class is not told; guidance leads away from what these teach."""
    guidance: float = Field(default=1.0, ge=0)
    """How far an image is led towards its class; 1 for not at all, at half the cost."""

    @model_validator(mode="after")
    def _can_be_led(self) -> Self:
        if self.guidance != 1 and not self.unlabelled:
            raise ValueError("guidance other than 1 needs unlabelled above 0: some images that come without a class")
        return self


@plugin("generator", "ddpm-class")
class DdpmClass:
    """Class-conditional denoising diffusion: one model for all classes, with guidance on demand."""

    conditioning: ClassVar[Conditioning] = "class"
    config_type: ClassVar[type[GeneratorConfig]] = DdpmClassConfig

    def __init__(self, config: DdpmClassConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.network: Denoiser | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> DdpmClassConfig:
        """Return the configuration of a profile: that of ``ddpm``, for one model in the place of many."""
        found = Ddpm.profile(name, image_size).model_dump()
        return DdpmClassConfig(**found | ({"steps": DEMO_STEPS} if name == "demo" else {}))

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); see the contract."""
        fresh = seeded(seed, self._build)
        self.network = diffusion.train(
            fresh, images, labels, unlabelled=self.config.unlabelled, seed=seed, partial=partial, tick=tick
        )

    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        network = diffusion.fitted(self.network, "ddpm-class")
        config = self.config
        return diffusion.drawn(network, label, indices, config=config, guidance=config.guidance, seed=seed)

    def save(self, folder: Path) -> None:
        """Write the averaged weights as safetensors and the configuration as JSON."""
        diffusion.write(folder, diffusion.fitted(self.network, "ddpm-class"), classes=self.classes)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(DdpmClassConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = diffusion.filled(ours._build, found.tensors)
        return ours

    def _build(self) -> Denoiser:
        return Denoiser(self.config, image_size=self.image_size, labels=self.classes + 1, device=self.device)
