"""What was measured of a synthetic set, apart from what classifiers learn from it: the self-contained record.

A record is a folder with ``fidelity.json`` and, written last, ``done.json`` with its hash.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import ConfigDict, Field, JsonValue, ValidationError

from cytobench.errors import IntegrityFault
from cytobench.leaderboards.record import Generator, Part
from cytobench.store import DONE, digest, is_whole, read_json, write_json

FACTS = "fidelity.json"
ALL = "all classes"

Metric = Literal["frechet", "frechet_infinite", "kid", "precision", "recall", "density", "coverage"]
METRICS: dict[Metric, str] = {
    "frechet": "Fréchet distance",
    "frechet_infinite": "FD∞",
    "kid": "KID",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
}
"""Every figure and what people call it."""

POSSIBLE: dict[Metric, tuple[float, float]] = {
    "frechet": (0, math.inf),
    "frechet_infinite": (-math.inf, math.inf),
    "kid": (-math.inf, math.inf),
    "precision": (0, 1),
    "recall": (0, 1),
    "density": (0, math.inf),
    "coverage": (0, 1),
}
"""The smallest and the largest value that each can have; FD∞ and KID are unbiased and go below 0."""


class Reading(Part):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Line(Part):
    """One figure of one class, or of all together, seen through one extractor."""

    extractor: str
    """Its name."""
    scope: str
    """A class, or ``all classes``: as many images of each as on the other side."""
    n: int = Field(ge=0)
    """Images on each of the three sides: reference, synthetic, floor."""
    floor_n: int | None = Field(default=None, ge=0)
    """Images on both sides of the floor where there are fewer than n; None: n."""
    metric: Metric
    """Which figure."""
    found: Reading | None
    """Synthetic against reference; None when it is refused or not defined."""
    floor: Reading | None
    """Other images of the reference's own set against it: what a perfect generator reaches."""
    note: str = ""
    """Why there is none, or what must be known of it."""


class CopyTest(Part):
    """One way of looking for what was copied."""

    test: str
    """What is counted."""
    extractor: str = ""
    """Through which features; empty for pixels."""
    found: int = Field(ge=0)
    """Synthetic images of which it is true."""
    of: int = Field(ge=0)
    """Synthetic images that were looked at."""
    usual: float = Field(ge=0, le=1)
    """The share of which it is true by chance, or among real images that the generator did not see."""
    p: float = Field(ge=0, le=1)
    """Probability of so many by chance."""


class Problem(Part):
    """Something that is wrong with the set, by name."""

    name: Literal["collapsed", "narrow", "exploded", "copied", "too few"]
    """Which."""
    scope: str
    """A class, or ``all classes``."""
    text: str
    """What was seen, in a sentence."""


class ExtractorFacts(Part):
    """What turned images into features."""

    name: str
    """As asked for."""
    origin: str
    """Where its weights come from, as ``file:<name>``, ``hub:<id>``, ``trial/<key>`` or ``none``."""
    sha256: str
    """Of the weights' file, or of its code where it has none."""
    width: int = Field(ge=1)
    """Features of an image."""


class FidelityFacts(Part):
    """Everything that was measured of one synthetic set."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """Version of this layout."""
    protocol: str = ""
    """Name of the experiment; empty outside of a run, and in records of earlier versions."""
    profile: str = ""
    """Its size; likewise."""
    synthetic: str
    """The synthetic set."""
    number: int = Field(default=0, ge=0)
    """Which of its generator's independent trainings."""
    generator: Generator | None = None
    """What drew it; None when nobody says."""
    reference: str
    """The images that it is compared with, in words."""
    reference_seen: int = Field(default=0, ge=0)
    """Of the reference, images that the generator learned from: these it may have learned by heart."""
    floor: str
    """Other images of the same set, in words."""
    image_size: int = Field(ge=1)
    """Side of the images, pixels."""
    classes: tuple[str, ...]
    """Those compared."""
    images: dict[str, int]
    """Images of each side before as many of each class were taken: reference, floor, synthetic."""
    extractors: tuple[ExtractorFacts, ...]
    """What looked at them."""
    lines: tuple[Line, ...]
    """The figures."""
    copies: tuple[CopyTest, ...]
    """What was copied."""
    problems: tuple[Problem, ...]
    """What is wrong; nothing is said to be right."""
    seed: int
    """Decides which images are taken where one side has more."""
    device: dict[str, JsonValue]
    """Where it was computed."""
    versions: dict[str, JsonValue]
    """Versions of the packages that the figures depend on."""
    ancestry: tuple[str, ...] = ()
    """Keys of every artefact that the figures depend on."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)


class FidelityRecord(NamedTuple):
    """A record as read."""

    key: str
    """Its key in the store."""
    facts: FidelityFacts
    sha256: str
    """Hash over the hashes of its files."""


def save(folder: Path, facts: FidelityFacts) -> None:
    """Write a record's file; the store adds ``done.json``."""
    write_json(folder / FACTS, facts.model_dump(mode="json", by_alias=True))


def read(folder: Path) -> FidelityRecord:
    """Read a record and prove that it is what was written.

    Raises:
        IntegrityFault: It is torn, edited, or does not fit.
    """
    remedy = "delete the folder and repeat the run; only this is measured again"
    if not is_whole(folder):
        raise IntegrityFault(f"{folder} is torn or was edited: its files are not those of {DONE}", fix=remedy)
    try:
        done = read_json(folder / DONE)
        if set(done["files"]) != {FACTS}:
            raise ValueError(f"it holds {sorted(done['files'])}, not {FACTS}")
        facts = FidelityFacts.model_validate(read_json(folder / FACTS))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise IntegrityFault(f"{folder / FACTS} is no record", problems=problems, fix=remedy) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityFault(f"{folder} is no record: {error}", fix=remedy) from error
    return FidelityRecord(str(done.get("key", folder.name)), facts, digest(done["files"]))


def in_order(records: Sequence[FidelityRecord]) -> tuple[FidelityRecord, ...]:
    """Return records by set and training, each once.

    Raises:
        IntegrityFault: Two speak of one training of one set and differ.
    """
    found: dict[tuple[str, int], FidelityRecord] = {}
    for one in records:
        place = (one.facts.synthetic, one.facts.number)
        if found.setdefault(place, one).sha256 != one.sha256:
            raise IntegrityFault(
                f"two records speak of {one.facts.synthetic}, training {one.facts.number + 1}, and differ",
                fix="make a board for each run",
            )
    return tuple(found[place] for place in sorted(found))
