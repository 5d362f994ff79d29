"""A convolutional variational autoencoder with a Gaussian latent.

Kingma & Welling 2014, with the decoder's variance set to its optimum at every step (σ-VAE, Rybkin et al. 2021), which
balances sharpness and prior without a β to tune, and a normal prior fitted to where the encoder places the real images
(Ghosh et al. 2020). An image is the decoder's mean: smooth, as VAEs are. On demand with a fixed β (Higgins et al. 2017)
and with a perceptual loss beside the pixels' (Hou et al. 2017).
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from cytobench.generators import arithmetic, sampling, saved
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import Conditioning, GeneratorConfig, LookedUp, Profile
from cytobench.generators.fitting import Learner, fit, seeded, turned
from cytobench.generators.perceptual import Perceptual, find
from cytobench.progress import Tick
from cytobench.registry import plugin
from cytobench.store import file_sha256


class VaeConfig(GeneratorConfig):
    """What a VAE is made of."""

    latent: int = 64
    """Dimensions of the latent Gaussian."""
    width: int
    """Channels at the finest level; each coarser one has twice as many, up to ``8 · width``."""
    beta: float | None = Field(default=None, ge=0)
    """Weight of the prior against half the squared error of the pixels; null sets the decoder's variance to its best
    value at every step instead."""
    perceptual: float = Field(default=0.0, ge=0)
    """Weight of the perceptual distance, per pixel and colour; 0 for none."""
    features: str = ""
    """File with the network of that distance, torchvision's squeezenet1_0; empty looks into torch's cache."""
    features_sha256: str = ""
    """Hash of that file; written here when it is found, and held to from then on."""
    precision: Precision = "auto"
    """Of the arithmetic inside the networks."""


@plugin("generator", "vae")
class Vae:
    """Convolutional variational autoencoder with a Gaussian latent and an optimal decoder variance."""

    conditioning: ClassVar[Conditioning] = "none"
    config_type: ClassVar[type[GeneratorConfig]] = VaeConfig

    def __init__(self, config: VaeConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.levels = max(1, int(math.log2(image_size / 4)))
        self.side = sampling.canvas(image_size, 2**self.levels)
        self.network: nn.Module | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> VaeConfig:
        """Return the configuration of a profile."""
        if name == "paper":
            return VaeConfig(
                steps=50_000, batch=128, learning_rate=1e-3, chunk=sampling.chunk_for(image_size), latent=128, width=64
            )
        if name == "standard":
            return VaeConfig(
                steps=10_000, batch=64, learning_rate=1e-3, chunk=sampling.chunk_for(image_size), latent=128, width=32
            )
        return VaeConfig(steps=220, batch=16, learning_rate=4e-3, chunk=50, latent=32, width=16, precision="float32")

    @classmethod
    def looked_up(cls, config: VaeConfig, classes: Sequence[str]) -> LookedUp:  # noqa: ARG003  # as the contract has it
        """Return the configuration with the hash of the file that it names; see the contract.

        Raises:
            EnvironmentFault: A perceptual distance is asked for, and its weights are not here.
        """
        if not config.perceptual:
            return LookedUp(config, base="", notes=())
        path = find(config.features)
        found = config.model_copy(update={"features_sha256": file_sha256(path)})
        return LookedUp(found, base="", notes=(f"vae compares images by {path.name}, trained on photographs",))

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); see the contract."""
        distance = self._distance()
        config = self.config
        encode, decode = seeded(seed, lambda: (self._encoder(), self._decoder()))
        optimizer = torch.optim.Adam([*encode.parameters(), *decode.parameters()], lr=config.learning_rate, fused=True)

        def learn(real: Tensor, _classes: Tensor, source: torch.Generator) -> Tensor:
            noise = torch.randn(len(real), config.latent, generator=source).to(self.device)
            with arithmetic.autocast(self.config.precision, self.device):
                mean, log_variance = encode(real).float().chunk(2, 1)
                shown = decode(mean + (log_variance / 2).exp() * noise).float()
            prior = divergence(mean, log_variance).mean()
            if config.beta is None:
                nats = gaussian_nats(real, shown) + prior
            else:
                nats = half_squares(real, shown) + config.beta * prior
            loss = nats / real[0].numel()
            if distance is not None:
                loss = loss + config.perceptual * distance(real, shown).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_([*encode.parameters(), *decode.parameters()], 1.0)
            optimizer.step()
            return loss.detach()

        learner = Learner({"encode": encode, "decode": decode}, {"both": optimizer}, learn)
        fit(
            learner, images, labels, config=config, side=self.side, seed=seed, partial=partial, tick=tick,
            device=self.device,
        )  # fmt: skip
        prior = self._learn_prior(encode, sampling.to_canvas(images, self.side))
        self.network = nn.Sequential(prior, decode).eval()

    @torch.no_grad()
    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        if self.network is None:
            raise saved.not_fitted("vae")
        network = self.network

        def draw(number: int) -> NDArray[np.uint8]:
            source = sampling.noise_source(seed, label, number)
            noise = torch.randn(self.config.chunk, self.config.latent, generator=source).to(self.device)
            with arithmetic.autocast(self.config.precision, self.device):
                return sampling.from_canvas(network(noise), self.image_size)

        return sampling.in_chunks(indices, chunk=self.config.chunk, draw=draw)

    def save(self, folder: Path) -> None:
        """Write the prior and the decoder as safetensors and the configuration as JSON."""
        if self.network is None:
            raise saved.not_fitted("vae")
        saved.write(
            folder, self.network.state_dict(), config=self.config, image_size=self.image_size, classes=self.classes
        )

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        found = saved.read(folder)
        ours = cls(VaeConfig(**found.config), image_size=found.image_size, classes=found.classes, device=device)
        ours.network = nn.Sequential(Prior(ours.config.latent).to(device), seeded(0, ours._decoder)).eval()
        ours.network.load_state_dict(found.tensors)
        return ours

    def _distance(self) -> Perceptual | None:
        """Return the perceptual distance, if any, and write the hash of its network down."""
        if not self.config.perceptual:
            return None
        found = Perceptual(find(self.config.features), self.config.features_sha256).to(self.device)
        self.config = self.config.model_copy(update={"features_sha256": found.sha256})
        return found

    @torch.no_grad()
    def _learn_prior(self, encode: nn.Module, images: Tensor) -> "Prior":
        """Return the prior fitted to images (N, 3, S, S), uint8, and to their flips and turns."""
        means, variances = [], []
        for some in torch.split(images, 64):
            for code in range(8):
                views = turned(some, torch.full((len(some),), code)).to(self.device).float() / 127.5 - 1
                with arithmetic.autocast(self.config.precision, self.device):
                    mean, log_variance = encode(views).float().chunk(2, 1)
                means.append(mean)
                variances.append(log_variance.exp())
        prior = Prior(self.config.latent).to(self.device)
        prior.learn(torch.cat(means), torch.cat(variances))
        return prior

    def _widths(self) -> list[int]:
        return [self.config.width * min(2**level, 8) for level in range(self.levels)]

    def _encoder(self) -> nn.Module:
        """Return the network from images (B, 3, S, S) to means and log variances (B, 2 · latent)."""
        widths, base = self._widths(), self.side // 2**self.levels
        layers: list[nn.Module] = []
        for before, after in pairwise([3, *widths]):
            layers += [nn.Conv2d(before, after, 4, stride=2, padding=1), nn.BatchNorm2d(after), nn.SiLU()]
        return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * base**2, 2 * self.config.latent)).to(
            self.device
        )

    def _decoder(self) -> nn.Module:
        """Return the network from latents (B, latent) to the means of images (B, 3, S, S)."""
        widths, base = self._widths()[::-1], self.side // 2**self.levels
        layers: list[nn.Module] = [
            nn.Linear(self.config.latent, widths[0] * base**2),
            nn.Unflatten(1, (widths[0], base, base)),
        ]
        for before, after in pairwise([*widths, 3]):
            layers += [nn.BatchNorm2d(before), nn.SiLU(), nn.ConvTranspose2d(before, after, 4, stride=2, padding=1)]
        return nn.Sequential(*layers, nn.Tanh()).to(self.device)


