"""What is published: sets of drawn images, and the facts about them that their card tells."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cytobench.datasets.frozen.identity import Identity
from cytobench.datasets.imageset import ImageSet
from cytobench.datasets.splits import SPLITS


class Edition(BaseModel):
    """The facts about a version that are not in its images."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    identity: Identity
    """Name and version; the root hash is computed last."""
    supersedes: str = ""
    """Whole identity of the version that this one replaces; empty for a first one."""
    title: str
    """One line for people."""
    licence: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+-]{0,63}$")
    """SPDX name."""
    creators: tuple[str, ...] = ()
    """Who publishes it."""
    date: str = Field(default="", pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$")
    """Of publication, as 2026-11-21; empty where nobody states one: a clock's time would change every hash."""
    command: str
    """What the run was started with."""

    @property
    def licence_url(self) -> str:
        """Where the licence's text is."""
        return f"https://spdx.org/licenses/{self.licence}.html"


class Published(NamedTuple):
    """One set of an edition."""

    images: ImageSet
    story: tuple[str, ...]
    """How it was made, in sentences."""
    seen: pd.DataFrame
    """What its generators learned from: columns ``SEEN``. Without a row for drawings that learned from nothing."""

    @property
    def name(self) -> str:
        """As boards call it."""
        return self.images.name

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that have images."""
        return tuple(split for split in SPLITS if len(self.images.rows(split)))

    def part(self, split: str) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
        """Return the rows of a part and their pixels (N, H, W, 3), in the table's order."""
        table = self.images.table
        return table[table["split"] == split], np.asarray(self.images.pixels[self.images.rows(split)])


MASKS = "masks"
SEEN = ("generator_run", "set", "label", "pixel_sha256")
"""Columns of a set's ancestry. Patients and slides are left out: their names are not ours to publish."""


def picture_path(name: str, split: str, label: str, file: str) -> str:
    """Return where an image lies below the set's folder, as ImageFolder reads it: a folder per set, part and class."""
    return f"images/{name}/{split}/{label}/{file.rsplit('/', 1)[-1]}.png"


def mask_path(name: str, split: str, label: str, file: str) -> str:
    """Return where the numbered cells of a scene lie below the set's folder: as its image does."""
    return f"{MASKS}/{name}/{split}/{label}/{file.rsplit('/', 1)[-1]}.png"
