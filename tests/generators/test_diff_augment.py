"""What a discriminator sees: altered per image, within the ranges, with gradients."""

import pytest
import torch

from cytobench.generators.diff_augment import COLOUR, Chosen, Kind, altered, chosen, coloured, holed, shifted

ALL: tuple[Kind, ...] = ("translation", "cutout", "colour")


def choice(count: int, seed: int = 0) -> Chosen:
    return chosen(count, torch.Generator().manual_seed(seed))


def test_shifts_move_and_repeat_the_edge() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    down, left = shifted(image, torch.tensor([[1, 0]])), shifted(image, torch.tensor([[0, -1]]))
    assert down[0, 0, :, 0].tolist() == [0, 0, 4, 8]
    assert left[0, 0, 0].tolist() == [1, 2, 3, 3]


def test_a_hole_is_a_grey_square_that_may_reach_over_the_edge() -> None:
    holes = holed(torch.ones(2, 3, 8, 8), torch.tensor([[4.0, 3.0], [0.0, 8.0]]), 4.0)
    assert (holes == 0).sum((1, 2, 3)).tolist() == [3 * 16, 3 * 4]
    assert not holes[0, :, 2:6, 1:5].any()
    assert not holes[1, :, :2, 6:].any()


def test_colour_moves_brightness_saturation_and_contrast_alone() -> None:
    images = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    brighter = coloured(images, torch.tensor([[0.25, 0, 0], [0, 0, 0]]))
    torch.testing.assert_close(brighter, images + torch.tensor([0.25, 0])[:, None, None, None])
    grey = coloured(images, torch.tensor([[0, -1.0, 0], [0, 1.0, 0]]))
    torch.testing.assert_close(grey[0], images[0].mean(0).expand(3, 8, 8))
    torch.testing.assert_close(grey[1].mean(0), images[1].mean(0))
    torch.testing.assert_close(grey[1].std(0), 2 * images[1].std(0))
    flat = coloured(images, torch.tensor([[0, 0, -1.0], [0, 0, 0.5]]))
    torch.testing.assert_close(flat[0], images[0].mean().expand(3, 8, 8))
    torch.testing.assert_close(flat[1].std(), 1.5 * images[1].std())


def test_every_image_has_its_own_alteration_and_the_source_decides_it() -> None:
    images = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0)).repeat(6, 1, 1, 1)
    for kind in ALL:
        once = altered(images, choice(6), (kind,), 1.0)
        assert len({one.numpy().tobytes() for one in once}) > 3, kind  # two may be shifted alike
        assert torch.equal(altered(images, choice(6), (kind,), 1.0), once)
        assert not torch.equal(altered(images, choice(6, seed=1), (kind,), 1.0), once)


@pytest.mark.parametrize("kinds", [(), ALL])
def test_nothing_asked_for_changes_nothing(kinds: tuple[Kind, ...]) -> None:
    images = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    same = altered(images, choice(3), kinds, strength=0.0)
    torch.testing.assert_close(same, images)


def test_the_ranges_are_the_papers() -> None:
    many = choice(4000)
    moved = torch.zeros(4000, 3, 16, 16)
    moved[:, :, 8, 8] = 1.0
    rows, columns = altered(moved, many, ALL[:1], 1.0)[:, 0].nonzero()[:, 1:].T
    assert set(rows.tolist()) == set(columns.tolist()) == set(range(6, 11))
    counts = torch.bincount(rows - 6) / len(rows)
    assert bool((counts - 0.2).abs().max() < 0.04), "every shift is as likely"
    level = altered(torch.zeros(4000, 3, 4, 4), many, ALL[2:], 1.0)[:, 0, 0, 0]
    assert level.abs().max().item() == pytest.approx(COLOUR[0], abs=0.01)
    assert level.mean().item() == pytest.approx(0, abs=0.02)
    holes = 1 - altered(torch.ones(4000, 3, 16, 16), many, ALL[1:2], 1.0)[:, 0]
    assert holes.flatten(1).sum(1).max().item() == 64


def test_gradients_pass() -> None:
    images = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: altered(x, choice(2), ALL, 1.0), (images,))
