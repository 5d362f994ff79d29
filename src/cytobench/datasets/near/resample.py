"""Blurring, shrinking and zooming as small matrices: a whole batch is resampled by R @ images @ R.T."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def gaussian(side: int, size: int, blur: float) -> "torch.Tensor":
    """Return (size, side): each of ``size`` evenly spaced values is a Gaussian mean of ``side`` pixels.

    Args:
        side: Pixels before.
        size: Values after.
        blur: Standard deviation, in units of the distance between two values.
    """
    import torch

    centre = (torch.arange(side) + 0.5) / side * size - 0.5
    weight = torch.exp(-((torch.arange(size)[:, None] - centre).square()) / (2 * blur**2))
    return weight / weight.sum(1, keepdim=True)


def zoom(side: int, factor: float) -> "torch.Tensor":
    """Return (side, side): zoom about the centre, linearly interpolated; outside, the margin repeats."""
    import torch

    place = ((torch.arange(side) + 0.5 - side / 2) / factor + side / 2 - 0.5).clamp(0, side - 1)
    left = place.floor().clamp(max=side - 2).long()
    weight = torch.zeros(side, side)
    weight[torch.arange(side), left] = 1 - (place - left)
    weight[torch.arange(side), left + 1] += place - left
    return weight
