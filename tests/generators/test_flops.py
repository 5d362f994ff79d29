"""Operations against ones counted by hand."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench import registry
from cytobench.generators import fitting, sampling
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.flops import Flops, _counted, _fit, flops

CONFIG = GeneratorConfig(steps=1000, batch=10, learning_rate=0.1, chunk=5)
SIDE = 16


class OneConvolution:
    """A generator that is one convolution from 3 to 7 channels, 3 × 3, on all places of an image."""

    conditioning = "none"
    config_type = GeneratorConfig
    twice_from = 1000
    """Batches of so many images are convolved twice."""

    def __init__(self, config: GeneratorConfig, *, image_size: int, classes: int, device: torch.device) -> None:
        self.config, self.layer = config, torch.nn.Conv2d(3, 7, 3, padding=1)

    def fit(self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Any) -> None:
        self.layer(torch.zeros(50, 3, SIDE, SIDE))  # before the steps: not theirs
        optimizer = torch.optim.SGD(self.layer.parameters(), lr=0.1)

        def learn(real: torch.Tensor, _: torch.Tensor, source: torch.Generator) -> torch.Tensor:
            loss: torch.Tensor = self.layer(real).square().mean()
            if len(real) >= self.twice_from:
                loss = loss + self.layer(real).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            return loss.detach()

        fitting.fit(
            fitting.Learner({"layer": self.layer}, {"layer": optimizer}, learn), images, labels, config=self.config,
            side=SIDE, seed=seed, partial=partial, tick=tick, device=torch.device("cpu"),
        )  # fmt: skip

    @torch.no_grad()
    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        def draw(number: int) -> NDArray[np.uint8]:
            return sampling.from_canvas(self.layer(torch.zeros(self.config.chunk, 3, SIDE, SIDE))[:, :3], SIDE)

        return sampling.in_chunks(indices, chunk=self.config.chunk, draw=draw)


FORWARD = 2 * 3 * 3 * 3 * 7 * SIDE**2
"""A multiplication and an addition for each weight and place."""


def counted(kind: Any, config: GeneratorConfig) -> Flops:
    return flops(kind, config, image_size=SIDE, classes=1)


@pytest.mark.parametrize("batch", [1, 3, 10])
def test_a_step_is_forward_and_the_gradient_of_the_weights(batch: int) -> None:
    """Pixels need no gradient, so a step is twice the forward pass, whatever else a fit does."""
    config = CONFIG.model_copy(update={"batch": batch})
    assert counted(OneConvolution, config).step == batch * 2 * FORWARD


@pytest.mark.parametrize("chunk", [1, 5, 64])
def test_an_image_is_a_forward_pass(chunk: int) -> None:
    assert counted(OneConvolution, CONFIG.model_copy(update={"chunk": chunk})).image == FORWARD


def test_a_cost_that_does_not_grow_evenly_is_counted_in_full() -> None:
    class Uneven(OneConvolution):
        twice_from = 4

    assert counted(Uneven, CONFIG).step == 10 * 4 * FORWARD


def _of_a_fit(kind: Any, config: GeneratorConfig) -> int:
    model = kind(config, image_size=SIDE, classes=1, device=torch.device("cpu"))
    return _counted(lambda: _fit(model, SIDE, 1))


@pytest.mark.parametrize("name", ["ddpm", "dcgan", "vae"])
def test_what_is_inferred_for_large_batches_is_what_is_counted(name: str) -> None:
    kind = registry.load("generator", name)
    config = kind.profile("demo", SIDE).model_copy(update={"batch": 6, "chunk": 6})
    inferred = counted(kind, config)
    one, two = (_of_a_fit(kind, config.model_copy(update={"steps": steps})) for steps in (1, 2))
    assert inferred.step == two - one > 0
    assert inferred.image > 0


def test_evaluations_count() -> None:
    """Each evaluation of a diffusion model costs the same, and guidance costs as much again."""
    kind = registry.load("generator", "ddpm-class")
    config = kind.profile("demo", SIDE).model_copy(update={"components": 0})
    three, six = (counted(kind, config.model_copy(update={"evaluations": count})).image for count in (3, 6))
    assert six == 2 * three
    assert counted(kind, config.model_copy(update={"evaluations": 3, "guidance": 2.0})).image == six
