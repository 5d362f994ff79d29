"""The step that times one training step of a generator, so that seconds can be given instead of steps."""

import itertools
import time
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np

from cytobench import registry
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.store import PARTIAL, read_json, write_json

TIMED = 12
"""Steps that are timed; the first quarter warms up and is left out."""
IMAGES = 64
FOUND = "seconds_of_a_step.json"


class TimeStep(RunStep):
    """Measure how long one training step of a generator takes on this device."""

    kind: ClassVar[str] = "pace"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.pace",)

    generator: str
    """The plug-in."""
    config: dict[str, Any]
    """Its whole configuration; how many steps it asks for does not matter."""
    image_size: int
    """Side of the square images, pixels."""
    classes: tuple[str, ...]
    """Of one fit."""
    device: str
    """Name of the processor and its threads."""

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("generator", self.generator))

    def title(self) -> str:
        """Return what is done."""
        return f"time {self.generator}"

    def run(self, context: Context, folder: Path) -> None:
        """Fit for a few steps on noise and take the median."""
        kind = registry.load("generator", self.generator)
        config = kind.config_type.model_validate({**self.config, "steps": TIMED})
        told = {"class_names": self.classes} if kind.conditioning == "prompt" else {}
        model = kind(config, image_size=self.image_size, classes=len(self.classes), device=context.torch_device, **told)
        source = np.random.default_rng(0)
        images = source.integers(0, 256, (IMAGES, self.image_size, self.image_size, 3), dtype=np.uint8)
        labels = np.arange(IMAGES, dtype=np.int64) % len(self.classes)
        ends = [time.monotonic()]
        partial = folder / PARTIAL
        model.fit(images, labels, seed=0, partial=partial, tick=lambda _count, _note: ends.append(time.monotonic()))
        each = [after - before for before, after in itertools.pairwise(ends)][TIMED // 4 :]
        write_json(folder / FOUND, median(each))

    def outcome(self, context: Context) -> float:
        """Return the seconds of a step; measure now when they are not known yet."""
        folder = context.store.compute(self, lambda place: self.run(context, place))
        return float(read_json(folder / FOUND))
