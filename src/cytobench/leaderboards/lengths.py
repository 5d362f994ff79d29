"""For how many steps each source was trained: sets of different size are not trained alike by equally many epochs."""

import math

from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import Results

ALIKE = 1.05
"""Lengths that differ by less are called equal: classes are evened out by rounding."""


def lengths(results: Results) -> dict[str, int]:
    """Return by source, as boards show it, the most steps that one of its trainings may have made.

    A source of whose trainings none says so is left out.

    Args:
        results: What was tested.
    """
    found: dict[str, int] = {}
    shown = {one.name: one.shown for one in results.sources}
    for record in results.records:
        steps = _steps(record)
        if steps is not None:
            name = shown[record.facts.source.name]
            found[name] = max(found.get(name, 0), steps)
    return found


def uneven(results: Results) -> str | None:
    """Return what a reader must know where sources that are compared were trained for different lengths.

    Args:
        results: What was tested.
    """
    found = lengths(results)
    if not found or max(found.values()) <= ALIKE * min(found.values()):
        return None
    told = ", ".join(f"{name} {steps:,}" for name, steps in found.items())
    return (
        f"The sources were trained for different numbers of steps (at most {told}): a difference between them may be "
        "one of length. --set training.epoch_images=N shows as many images of each in every epoch."
    )


def _steps(record: Record) -> int | None:
    """Return None for a record that does not say."""
    training = record.facts.training
    epochs, batch = training.get("epochs"), training.get("batch")
    images = training.get("epoch_images") or record.facts.source.images_train
    if not (isinstance(epochs, int) and isinstance(batch, int) and isinstance(images, int)):
        return None
    return epochs * math.ceil(images / batch)
