"""What cytobench knows of a data set by name: a TOML file for a public one, a function for a drawn one."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from cytobench import registry
from cytobench.datasets.imageset import Nature
from cytobench.datasets.readers import Entry
from cytobench.errors import UsageFault


class Drawn(NamedTuple):
    """Images that a source drew."""

    images: NDArray[np.uint8]
    """(N, H, W, 3)"""
    labels: tuple[str, ...]
    groups: tuple[str, ...]


class KnownSet(BaseModel):
    """A data set as a plug-in describes it."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    title: str
    """Name, authors and year."""
    licence: str
    """SPDX name or the owner's words."""
    citation: str = ""
    """What to cite."""
    url: str = ""
    """Where it is published."""
    nature: Nature = "real"
    """Photographed or drawn."""
    classes: Mapping[str, str] = {}
    """Folder or label on the disk -> class; empty takes labels as they are."""
    images: int = 0
    """How many images the published set holds; 0 when not stated."""
    flaws: tuple[str, ...] = ()
    """What is known to be wrong with it; printed with the scan."""
    draw: Callable[[int, int, int], Drawn] | None = None
    """For drawn sets: (images per class, size in pixels, seed) -> images."""


def known(name: str) -> KnownSet:
    """Return a data set plug-in.

    Raises:
        UsageFault: No such name, or its file does not fit.
    """
    thing = registry.load("dataset", name)
    try:
        return KnownSet.model_validate(thing) if isinstance(thing, dict) else KnownSet.model_validate(thing())
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UsageFault(f"data set {name!r} is not described correctly", problems=problems) from error


def is_known(name: str) -> bool:
    """Tell whether a data set of that name is described."""
    return name in registry.found("dataset")


def renamed(entries: tuple[Entry, ...], classes: Mapping[str, str]) -> tuple[Entry, ...]:
    """Return entries with the set's own labels replaced by its classes; labels it does not name stay."""
    return tuple(entry._replace(label=classes.get(entry.label, entry.label)) for entry in entries)
