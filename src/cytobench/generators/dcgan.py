"""A deep convolutional generative adversarial network.

Radford et al. 2016: strided convolutions, batch norm in both networks, LeakyReLU in the discriminator, weights that
begin as N(0, 0.02²). Added: spectral norm in the discriminator (Miyato et al. 2018) or a penalty on its slope at real
images (R₁, Mescheder et al. 2018), two learning rates (Heusel et al. 2017), a moving average of the generator's
weights, and, for few images, differentiable augmentation (Zhao et al. 2020). The discriminator judges real and drawn
images in separate passes, so that its batch norm sees when all drawn ones are alike: on 400 real cells the same network
without it, under a hinge loss, drew one cell over and over.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from cytobench.generators import arithmetic, sampling, saved
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
from cytobench.generators.diff_augment import Kind, altered, chosen
from cytobench.generators.fitting import Learner, fit, follow, seeded
from cytobench.progress import Tick
from cytobench.registry import plugin

T = TypeVar("T", nn.Conv2d, nn.ConvTranspose2d)


class DcganConfig(GeneratorConfig):
    """What a DCGAN is made of."""

    latent: int = 128
    """Numbers that an image is drawn from."""
    width: int
    """Channels at the finest level; each coarser one has twice as many, up to ``8 · width``."""
    discriminator_rate: float = 2.0
    """Learning rate of the discriminator, relative to the generator's (two time scales, Heusel et al. 2017)."""
    stabiliser: Literal["spectral", "r1", "both", "none"] = "spectral"
    """What keeps the discriminator from becoming too steep: spectral norm of its weights, a penalty on its slope at
    real images, both or none."""
    r1_weight: float = Field(default=1.0, ge=0)
    """γ of the penalty ``γ / 2 · |∇D|²``."""
    r1_part: float = Field(default=1.0, gt=0, le=1)
    """Part of each step's real images at which the slope is taken, never less than two. What a lazy penalty saves by
    skipping steps is saved evenly, and the penalty expects the same."""
    augment: tuple[Kind, ...] = ()
    """What is altered in all that the discriminator sees, real or drawn: translation, cutout, colour."""
    strength: float = Field(default=1.0, ge=0, le=2)
    """Of these alterations; 1 for the ranges of Zhao et al. 2020."""
    betas: tuple[float, float] = (0.5, 0.99)
    """Decay of Adam's averages of the slope and of its square, per step."""
    average: float
    """Decay of the moving average of the generator's weights, per step."""
    precision: Precision = "auto"
    """Of the arithmetic inside the networks."""


