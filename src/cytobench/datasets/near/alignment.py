"""Are two images one picture? Normalised cross-correlation after the best zoom and shift."""

from typing import TYPE_CHECKING

from cytobench.datasets.near.resample import gaussian, zoom

if TYPE_CHECKING:
    import torch

SIDE = 64  # pixels; larger images are shrunk to it
ZOOMS = (1.0, 0.9, 0.925, 0.95, 0.975, 1.025, 1.05, 1.075, 1.1)
GREY = (0.3, 0.5, 0.2)  # of red, green, blue
FINE = 0.8  # pixels; detail below is noise and JPEG
COARSE = 1 / 16  # of the side; what is smoother than this, all cells share
MARGIN = 1 / 8  # of the side; a zoom of 0.9 and a shift may replace this much of a picture
REACH = 1 / 16  # of the side, how far is searched
FLAT = 0.5  # grey levels; an image whose detail is weaker shows nothing that could be recognised


def detail(images: "torch.Tensor") -> "torch.Tensor":
    """Return the band of detail in which cells differ, (N, S, S) with S ≤ SIDE, of images (N, 3, H, W)."""
    import torch

    side = images.shape[-1]
    size = min(side, SIDE)
    fine, coarse = gaussian(side, size, FINE), gaussian(side, size, COARSE * size)
    grey = torch.einsum("nchw,c->nhw", images.float(), torch.tensor(GREY))
    return fine @ grey @ fine.T - coarse @ grey @ coarse.T


def agreement(first: "torch.Tensor", second: "torch.Tensor") -> "torch.Tensor":
    """Return how well the middle of each first image is found in its second, (N,), of :func:`detail` of both.

    The largest normalised cross-correlation (Lewis, "Fast normalized cross-correlation", 1995) over all zooms and
    shifts: 1 for the same picture whatever its brightness and contrast, 0 when either image is flat.
    """
    import torch

    size = first.shape[-1]
    margin, reach = max(round(MARGIN * size), 2), max(round(REACH * size), 2)
    inner = size - 2 * margin
    middle = slice(margin, size - margin)
    template = torch.zeros_like(first)
    template[:, middle, middle] = first[:, middle, middle] - first[:, middle, middle].mean((1, 2), keepdim=True)
    strength = template.square().sum((1, 2)).sqrt()
    wanted = torch.fft.rfft2(template).conj()
    reach = min(reach, margin)
    shifts = 2 * reach + 1
    window = torch.zeros(shifts, size)
    for shift in range(shifts):
        window[shift, margin - reach + shift : margin - reach + shift + inner] = 1
    flat = FLAT * inner
    best = torch.zeros(len(first))
    for factor in ZOOMS:
        sample = zoom(size, factor)
        zoomed = sample @ second @ sample.T
        product = torch.fft.irfft2(wanted * torch.fft.rfft2(zoomed), s=(size, size))
        product = product.roll((reach, reach), (1, 2))[:, :shifts, :shifts]  # (N, shifts, shifts)
        total = window @ zoomed @ window.T
        energy = (window @ zoomed.square() @ window.T - (total / inner).square()).clamp_min(flat**2 / 4).sqrt()
        score = product / (energy * strength.clamp_min(flat)[:, None, None])
        best = torch.maximum(best, score.amax((1, 2)))
    best[strength < flat] = 0.0
    return best.clamp_max(1.0)
