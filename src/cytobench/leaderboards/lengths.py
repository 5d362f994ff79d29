"""For how many steps sources were trained: with equally many epochs, larger ones make more."""

from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import Results

ALIKE = 1.05
"""Lengths that differ by a smaller factor are called equal: a few copies left out are no advantage."""


def uneven(results: Results) -> dict[str, int]:
    """Return the steps that sources may have made at most, as boards call them, where compared ones differ in that.

    Empty where all that are compared were trained alike, and for records that do not say.

    Args:
        results: What was tested.
    """
    most: dict[tuple[str, str], int] = {}
    for record in results.records:
        place = (record.facts.backbone.asked, record.facts.source.name)
        steps = _steps(record)
        if steps and record.facts.status == "done":
            most[place] = max(most.get(place, 0), steps)
    unlike: dict[str, int] = {}
    for one in results.comparisons:
        if one.question == "sources":
            pair = {source: most.get((one.fixed, source)) for source in (one.first, one.second)}
            known = {source: steps for source, steps in pair.items() if steps is not None}
            if len(known) > 1 and max(known.values()) > ALIKE * min(known.values()):
                unlike |= {source: max(steps, unlike.get(source, 0)) for source, steps in known.items()}
    return {one.shown: unlike[one.name] for one in results.sources if one.name in unlike}


def _steps(record: Record) -> int:
    """Return the most steps that a training may have made (as ``Training.steps`` has it); 0 where it does not say."""
    training = record.facts.training
    given = (training.get("epochs"), training.get("batch"))
    epochs, batch = (one if type(one) is int and one > 0 else 0 for one in given)
    told = training.get("epoch_images")
    images = told if type(told) is int and told > 0 else record.facts.source.images_train
    return epochs * -(-images // batch) if batch else 0
