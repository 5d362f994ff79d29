"""How long a plan takes and what it writes, from what was measured on this machine; nothing is guessed from a table."""

from collections.abc import Sequence
from typing import NamedTuple

from cytobench.benchmarks.counts import listed, of_classes
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.steps.scenes import ComposeScenes
from cytobench.benchmarks.steps.sets import DrawImages, FreezeSplit, ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.benchmarks.steps.testing import Test
from cytobench.benchmarks.steps.training import Train
from cytobench.datasets.known_set import known

FORWARD_SHARE = 1 / 3  # of a training step's arithmetic: forward, against forward and twice that backward
BYTES_PER_PIXEL = 3
BYTES_PER_PARAMETER = 4


class Sizes(NamedTuple):
    """Images of a set by part."""

    train: int
    val: int
    test: int


class Estimate:
    """Seconds and bytes of the steps of a plan.

    From measured training steps; augmentation, reading and early stopping are left out. Steps of a kind that was never
    timed here, and trainings whose arithmetic was asked for and so not measured, count 0.

    Args:
        plan: The plan.
        context: Where what is known of it lies.
    """

    def __init__(self, plan: Plan, context: Context) -> None:
        self._plan, self._context = plan, context

    def seconds_of(self, steps: Sequence[RunStep]) -> float:
        """Return the seconds of some steps together."""
        return sum(self.seconds(step) for step in steps)

    def seconds(self, step: RunStep) -> float:
        """Return the seconds of one step; 0 where nothing is known."""
        if isinstance(step, Train):
            sizes, spec = self.sizes(step.source.split), step.training
            images = spec["epoch_images"] or sizes.train
            return float(spec["epochs"] * (images + FORWARD_SHARE * sizes.val) * self._per_image(step))
        if isinstance(step, Test):
            return FORWARD_SHARE * self.sizes(step.target.split).test * self._per_image(step.trial)
        if isinstance(step, FitGenerator):
            known = [self._context.store.seconds(one) for one in self._plan.steps if isinstance(one, FitGenerator)]
            measured = [seconds for seconds in known if seconds is not None]
            return sum(measured) / len(measured) if measured else 0.0
        return 0.0

    def bytes(self, step: RunStep) -> int:
        """Return the bytes that a step writes: pixels, and weights where a network's size is known."""
        if isinstance(step, ReadImages | DrawImages):
            return self._images(step) * step.image_size**2 * BYTES_PER_PIXEL
        if isinstance(step, DrawSynthetic):
            return sum(map(step.images, Sizes._fields)) * step.image_size**2 * BYTES_PER_PIXEL
        if isinstance(step, ComposeScenes):
            return sum(map(step.images, Sizes._fields)) * int(step.optics["image_size"]) ** 2 * BYTES_PER_PIXEL
        if isinstance(step, Train):
            return self._context.tuned[step.backbone.asked].parameters * BYTES_PER_PARAMETER
        return 0

    def sizes(self, split: str) -> Sizes:
        """Return the images of a set's parts by the reference of its split, before it is drawn."""
        for step in self._plan.steps:
            if step.reference != split:
                continue
            if isinstance(step, DrawSynthetic | ComposeScenes):
                return Sizes(*map(step.images, Sizes._fields))
            if isinstance(step, FreezeSplit):
                source = next(one for one in self._plan.steps if one.reference == step.inputs["images"])
                found = listed(source, self._context.surveys.get(source.key), step.labels, step.classes)
                limits = dict.fromkeys(step.classes, step.train_per_class) | step.train_of_class
                counts = of_classes(found, ratios=step.ratios, fold=step.fold, limits=limits)
                return Sizes(*(round(sum(part)) for part in zip(*counts, strict=True)))
        return Sizes(0, 0, 0)

    def _images(self, step: RunStep) -> int:
        if isinstance(step, DrawImages):
            return step.per_class * len(known(step.name).classes)
        survey = self._context.surveys.get(step.key)
        return len(survey.listing.entries) if survey else 0

    def _per_image(self, step: Train) -> float:
        return self._context.tuned[step.backbone.asked].seconds_per_image
