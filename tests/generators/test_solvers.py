"""The solvers on images whose best guess is known exactly."""

import warnings
from collections.abc import Callable

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from cytobench.errors import UsageFault
from cytobench.generators import schedule, solvers
from cytobench.generators.labelled_guess import Noisy
from cytobench.generators.solvers import CleanAt

FAST = [solvers.dpm_solver, solvers.unipc]

MEAN = 0.3


def guess(spread: float) -> CleanAt:
    """Return E[x_0 | x_t] for pixels from N(MEAN, spread²)."""

    def exact(x: torch.Tensor, step: int) -> torch.Tensor:
        a, s = (float(part) for part in schedule.signal_and_noise(1000)[:, step])
        return MEAN + a * spread**2 / (a**2 * spread**2 + s**2) * (x - a * MEAN)

    return exact


def guess_from_noise(spread: float) -> CleanAt:
    """Return the same guess by way of E[ε | x_t], as a network that predicts the noise gives it."""
    known, exact = Noisy(1, side=64), guess(spread)
    known.means.fill_(MEAN)

    def by_noise(x: torch.Tensor, step: int) -> torch.Tensor:
        a, s = schedule.signal_and_noise(1000)[:, step].float()
        level = torch.stack([a, s])[:, None, None, None, None].expand(2, len(x), 1, 1, 1)
        told = (x - a * exact(x, step)) / s  # at the last step x itself, which tells nothing
        found = known(x, *level, torch.zeros(len(x), dtype=torch.long))
        clean: torch.Tensor = found.clean - found.error * told
        return clean

    return by_noise


def noise() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("solver", FAST)
@pytest.mark.parametrize("told", [guess, guess_from_noise])
@pytest.mark.parametrize("spread", [0.05, 0.2, 0.6])
def test_draws_from_the_distribution_in_20_evaluations(
    solver: Callable[..., torch.Tensor], told: Callable[[float], CleanAt], spread: float
) -> None:
    images = solver(noise(), told(spread), evaluations=20, noise_steps=1000)
    assert images.mean().item() == pytest.approx(MEAN, abs=0.02 * spread)
    assert images.std().item() == pytest.approx(spread, rel=0.03)


@pytest.mark.parametrize("solver", FAST)
def test_asks_first_at_the_last_step_and_as_often_as_told(solver: Callable[..., torch.Tensor]) -> None:
    steps: list[int] = []

    def asked(x: torch.Tensor, step: int) -> torch.Tensor:
        steps.append(step)
        return x * 0

    solver(noise()[:1], asked, evaluations=20, noise_steps=1000)
    assert steps == solvers.spaced(20, 1000)


@pytest.mark.parametrize("solver", FAST)
def test_repeats_itself(solver: Callable[..., torch.Tensor]) -> None:
    one, two = (solver(noise(), guess(0.2), evaluations=7, noise_steps=1000) for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize("solver", FAST)
def test_one_evaluation_is_the_first_guess(solver: Callable[..., torch.Tensor]) -> None:
    images = solver(noise()[:1], guess(0.2), evaluations=1, noise_steps=1000)
    torch.testing.assert_close(images, torch.full_like(images, MEAN), atol=1e-4, rtol=0)


def test_unipc_is_diffusers_own_where_that_can_be_told_the_steps() -> None:
    """Asked at every step, so that no spacing has to be told."""
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    theirs = UniPCMultistepScheduler(
        num_train_timesteps=50, trained_betas=schedule.cosine_betas(50).numpy(), prediction_type="sample",
        timestep_spacing="trailing", rescale_betas_zero_snr=True,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        theirs.set_timesteps(50)

    def half(x: torch.Tensor, step: int) -> torch.Tensor:
        return torch.tanh(x * (1 - step / 50))

    image = noise()[:1]
    for step in theirs.timesteps.tolist():
        image = theirs.step(half(image, step), step, image).prev_sample
    ours = solvers.unipc(noise()[:1], half, evaluations=50, noise_steps=50)
    torch.testing.assert_close(ours, image, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("told", [guess, guess_from_noise])
def test_ancestral_draws_from_the_distribution(told: Callable[[float], CleanAt]) -> None:
    source = torch.Generator().manual_seed(1)
    images = solvers.ancestral(noise(), told(0.2), evaluations=200, noise_steps=1000, source=source)
    assert images.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert images.std().item() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("spacing", [0.5, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("count", [1, 7, 20, 999, 1000])
def test_steps_go_down_from_the_last_without_repeating(count: int, spacing: float) -> None:
    steps = solvers.spaced(count, 1000, spacing)
    assert min(steps) >= 0
    assert steps[0] == 999
    assert len(steps) == count
    assert steps == sorted(set(steps), reverse=True)


def test_more_evaluations_than_steps_are_refused() -> None:
    assert solvers.spaced(10, 10) == list(range(9, -1, -1))
    with pytest.raises(UsageFault, match="10 noise steps can't be drawn in 11"):
        solvers.spaced(11, 10)


def test_posterior_agrees_with_diffusers() -> None:
    theirs = DDPMScheduler(
        num_train_timesteps=1000, trained_betas=schedule.cosine_betas(1000).numpy(), prediction_type="sample",
        clip_sample=False, rescale_betas_zero_snr=True,
    )  # fmt: skip
    a, s = schedule.signal_and_noise(1000).tolist()
    x, clean = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for step in (100, 300, 700, 990):
        weight_x, weight_clean, spread = solvers.posterior(a[step], s[step], a[step - 1], s[step - 1])
        generator = torch.Generator().manual_seed(5)
        expected = theirs.step(clean, step, x, generator=generator).prev_sample
        fresh = torch.randn(x.shape, generator=torch.Generator().manual_seed(5))
        torch.testing.assert_close(weight_x * x + weight_clean * clean + spread * fresh, expected, rtol=1e-3, atol=1e-4)
