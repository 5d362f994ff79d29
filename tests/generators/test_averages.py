"""Averages that reach back a part of the training."""

import numpy as np
import pytest
import torch
from torch import nn

from cytobench.generators.averages import Averages, exponent


def scalar(value: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, value)
    return layer


@pytest.mark.parametrize(("width", "gamma"), [(0.05, 16.97), (0.10, 6.94)])
def test_exponents_are_the_papers(width: float, gamma: float) -> None:
    assert exponent(width) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("width", [0.0, 0.3])
def test_impossible_widths_are_refused(width: float) -> None:
    with pytest.raises(ValueError, match="between 0 and"):
        exponent(width)


@pytest.mark.parametrize("width", [0.05, 0.12, 0.2])
def test_an_average_is_made_of_steps_as_wide_as_asked(width: float) -> None:
    """The weight of each step is what is left of an impulse at it."""
    steps = 400
    live = nn.Linear(1, steps, bias=False).requires_grad_(False)
    averages = Averages(live, [width])
    for step in range(steps):
        live.weight.copy_(torch.nn.functional.one_hot(torch.tensor([step]), steps).T)
        averages.follow(live)
    member = averages.members[0]
    assert isinstance(member, nn.Linear)
    places = np.arange(1, steps + 1) / steps
    share = member.weight.double().numpy()[:, 0]
    share = share / share.sum()
    mean = (share * places).sum()
    assert np.sqrt((share * (places - mean) ** 2).sum()) == pytest.approx(width, rel=0.03)


def test_the_best_is_the_one_with_the_smallest_loss() -> None:
    averages = Averages(scalar(0.0), [0.03, 0.2])
    for step in range(100):
        averages.follow(scalar(step / 100))

    def far_from(value: float) -> int:
        def loss(member: nn.Module) -> float:
            assert isinstance(member, nn.Linear)
            return abs(float(member.weight) - value)

        return averages.best(loss)

    assert (far_from(1.0), far_from(0.0)) == (0, 1)


def test_its_state_is_saved_with_the_count() -> None:
    averages = Averages(scalar(0.0), [0.1])
    for _ in range(7):
        averages.follow(scalar(1.0))
    other = Averages(scalar(0.0), [0.1])
    other.load_state_dict(averages.state_dict())
    for one in (averages, other):
        one.follow(scalar(3.0))
    assert torch.equal(averages.state_dict()["members.0.weight"], other.state_dict()["members.0.weight"])
