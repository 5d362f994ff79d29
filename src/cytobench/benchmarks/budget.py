"""How many steps of a generator's training fit into the seconds that it is given: a league at equal compute.

``--set generator.seconds=600`` gives every generator the same time for all its fits on one partition; one that is
fitted once per class has to share it among them. A step is timed once on a device and kept, so that a run that is
repeated has the same plan.
"""

import itertools
import time
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import numpy as np

from cytobench import registry
from cytobench.benchmarks.order import Resolved
from cytobench.benchmarks.spec import GeneratorSpec
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import classwise
from cytobench.errors import UsageFault
from cytobench.progress import duration, say
from cytobench.store import PARTIAL, read_json, write_json

TIMED = 12
"""Steps that are timed; the first quarter warms up and is left out."""
IMAGES = 64
FOUND = "seconds_of_a_step.json"


class TimeStep(RunStep):
    """Measure how long one training step of a generator takes on this device."""

    kind: ClassVar[str] = "pace"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.budget",)

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


def within(resolved: Resolved, context: Context) -> Resolved:
    """Return a run whose generators have as many steps as their seconds allow.

    Raises:
        UsageFault: Not one step fits.
    """
    spec = resolved.spec
    found = tuple(
        _within(one, spec.image_size, spec.classes, context) if one.seconds else one for one in spec.generators
    )
    return resolved._replace(spec=spec.model_copy(update={"generators": found}))


def _within(one: GeneratorSpec, image_size: int, classes: tuple[str, ...], context: Context) -> GeneratorSpec:
    from cytobench.generators.flops import image_flops, step_flops

    fits = len(classes) if classwise(one) else 1
    step = TimeStep(
        generator=one.name,
        config={name: value for name, value in one.config.items() if name != "steps"},
        image_size=image_size,
        classes=classes[:1] if fits > 1 else classes,
        device=f"{context.device.name}, {context.device.threads} threads",
    )
    each = step.outcome(context)
    steps = int(one.seconds / fits / each)
    if steps < 1:
        raise UsageFault(
            f"{one.set_name}: a step takes {each:.2f} s and {one.seconds:g} s are for {fits} fit(s)",
            fix="give more with generator.seconds, or make its network smaller",
        )
    kind = registry.load("generator", one.name)
    config = kind.config_type.model_validate({**one.config, "steps": steps})
    names = step.classes
    training = step_flops(kind, config, image_size=image_size, classes=len(names), class_names=names)
    share = f" for each of {fits} classes" if fits > 1 else ""
    say(f"note: {one.set_name}: {duration(one.seconds)} are {steps:,} steps{share}, {each:.3f} s each here")
    return one.model_copy(
        update={
            "config": {**one.config, "steps": steps},
            "fits": fits,
            "training_flops": steps * fits * training,
            "image_flops": image_flops(kind, config, image_size=image_size, classes=len(names), class_names=names),
        }
    )
