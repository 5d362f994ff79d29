"""Differentiable augmentation: what a discriminator sees is altered at random, real and drawn images alike.

Zhao et al. 2020. With few images a discriminator learns them by heart; altered ones it can't, and because gradients
pass through the alteration, the generator does not learn to draw altered images. Every image has its own alteration,
drawn from the source that is handed over.
"""

from collections.abc import Collection
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import one_hot

Kind = Literal["translation", "cutout", "colour"]

FURTHEST = 1 / 8
"""Largest shift at strength 1, as a part of the side."""
HOLE = 1 / 2
"""Side of the square that is cut out at strength 1, as a part of the image's."""
COLOUR = (0.5, 1.0, 0.5)
"""Largest change at strength 1: of brightness (added, of a range of 2), of saturation and of contrast (factors)."""


class Chosen(NamedTuple):
    """Random numbers for a batch, in [0, 1)."""

    shift: Tensor
    """Down and to the right, (B, 2)."""
    hole: Tensor
    """Where the centre of the square is, (B, 2)."""
    colour: Tensor
    """Brightness, saturation, contrast, (B, 3)."""


def chosen(count: int, source: torch.Generator) -> Chosen:
    """Return the random numbers for some images."""
    return Chosen(*torch.split(torch.rand(count, 7, generator=source), [2, 2, 3], dim=1))


def altered(images: Tensor, choice: Chosen, kinds: Collection[Kind], strength: float) -> Tensor:
    """Return images (B, 3, S, S) in [−1, 1], each altered as was chosen for it.

    Args:
        images: Real or drawn.
        choice: Of as many images.
        kinds: What is altered; nothing returns the images themselves.
        strength: 1 for the ranges of the paper, 0 for none.
    """
    S = images.shape[-1]
    if "colour" in kinds:
        images = coloured(images, (2 * choice.colour - 1) * torch.tensor(COLOUR) * strength)
    if "translation" in kinds:
        most = int(FURTHEST * strength * S)
        images = shifted(images, (choice.shift * (2 * most + 1)).long() - most)
    if "cutout" in kinds:
        images = holed(images, choice.hole * S, HOLE * strength * S)
    return images


def shifted(images: Tensor, moves: Tensor) -> Tensor:
    """Return images (B, C, S, S), each moved by its own (rows, columns); what is left bare shows the edge pixels.

    The paper leaves it grey. A smear has no grey edge that a discriminator could measure the shift by.
    """
    S = images.shape[-1]
    line = torch.arange(S)
    picked = (line - moves[:, :, None]).clamp(0, S - 1)  # (B, 2, S): which row and column each place shows
    rows, columns = one_hot(picked, S).to(images).unbind(1)  # as products, for which every device has a fixed order
    return rows[:, None] @ images @ columns[:, None].transpose(-1, -2)


def holed(images: Tensor, centres: Tensor, side: float) -> Tensor:
    """Return images (B, C, S, S) with a grey square of a side, in pixels, around centres (B, 2)."""
    places = torch.arange(images.shape[-1]) + 0.5
    inside = (places - centres[:, :, None]).abs() < side / 2  # (B, 2, S)
    rows, columns = inside.to(images).unbind(1)
    return images * (1 - rows[:, None, :, None] * columns[:, None, None, :])


def coloured(images: Tensor, changes: Tensor) -> Tensor:
    """Return images (B, 3, S, S) with other brightness, saturation and contrast (B, 3); changes of 0 leave them."""
    added, saturation, contrast = changes.to(images)[:, :, None, None, None].unbind(1)  # each (B, 1, 1, 1)
    images = images + added
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    level = images.mean((1, 2, 3), keepdim=True)
    return level + (images - level) * (1 + contrast)
