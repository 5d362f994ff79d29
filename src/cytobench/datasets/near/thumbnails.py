"""What an image looks like from afar: short rows whose inner product is large for near-duplicates."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.near.resample import gaussian

if TYPE_CHECKING:
    import torch

GRID = 12  # fields per side: a zoom of 10 % moves the outermost by no more than .6 of one
BLUR = 0.8  # fields
WIDTH = 256  # principal components kept; of real cells, 99.9 % of the variance
QUIET = 4.0  # grey levels added to an image's own contrast, so that noise on a blank image is not blown up
PRIOR = 500  # images; a set of fewer says little about what cells have in common
BLOCK = 2048  # images at once


@dataclass(frozen=True)
class Whitening:
    """What the images of a set have in common, to be taken out before they are compared."""

    mean: "torch.Tensor"
    """(3 · GRID²,)"""
    directions: "torch.Tensor"
    """(3 · GRID², WIDTH), divided by how much the set varies along each."""

    def __call__(self, thumbnails: "torch.Tensor") -> NDArray[np.float32]:
        """Return rows of unit length, (N, WIDTH), of thumbnails (N, 3, GRID, GRID); blank images give zeros."""
        rows = (thumbnails.flatten(1) - self.mean) @ self.directions
        blank = thumbnails.flatten(1).abs().amax(1) < 1e-3
        rows[blank] = 0.0
        length = rows.square().sum(1, keepdim=True).sqrt()
        whitened: NDArray[np.float32] = (rows / length.clamp_min(1e-12)).numpy()
        return whitened


def thumbnails(pixels: NDArray[np.uint8]) -> "torch.Tensor":
    """Return blurred small images of equal brightness and contrast, (N, 3, GRID, GRID), of (N, H, W, 3)."""
    import torch

    sample = gaussian(pixels.shape[1], GRID, BLUR)
    small = torch.empty(len(pixels), 3, GRID, GRID)
    for first in range(0, len(pixels), BLOCK):
        block = torch.from_numpy(np.array(pixels[first : first + BLOCK])).permute(0, 3, 1, 2).float()
        small[first : first + BLOCK] = sample @ block @ sample.T
    small -= small.mean((2, 3), keepdim=True)
    return small / (small.square().mean((1, 2, 3), keepdim=True).sqrt() + QUIET)


def whitening(thumbnails: "torch.Tensor") -> Whitening:
    """Learn a set's mean and spread from its thumbnails in all eight orientations.

    Without it "a purple disc on pink" would dominate every comparison. Directions in which the set varies less than
    on average are hardly enlarged: they hold what zooms and shifts change.
    """
    import torch

    count, weight = len(thumbnails), len(thumbnails) / (len(thumbnails) + PRIOR)
    middle = thumbnails.mean(0)
    mean = weight * torch.stack([turned(middle, orientation) for orientation in range(8)]).mean(0).flatten()
    spread = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for orientation in range(8):
        centred = turned(thumbnails, orientation).flatten(1) - mean
        spread += (centred.T @ centred).double() / (8 * count)
    level = spread.diagonal().mean().clamp_min(1e-12)
    spread = weight * spread + (1 - weight) * level * torch.eye(len(mean))
    value, direction = torch.linalg.eigh(spread)
    value, direction = value.flip(0)[:WIDTH], direction.flip(1)[:, :WIDTH]
    return Whitening(mean, (direction / (value.clamp_min(0.0) + level).sqrt()).float())


def turned(images: "torch.Tensor", orientation: int) -> "torch.Tensor":
    """Return images (…, H, W) in one of the square's 8 orientations: quarter turns, from 4 on of the mirrored one."""
    import torch

    mirrored = images.flip(-1) if orientation >= 4 else images
    return torch.rot90(mirrored, orientation % 4, (-2, -1))


def undone(orientation: int) -> int:
    """Return the orientation that takes this one back; a mirror image is its own."""
    return orientation if orientation >= 4 else (4 - orientation) % 4
