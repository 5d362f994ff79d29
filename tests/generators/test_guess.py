"""The guesses against a normal distribution's textbook posterior."""

import numpy as np
import torch

from cytobench.generators import schedule
from cytobench.generators.guess import Gaussian, White
from cytobench.generators.sampling import to_canvas
from tests.generators.toy import discs


def levels(step: int) -> torch.Tensor:
    return schedule.signal_and_noise(1000).float()[:, step].reshape(2, 1, 1, 1, 1)


def images() -> torch.Tensor:
    return to_canvas(discs(20, 16), 16).float() / 127.5 - 1


def test_white_turns_the_target_into_minus_v() -> None:
    a, s = levels(400)
    clean, noise = torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    guess = White()(a * clean + s * noise, a, s)
    torch.testing.assert_close((clean - guess.clean) / guess.error, -schedule.velocity(clean, noise, a, s))


def test_gaussian_is_the_posterior_mean_of_its_covariance() -> None:
    model = Gaussian(10, side=16)
    model.learn(images())
    a, s = levels(500)
    # The covariance, written out in full: components and a remainder that is diagonal in colour and frequency.
    basis = torch.eye(3 * 256).reshape(-1, 3, 16, 16)
    rest = torch.fft.ifft2(torch.fft.fft2(model._recolour(basis)) * model.spectrum).real
    rest = torch.einsum("ji,bjhw->bihw", model.colours, rest).flatten(1)
    outside = torch.eye(768) - model.axes.T @ model.axes
    x = a * images()[:2] + s * torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    centred = (x - a * model.mean).flatten(1)
    scale, added = a.item(), s.item() ** 2
    wiener = scale * rest @ torch.linalg.inv(scale**2 * rest + added * torch.eye(768))
    components = model.axes.T @ torch.diag(scale * model.variances / (scale**2 * model.variances + added)) @ model.axes
    expected = model.mean.flatten() + centred @ components.T + centred @ outside @ wiener.T
    torch.testing.assert_close(model(x, a, s).clean.flatten(1), expected, rtol=1e-3, atol=1e-4)


def test_gaussian_knows_its_own_error() -> None:
    model = Gaussian(40, side=16)
    model.learn(images())
    for step in (300, 600, 900, 999):
        a, s = levels(step)
        clean = images().repeat(8, 1, 1, 1)
        guess = model(a * clean + s * torch.randn(clean.shape, generator=torch.Generator().manual_seed(step)), a, s)
        ratio = ((guess.clean - clean).square().mean().sqrt() / guess.error.mean()).item()
        assert 0.8 < ratio < 1.25, step


def test_gaussian_from_pure_noise_is_the_mean() -> None:
    model = Gaussian(5, side=16)
    model.learn(images())
    a, s = levels(999)
    guess = model(torch.randn(1, 3, 16, 16), a, s)
    torch.testing.assert_close(guess.clean[0], model.mean)
    np.testing.assert_allclose(model.mean, model.mean.flip(-1), atol=1e-5)


def test_gaussian_bears_more_components_than_images() -> None:
    model = Gaussian(100, side=16)
    model.learn(images()[:1].repeat(3, 1, 1, 1))
    a, s = levels(500)
    assert bool(torch.isfinite(model(torch.randn(1, 3, 16, 16), a, s).clean).all())
    assert (model.variances > 0).sum() < 8
