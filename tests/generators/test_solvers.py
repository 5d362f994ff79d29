"""The solvers on images whose best guess is known exactly."""

import pytest
import torch
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler

from cytobench.generators import schedule, solvers
from cytobench.generators.solvers import CleanAt

MEAN = 0.3


def guess(spread: float) -> CleanAt:
    """Return E[x_0 | x_t] for pixels from N(MEAN, spread²)."""

    def exact(x: torch.Tensor, step: int) -> torch.Tensor:
        a, s = (float(part) for part in schedule.signal_and_noise(1000)[:, step])
        return MEAN + a * spread**2 / (a**2 * spread**2 + s**2) * (x - a * MEAN)

    return exact


def noise() -> torch.Tensor:
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spread", [0.05, 0.2, 0.6])
def test_dpm_solver_draws_from_the_distribution_in_20_evaluations(spread: float) -> None:
    images = solvers.dpm_solver(noise(), guess(spread), evaluations=20, noise_steps=1000)
    assert images.mean().item() == pytest.approx(MEAN, abs=0.02 * spread)
    assert images.std().item() == pytest.approx(spread, rel=0.03)


def test_dpm_solver_asks_first_at_the_last_step_and_as_often_as_told() -> None:
    steps: list[int] = []

    def asked(x: torch.Tensor, step: int) -> torch.Tensor:
        steps.append(step)
        return x * 0

    solvers.dpm_solver(noise()[:1], asked, evaluations=20, noise_steps=1000)
    assert len(steps) == 20
    assert steps[0] == 999


def test_dpm_solver_repeats_itself() -> None:
    one, two = (solvers.dpm_solver(noise(), guess(0.2), evaluations=7, noise_steps=1000) for _ in range(2))
    assert torch.equal(one, two)


def test_ancestral_draws_from_the_distribution() -> None:
    source = torch.Generator().manual_seed(1)
    images = solvers.ancestral(noise()[:, :1], guess(0.2), evaluations=200, noise_steps=1000, source=source)
    assert images.mean().item() == pytest.approx(MEAN, abs=0.01)
    assert images.std().item() == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize("count", [1, 7, 20, 999, 1000])
def test_steps_go_down_from_the_last_without_repeating(count: int) -> None:
    steps = solvers.spaced(count, 1000)
    assert steps[0] == 999
    assert len(steps) == count
    assert steps == sorted(set(steps), reverse=True)


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