class Prior(nn.Module):
    """Turn normal noise (B, latent) into latents with the moments of those that real images are sent to.

    Fitted after training (Ghosh et al. 2020, section 4): after few steps N(0, 1) itself has many places that no real
    image is sent to, and the decoder shows no cell there.
    """

    mean: Tensor
    factor: Tensor

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("factor", torch.eye(latent))

    def learn(self, means: Tensor, variances: Tensor) -> None:
        """Take the moments of a mixture of normals with these means and variances (N, latent)."""
        centred = (means - means.mean(0)).double()
        covariance = centred.T @ centred / len(means) + variances.double().mean(0).diag()
        self.mean.copy_(means.mean(0))
        self.factor.copy_(torch.linalg.cholesky(covariance))

    def forward(self, noise: Tensor) -> Tensor:
        """Return latents for noise (B, latent)."""
        return self.mean + noise @ self.factor.T


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return KL(N(mean, variance) ‖ N(0, 1)) in nats, (B,) (Kingma & Welling 2014, appendix B)."""
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(1)


def gaussian_nats(real: Tensor, shown: Tensor) -> Tensor:
    """Return −log N(real; shown, σ²) per image in nats, at the best σ²: the mean squared error (Rybkin et al. 2021)."""
    variance = ((real - shown) ** 2).mean().clamp(min=1e-6)
    return 0.5 * real[0].numel() * (variance.log() + math.log(2 * math.pi) + 1)


def half_squares(real: Tensor, shown: Tensor) -> Tensor:
    """Return half the sum of squared errors per image: −log N(real; shown, 1) in nats, but for a constant."""
    return 0.5 * ((real - shown) ** 2).flatten(1).sum(1).mean()
