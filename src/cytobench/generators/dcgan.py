"""A deep convolutional generative adversarial network.

Radford et al. 2016: strided convolutions, batch norm in both networks, LeakyReLU in the discriminator, weights that
begin as N(0, 0.02²). Added: spectral norm in the discriminator (Miyato et al. 2018), two learning rates (Heusel et al.
2017), a moving average of the generator's weights, and, for few images, shifts of what the discriminator sees (Zhao et
al. 2020). The discriminator judges real and drawn images in separate passes, so that its batch norm sees when all
drawn ones are alike: on 400 real cells the same network without it, under a hinge loss, drew one cell over and over.
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import one_hot, softplus
from torch.nn.utils.parametrizations import spectral_norm

from cytobench.generators import arithmetic, sampling, saved
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import Conditioning, GeneratorConfig, Profile
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
    shift: float = 0.0
    """Largest shift of what the discriminator sees, real or drawn, as a part of the side; 0 for none."""
    average: float
    """Decay of the moving average of the generator's weights, per step."""
    precision: Precision = "auto"
    """Of the arithmetic inside the networks."""


@plugin("generator", "dcgan")
class Dcgan:
    """Deep convolutional GAN with spectral norm and a moving average of the weights."""

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
        draw_step = torch.optim.Adam(drawer.parameters(), lr=config.learning_rate, betas=(0.5, 0.99), fused=True)
        judge_step = torch.optim.Adam(
            judge.parameters(), lr=config.discriminator_rate * config.learning_rate, betas=(0.5, 0.99), fused=True
        )

        def learn(real: Tensor, _classes: Tensor, source: torch.Generator) -> Tensor:
            noise = torch.randn(len(real), config.latent, generator=source).to(self.device)
            moves = [shifts(len(real), int(config.shift * self.side), source) for _ in range(3)]
            with arithmetic.autocast(self.config.precision, self.device):
                drawn = drawer(noise)
                on_real = judge(shifted(real, moves[0])).float()
                on_drawn = judge(shifted(drawn.detach(), moves[1])).float()
            judge_loss = softplus(-on_real).mean() + softplus(on_drawn).mean()
            judge_step.zero_grad()
            judge_loss.backward()  # type: ignore[no-untyped-call]
            judge_step.step()
            judge.requires_grad_(False)
            with arithmetic.autocast(self.config.precision, self.device):
                draw_loss = softplus(-judge(shifted(drawn, moves[2])).float()).mean()
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
        return judge(_widths(self.config.width, self.levels), base).to(self.device)


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


def judge(widths: Sequence[int], base: int) -> nn.Sequential:
    """Return the network from images (B, 3, S, S) to scores (B, 1); arguments as in :func:`drawer`."""
    layers: list[nn.Module] = []
    for before, after in pairwise([3, *widths]):
        layers.append(spectral_norm(_begun(nn.Conv2d(before, after, 4, stride=2, padding=1))))
        layers += [nn.BatchNorm2d(after)] if layers[1:] else []  # not next to the pixels
        layers.append(nn.LeakyReLU(0.2, inplace=True))
    return nn.Sequential(*layers, spectral_norm(_begun(nn.Conv2d(widths[-1], 1, base))), nn.Flatten())


def shifts(count: int, most: int, source: torch.Generator) -> Tensor:
    """Return whole shifts (count, 2) from −most to most, pixels."""
    return torch.randint(-most, most + 1, (count, 2), generator=source)


def shifted(images: Tensor, moves: Tensor) -> Tensor:
    """Return images (B, C, S, S), each moved by its own (rows, columns); what is left bare shows the edge pixels."""
    S = images.shape[-1]
    line = torch.arange(S)
    picked = (line - moves[:, :, None]).clamp(0, S - 1)  # (B, 2, S): which row and column each place shows
    rows, columns = one_hot(picked, S).to(images).unbind(1)  # as products, for which every device has a fixed order
    return rows[:, None] @ images @ columns[:, None].transpose(-1, -2)


def _begun(layer: T) -> T:
    """Return a convolution with weights from N(0, 0.02²)."""
    nn.init.normal_(layer.weight, std=0.02)
    return layer


def _widths(width: int, levels: int) -> list[int]:
    return [width * min(2**level, 8) for level in range(levels)]
