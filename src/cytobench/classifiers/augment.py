"""Augmentation of training images, every image by its own draw, the whole batch in three passes.

One gather (rotation, flips and centre crop are one affine map), one separable blur, one colour matrix. A transform of
torchvision called on a batch draws one set of parameters for all its images, which is no augmentation per sample.
"""

import functools
import math
from typing import Annotated, NamedTuple

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from torch.nn import functional

LUMA = (0.2989, 0.587, 0.114)
"""Share of red, green and blue in the brightness of a grey copy (ITU-R BT.601)."""

CHROMA = ((0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))
"""The two colour axes beside it (NTSC's I and Q), between which hue turns."""


def _ascending(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the range {pair} has its larger end first")
    return pair


Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_ascending)]
Sigmas = Annotated[
    tuple[Annotated[float, Field(ge=0, le=10)], Annotated[float, Field(ge=0, le=10)]], AfterValidator(_ascending)
]


class Augmentation(BaseModel):
    """How training images are varied; each image has its own uniform draws from these ranges."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: Annotated[float, Field(ge=0, le=180)] = 180.0
    """Largest angle to either side, degrees; corners are filled by reflection."""
    horizontal_flip: Share = 0.5
    """Probability."""
    vertical_flip: Share = 0.5
    """Probability."""
    crop: Shares = (0.8, 1.0)
    """Side of the centre crop, share of the image's side; the crop is enlarged to the full side."""
    blur: Sigmas = (0.0, 0.7)
    """Standard deviation of the Gaussian blur, pixels of the training image."""
    brightness: Share = 0.15
    """Brightness is multiplied by 1 ± this."""
    contrast: Share = 0.15
    """Distance from the mean grey is multiplied by 1 ± this."""
    saturation: Share = 0.15
    """Distance from the grey copy is multiplied by 1 ± this."""
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    """Largest turn of the hue to either side, in whole turns."""

    @classmethod
    def none(cls) -> "Augmentation":
        """Return the one that changes nothing."""
        return cls(
            rotation=0,
            horizontal_flip=0,
            vertical_flip=0,
            crop=(1, 1),
            blur=(0, 0),
            brightness=0,
            contrast=0,
            saturation=0,
            hue=0,
        )


class Draw(NamedTuple):
    """The parameters of a batch, one of each per image, (B,) on the CPU; None where the specification rules it out."""

    affine: torch.Tensor | None
    """(B, 2, 2): where in the original a pixel of the result comes from, both measured from the centre."""
    sigma: torch.Tensor | None
    """(B,): standard deviation of the blur, pixels."""
    brightness: torch.Tensor | None
    """(B,): factor; the four colours are drawn or left away together."""
    contrast: torch.Tensor
    """(B,): factor."""
    saturation: torch.Tensor
    """(B,): factor."""
    hue: torch.Tensor
    """(B,): turns."""


def draw(count: int, spec: Augmentation, generator: torch.Generator) -> Draw:
    """Draw the parameters of ``count`` images; nine uniform numbers per image, whatever the specification uses."""
    u = torch.rand(9, count, generator=generator)
    either = 2 * u - 1  # [-1, 1)
    colours = spec.brightness or spec.contrast or spec.saturation or spec.hue
    return Draw(
        _affine(u, spec),
        spec.blur[0] + (spec.blur[1] - spec.blur[0]) * u[4] if spec.blur[1] else None,
        1 + spec.brightness * either[5] if colours else None,
        1 + spec.contrast * either[6],
        1 + spec.saturation * either[7],
        spec.hue * either[8],
    )


