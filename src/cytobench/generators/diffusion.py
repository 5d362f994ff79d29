"""What the diffusion plug-ins share: a network that takes noise away, its training, and the drawing of images.

Ho et al. 2020 (the model), Salimans & Ho 2022 (v-prediction), Nichol & Dhariwal 2021 and Lin et al. 2024 (a cosine
schedule that ends in pure noise), Hang et al. 2023 (min-SNR weights), Lu et al. 2022 (DPM-Solver++), Zhao et al. 2023
(UniPC), Ho & Salimans 2022 (guidance without a classifier).
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, model_validator
from torch import Tensor, nn

from cytobench.generators import arithmetic, sampling, saved, schedule
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.fitting import Learner, fit, follow, seeded
from cytobench.generators.guess import Gaussian, Guess, White
from cytobench.generators.labelled_guess import Gaussians, Noisy
from cytobench.generators.solvers import ancestral, dpm_solver, unipc
from cytobench.generators.unet import UNet
from cytobench.progress import Tick


class DiffusionConfig(GeneratorConfig):
    """What a diffusion model is made of."""

    drawing: ClassVar[tuple[str, ...]] = ("sampler", "evaluations", "spacing")

    channels: tuple[int, ...]
    """Width of each level of the U-Net, from fine to coarse."""
    blocks: int = Field(ge=1)
    """Residual blocks of each level, down and up alike."""
    patch: int = Field(ge=1)
    """Side of the squares of pixels that are folded into channels before the U-Net, pixels; 1 folds nothing."""
    attention_side: int
    """Attention at the levels whose maps have at most this side, map pixels."""
    components: int = Field(default=0, ge=0)
    """Principal components of the Gaussian guess, one for each label, that the U-Net improves on; 0 for none."""
    prediction: Literal["v", "epsilon"] = "v"
    """What the U-Net is asked for: the velocity of Salimans & Ho 2022, or the noise as in Ho et al. 2020. At the last
    step, where no signal is left, the noise tells nothing of the image: it is not trained there, and the mean of the
    training images, which is the exact answer, takes its place when images are drawn."""
    noise_steps: int = Field(default=1000, ge=2)
    """T, the steps from a clean image to pure noise."""
    gamma: float | None = Field(default=5.0, gt=0)
    """Where min-SNR weighting cuts: steps with less noise than that count less; null weighs all alike."""
    focus: tuple[float, Annotated[float, Field(gt=0)]] | None = None
    """Mean and standard deviation of log(noise / signal) at the steps that it is trained at, as (−1.2, 1.4): short
    trainings gain much; null trains at every step alike, as Ho et al. 2020 do."""
    betas: tuple[float, float] = (0.9, 0.99)
    """Decay of Adam's averages of the slope and of its square, per step."""
    average: float = Field(ge=0, lt=1)
    """Decay of the moving average of the weights, per step; its horizon is 1 / (1 − average) steps."""
    sampler: Literal["dpm-solver++", "unipc", "ancestral"] = "dpm-solver++"
    """How images are drawn: a solver of second order, or with new noise at every step as in Ho et al. 2020."""
    evaluations: int = Field(default=20, ge=1)
    """Evaluations of the U-Net for one image; at most ``noise_steps``."""
    spacing: float = Field(default=2.0, ge=0.5, le=4)
    """Above 1 more of them are spent where there is less noise, for detail; 1 is even."""
    precision: Precision = "auto"
    """Of the arithmetic inside the U-Net."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if "evaluations" in self.model_fields_set and self.evaluations > self.noise_steps:  # a fit is told of none
            raise ValueError(f"evaluations ({self.evaluations}) can't be more than noise_steps ({self.noise_steps})")
        if self.prediction == "epsilon" and self.components:
            raise ValueError("prediction = epsilon takes no Gaussian guess: set components to 0")
        return self


class Denoiser(nn.Module):
    """A guess at the clean image without a network, and the U-Net that improves on it.

    Args:
        config: What it is made of.
        image_size: Side of the images, pixels.
        labels: How many labels it is told apart by, that of "no class" counted; 1 for none.
        device: Where it computes.
    """

    def __init__(self, config: DiffusionConfig, *, image_size: int, labels: int, device: torch.device) -> None:
        super().__init__()
        self.config, self.image_size, self.device = config, image_size, device
        self.side = side = sampling.canvas(image_size, config.patch * 2 ** (len(config.channels) - 1))
        self.levels = schedule.signal_and_noise(config.noise_steps).float()  # (2, T)
        self.layout = arithmetic.layout(config.precision, device)
        unet = UNet(
            config.channels, blocks=config.blocks, patch=config.patch, side=side,
            attention_side=config.attention_side, classes=labels,
        )  # fmt: skip
        self.unet = unet.to(memory_format=self.layout)
        self.guess = _guess(config, labels, side)
        self.to(device)

    def look_at(self, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
        """Learn what the guess can know of images (N, H, W, 3) without a network."""
        if isinstance(self.guess, White):
            return
        clean = sampling.to_canvas(images, self.side).to(self.device).float() / 127.5 - 1
        if isinstance(self.guess, Gaussian):
            self.guess.learn(clean)
        else:
            self.guess.learn(clean, torch.from_numpy(labels).to(self.device))

    def forward(self, noised: Tensor, step: Tensor, labels: Tensor) -> tuple[Guess, Tensor]:
        """Return the guess at images (B, 3, S, S) at steps (B,) of the schedule, and the correction in its errors."""
        a, s = self.levels[:, step, None, None, None].to(self.device)  # each (B, 1, 1, 1)
        guess: Guess = self.guess(noised, a, s, labels)
        time = step.to(self.device, torch.float32) / self.config.noise_steps
        with arithmetic.autocast(self.config.precision, self.device):
            told: Tensor = self.unet(guess.shown.contiguous(memory_format=self.layout), time, labels)
        return guess, told.float()

    def clean_at(self, noised: Tensor, step: int, labels: Tensor) -> Tensor:
        """Return the clean images (B, 3, S, S) that are expected behind noised ones at one step, not clipped."""
        guess, told = self(noised, torch.full((len(noised),), step), labels)
        clean: Tensor = guess.clean + guess.error * told
        return clean

    def loss(self, clean: Tensor, labels: Tensor, source: torch.Generator) -> Tensor:
        """Return the weighted squared error of the correction at random steps, for images (B, 3, S, S)."""
        config = self.config
        noise_predicted = config.prediction == "epsilon"
        # The last step holds no signal, and a bare guess at its noise holds nothing to learn.
        steps = config.noise_steps - noise_predicted
        if config.focus is None:
            step = schedule.stratified(len(clean), steps, source)
        else:
            mean, spread = config.focus
            step = schedule.focused(len(clean), steps, mean=mean, spread=spread, source=source)
        noise = torch.randn(clean.shape, generator=source).to(self.device)
        a, s = self.levels[:, step, None, None, None].to(self.device)
        guess, told = self(a * clean + s * noise, step, labels)
        wrong = told - (clean - guess.clean) / guess.error
        weigh = schedule.noise_weights if noise_predicted else schedule.weights
        loss: Tensor = (weigh(s, config.gamma) * wrong**2).mean()
        return loss


def _guess(config: DiffusionConfig, labels: int, side: int) -> White | Gaussian | Gaussians | Noisy:
    if config.prediction == "epsilon":
        return Noisy(labels, side=side)
    if not config.components:
        return White()
    if labels == 1:
        return Gaussian(config.components, side=side)
    return Gaussians(config.components, labels=labels, side=side)


def train(
    network: Denoiser,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    *,
    unlabelled: float = 0.0,
    seed: int,
    partial: Path,
    tick: Tick,
) -> Denoiser:
    """Train a freshly built network and return the moving average of its weights; see the generator's contract.

    Args:
        network: As built.
        images: Real images (N, H, W, 3).
        labels: Their classes (N,).
        unlabelled: Part of the images whose class is not told: they get the label after the last class.
        seed: Names all randomness.
        partial: Folder of the checkpoint.
        tick: Told of every step.

    Raises:
        UsageFault: There are no images.
        TrialFault: A loss is not a finite number.
        Interrupted: ``tick`` raised it; the state is saved.
    """
    config = network.config
    if len(images):
        network.look_at(images, labels)
    average = copy.deepcopy(network).requires_grad_(False)
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, betas=config.betas, fused=True)
    no_class = network.unet.label.num_embeddings - 1 if network.unet.label is not None else 0

    def learn(clean: Tensor, classes: Tensor, source: torch.Generator) -> Tensor:
        if unlabelled:
            hidden = (torch.rand(len(clean), generator=source) < unlabelled).to(network.device)
            classes = torch.where(hidden, no_class, classes)
        loss = network.loss(clean, classes, source)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        follow(average, network, config.average)
        return loss.detach()

    learner = Learner({"network": network, "average": average}, {"network": optimizer}, learn)
    fit(
        learner, images, labels, config=config, side=network.side, seed=seed, partial=partial, tick=tick,
        device=network.device,
    )  # fmt: skip
    return average


@torch.no_grad()
def drawn(
    network: Denoiser,
    label: int,
    indices: Sequence[int],
    *,
    config: DiffusionConfig,
    guidance: float = 1.0,
    seed: int,
) -> NDArray[np.uint8]:
    """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k.

    Args:
        network: Trained.
        label: The class.
        indices: Numbers of the images.
        config: That of the network; how it draws may differ.
        guidance: How far a guess is led away from what is guessed without a class, which is the label after the last
            class; 1 for not at all, at half the cost (Ho & Salimans 2022, eq. 6 with w = guidance − 1).
        seed: Of all noise.

    Raises:
        UsageFault: An index is negative, or there is none.
    """
    labels = torch.full((config.chunk,), label, device=network.device)

    def clean_at(image: Tensor, step: int) -> Tensor:
        clean = network.clean_at(image, step, labels)
        if guidance != 1:
            assert network.unet.label is not None, "guidance needs a label for no class"
            plain = network.clean_at(image, step, torch.full_like(labels, network.unet.label.num_embeddings - 1))
            clean = plain + guidance * (clean - plain)
        return clean.clamp(-1, 1)

    def draw(number: int) -> NDArray[np.uint8]:
        source = sampling.noise_source(seed, label, number)
        noise = torch.randn((config.chunk, 3, network.side, network.side), generator=source).to(network.device)
        way: dict[str, Any] = {
            "evaluations": config.evaluations, "noise_steps": config.noise_steps, "spacing": config.spacing
        }  # fmt: skip
        if config.sampler == "ancestral":
            image = ancestral(noise, clean_at, source=source, **way)
        else:
            image = (unipc if config.sampler == "unipc" else dpm_solver)(noise, clean_at, **way)
        return sampling.from_canvas(image, network.image_size)

    return sampling.in_chunks(indices, chunk=config.chunk, draw=draw)


def fitted(network: Denoiser | None, name: str) -> Denoiser:
    """Return a plug-in's network.

    Raises:
        UsageFault: It has none yet.
    """
    if network is None:
        raise saved.not_fitted(name)
    return network


def write(folder: Path, network: Denoiser, *, classes: int) -> None:
    """Write the averaged weights as safetensors and, as JSON, what a network is built from again."""
    saved.write(folder, network.state_dict(), config=network.config, image_size=network.image_size, classes=classes)


def filled(build: Callable[[], Denoiser], tensors: Mapping[str, Tensor]) -> Denoiser:
    """Return a network with the weights that :func:`write` wrote, ready to draw."""
    network = seeded(0, build).eval()
    network.load_state_dict(dict(tensors))
    return network
