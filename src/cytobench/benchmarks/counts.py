"""How many images a split will have of each class, known before anything is split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cytobench.benchmarks.steps.sets import DrawImages
from cytobench.benchmarks.steps.step import RunStep
from cytobench.datasets.known_set import known
from cytobench.datasets.scan import Survey
from cytobench.datasets.splits import SET_ASIDE, SPLITS, Fold, selection_limit


class Counts(NamedTuple):
    """Images by part."""

    train: float
    val: float
    test: float


def listed(
    step: RunStep, survey: Survey | None, labels: Mapping[str, str], classes: Sequence[str]
) -> dict[str, Counter[str]]:
    """Return the images of each class of a set by the part that they were given with; empty for none.

    Args:
        step: Reads or draws the set.
        survey: What it reads.
        labels: Label in the set -> class, for those that are not the same.
        classes: Those that count.
    """
    found: dict[str, Counter[str]] = {label: Counter() for label in classes}
    if isinstance(step, DrawImages):
        own = ((label, "", step.per_class) for label in known(step.name).classes)
    elif survey is not None:
        own = ((entry.label, entry.split, 1) for entry in survey.listing.entries)
    else:
        return found
    for label, part, count in own:
        if (parts := found.get(labels.get(label, label))) is not None:
            parts[part] += count
    return found


def of_classes(
    found: Mapping[str, Mapping[str, int]],
    *,
    ratios: tuple[float, float, float],
    fold: Fold | None,
    limits: Mapping[str, int],
) -> list[Counts]:
    """Return the images of each class by part, as they were given or as they will be dealt.

    Args:
        found: As :func:`listed` returns it.
        ratios: Shares of train, val and test, where no part was given.
        fold: Or which of how many folds is tested on.
        limits: How many images to train with a class has at most; 0, or no word about it, takes all.
    """
    if fold is not None:
        ratios = ((fold.of - 2) / fold.of, 1 / fold.of, 1 / fold.of)
    named = {part for parts in found.values() for part in parts if part}
    counts = []
    for label, parts in found.items():
        if named:
            train, val, test = (float(parts.get(part, 0)) for part in SPLITS)
            if "val" not in named:
                train, val = (share * train for share in SET_ASIDE)
        else:
            train, val, test = (share * sum(parts.values()) for share in ratios)
        if most := limits.get(label):
            train, val = min(train, most), min(val, selection_limit(most))
        counts.append(Counts(train, val, test))
    return counts
