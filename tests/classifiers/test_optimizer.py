import math

import pytest
import torch

from cytobench.classifiers.optimizer import optimizer_of, rate_factor
from cytobench.classifiers.training import Training


def _net() -> torch.nn.Module:
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.Flatten(), torch.nn.Linear(64, 2)
    )


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_fused_optimiser_does_what_the_plain_one_does(kind: str, layout: torch.memory_format) -> None:
    spec = Training.model_validate({"optimizer": kind, "learning_rate": 0.05, "weight_decay": 0.1, "momentum": 0.8})
    fused, plain = (_net().to(memory_format=layout) for _ in range(2))
    ours = optimizer_of(fused, spec)
    groups = [
        {"params": [p for p in plain.parameters() if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in plain.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    theirs = (
        torch.optim.SGD(groups, lr=0.05, momentum=0.8, foreach=False, fused=False)
        if kind == "sgd"
        else torch.optim.AdamW(groups, lr=0.05, foreach=False, fused=False)
    )
    for step in range(4):
        x = torch.randn(6, 3, 6, 6, generator=torch.Generator().manual_seed(step))
        for net, optimizer in ((fused, ours), (plain, theirs)):
            optimizer.zero_grad()
            torch.autograd.backward(net(x.contiguous(memory_format=layout)).square().sum())
            optimizer.step()
    for one, other in zip(fused.parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_biases_and_normalisation_layers_do_not_decay() -> None:
    net = _net()
    groups = optimizer_of(net, Training(weight_decay=0.5)).param_groups
    assert [(group["weight_decay"], [p.ndim for p in group["params"]]) for group in groups] == [
        (0.5, [4, 2]),
        (0.0, [1, 1, 1]),
    ]


def test_the_rate_rises_then_stays() -> None:
    spec = Training(epochs=4, warmup_epochs=1)
    assert [rate_factor(step, spec, steps_per_epoch=4) for step in range(6)] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_the_cosine_goes_from_one_to_zero() -> None:
    spec = Training(epochs=4, schedule="cosine", warmup_epochs=1)
    assert rate_factor(4, spec, steps_per_epoch=4) == 1.0
    assert rate_factor(10, spec, steps_per_epoch=4) == pytest.approx(0.5)
    assert rate_factor(13, spec, steps_per_epoch=4) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.75)))
    assert rate_factor(16, spec, steps_per_epoch=4) == pytest.approx(0.0)
