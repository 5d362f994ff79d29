"""Flow matching for few images: one network for all classes, the straight path, a guess to improve on.

Liu et al. 2023 and Lipman et al. 2023 (the path), Esser et al. 2024 (logit-normal times), Karras et al. 2022 (targets
of unit variance at every noise level, augmentation that does not leak), Karras et al. 2024 (averages of the weights,
chosen after the training), Ho & Salimans 2022 (guidance without a classifier), Wang & Vastola 2024 (the Gaussian guess
that the network improves on: colours and layout are right from the first step).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator
from torch import Tensor, nn

from cytobench.generators import arithmetic, rectified, sampling, saved
from cytobench.generators.arithmetic import Precision
from cytobench.generators.averages import Averages, exponent
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
from cytobench.generators.fitting import Learner, fit, seeded
from cytobench.generators.guess import Guess, White
from cytobench.generators.labelled_guess import Gaussians
from cytobench.generators.non_leaky import FACTS, altered, untouched
from cytobench.generators.unet import UNet
from cytobench.progress import Tick
from cytobench.registry import plugin
from cytobench.seeds import seed_for

HELD_OUT = 16
"""One image of so many is kept out of the training, to choose the average of the weights by."""
JUDGED = 512
"""So many guesses judge an average; no more than the training made, no fewer than there are images to judge by."""


class FlowConfig(GeneratorConfig):
    """What a flow is made of."""

    drawing: ClassVar[tuple[str, ...]] = ("guidance", "evaluations", "shift")

    channels: tuple[int, ...]
    """Width of each level of the U-Net, from fine to coarse."""
    blocks: int = Field(ge=1)
    """Residual blocks of each level, down and up alike."""
    patch: int = Field(ge=1)
    """Side of the squares of pixels that are folded into channels before the U-Net, pixels; 1 folds nothing."""
    attention_side: int = 16
    """Attention at the levels whose maps have at most this side, map pixels."""
    components: int = Field(ge=0)
    """Principal components of each class's Gaussian guess that the U-Net improves on; 0 for none."""
    time_mean: float = -1.2
    """Of log(t / (1 − t)) at which it is trained; above 0 there is more noise than image."""
    time_spread: float = Field(default=1.4, gt=0)
    """Its standard deviation."""
    augment: float = Field(ge=0, le=1)
    """Probability of each alteration of a training image; the network is told of them, so that they do not leak."""
    averages: tuple[float, ...] = Field(default=(0.01, 0.03, 0.06), min_length=1)
    """How far back the moving averages of the weights reach, as parts of the training; the best is taken."""
    unlabelled: float = Field(default=0.1, ge=0, lt=1)
    """Part of the images whose class is not told, so that guidance has something to lead away from."""
    guidance: float = Field(default=1.0, ge=0)
    """How far an image is led from what is drawn without a class; 1 for not at all, at half the cost."""
    evaluations: int = Field(default=20, ge=1)
    """Evaluations of the U-Net for one image."""
    shift: float = Field(default=4.0, gt=0)
    """Above 1 more of them are spent where there is more noise."""
    precision: Precision = "auto"
    """Of the arithmetic inside the U-Net."""

    @field_validator("averages")
    @classmethod
    def _possible(cls, averages: tuple[float, ...]) -> tuple[float, ...]:
        for width in averages:
            exponent(width)
        return averages

    @model_validator(mode="after")
    def _can_be_led(self) -> Self:
        if self.guidance != 1 and not self.unlabelled:
            raise ValueError("guidance other than 1 needs unlabelled above 0: some images that come without a class")
        return self


class Asked(NamedTuple):
    """What the network is asked with, beside the image: each (B, …)."""

    time: Tensor
    """In (0, 1]."""
    label: Tensor
    facts: Tensor


