"""Augmentation that the network is told of."""

import torch

from cytobench.generators.non_leaky import FACTS, altered, untouched


def images(count: int = 64) -> torch.Tensor:
    return torch.rand(count, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1


def source() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_never_means_never() -> None:
    real = images()
    same, told = altered(real, 0.0, source())
    assert torch.equal(same, real)
    assert torch.equal(told, untouched(64, torch.device("cpu")))


def test_what_is_not_told_was_not_done() -> None:
    real = images(400)
    other, told = altered(real, 0.12, source())
    changed = (other != real).flatten(1).any(1)
    assert torch.equal(changed, told.any(1))
    assert 0.3 < float(changed.float().mean()) < 0.8
    assert told.shape == (400, FACTS)


def test_every_alteration_is_told_by_a_number_of_its_own() -> None:
    _, told = altered(images(400), 1.0, source())
    assert told.std(0)[:8].min() > 0.3
    assert bool((told[:, 8] == 1).all())


def test_the_same_source_does_the_same() -> None:
    real = images()
    for one, other in zip(altered(real, 0.5, source()), altered(real, 0.5, source()), strict=True):
        assert torch.equal(one, other)


def test_an_image_is_moved_where_it_is_told_to() -> None:
    """A dot in the middle moves by the told part of the side."""
    dot = torch.zeros(200, 1, 33, 33)
    dot[:, :, 15:18, 15:18] = 1
    from cytobench.generators.non_leaky import MOVE, _moved

    nothing = torch.zeros(200)
    right = torch.linspace(-0.3, 0.3, 200)
    moved = _moved(dot.expand(-1, 3, -1, -1), nothing, 2**nothing, right, nothing)
    columns = (moved[:, 0].sum(1) * torch.arange(33)).sum(1) / moved[:, 0].sum((1, 2))
    assert MOVE > 0
    torch.testing.assert_close(columns, 16 + 33 * right, atol=0.2, rtol=0)
