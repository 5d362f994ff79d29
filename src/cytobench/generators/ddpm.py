"""Denoising diffusion: a U-Net that learns to take noise away, drawn from in 20 evaluations.

Ho et al. 2020 (the model), Salimans & Ho 2022 (v-prediction), Nichol & Dhariwal 2021 and Lin et al. 2024 (a cosine
schedule that ends in pure noise), Hang et al. 2023 (min-SNR weights), Lu et al. 2022 (DPM-Solver++). The ``paper``
profile is the U-Net of the WBC-USID benchmark with its 1,000 steps; ``sampler = "ancestral"`` with ``evaluations =
1000`` draws as Ho et al. do.
"""

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cytobench.generators import arithmetic, sampling, saved, schedule
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
from cytobench.generators.fitting import Learner, fit, follow, seeded
from cytobench.generators.guess import Gaussian, Guess, White
from cytobench.generators.solvers import ancestral, dpm_solver
from cytobench.generators.unet import UNet
from cytobench.progress import Tick
from cytobench.registry import plugin


class DdpmConfig(GeneratorConfig):
    """What a DDPM is made of."""

    channels: tuple[int, ...]
    """Width of each level of the U-Net, from fine to coarse."""
    blocks: int
    """Residual blocks of each level, down and up alike."""
    patch: int
    """Side of the squares of pixels that are folded into channels before the U-Net, pixels; 1 folds nothing."""
    attention_side: int
    """Attention at the levels whose maps have at most this side, map pixels."""
    components: int = 0
    """Principal components of the Gaussian guess that the U-Net improves on; 0 for none: plain v-prediction."""
    noise_steps: int = 1000
    """T, the steps from a clean image to pure noise."""
    gamma: float | None = 5.0
    """Where min-SNR weighting cuts: steps whose SNR + 1 is above this count less; null weighs all alike."""
    average: float
    """Decay of the moving average of the weights, per step; its horizon is 1 / (1 − average) steps."""
    sampler: Literal["dpm-solver++", "ancestral"] = "dpm-solver++"
    """How images are drawn: a second-order solver, or with new noise at every step as in Ho et al. 2020."""
    evaluations: int = 20
    """Evaluations of the U-Net for one image; at most ``noise_steps``."""
    precision: Precision = "auto"
    """Of the arithmetic inside the U-Net."""


@plugin("generator", "ddpm")
class Ddpm:
    """Denoising diffusion with an attention U-Net, v-prediction and 20-step DPM-Solver++ sampling."""

    conditioning: ClassVar[Conditioning] = "none"
    config_type: ClassVar[type[GeneratorConfig]] = DdpmConfig

    def __init__(self, config: DdpmConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.side = sampling.canvas(image_size, config.patch * 2 ** (len(config.channels) - 1))
        self.levels = schedule.signal_and_noise(config.noise_steps).float()  # (2, T)
        self.layout = arithmetic.layout(config.precision, device)
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
        network = seeded(seed, self._build)
        if isinstance(network.guess, Gaussian):
            network.guess.learn(sampling.to_canvas(images, self.side).to(self.device).float() / 127.5 - 1)
        average = copy.deepcopy(network).requires_grad_(False)
        optimizer = torch.optim.Adam(network.parameters(), lr=self.config.learning_rate, betas=(0.9, 0.99), fused=True)

        def learn(clean: Tensor, classes: Tensor, source: torch.Generator) -> Tensor:
            step = schedule.stratified(len(clean), self.config.noise_steps, source)
            noise = torch.randn(clean.shape, generator=source).to(self.device)
            a, s = self.levels[:, step, None, None, None].to(self.device)  # each (B, 1, 1, 1)
            guess, told = self._ask(network, a * clean + s * noise, step, classes)
            wrong = told - (clean - guess.clean) / guess.error
            loss = (schedule.weights(s, self.config.gamma) * wrong**2).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            follow(average, network, self.config.average)
            return loss.detach()

        learner = Learner({"network": network, "average": average}, {"network": optimizer}, learn)
        fit(
            learner, images, labels, config=self.config, side=self.side, seed=seed, partial=partial, tick=tick,
            device=self.device,
        )  # fmt: skip
        self.network = average

    @torch.no_grad()
    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        if self.network is None:
            raise saved.not_fitted("ddpm")
        config, network = self.config, self.network
        labels = torch.full((config.chunk,), label, device=self.device)

        def clean_at(image: Tensor, step: int) -> Tensor:
            guess, told = self._ask(network, image, torch.full((config.chunk,), step), labels)
            return (guess.clean + guess.error * told).clamp(-1, 1)

        def draw(number: int) -> NDArray[np.uint8]:
            source = sampling.noise_source(seed, label, number)
            noise = torch.randn((config.chunk, 3, self.side, self.side), generator=source).to(self.device)
            size = {"evaluations": config.evaluations, "noise_steps": config.noise_steps}
            if config.sampler == "ancestral":
                return sampling.from_canvas(ancestral(noise, clean_at, source=source, **size), self.image_size)
            return sampling.from_canvas(dpm_solver(noise, clean_at, **size), self.image_size)

        return sampling.in_chunks(indices, chunk=config.chunk, draw=draw)

    def save(self, folder: Path) -> None:
        """Write the averaged weights as safetensors and the configuration as JSON."""
        if self.network is None:
            raise saved.not_fitted("ddpm")
        saved.write(
            folder, self.network.state_dict(), config=self.config, image_size=self.image_size, classes=self.classes
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(DdpmConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = seeded(0, ours._build).eval()
        ours.network.load_state_dict(found.tensors)
        return ours

    def _build(self) -> "Denoiser":
        config = self.config
        unet = UNet(
            config.channels, blocks=config.blocks, patch=config.patch, side=self.side,
            attention_side=config.attention_side, classes=self.classes,
        )  # fmt: skip
        guess = Gaussian(config.components, side=self.side) if config.components else White()
        return Denoiser(unet.to(memory_format=self.layout), guess).to(self.device)

    def _ask(self, network: "Denoiser", noised: Tensor, step: Tensor, labels: Tensor) -> tuple[Guess, Tensor]:
        """Return the guess at images at steps (B,) of the schedule, and the U-Net's correction in standard errors."""
        a, s = self.levels[:, step, None, None, None].to(self.device)
        guess: Guess = network.guess(noised, a, s)
        time = step.to(self.device, torch.float32) / self.config.noise_steps
        with arithmetic.autocast(self.config.precision, self.device):
            told: Tensor = network.unet(guess.shown.contiguous(memory_format=self.layout), time, labels)
        return guess, told.float()


class Denoiser(nn.Module):
    """A guess without a network, and the U-Net that improves on it."""

    def __init__(self, unet: UNet, guess: Gaussian | White) -> None:
        super().__init__()
        self.unet, self.guess = unet, guess