@plugin("generator", "flow")
class Flow:
    """Class-conditional flow matching that improves on a Gaussian guess; augmentation that does not leak."""

    conditioning: ClassVar[Conditioning] = "class"
    config_type: ClassVar[type[GeneratorConfig]] = FlowConfig

    def __init__(self, config: FlowConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.side = sampling.canvas(image_size, config.patch * 2 ** (len(config.channels) - 1))
        self.layout = arithmetic.layout(config.precision, device)
        self.network: Drawer | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> FlowConfig:
        """Return the configuration of a profile."""
        chunk, patch = sampling.chunk_for(image_size), max(1, image_size // 32)
        if name == "paper":
            return FlowConfig(
                steps=200_000, batch=128, learning_rate=3e-4, chunk=chunk, channels=(128, 256, 256), blocks=3,
                patch=patch, components=0, augment=0.12,
            )  # fmt: skip
        if name == "standard":
            return FlowConfig(
                steps=20_000, batch=64, learning_rate=1e-3, chunk=chunk, channels=(64, 128, 256), blocks=2,
                patch=patch, components=60, augment=0.12,
            )  # fmt: skip
        return FlowConfig(
            steps=200, batch=8, learning_rate=4e-3, chunk=25, channels=(16, 32, 32), blocks=1, patch=patch,
            attention_side=8, components=60, augment=0.0, evaluations=14, precision="float32",
        )  # fmt: skip

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); see the contract."""
        config = self.config
        held, taught = _held_out(len(images))
        live = seeded(seed, self._build)
        if isinstance(live.guess, Gaussians):
            live.guess.learn(_canvas(images[taught], self.side).to(self.device), torch.from_numpy(labels[taught]))
        averages = Averages(live, config.averages)
        optimizer = torch.optim.Adam(live.parameters(), lr=config.learning_rate, betas=(0.9, 0.99), fused=True)

        def learn(clean: Tensor, classes: Tensor, source: torch.Generator) -> Tensor:
            clean, facts = altered(clean, config.augment, source)
            hidden = torch.rand(len(clean), generator=source).to(self.device) < config.unlabelled
            loss = self._wrong(live, clean, torch.where(hidden, self.classes, classes), facts, source).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(live.parameters(), 1.0)
            optimizer.step()
            averages.follow(live)
            return loss.detach()

        learner = Learner({"network": live, "averages": averages}, {"network": optimizer}, learn)
        fit(
            learner, images[taught], labels[taught], config=config, side=self.side, seed=seed, partial=partial,
            tick=tick, device=self.device,
        )  # fmt: skip
        judges = _canvas(images[held], self.side).to(self.device), torch.from_numpy(labels[held]).to(self.device)
        number = averages.best(lambda member: self._judged(member, *judges, seed))
        chosen = averages.members[number]
        assert isinstance(chosen, Drawer)
        chosen.average.fill_(config.averages[number])
        self.network = chosen

    @torch.no_grad()
    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        if self.network is None:
            raise saved.not_fitted("flow")
        config, network = self.config, self.network
        told = torch.full((config.chunk,), label, device=self.device)
        facts = untouched(config.chunk, self.device)

        def clean_at(image: Tensor, t: float) -> Tensor:
            time = torch.full((config.chunk,), t, device=self.device)

            def guessed(labels: Tensor) -> Tensor:
                guess, wrong = self._ask(network, image, Asked(time, labels, facts))
                return guess.clean + guess.error * wrong

            clean = guessed(told)
            if config.guidance != 1:
                plain = guessed(torch.full_like(told, self.classes))
                clean = plain + config.guidance * (clean - plain)
            return clean.clamp(-1, 1)

        def draw(number: int) -> NDArray[np.uint8]:
            source = sampling.noise_source(seed, label, number)
            noise = torch.randn((config.chunk, 3, self.side, self.side), generator=source).to(self.device)
            image = rectified.drawn(noise, clean_at, evaluations=config.evaluations, shift=config.shift)
            return sampling.from_canvas(image, self.image_size)

        return sampling.in_chunks(indices, chunk=config.chunk, draw=draw)

    def save(self, folder: Path) -> None:
        """Write the averaged weights as safetensors and the configuration as JSON."""
        if self.network is None:
            raise saved.not_fitted("flow")
        saved.write(
            folder, self.network.state_dict(), config=self.config, image_size=self.image_size, classes=self.classes
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(FlowConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = seeded(0, ours._build).eval()
        ours.network.load_state_dict(found.tensors)
        return ours

    def _build(self) -> "Drawer":
        config = self.config
        labels = self.classes + 1  # the last stands for no class
        unet = UNet(
            config.channels, blocks=config.blocks, patch=config.patch, side=self.side,
            attention_side=config.attention_side, classes=labels, facts=FACTS,
        )  # fmt: skip
        guess = Gaussians(config.components, labels=labels, side=self.side) if config.components else White()
        return Drawer(unet.to(memory_format=self.layout), guess).to(self.device)

    def _ask(self, network: "Drawer", noised: Tensor, asked: Asked) -> tuple[Guess, Tensor]:
        """Return the guess at images on the straight path, and the U-Net's correction in standard errors."""
        a, s = (one[:, None, None, None] for one in rectified.levels(asked.time))
        scale = a + s  # of the path with a + s = 1 to that with a² + s² = 1
        guess: Guess = network.guess(noised * scale, a, s, asked.label)
        with arithmetic.autocast(self.config.precision, self.device):
            shown = guess.shown.contiguous(memory_format=self.layout)
            told: Tensor = network.unet(shown, asked.time, asked.label, asked.facts)
        return guess, told.float()

    def _wrong(
        self, network: "Drawer", clean: Tensor, labels: Tensor, facts: Tensor, source: torch.Generator
    ) -> Tensor:
        """Return squared errors (B, 3, S, S), in variances of the guess, at random times with random noise."""
        config = self.config
        time = rectified.times(len(clean), mean=config.time_mean, spread=config.time_spread, source=source)
        noise = torch.randn(clean.shape, generator=source).to(self.device)
        time = time.to(self.device)
        t = time[:, None, None, None]
        guess, told = self._ask(network, (1 - t) * clean + t * noise, Asked(time, labels, facts))
        return (told - (clean - guess.clean) / guess.error) ** 2

    @torch.no_grad()
    def _judged(self, network: nn.Module, clean: Tensor, labels: Tensor, seed: int) -> float:
        """Return the mean error on images held out (N, 3, S, S), the same noise for every network."""
        assert isinstance(network, Drawer)
        source = torch.Generator().manual_seed(seed_for(seed, "judge"))
        repeats = max(1, min(JUDGED, self.config.steps * self.config.batch) // len(clean))
        total = 0.0
        for _ in range(repeats):
            for some, theirs in zip(torch.split(clean, 64), torch.split(labels, 64), strict=True):
                facts = untouched(len(some), self.device)
                total += float(self._wrong(network, some, theirs, facts, source).mean()) * len(some)
        return total / (repeats * len(clean))


class Drawer(nn.Module):
    """A guess without a network, the U-Net that improves on it, and which average of the training it is."""

    average: Tensor

    def __init__(self, unet: UNet, guess: Gaussians | White) -> None:
        super().__init__()
        self.unet, self.guess = unet, guess
        self.register_buffer("average", torch.zeros(()))


def _held_out(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows that judge the averages and the rows that are learned from; with few images both are all."""
    rows = np.arange(count)
    held = rows % HELD_OUT == HELD_OUT - 1
    return (rows[held], rows[~held]) if held.sum() >= HELD_OUT else (rows, rows)


def _canvas(images: NDArray[np.uint8], side: int) -> Tensor:
    return sampling.to_canvas(images, side).float() / 127.5 - 1
