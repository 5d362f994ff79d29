"""Levels: how hard a scene is. Named ones are data, and between those on the dial there is everything.

A level is a TOML file in the folder ``composers/levels``. What has a ``dial`` is a stop of the dial; a number between
two stops means the mixture of both, so 0.9 is a Complex scene with somewhat fewer cells.
"""

from itertools import pairwise
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cytobench import registry
from cytobench.errors import UsageFault

MOST_CELLS = 48
"""Around one centre; with more, densities could overflow where all of them lie on one another."""

Share = Annotated[float, Field(ge=0, le=1)]


class Level(BaseModel):
    """How neighbours are put around a central cell, and how the scene is seen."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str = ""
    """What one sees, in a sentence."""
    dial: float | None = None
    """Where it stands among the others; None for a level that is only called by its name."""
    number: tuple[Annotated[int, Field(ge=0, le=MOST_CELLS)], Annotated[int, Field(ge=0, le=MOST_CELLS)]]
    """Fewest and most neighbours; each number between is as likely."""
    white: Share = 0.12
    """Share of the neighbours that are white cells, of the central ones' kinds; the others are distractors."""
    distance: Annotated[float, Field(gt=0, le=0.75)] = 0.3
    """Of a neighbour's middle from the image's middle, as a share of the image's side."""
    spread: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """The distance is drawn evenly from ``distance`` ± this."""
    overlap: Share = 0.85
    """Largest share of a cell, the smaller of two, on which another may lie; beyond, the place is drawn again."""
    visible: Share = 0.5
    """Smallest share of the central cell on which no other cell lies."""
    defocus: Annotated[float, Field(ge=0, le=3)] = 0.0
    """Standard deviation of the blur of the whole scene, µm."""
    drift: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Standard deviation of the logarithm of the stain's strength in red, green and blue, from scene to scene."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.number[0] > self.number[1]:
            raise ValueError(f"number {list(self.number)} has its larger end first")
        return self


def named(name: str) -> Level:
    """Return a level by its name.

    Raises:
        UsageFault: No such name, or its file does not fit.
    """
    thing = registry.load("level", name)
    try:
        return Level.model_validate(thing)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc'])) or 'all'}: {one['msg']}" for one in error.errors()]
        raise UsageFault(f"level {name!r} is not described correctly", problems=problems) from error


def level_of(text: str) -> Level:
    """Return the level of a name, or of a number on the dial.

    Raises:
        UsageFault: Neither a name nor a number on the dial.
    """
    try:
        place = float(text)
    except ValueError:
        return named(text)
    stops = {level.dial: level for level in map(named, registry.names("level")) if level.dial is not None}
    if place in stops:
        return stops[place]
    for low, high in pairwise(sorted(stops)):
        if low < place < high:
            return _between(stops[low], stops[high], (place - low) / (high - low)).model_copy(update={"dial": place})
    raise UsageFault(
        f"--level {text}: the dial goes from {min(stops):g} to {max(stops):g}",
        fix=f"give a number between, or one of {', '.join(registry.names('level'))}",
    )


def _between(low: Level, high: Level, share: float) -> Level:
    """Return the mixture of two levels; ``share`` is the second one's."""

    def mixed(a: float, b: float) -> float:
        return a + share * (b - a)

    real = ("white", "distance", "spread", "overlap", "visible", "defocus", "drift")
    values = {name: mixed(getattr(low, name), getattr(high, name)) for name in real}
    number = round(mixed(low.number[0], high.number[0])), round(mixed(low.number[1], high.number[1]))
    return Level(title=f"between “{low.title}” and “{high.title}”", number=number, **values)
