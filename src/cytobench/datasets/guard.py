"""The guard: a number counts only when its test images could not have been learned from.

Test images must be real (or be named as a synthetic or drawn target), unseen by every generator in the ancestry of the
training images, in no group with and no pixel-copy of anything that was trained on. Pure functions of tables.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from cytobench.errors import IntegrityFault

CHECKS = ("origin", "shots", "groups", "copies", "cells")


class Exposure(NamedTuple):
    """Everything that a model, or a generator before it, was shown."""

    pixels: frozenset[str] = frozenset()
    """SHA-256 of decoded pixels."""
    groups: frozenset[tuple[str, str]] = frozenset()
    """(set, group): patients and slides; groups of different sets are different."""

    def __or__(self, other: "Exposure") -> "Exposure":
        return Exposure(self.pixels | other.pixels, self.groups | other.groups)


class Finding(NamedTuple):
    """One way in which test images are not clean."""

    check: str
    reason: str
    names: tuple[str, ...]


def exposure(table: pd.DataFrame, set_name: str) -> Exposure:
    """Return what someone who saw these rows was exposed to."""
    groups = ((set_name, group) for group in table["group"].unique() if group)
    return Exposure(frozenset(table["pixel_sha256"]), frozenset(groups))


def findings(
    test: pd.DataFrame, set_name: str, nature: str, trained: Exposure, generated_from: Exposure
) -> list[Finding]:
    """Return everything that is wrong with testing on these rows; nothing when the number may count.

    Args:
        test: The rows to be tested on.
        set_name: Their set, for its groups.
        nature: What the target is named as; rows of another origin are refused.
        trained: What the model itself was trained and selected on.
        generated_from: What the generators in the ancestry of that were trained on.
    """
    foreign = test[test["origin"] != nature]
    shots = test[(test["shot"] == "1") | test["pixel_sha256"].isin(generated_from.pixels)]
    seen_groups = trained.groups | generated_from.groups
    in_group = test[[bool(group) and (set_name, group) in seen_groups for group in test["group"]]]
    copied = test[test["pixel_sha256"].isin(trained.pixels)]
    found = [
        Finding("origin", f"not {nature}", _names(foreign)),
        Finding("shots", "seen by a generator or cut out for a scene", _names(shots)),
        Finding("groups", "of a patient or slide that was trained on", _names(in_group)),
        Finding("copies", "pixel-copies of training images", _names(copied)),
    ]
    return [one for one in found if one.names]


def shared_cells(test: pd.DataFrame, cells: Mapping[str, Exposure], learned: Exposure) -> list[Finding]:
    """Return the composed images that show what was learned from: the very cell, or another of its patient.

    Args:
        test: The rows to be tested on.
        cells: What was cut out for them, by what composed them.
        learned: What the model, and all that is behind what it learned from, was shown.
    """
    known = {run for run, shown in cells.items() if shown.pixels & learned.pixels or shown.groups & learned.groups}
    names = _names(test[test["generator_run"].isin(known)])
    return [Finding("cells", "composed of cells that were learned from", names)] if names else []


FIX = "take these rows out of the test part (or the training part); for copies, --duplicates first does it"


def refuse(found: Sequence[Finding], where: str, *, fix: str = FIX) -> None:
    """Stop when there is a finding.

    Raises:
        IntegrityFault: With the count and the names of the rows.
    """
    if not found:
        return
    raise IntegrityFault(
        f"{where}: " + "; ".join(f"{len(one.names)} test image(s) {one.reason}" for one in found),
        problems=[f"{one.check}: {name}" for one in found for name in one.names],
        fix=fix,
    )


def check_split(table: pd.DataFrame, set_name: str, nature: str) -> None:
    """Check one set's frozen split against itself: its test rows against all that is trained and selected on.

    Raises:
        IntegrityFault: With the count and the names of the rows.
    """
    test, rest = table[table["split"] == "test"], table[table["split"] != "test"]
    refuse(findings(test, set_name, nature, exposure(rest, set_name), Exposure()), f"the test part of {set_name}")
    val, train = table[table["split"] == "val"], table[table["split"] == "train"]
    leaks = [
        one for one in findings(val, set_name, nature, exposure(train, set_name), Exposure()) if one.check != "shots"
    ]
    leaks = [one for one in leaks if one.check != "origin"]  # synthetic images may help to train and to select
    refuse([one._replace(reason=f"(validation) {one.reason}") for one in leaks], f"the validation part of {set_name}")


def _names(rows: pd.DataFrame) -> tuple[str, ...]:
    return tuple(rows["file"])


def union(parts: Iterable[Exposure]) -> Exposure:
    """Return all exposures together."""
    total = Exposure()
    for part in parts:
        total = total | part
    return total
