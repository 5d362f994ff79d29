"""The trace of the shots in the first latents."""

from pathlib import Path

import pytest
import torch

from cytobench.errors import IntegrityFault
from cytobench.generators.stable_diffusion.latents import Moments
from cytobench.generators.stable_diffusion.leak import FILE, SPREAD, Leak, begun, load, measured, save

SIGNAL = 0.068


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def leak() -> Leak:
    mean = torch.randn((8, 5, 4, 16, 16), generator=source()) + torch.arange(5.0)[None, :, None, None, None]
    return measured(Moments(mean, torch.zeros_like(mean)))


def test_layout_and_colours_are_means(leak: Leak) -> None:
    assert leak.layout.shape == (4, 16, 16)
    torch.testing.assert_close(leak.layout.mean((1, 2)), torch.zeros(4), atol=1e-6, rtol=0)
    torch.testing.assert_close(leak.colours, torch.arange(5.0)[:, None].expand(5, 4), atol=0.3, rtol=0)


def test_the_first_latents_have_the_colour_of_a_shot_and_the_rest_is_noise(leak: Leak) -> None:
    noise = torch.randn((64, 4, 16, 16), generator=source())
    first = begun(noise, leak, SIGNAL, source())
    share = (SIGNAL**2 + (1 - SIGNAL**2) / (256 * SPREAD**2)) ** 0.5
    means = first.mean((2, 3)) / share
    nearest = torch.cdist(means, leak.colours).min(1)
    assert nearest.values.max() < 1e-2
    assert len(set(nearest.indices.tolist())) == 5
    assert first.std((2, 3)).mean() == pytest.approx(1, abs=0.05)


def test_what_is_saved_comes_back(leak: Leak, tmp_path: Path) -> None:
    save(tmp_path, leak)
    again = load(tmp_path)
    assert again is not None
    assert all(torch.equal(one, other) for one, other in zip(again, leak, strict=True))
    assert load(tmp_path / "nowhere") is None
    whole = (tmp_path / FILE).read_bytes()
    (tmp_path / FILE).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(IntegrityFault):
        load(tmp_path)
