"""How many steps a generator's epochs are, known before anything is computed.

``--set generator.epochs=20`` shows all fits of a generator on one partition together 20 times as many images as that
partition has, as publications count; one that is fitted once per class shares the steps evenly among its classes.
"""

from cytobench.benchmarks.counts import Counts, listed, of_classes
from cytobench.benchmarks.resolution import Resolved
from cytobench.benchmarks.spec import GeneratorSpec
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
    counts = _counts(resolved, one)
    found = sum(sum(each) if one.learned_from == "everything" else each.train for each in counts)
    found = found / 2 if one.learned_from == "half" else found
    return round(min(found, len(one.only)) if one.only else found)


def _counts(resolved: Resolved, one: GeneratorSpec) -> list[Counts]:
    """Return the images of each class of the set that a generator learns from."""
    spec, scenery = resolved.spec, resolved.spec.scenery
    source = next((each for each in spec.sets if each.name == one.trained_on), scenery.around if scenery else None)
    assert source is not None  # a generator learns from a set of the run or from what lies around its cells
    step = resolved.images.get(source.name, resolved.around)
    assert step is not None
    classes = spec.classes if source in spec.sets or scenery is None else scenery.classes
    found = listed(step, resolved.surveys.get(step.key), source.labels, classes)
    own = source in spec.sets  # else it lies around cells: neither limited nor folded
    limits = dict.fromkeys(classes, spec.train_per_class) | spec.train_of_class
    return of_classes(
        found,
        ratios=spec.protocol.ratios,
        fold=spec.fold if own else None,
        limits=limits if own and source.nature == "real" else {},
    )
