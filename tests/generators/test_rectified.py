"""The straight path and its solver."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from cytobench.generators import rectified


def gaussian(mean: float, spread: float) -> rectified.CleanAt:
    """Return the exact guess where images are N(mean, spread²)."""

    def clean_at(x: Tensor, t: float) -> Tensor:
        a, s = 1 - t, t
        return mean + a * spread**2 / (a**2 * spread**2 + s**2) * (x - a * mean)

    return clean_at


@pytest.mark.parametrize("shift", [0.5, 1.0, 3.0])
def test_times_run_from_noise_to_the_image(shift: float) -> None:
    path = rectified.spaced(20, shift=shift)
    assert (path[0], path[-1], len(path)) == (1.0, 0.0, 21)
    assert all(after < before for before, after in pairwise(path))
    assert (path[10] > 0.5) == (shift > 1)
    assert (path[10] == 0.5) == (shift == 1)


def test_levels_have_unit_variance() -> None:
    a, s = rectified.levels(torch.linspace(0, 1, 11))
    torch.testing.assert_close(a**2 + s**2, torch.ones(11))
    torch.testing.assert_close(s / a, torch.linspace(0, 1, 11) / (1 - torch.linspace(0, 1, 11)))


def test_training_times_are_logit_normal() -> None:
    drawn = rectified.times(20_000, mean=-0.5, spread=1.2, source=torch.Generator().manual_seed(0))
    normal = torch.logit(drawn.double())
    assert abs(float(normal.mean()) + 0.5) < 0.01
    assert abs(float(normal.std()) - 1.2) < 0.01


def test_the_solver_reaches_the_distribution_it_is_told_of() -> None:
    """The exact flow of a Gaussian is linear: x = mean + spread · noise."""
    noise = torch.randn(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    exact = 0.3 + 0.2 * noise
    errors = [
        float((rectified.drawn(noise, gaussian(0.3, 0.2), evaluations=count, shift=1.0) - exact).abs().max())
        for count in (20, 40, 80)
    ]
    assert errors[0] < 0.01
    assert errors[2] < errors[0] / 2


def test_one_evaluation_is_the_guess_itself() -> None:
    noise = torch.randn(1, 3, 4, 4)
    clean = rectified.drawn(noise, lambda x, _: x * 0 + 0.7, evaluations=1, shift=1.0)
    torch.testing.assert_close(clean, torch.full_like(noise, 0.7))
