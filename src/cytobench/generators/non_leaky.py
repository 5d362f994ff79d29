"""Augmentation that a generator is told of, so that it learns from altered images and draws unaltered ones.

Karras et al. 2022, appendix F.2: every alteration is made with some probability, and its amounts are given to the
network; asked with amounts of 0, it draws what was never altered. Flips and quarter turns are not among them: a smear
has no up or down, so they may leak (see :func:`cytobench.generators.fitting.turned`).
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

FACTS = 9
"""Numbers that tell what was done to an image."""

ZOOM, MOVE, BRIGHT, CONTRAST = 0.2, 0.125, 0.2, 0.5
"""Standard deviations: of log₂ of the size, of the shift as a part of the side, of the brightness, of log₂ contrast."""

GREY = (0.299, 0.587, 0.114)


def altered(images: Tensor, probability: float, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return images (B, 3, S, S) in [−1, 1], altered, and what was done, (B, FACTS).

    Each of rotation, size, place, brightness, contrast and saturation is changed with the probability; what comes in
    from beyond the edge mirrors the image.

    Args:
        images: Real ones.
        probability: Of each alteration; 0 changes nothing.
        source: Of randomness, on the CPU.
    """
    count = len(images)

    def amounts(spread: float) -> Tensor:
        chosen = torch.rand(count, generator=source) < probability
        return torch.randn(count, generator=source) * spread * chosen

    turned = (torch.rand(count, generator=source) * 2 - 1) * math.pi
    turned = turned * (torch.rand(count, generator=source) < probability)
    zoom, right, down = amounts(ZOOM), amounts(MOVE), amounts(MOVE)
    bright, contrast, saturation = amounts(BRIGHT), amounts(CONTRAST), amounts(CONTRAST)
    moving = (turned != 0) | (zoom != 0) | (right != 0) | (down != 0)
    images = _where(
        moving, images, lambda some: _moved(some, turned[moving], 2 ** zoom[moving], right[moving], down[moving])
    )
    colouring = (bright != 0) | (contrast != 0) | (saturation != 0)
    images = _where(
        colouring,
        images,
        lambda some: _coloured(some, bright[colouring], 2 ** contrast[colouring], 2 ** saturation[colouring]),
    )
    # an angle as sine and cosine: a full turn is no turn
    told = [turned.sin(), turned.cos() - 1, zoom / ZOOM, right / MOVE, down / MOVE]
    told += [bright / BRIGHT, contrast / CONTRAST, saturation / CONTRAST, (turned != 0).float()]
    return images, torch.stack(told, 1).to(images)


def untouched(count: int, device: torch.device) -> Tensor:
    """Return what is told of images that nothing was done to, (count, FACTS)."""
    return torch.zeros(count, FACTS, device=device)


def _where(chosen: Tensor, images: Tensor, alter: Callable[[Tensor], Tensor]) -> Tensor:
    """Return images of which the chosen (B,) are altered; the others keep every bit."""
    rows = chosen.nonzero()[:, 0].to(images.device)
    return images.index_copy(0, rows, alter(images[rows])) if len(rows) else images


def _moved(images: Tensor, angle: Tensor, size: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Return images turned by angles (radians), enlarged and shifted (parts of the side); all of (B,)."""
    cos, sin = angle.cos() / size, angle.sin() / size
    # where each place of the new image lies in the old one, in units of half a side
    back = torch.stack([torch.stack([cos, sin, -2 * right], 1), torch.stack([-sin, cos, -2 * down], 1)], 1)
    grid = affine_grid(back.to(images), list(images.shape), align_corners=False)
    return grid_sample(images, grid, padding_mode="reflection", align_corners=False)


def _coloured(images: Tensor, bright: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Return images with another brightness, contrast and saturation; all of (B,)."""
    bright, contrast, saturation = (one.to(images)[:, None, None, None] for one in (bright, contrast, saturation))
    grey = (images * images.new_tensor(GREY)[:, None, None]).sum(1, keepdim=True)
    return (grey + (images - grey) * saturation) * contrast + bright
