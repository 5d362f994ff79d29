import pytest
import torch

from cytobench.datasets.near.alignment import agreement, detail


def noise(seed: int, strength: float = 20.0) -> torch.Tensor:
    return 128 + strength * torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))


def test_a_shifted_and_relit_picture_agrees_with_itself() -> None:
    one, moved = detail(noise(0)), detail(0.8 * noise(0).roll((2, -1), (2, 3)) + 10)
    assert agreement(one, moved).item() == pytest.approx(1, abs=1e-3)


def test_two_pictures_do_not_agree() -> None:
    assert agreement(detail(noise(0)), detail(noise(1))).item() < 0.3


def test_what_is_too_faint_to_be_seen_agrees_with_nothing() -> None:
    faint = detail(noise(0, strength=0.5))
    assert agreement(faint, faint).item() == 0
    assert agreement(detail(noise(0)), faint).item() < 0.9