def _affine(u: torch.Tensor, spec: Augmentation) -> torch.Tensor | None:
    """Return flip · rotation · crop (B, 2, 2) from uniform numbers (9, B)."""
    if not (spec.rotation or spec.horizontal_flip or spec.vertical_flip or spec.crop[0] < 1):
        return None
    angle = math.radians(spec.rotation) * (2 * u[0] - 1)
    side = spec.crop[0] + (spec.crop[1] - spec.crop[0]) * u[3]
    cosine, sine = side * torch.cos(angle), side * torch.sin(angle)
    x, y = (torch.where(u[k] < p, -1.0, 1.0) for k, p in ((1, spec.horizontal_flip), (2, spec.vertical_flip)))
    return torch.stack([x * cosine, -x * sine, y * sine, y * cosine], dim=1).view(-1, 2, 2)


def augment(batch: torch.Tensor, spec: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Return varied images (B, 3, H, W) in [0, 1] of uint8 ones (B, H, W, 3), on the device of the batch.

    The draws come from the generator (on the CPU) alone, so that they are the same on every device.
    """
    return apply(batch, draw(len(batch), spec, generator))


def plain(batch: torch.Tensor) -> torch.Tensor:
    """Return images (B, 3, H, W) in [0, 1] of uint8 ones (B, H, W, 3), unchanged otherwise: what tests are given."""
    return batch.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format).div_(255)


def apply(batch: torch.Tensor, given: Draw) -> torch.Tensor:
    """Return images (B, 3, H, W) in [0, 1] of uint8 ones (B, H, W, 3), varied by the parameters given.

    On a CPU a few images go through all passes before the next few, so that they stay in the cache.
    """
    if given.affine is None and given.sigma is None and given.brightness is None:
        return plain(batch)
    count, height, width, _ = batch.shape
    result = torch.empty(count, 3, height, width, device=batch.device)
    taps = None if given.sigma is None else gaussians(given.sigma, limit=min(height, width)).to(batch.device)
    margin = 0 if taps is None else taps.shape[1] - 1
    colours = None if given.brightness is None else _colours(given, batch.device)
    affine = None if given.affine is None else given.affine.to(batch.device)
    at_once = max(2, CACHED_FLOATS // (3 * height * width)) if batch.device.type == "cpu" else count
    for first in range(0, count, at_once):
        few = slice(first, first + at_once)
        x = batch[few].permute(0, 3, 1, 2).float()  # (b, 3, H, W), values 0 … 255, still in the order of the bytes
        if affine is not None:
            x = gather(x, affine[few], margin=margin)  # (b, 3, H + 2 margin, W + 2 margin)
        else:
            x = functional.pad(x.contiguous(), (margin,) * 4, mode="reflect")
        if taps is not None:
            x = blur(x, taps[few])  # (b, 3, H, W)
        if colours is None:
            torch.div(x, 255, out=result[few])
        else:
            _recolour(x, Colours(*(one[few] for one in colours)), out=result[few])
    return result


CACHED_FLOATS = 1 << 18
"""Values of the images that are worked on at once, on a CPU; about half of a core's own cache."""


def gather(x: torch.Tensor, affine: torch.Tensor, *, margin: int = 0) -> torch.Tensor:
    """Return images whose pixel at p (from the centre) is the original's at affine·p: bilinear, edges reflected.

    Args:
        x: Images (B, 3, H, W).
        affine: Maps (B, 2, 2).
        margin: Pixels added on every side.
    """
    height, width = x.shape[-2:]
    rows, columns = (_positions(count, margin, x.device) for count in (height, width))
    # x and y as real and imaginary part: one sum fills the whole grid
    of_row = torch.complex(affine[:, 0, 1, None] * (height / width) * rows, affine[:, 1, 1, None] * rows)  # (B, H)
    of_column = torch.complex(affine[:, 0, 0, None] * columns, affine[:, 1, 0, None] * (width / height) * columns)
    grid = torch.view_as_real(of_row[:, :, None] + of_column[:, None, :])  # (B, H, W, 2)
    return functional.grid_sample(x, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _positions(count: int, margin: int, device: torch.device) -> torch.Tensor:
    """Return the centres of pixels, from -1 (one edge of the image) to 1 (the other), and those of its margin."""
    return (2 * torch.arange(-margin, count + margin, device=device) + 1) / count - 1


def gaussians(sigma: torch.Tensor, *, limit: int) -> torch.Tensor:
    """Return one half of the Gaussian of each sigma (B,), its centre first: (B, taps).

    All are cut off where the widest one falls under 2 % of its centre (at 2.8 sigma), and before ``limit``.
    """
    radius = min(max(1, math.ceil(2.8 * float(sigma.max())) - 1), limit - 1)
    taps = torch.exp(torch.arange(radius + 1) ** 2 / (-2 * sigma.clamp(min=1e-3) ** 2)[:, None])
    return taps / (2 * taps.sum(1, keepdim=True) - 1)  # the centre is 1 and counts once


def blur(x: torch.Tensor, taps: torch.Tensor) -> torch.Tensor:
    """Return images, each under a symmetrical kernel of its own, given by one half (B, taps).

    Images (B, 3, H, W) lose a margin of taps - 1 pixels on every side.
    """
    margin = taps.shape[1] - 1
    weights = [one[:, None, None, None] for one in taps.unbind(1)]
    for dimension in (2, 3):
        count = x.shape[dimension] - 2 * margin
        parts = [x.narrow(dimension, first, count) for first in range(2 * margin + 1)]
        x = parts[margin] * weights[0]
        for k in range(1, margin + 1):
            x.addcmul_(parts[margin - k], weights[k]).addcmul_(parts[margin + k], weights[k])
    return x


class Colours(NamedTuple):
    """Brightness, contrast, saturation and hue of each image as one affine map from 0 … 255 to 0 … 1."""

    matrix: torch.Tensor
    """(B, 3, 3)."""
    pull: torch.Tensor
    """(B, 3): what is added to every channel, for each unit of the image's mean red, green and blue."""


def _colours(given: Draw, device: torch.device) -> Colours:
    """Return the maps of a draw; grey stays grey under saturation and hue, so contrast only adds an offset."""
    assert given.brightness is not None
    scale = given.brightness / 255
    matrix = colour_matrices(given.saturation, given.hue) * (scale * given.contrast)[:, None, None]
    pull = (scale * (1 - given.contrast))[:, None] * torch.tensor(LUMA)
    return Colours(matrix.to(device), pull.to(device))


def _recolour(x: torch.Tensor, colours: Colours, *, out: torch.Tensor) -> None:
    """Write images (B, 3, H, W) in other colours, clamped to [0, 1]."""
    offset = (x.mean((2, 3)) * colours.pull).sum(1)[:, None, None]
    torch.baddbmm(offset, colours.matrix, x.flatten(2), out=out.flatten(2)).clamp_(0, 1)


def colour_matrices(saturation: torch.Tensor, turns: torch.Tensor) -> torch.Tensor:
    """Return the matrices (B, 3, 3) that stretch colours by a factor (B,) and turn their hue by some turns (B,).

    A colour is its grey and its chroma, a vector in the plane of :data:`CHROMA`, which alone is stretched and turned.
    """
    angle = 2 * math.pi * turns
    shares = torch.stack([torch.ones_like(angle), saturation * torch.cos(angle), saturation * torch.sin(angle)], dim=1)
    return (shares @ torch.tensor(_parts_of_colour())).view(-1, 3, 3)


@functools.cache
def _parts_of_colour() -> list[list[float]]:
    """Return three 3x3 matrices, flattened: to grey, to chroma, and to chroma turned by a right angle."""
    axes = torch.tensor((LUMA, *CHROMA), dtype=torch.float64)
    axes[1:] -= axes[1:].mean(1, keepdim=True)  # grey has no chroma, exactly
    back = torch.linalg.inv(axes)
    grey = back[:, :1] @ axes[:1]
    turned = back[:, 1:2] @ axes[2:] - back[:, 2:] @ axes[1:2]
    parts: list[list[float]] = torch.stack([grey, torch.eye(3) - grey, turned]).flatten(1).tolist()
    return parts
