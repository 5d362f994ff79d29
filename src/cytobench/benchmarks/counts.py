"""How many images a split will have of each class, known before anything is split."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from cytobench.benchmarks.steps.sets import DrawImages
from cytobench.benchmarks.steps.step import RunStep
from cytobench.datasets.known_set import known
from cytobench.datasets.scan import Survey
from cytobench.datasets.splits import SPLITS, Fold, selection_limit


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


def of_class(
    parts: Mapping[str, int], *, ratios: tuple[float, float, float], fold: Fold | None, most: int | None
) -> Counts:
    """Return the images of a class by part, as they were given or as they will be dealt.

    Args:
        parts: Images by given part.
        ratios: Shares of train, val and test, where no part was given.
        fold: Or which of how many folds is tested on.
        most: The limit on images to train with.
    """
    if fold is not None:
        ratios = ((fold.of - 2) / fold.of, 1 / fold.of, 1 / fold.of)
    given, total = not set(parts).isdisjoint(SPLITS), sum(parts.values())
    train, val, test = (
        parts.get(name, 0) if given else share * total for name, share in zip(SPLITS, ratios, strict=True)
    )
    return Counts(min(train, most), min(val, selection_limit(most)), test) if most else Counts(train, val, test)