@plugin("generator", "dcgan")
class Dcgan:
    """Deep convolutional GAN with spectral norm or R1, differentiable augmentation on demand, averaged weights."""

    conditioning: ClassVar[Conditioning] = "none"
    config_type: ClassVar[type[GeneratorConfig]] = DcganConfig

    def __init__(self, config: DcganConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.levels = max(1, int(math.log2(image_size / 4)))
        self.side = sampling.canvas(image_size, 2**self.levels)
        self.network: nn.Module | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> DcganConfig:
        """Return the configuration of a profile."""
        if name == "paper":
            return DcganConfig(
                steps=100_000, batch=128, learning_rate=2e-4, chunk=sampling.chunk_for(image_size), width=64,
                discriminator_rate=1.0, average=0.999,
            )  # fmt: skip
        if name == "standard":
            return DcganConfig(
                steps=10_000, batch=32, learning_rate=4e-4, chunk=sampling.chunk_for(image_size), width=16,
                average=0.99,
            )  # fmt: skip
        return DcganConfig(
            steps=250, batch=8, learning_rate=1e-3, chunk=50, width=16, latent=64, average=0.95,
            precision="float32",
        )  # fmt: skip

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); see the contract."""
        config = self.config
        drawer, judge = seeded(seed, lambda: (self._drawer(), self._judge()))
        average = copy.deepcopy(drawer).requires_grad_(False)
        draw_step = torch.optim.Adam(drawer.parameters(), lr=config.learning_rate, betas=config.betas, fused=True)
        judge_step = torch.optim.Adam(
            judge.parameters(), lr=config.discriminator_rate * config.learning_rate, betas=config.betas, fused=True
        )

        def learn(real: Tensor, _classes: Tensor, source: torch.Generator) -> Tensor:
            noise = torch.randn(len(real), config.latent, generator=source).to(self.device)
            choices = iter([chosen(len(real), source) for _ in range(3)])

            def seen(images: Tensor) -> Tensor:
                return altered(images, next(choices), config.augment, config.strength)

            with arithmetic.autocast(config.precision, self.device):
                drawn = drawer(noise)
            shown = seen(real)
            with arithmetic.autocast(config.precision, self.device):
                on_real = judge(shown).float()
                on_drawn = judge(seen(drawn.detach())).float()
            judge_loss = softplus(-on_real).mean() + softplus(on_drawn).mean()
            if config.stabiliser in ("r1", "both"):
                some = max(2, math.ceil(config.r1_part * len(real)))
                judge_loss = judge_loss + config.r1_weight * slope_penalty(judge, shown[:some])
            judge_step.zero_grad()
            judge_loss.backward()  # type: ignore[no-untyped-call]
            judge_step.step()
            judge.requires_grad_(False)
            with arithmetic.autocast(config.precision, self.device):
                draw_loss = softplus(-judge(seen(drawn)).float()).mean()
            draw_step.zero_grad()
            draw_loss.backward()  # type: ignore[no-untyped-call]
            draw_step.step()
            judge.requires_grad_(True)
            follow(average, drawer, config.average)
            both: Tensor = judge_loss + draw_loss
            return both.detach()

        learner = Learner(
            {"drawer": drawer, "judge": judge, "average": average}, {"drawer": draw_step, "judge": judge_step}, learn
        )
        fit(
            learner, images, labels, config=config, side=self.side, seed=seed, partial=partial, tick=tick,
            device=self.device,
        )  # fmt: skip
        self.network = average

    @torch.no_grad()
    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        if self.network is None:
            raise saved.not_fitted("dcgan")
        network = self.network

        def draw(number: int) -> NDArray[np.uint8]:
            source = sampling.noise_source(seed, label, number)
            noise = torch.randn(self.config.chunk, self.config.latent, generator=source).to(self.device)
            with arithmetic.autocast(self.config.precision, self.device):
                return sampling.from_canvas(network(noise), self.image_size)

        return sampling.in_chunks(indices, chunk=self.config.chunk, draw=draw)

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors and the configuration as JSON."""
        if self.network is None:
            raise saved.not_fitted("dcgan")
        saved.write(
            folder, self.network.state_dict(), config=self.config, image_size=self.image_size, classes=self.classes
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(DcganConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = seeded(0, ours._drawer).eval()
        ours.network.load_state_dict(found.tensors)
        return ours

    def _drawer(self) -> nn.Module:
        base = self.side // 2**self.levels
        return drawer(self.config.latent, _widths(self.config.width, self.levels), base).to(self.device)

    def _judge(self) -> nn.Module:
        base = self.side // 2**self.levels
        spectral = self.config.stabiliser in ("spectral", "both")
        return judge(_widths(self.config.width, self.levels), base, spectral=spectral).to(self.device)


def drawer(latent: int, widths: Sequence[int], base: int) -> nn.Sequential:
    """Return the network from noise (B, latent) to images (B, 3, S, S), S = base · 2^levels.

    Args:
        latent: Numbers that an image is drawn from.
        widths: Channels of each level, from fine to coarse.
        base: Side of the coarsest map.
    """
    coarse, *_ = coarse_to_fine = list(reversed(widths))
    layers: list[nn.Module] = [
        nn.Unflatten(1, (latent, 1, 1)),
        _begun(nn.ConvTranspose2d(latent, coarse, base, bias=False)),
        nn.BatchNorm2d(coarse),
        nn.ReLU(inplace=True),
    ]
    for before, after in pairwise(coarse_to_fine):
        layers += [
            _begun(nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        ]
    layers += [_begun(nn.ConvTranspose2d(coarse_to_fine[-1], 3, 4, stride=2, padding=1)), nn.Tanh()]
    return nn.Sequential(*layers)


def judge(widths: Sequence[int], base: int, *, spectral: bool) -> nn.Sequential:
    """Return the network from images (B, 3, S, S) to scores (B, 1); arguments as in :func:`drawer`.

    Args:
        widths: Channels of each level, from fine to coarse.
        base: Side of the coarsest map.
        spectral: Whether the weights of each layer are held to spectral norm 1.
    """

    def held(layer: nn.Conv2d) -> nn.Module:
        return spectral_norm(_begun(layer)) if spectral else _begun(layer)

    layers: list[nn.Module] = []
    for before, after in pairwise([3, *widths]):
        layers.append(held(nn.Conv2d(before, after, 4, stride=2, padding=1)))
        layers += [nn.BatchNorm2d(after)] if layers[1:] else []  # not next to the pixels
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers, held(nn.Conv2d(widths[-1], 1, base)), nn.Flatten())


def slope_penalty(judge: nn.Module, real: Tensor) -> Tensor:
    """Return half the mean squared slope of the scores at real images (B, 3, S, S) (Mescheder et al. 2018, eq. 9).

    In float32. Scores of a network with batch norm depend on the whole batch; the slope is that of their sum.
    """
    real = real.detach().float().requires_grad_()
    (slope,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
    return slope.square().flatten(1).sum(1).mean() / 2


def _begun(layer: T) -> T:
    """Return a convolution with weights from N(0, 0.02²)."""
    nn.init.normal_(layer.weight, std=0.02)
    return layer


def _widths(width: int, levels: int) -> list[int]:
    return [width * min(2**level, 8) for level in range(levels)]
