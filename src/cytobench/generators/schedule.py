"""The noise schedule of a diffusion model and the weights of its steps.

A noised image is ``x_t = a_t x_0 + s_t ε`` with ``a_t = √ᾱ_t`` and ``s_t = √(1 − ᾱ_t)``, t in 0 … T − 1. The schedule
is the cosine one (Nichol & Dhariwal 2021), rescaled so that the last step is pure noise (Lin et al. 2024): a network
trained with a_{T−1} > 0 never sees what sampling begins with, and all its images come out equally bright.
"""

import math

import torch
from torch import Tensor


def cosine_betas(count: int) -> Tensor:
    """Return the variances β_t of the cosine schedule, float64 (T,) (Nichol & Dhariwal 2021, eq. 17)."""
    time = torch.arange(count + 1, dtype=torch.float64) / count
    kept = torch.cos((time + 0.008) / 1.008 * math.pi / 2) ** 2
    return (1 - kept[1:] / kept[:-1]).clamp(max=0.999)


def zero_terminal(betas: Tensor) -> Tensor:
    """Return √ᾱ_t, shifted and scaled so that the first is kept and the last is 0 (Lin et al. 2024, algorithm 1)."""
    signal = torch.cumprod(1 - betas, 0).sqrt()
    return (signal - signal[-1]) * signal[0] / (signal[0] - signal[-1])


def signal_and_noise(count: int) -> Tensor:
    """Return a_t and s_t of the schedule that we train with, float64 (2, T): a² + s² = 1, a_0 ≈ 1, a_{T−1} = 0."""
    signal = zero_terminal(cosine_betas(count))
    return torch.stack([signal, (1 - signal**2).sqrt()])


def velocity(clean: Tensor, noise: Tensor, a: Tensor, s: Tensor) -> Tensor:
    """Return v = a ε − s x_0, the common training target (Salimans & Ho 2022, appendix D)."""
    return a * noise - s * clean


def weights(s: Tensor, gamma: float | None) -> Tensor:
    """Return the weight of the squared error of v at each noise level s: ``min(SNR + 1, γ) / (SNR + 1)``.

    This is min-SNR-γ (Hang et al. 2023) on top of Salimans & Ho's SNR + 1: nearly clean images count less. min-SNR
    itself has no "+ 1" above and would give the last step, where SNR is 0, the weight 0.
    """
    if gamma is None:
        return torch.ones_like(s)
    return (gamma * s**2).clamp(max=1.0)  # SNR + 1 = a²/s² + 1 = 1/s²


def noise_weights(s: Tensor, gamma: float | None) -> Tensor:
    """Return the weight of the squared error of the noise at each noise level s > 0: ``min(SNR, γ) / SNR``.

    This is min-SNR-γ for noise prediction (Hang et al. 2023, section 3.4); without γ the plain loss of Ho et al. 2020.
    """
    if gamma is None:
        return torch.ones_like(s)
    return (gamma * s**2 / (1 - s**2)).clamp(max=1.0)  # SNR = a²/s²


def focused(count: int, steps: int, *, mean: float, spread: float, source: torch.Generator) -> Tensor:
    """Return steps (count,) of the cosine schedule at which log(s / a) is normal, one from each of equal parts.

    As in Karras et al. 2022 (table 1): at pure noise and at nearly none little can be learned.

    Args:
        count: How many.
        steps: T of the schedule; the steps are 0 … T − 1.
        mean: Of log(s / a); above 0 there is more noise than image.
        spread: Its standard deviation.
        source: Of randomness.
    """
    part = torch.atan(torch.exp(mean + spread * normal(count, source))) * 2 / math.pi  # s / a = tan(π / 2 · part)
    return (part * steps).long().clamp(0, steps - 1)


def stratified(count: int, steps: int, source: torch.Generator) -> Tensor:
    """Return steps (count,), one at random from each of ``count`` equal parts of 0 … steps − 1."""
    return (places(count, source) * steps).long().clamp(max=steps - 1)


def normal(count: int, source: torch.Generator) -> Tensor:
    """Return standard normal numbers (count,), one from each of ``count`` equally likely parts, at most 4.9 from 0."""
    return math.sqrt(2) * torch.erfinv((2 * places(count, source) - 1).clamp(-0.999999, 0.999999))


def places(count: int, source: torch.Generator) -> Tensor:
    """Return numbers (count,) of [0, 1], one at random from each of ``count`` equal parts."""
    return (torch.arange(count) + torch.rand(count, generator=source)) / count
