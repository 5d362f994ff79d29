"""What can be guessed of a clean image from its noised one before any network is asked; the network learns the rest.

With the guess and its standard error in hand, the network's target (clean − guess) / error has about unit variance at
every noise level (Karras et al. 2022, section 5). :class:`White` takes pixels for independent with unit variance,
which makes the target −v of Salimans & Ho 2022. :class:`Gaussian` fits a normal distribution to the images, so that
colours and layout are right from the first step (Wang & Vastola 2024: that is what a diffusion model learns first, and
slowly); it makes the demo profile possible. Guesses that know the class: :mod:`cytobench.generators.labelled_guess`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from cytobench.generators.fitting import turned

MOST_IMAGES = 64
"""So many, evenly picked, are enough for the covariance; the cost grows with their cube."""

SMALLEST_VARIANCE = 1e-5
"""Of a frequency; a hundredth of what rounding to 8 bits adds."""


class Guess(NamedTuple):
    """A guess at the clean image."""

    clean: Tensor
    """(B, 3, S, S)."""
    error: Tensor
    """Its standard error, (B, 1, 1, 1)."""
    shown: Tensor
    """What the network is shown, (B, 3, S, S): all that the noised image tells."""


class White(nn.Module):
    """Guess for independent pixels of mean 0 and variance 1."""

    def forward(self, noised: Tensor, a: Tensor, s: Tensor, labels: Tensor | None = None) -> Guess:
        """Return the guess for images at levels a and s (B, 1, 1, 1), a² + s² = 1; labels do not matter."""
        return Guess(a * noised, s, noised)


class Gaussian(nn.Module):
    """Guess for images from one normal distribution: some principal components, and a stationary remainder.

    The remainder's covariance depends on the distance of two pixels only, so it is diagonal in frequency and, in a
    basis of three colours without correlation, one spectrum per colour.

    Args:
        components: How many principal components.
        side: Side of the images, pixels.
    """

    mean: Tensor
    axes: Tensor
    variances: Tensor
    colours: Tensor
    spectrum: Tensor

    def __init__(self, components: int, *, side: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(3, side, side))
        self.register_buffer("axes", torch.zeros(components, 3 * side**2))
        self.register_buffer("variances", torch.zeros(components))
        self.register_buffer("colours", torch.eye(3))
        self.register_buffer("spectrum", torch.ones(3, side, side))

    @torch.no_grad()
    def learn(self, images: Tensor) -> None:
        """Fit to images (N, 3, S, S) in [−1, 1] and to their flips and turns."""
        picked = images[:: -(-len(images) // MOST_IMAGES)]
        views = torch.cat([turned(picked, torch.full((len(picked),), code, device=images.device)) for code in range(8)])
        self.mean.copy_(views.mean(0))
        centred = (views - self.mean).flatten(1)  # (V, D)
        variances, directions = torch.linalg.eigh(centred @ centred.T / len(centred))
        count = min(len(self.variances), len(centred) - 1)
        variances, directions = variances.flip(0)[:count], directions.flip(1)[:, :count]
        real = variances > SMALLEST_VARIANCE * len(self.mean.flatten()) / len(centred)  # equal images span less
        axes = (centred.T @ directions / (variances.clamp(min=1e-12) * len(centred)).sqrt()).T * real[:, None]
        self.variances[:count] = variances * real
        self.axes[:count] = axes
        pixels = (views - self.mean).transpose(0, 1).flatten(1)  # (3, V·S·S)
        self.colours.copy_(torch.linalg.eigh(pixels @ pixels.T).eigenvectors.T)
        rest = self._recolour((centred - centred @ axes.T @ axes).view_as(views))
        power = torch.fft.fft2(rest, norm="ortho").abs().square().mean(0)
        self.spectrum.copy_(power.clamp(min=SMALLEST_VARIANCE))

    def forward(self, noised: Tensor, a: Tensor, s: Tensor, labels: Tensor | None = None) -> Guess:
        """Return the guess for images at levels a and s (B, 1, 1, 1): the posterior's mean (Wiener), for any label."""
        centred = noised - a * self.mean
        flat = centred.flatten(1)
        along = flat @ self.axes.T  # (B, K)
        rest = torch.fft.fft2(self._recolour((flat - along @ self.axes).view_as(noised)))
        filtered = torch.fft.ifft2(rest * _gain(self.spectrum, a, s)).real
        principal = (along * _gain(self.variances, a[:, :, 0, 0], s[:, :, 0, 0])) @ self.axes
        clean = self.mean + principal.view_as(noised) + torch.einsum("ji,bjhw->bihw", self.colours, filtered)
        return Guess(clean, self._error(a, s), clean)

    def _recolour(self, images: Tensor) -> Tensor:
        return torch.einsum("ij,bjhw->bihw", self.colours, images)

    def _error(self, a: Tensor, s: Tensor) -> Tensor:
        """Return the root of the posterior's mean variance, (B, 1, 1, 1)."""
        everything = torch.cat([self.variances, self.spectrum.flatten()])
        left = everything * s.flatten(1) ** 2 / (a.flatten(1) ** 2 * everything + s.flatten(1) ** 2)  # (B, K + D)
        return (left.sum(1) / self.mean.numel()).sqrt()[:, None, None, None]


def _gain(variance: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """Return how much of a noised value is kept, ``a λ / (a² λ + s²)``."""
    return a * variance / (a**2 * variance + s**2)
