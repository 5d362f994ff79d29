"""What can be published from one place, and how the story of generated images is told."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cytobench.datasets.frozen.edition import Published
from cytobench.datasets.known_set import is_known, known


class Offer(NamedTuple):
    """Sets that can be published, with what belongs to them."""

    sets: tuple[Published, ...]
    command: str
    """What they were made with, as typed."""
    extras: Callable[[Path], None]
    """Writes whatever else belongs to them into the published folder."""
    annotations: Mapping[str, bytes]
    """COCO files by their path below that folder."""


def story_of(recipe: Mapping[str, Any], seen: pd.DataFrame, nature: str) -> tuple[str, ...]:
    """Return how a generator's images were made, in sentences that name no place of a machine.

    Args:
        recipe: The generator, as :class:`cytobench.benchmarks.spec.GeneratorSpec` writes itself.
        seen: What it, and what is behind it, learned from: columns ``set`` and ``pixel_sha256``.
        nature: What the images of the set are that it learned from.
    """
    learned = recipe["trained_on"]
    began = f" and began with {_without_place(recipe['base'])}" if recipe["base"] else ""
    what = {"real": "photographs", "phantom": "drawings of the embedded source", "synthetic": "synthetic images"}[
        nature
    ]
    count = seen.loc[seen["set"] == learned, "pixel_sha256"].nunique()
    lines = [
        f"Drawn by the generator {recipe['name']}, which learned from {count:,} {what} of the training part of "
        f"{learned} alone{began}.",
        "Settings: "
        + ", ".join(f"{name} {_without_place(value)}" for name, value in sorted(recipe["config"].items()))
        + ".",
    ]
    if is_known(learned):
        facts = known(learned)
        cited = f" Cite {facts.citation}." if facts.citation else ""
        lines.append(f"{learned} is {facts.title}; its licence: {facts.licence}.{cited}")
    elif nature == "real":
        lines.append(f"{learned} is a set of its owner's; its licence is not known to cytobench.")
    return tuple(lines)


def _without_place(value: object) -> object:
    """Return a setting as a card tells it: of a path on a machine its last part, else the value itself."""
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return Path(value).name
    return value
