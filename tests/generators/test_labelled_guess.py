"""Guesses that know the label, against those that do not and against the definition of noise prediction."""

import torch

from cytobench.generators import schedule
from cytobench.generators.guess import Gaussian
from cytobench.generators.labelled_guess import Gaussians, Noisy
from cytobench.generators.sampling import to_canvas
from tests.generators.toy import discs

LABELS = torch.arange(20) % 2


def images() -> torch.Tensor:
    plain = to_canvas(discs(20, 16), 16).float() / 127.5 - 1
    return torch.where(LABELS.bool()[:, None, None, None], plain / 2 - 0.5, plain)


def levels(*steps: int) -> torch.Tensor:
    return schedule.signal_and_noise(1000).float()[:, list(steps), None, None, None]


def noised(a: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    clean = images()[: len(a)]
    return a * clean + s * torch.randn(clean.shape, generator=torch.Generator().manual_seed(0))


def test_each_label_has_its_own_normal_distribution_and_no_class_that_of_all() -> None:
    model = Gaussians(5, labels=3, side=16)
    model.learn(images(), LABELS)
    a, s = levels(100, 500, 900, 999)
    asked = torch.tensor([1, 0, 2, 1])
    found = model(noised(a, s), a, s, asked)
    for place, label in enumerate(asked.tolist()):
        alone = Gaussian(5, side=16)
        alone.learn(images()[label == LABELS] if label < 2 else images())
        expected = alone(noised(a, s)[place : place + 1], a[place : place + 1], s[place : place + 1])
        torch.testing.assert_close(found.clean[place], expected.clean[0])
        torch.testing.assert_close(found.error[place], expected.error[0])


def test_the_target_of_noise_prediction_is_minus_the_noise() -> None:
    model = Noisy(1, side=16)
    a, s = levels(100, 500, 900)
    clean, noise = torch.randn(2, 3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    guess = model(a * clean + s * noise, a, s, torch.zeros(3, dtype=torch.long))
    torch.testing.assert_close((clean - guess.clean) / guess.error, -noise, rtol=1e-3, atol=1e-4)


def test_without_signal_the_mean_of_the_class_is_certain() -> None:
    model = Noisy(3, side=16)
    model.learn(images(), LABELS)
    a, s = levels(999, 999, 999)
    guess = model(noised(a, s), a, s, torch.tensor([0, 1, 2]))
    assert not guess.error.any()
    torch.testing.assert_close(guess.clean.mean((2, 3))[0], images()[LABELS == 0].mean((0, 2, 3)))
    torch.testing.assert_close(guess.clean.mean((2, 3))[2], images().mean((0, 2, 3)))
    torch.testing.assert_close(guess.clean, guess.clean.flip(-1))
    assert guess.clean[0].mean() > guess.clean[1].mean() + 0.3
