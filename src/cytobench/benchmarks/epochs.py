"""How many steps a generator's epochs are, known before anything is computed.

``--set generator.epochs=20`` shows all fits of a generator on one partition together 20 times as many images as that
partition has, as publications count; one that is fitted once per class shares the steps evenly among its classes.
"""

from collections.abc import Mapping
from typing import NamedTuple

from cytobench.benchmarks.resolution import Resolved
from cytobench.benchmarks.spec import GeneratorSpec, RunSpec
from cytobench.benchmarks.steps.sets import DrawImages
from cytobench.datasets.splits import SPLITS, selection_limit
from cytobench.progress import say


def shown(one: GeneratorSpec, images: int, fits: int) -> GeneratorSpec:
    """Return a generator with the steps that its epochs are, and say so.

    Args:
        one: With epochs.
        images: What an epoch shows.
        fits: How many fits share them.
    """
    batch = one.config["batch"]
    steps = max(1, round(one.epochs * images / batch / fits))
    share = f" for each of {fits} classes" if fits > 1 else ""
    say(f"note: {one.set_name}: {one.epochs:g} epochs of {images:,} images are {steps:,} steps of {batch}{share}")
    return one.model_copy(update={"config": {**one.config, "steps": steps}, "fits": fits})


def learned_images(resolved: Resolved, one: GeneratorSpec) -> int:
    """Return how many images a generator learns from on one partition.

    By what is listed, before copies are left out; where no split is given, by its shares.
    """
    spec = resolved.spec
    of_class = [_of_class(spec, label, parts) for label, parts in _listed(resolved, one).items()]
    found = sum(counts.whole if one.learned_from == "everything" else counts.train for counts in of_class)
    found = found / 2 if one.learned_from == "half" else found
    return round(min(found, len(one.only)) if one.only else found)


def _listed(resolved: Resolved, one: GeneratorSpec) -> dict[str, dict[str, int]]:
    """Return the images of each class and part of the set that a generator learns from; the part may be empty."""
    spec, scenery = resolved.spec, resolved.spec.scenery
    source = next((each for each in spec.sets if each.name == one.trained_on), scenery.around if scenery else None)
    assert source is not None  # a generator learns from a set of the run or from what lies around its cells
    step = resolved.images.get(source.name, resolved.around)
    classes = spec.classes if source in spec.sets or scenery is None else scenery.classes
    if isinstance(step, DrawImages):
        return {label: {"": step.per_class} for label in classes}
    assert step is not None
    found: dict[str, dict[str, int]] = {label: {} for label in classes}
    for entry in resolved.surveys[step.key].listing.entries:
        parts = found.get(source.labels.get(entry.label, entry.label))
        if parts is not None:
            parts[entry.split] = parts.get(entry.split, 0) + 1
    return found


class _Counts(NamedTuple):
    """Images of a class."""

    train: float
    whole: float
    """All parts."""


def _of_class(spec: RunSpec, label: str, parts: Mapping[str, int]) -> _Counts:
    """Return the images of a class, after a limit on those to train with."""
    total = sum(parts.values())
    shares: tuple[float, ...] = spec.protocol.ratios
    if spec.fold is not None:
        shares = ((spec.fold.of - 2) / spec.fold.of, 1 / spec.fold.of, 1 / spec.fold.of)
    given = not set(parts).isdisjoint(SPLITS)
    train, val, test = (
        parts.get(name, 0) if given else share * total for name, share in zip(SPLITS, shares, strict=True)
    )
    most = spec.train_of_class.get(label, spec.train_per_class)
    if most:
        train, val = min(train, most), min(val, selection_limit(most))
    return _Counts(train, train + val + test)
