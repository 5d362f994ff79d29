"""How long a plan takes and what it writes, from what was measured on this machine; nothing is guessed from a table."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.steps.scenes import ComposeScenes
from cytobench.benchmarks.steps.sets import DrawImages, FreezeSplit, ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.benchmarks.steps.testing import Test
from cytobench.benchmarks.steps.training import Train
from cytobench.datasets.splits import selection_limit

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
        """Return the images of a set's parts by the reference of its split, before it is drawn: by its ratios."""
        for step in self._plan.steps:
            if step.reference != split:
                continue
            if isinstance(step, DrawSynthetic | ComposeScenes):
                return Sizes(*map(step.images, Sizes._fields))
            if isinstance(step, FreezeSplit):
                source = next(one for one in self._plan.steps if one.reference == step.inputs["images"])
                of_class = [self._of_class(step, label, count) for label, count in self._used(source, step).items()]
                return Sizes(*(round(sum(part)) for part in zip(*of_class, strict=True)))
        return Sizes(0, 0, 0)

    def _of_class(self, split: FreezeSplit, label: str, count: int) -> tuple[float, float, float]:
        """Return the images of a class by part, after a limit on those to train with."""
        train, val, test = (share * count for share in split.ratios)
        if most := split.train_of_class.get(label, split.train_per_class):
            train, val = min(train, most), min(val, selection_limit(most))
        return train, val, test

    def _used(self, source: RunStep, split: FreezeSplit) -> dict[str, int]:
        """Return how many images of each class of a split a set has."""
        survey = self._context.surveys.get(source.key)
        if survey is None:
            return dict.fromkeys(split.classes, self._images(source) // len(split.classes))
        counts = Counter(split.labels.get(entry.label, entry.label) for entry in survey.listing.entries)
        return {label: counts[label] for label in split.classes}

    def _images(self, step: RunStep) -> int:
        if isinstance(step, DrawImages):
            from cytobench.datasets.known_set import known

            return step.per_class * len(known(step.name).classes)
        survey = self._context.surveys.get(step.key)
        return len(survey.listing.entries) if survey else 0

    def _per_image(self, step: Train) -> float:
        return self._context.tuned[step.backbone.asked].seconds_per_image
