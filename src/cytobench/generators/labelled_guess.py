"""Guesses at the clean image that know its label; see :mod:`cytobench.generators.guess` for what a guess is.

:class:`Gaussians` has one normal distribution for each label, so that what is drawn is of the right class from the
first step. :class:`Noisy` takes all that it sees for signal, which makes the network's target −ε: the noise prediction
of Ho et al. 2020.
"""

import torch
from torch import Tensor, nn

from cytobench.generators.fitting import turned
from cytobench.generators.guess import Gaussian, Guess


class Gaussians(nn.Module):
    """Guess for images from a normal distribution for each label.

    Args:
        components: Principal components of each.
        labels: How many there are.
        side: Side of the images, pixels.
    """

    def __init__(self, components: int, *, labels: int, side: int) -> None:
        super().__init__()
        self.members = nn.ModuleList(Gaussian(components, side=side) for _ in range(labels))

    def learn(self, images: Tensor, labels: Tensor) -> None:
        """Fit to images (N, 3, S, S) in [−1, 1] by label (N,), and to all of them for labels that none has."""
        for label, member in enumerate(self.members):
            assert isinstance(member, Gaussian)
            member.learn(_of(label, images, labels))

    def forward(self, noised: Tensor, a: Tensor, s: Tensor, labels: Tensor) -> Guess:
        """Return the guess for images at levels a and s (B, 1, 1, 1), a² + s² = 1, and their labels (B,)."""
        clean, error = torch.empty_like(noised), torch.empty_like(a)
        for label, member in enumerate(self.members):
            mine = labels == label
            if mine.any():
                guess: Guess = member(noised[mine], a[mine], s[mine])
                clean[mine], error[mine] = guess.clean, guess.error
        return Guess(clean, error, clean)


class Noisy(nn.Module):
    """Guess that there is no noise: the clean image is x / a, and the network's correction is the noise, negated.

    Where a is 0 nothing is seen of the image. The best guess is then the mean of its class, which is kept here, and no
    correction counts; elsewhere errors of the network are s / a times as large in the image.

    Args:
        labels: How many there are.
        side: Side of the images, pixels.
    """

    means: Tensor

    def __init__(self, labels: int, *, side: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(labels, 3, side, side))

    @torch.no_grad()
    def learn(self, images: Tensor, labels: Tensor) -> None:
        """Take the means of images (N, 3, S, S) in [−1, 1], flipped and turned, by label (N,), or of all of them."""
        for label, mean in enumerate(self.means):
            plain = _of(label, images, labels).mean(0, keepdim=True)
            mean.copy_(turned(plain.repeat(8, 1, 1, 1), torch.arange(8, device=plain.device)).mean(0))

    def forward(self, noised: Tensor, a: Tensor, s: Tensor, labels: Tensor) -> Guess:
        """Return the guess for images at levels a and s (B, 1, 1, 1), a² + s² = 1, and their labels (B,)."""
        seen = a > 0
        divisor = torch.where(seen, a, 1)
        return Guess(torch.where(seen, noised / divisor, self.means[labels]), torch.where(seen, s / divisor, 0), noised)


def _of(label: int, images: Tensor, labels: Tensor) -> Tensor:
    """Return the images of a label; all of them when it has none, as the label that stands for no class."""
    mine = images[labels == label]
    return mine if len(mine) else images
