"""The noise schedule against its formulas."""

import pytest
import torch

from cytobench.generators import schedule


@pytest.mark.parametrize("count", [50, 1000])
def test_ends_in_pure_noise_and_begins_almost_clean(count: int) -> None:
    a, s = schedule.signal_and_noise(count)
    assert a[-1].item() == 0
    assert a[0].item() > 0.99
    assert bool((a.diff() < 0).all())
    torch.testing.assert_close(a**2 + s**2, torch.ones_like(a))


def test_cosine_before_rescaling() -> None:
    kept = torch.cumprod(1 - schedule.cosine_betas(1000), 0)
    at = [100, 500, 900]
    time = (torch.tensor(at, dtype=torch.float64) + 1) / 1000
    f = torch.cos((time + 0.008) / 1.008 * torch.pi / 2) ** 2
    f0 = torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2, dtype=torch.float64)) ** 2
    torch.testing.assert_close(kept[at], f / f0)


def test_velocity_gives_back_the_clean_image_and_the_noise() -> None:
    clean, noise = torch.randn(2, 4, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    a, s = schedule.signal_and_noise(1000)[:, 300]
    noised, v = a * clean + s * noise, schedule.velocity(clean, noise, a, s)
    torch.testing.assert_close(a * noised - s * v, clean)
    torch.testing.assert_close(s * noised + a * v, noise)


def test_weights_are_min_snr_with_the_last_step_kept() -> None:
    a, s = schedule.signal_and_noise(1000)
    plus_one = a**2 / s**2 + 1
    torch.testing.assert_close(schedule.weights(s, 5.0), torch.minimum(plus_one, torch.tensor(5.0)) / plus_one)
    assert schedule.weights(s, 5.0)[-1].item() == 1


def test_weights_of_the_noise_are_min_snr() -> None:
    a, s = schedule.signal_and_noise(1000)[:, :-1]
    snr = a**2 / s**2
    torch.testing.assert_close(schedule.noise_weights(s, 5.0), torch.minimum(snr, torch.tensor(5.0)) / snr)
    assert bool((schedule.noise_weights(s, None) == 1).all())


def test_v_and_noise_weigh_the_same_error_of_the_image_alike() -> None:
    """Where the cut is far off, both are min-SNR of the clean image's error, but for the + 1 of v."""
    a, s = schedule.signal_and_noise(1000)[:, 100:200]
    of_image = schedule.weights(s, 5.0) / s**2, schedule.noise_weights(s, 5.0) * a**2 / s**2
    torch.testing.assert_close(*of_image)


def test_a_batch_spreads_over_the_schedule() -> None:
    source = torch.Generator().manual_seed(0)
    for _ in range(20):
        steps = schedule.stratified(10, 1000, source)
        assert (steps // 100).tolist() == list(range(10))


@pytest.mark.parametrize(("mean", "spread"), [(-1.2, 1.4), (0.5, 0.8)])
def test_focused_steps_have_a_normal_logarithm_of_noise_over_signal(mean: float, spread: float) -> None:
    steps = schedule.focused(4000, 1000, mean=mean, spread=spread, source=torch.Generator().manual_seed(0))
    a, s = schedule.signal_and_noise(1000)[:, steps]
    ratio = (s / a.clamp(min=1e-6)).log()
    low, middle, high = ratio.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=torch.float64)).tolist()
    assert middle == pytest.approx(mean, abs=0.1)
    assert (high - low) / 2 == pytest.approx(spread, rel=0.1)
    assert int(steps.min()) >= 0
    assert int(steps.max()) < 1000
