"""What cytobench knows of a data set by name: a TOML file for a public one, a function for a drawn one."""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from cytobench import registry
from cytobench.datasets.downloads.fetch import Download
from cytobench.datasets.imageset import Nature
from cytobench.datasets.layouts.kinds import Folders, Layout
from cytobench.datasets.readers.listing import Entry
from cytobench.errors import UsageFault


class Drawn(NamedTuple):
    """Images that a source drew."""

    images: NDArray[np.uint8]
    """(N, H, W, 3)"""
    labels: tuple[str, ...]
    groups: tuple[str, ...]


class Landmark(BaseModel):
    """One image whose published label is known."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    file: str
    """Its file's name; the ending does not count."""
    label: str
    """Its class."""


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
    cells: Literal["white", "red", "blood"] = "blood"
    """Which cells it shows: white, red, or several kinds."""
    classes: Mapping[str, str] = {}
    """Folder or label on the disk -> class; empty takes labels as they are."""
    images: int = 0
    """How many images of these classes the published set holds; 0 when not stated."""
    counts: Mapping[str, int] = {}
    """Class -> images in the published set."""
    merges: Mapping[str, Mapping[str, str]] = {}
    """Name -> {class -> coarser class}; classes that are not named are left out."""
    choices: Mapping[str, str] = {}
    """What we recommend where the set is known to need a choice; printed and recorded when used."""
    layout: Layout = Folders()
    """How the unpacked download lies on the disk."""
    downloads: tuple[Download, ...] = ()
    """Files to fetch without an account."""
    registration: str = ""
    """How to get it where there is no direct download."""
    first: Landmark | None = None
    """An image near the beginning, to check that the reader sees what was published."""
    last: Landmark | None = None
    """An image near the end, for the same."""
    flaws: tuple[str, ...] = ()
    """What is known to be wrong with it; printed with the scan."""
    distractors: str = ""
    """The drawn set whose cells lie around this one's in scenes, unless others are named."""
    draw: Callable[[int, int, int], Drawn] | None = None
    """For drawn sets: (images per class, size in pixels, seed) -> images."""

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "KnownSet":
        known_classes = set(self.classes.values())
        marks = {mark.label for mark in (self.first, self.last) if mark}
        merged = {label for merge in self.merges.values() for label in merge}
        for field, labels in (("counts", set(self.counts)), ("merges", merged), ("first and last", marks)):
            if strange := sorted(labels - known_classes):
                raise ValueError(f"{field} name {', '.join(strange)}, which no entry of classes gives")
        if self.counts and self.images and sum(self.counts.values()) != self.images:
            raise ValueError(f"counts add up to {sum(self.counts.values())}, images says {self.images}")
        if turned := sorted(raw for raw, label in self.classes.items() if raw in known_classes and raw != label):
            raise ValueError(f"classes renames {', '.join(turned)}, which is itself the class of other labels")
        if self.choices:
            from cytobench.datasets.awkward import Choices  # brings pandas along, a second for nothing in most sets

            Choices.model_validate(dict(self.choices))
        return self


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
