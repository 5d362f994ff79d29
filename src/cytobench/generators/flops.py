"""What a generator costs in floating point operations: a measure of compute that no machine and no load changes.

Counted are the multiplications and additions of convolutions, matrix products and attention, as torch does them in a
real step and a real drawing; sums, activations and optimisers, a few per cent, are not.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from cytobench.generators.contract import Generator, GeneratorConfig
from cytobench.progress import unheard

IMAGES = 8
"""Of each class, in the fits that are counted."""


class Flops(NamedTuple):
    """Operations of a generator."""

    step: int
    """Of one training step."""
    image: int
    """Of one drawn image: a chunk's, divided by its images."""


def flops(
    kind: type[Generator],
    config: GeneratorConfig,
    *,
    image_size: int,
    classes: int,
    class_names: Sequence[str] = (),
    device: torch.device | None = None,
) -> Flops:
    """Return the operations of a generator.

    A step is what a fit of two steps costs more than a fit of one, so that work before and after the steps is left
    out. Of large batches and chunks only the cost of small ones is measured, if that grows evenly.

    Args:
        kind: The plug-in.
        config: Its configuration.
        image_size: Side of the images, pixels.
        classes: How many it is told apart by, in one fit.
        class_names: What these are called, for a generator that is told in words.
        device: Where it is counted, the CPU by default.
    """
    told = {"class_names": class_names} if kind.conditioning == "prompt" else {}
    place = device or torch.device("cpu")

    def fresh(changes: dict[str, int]) -> Generator:
        changed = kind.config_type.model_validate(config.model_dump() | changes)
        return kind(changed, image_size=image_size, classes=classes, device=place, **told)

    def fit(steps: int, batch: int) -> int:
        return _counted(partial(_fit, fresh({"steps": steps, "batch": batch}), image_size, classes))

    def step(batch: int) -> int:
        return fit(2, batch) - fit(1, batch)

    def chunk(size: int) -> int:
        fitted = fresh({"steps": 1, "batch": 2, "chunk": size})
        _fit(fitted, image_size, classes)
        return _counted(lambda: fitted.sample(0, [0], seed=0))

    return Flops(_grown(step, config.batch), round(_grown(chunk, config.chunk) / config.chunk))


def _grown(cost: Callable[[int], int], size: int) -> int:
    """Return the cost of a size, from those of 2, 3 and 4 where they lie on a line."""
    if size > 4:
        two, three, four = (cost(some) for some in (2, 3, 4))
        if four - three == three - two:
            return two + (size - 2) * (three - two)
    return cost(size)


def _counted(work: Callable[[], object]) -> int:
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def _fit(generator: Generator, image_size: int, classes: int) -> None:
    source = np.random.default_rng(0)
    images = source.integers(0, 256, (IMAGES * classes, image_size, image_size, 3), dtype=np.uint8)
    labels = np.arange(len(images), dtype=np.int64) % classes
    with tempfile.TemporaryDirectory() as place:
        generator.fit(images, labels, seed=0, partial=Path(place), tick=unheard)
