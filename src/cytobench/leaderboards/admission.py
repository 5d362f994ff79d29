"""What a board refuses: the guard's last door before a number is shown."""

import itertools
from collections import defaultdict
from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.record import Predictions, Record

REQUIRED_CHECKS = ("origin", "shots", "groups", "copies")
"""Real or named otherwise; seen by no generator; of no patient that was trained on; no copy of a training image."""

SYNTHETIC_MARK = "synthetic:"
"""What the id of an image begins with when a generator made it."""


class Place(NamedTuple):
    """Where a record stands on a board; only one can stand there."""

    backbone: str
    source: str
    target: str
    seed: int


def place(record: Record) -> Place:
    """Return where a record stands."""
    facts = record.facts
    return Place(facts.backbone.asked, facts.source.name, facts.target.name, facts.seed)


def admit(records: Sequence[Record]) -> list[Record]:
    """Return the records that may share a board, each once, in the order of their places.

    Raises:
        UsageFault: There is none, or they are of several protocols, profiles or lists of classes.
        IntegrityFault: A number is not proven clean, or two records disagree.
    """
    if not records:
        raise UsageFault("there is no finished record to make a board of", fix="run `cytobench run` first")
    _same_experiment(records)
    problems = [f"{'/'.join(map(str, place(one)))}: {fault}" for one in records for fault in faults(one)]
    if problems:
        raise IntegrityFault("a board takes only numbers that the guard has proven clean", problems=problems)
    unique = _unique(records)
    problems = _disagreements(unique)
    if problems:
        raise IntegrityFault(
            "records of one set do not speak of the same images", problems=problems, fix="make a board for each split"
        )
    return unique


def faults(record: Record) -> list[str]:
    """Return why a board cannot take a record; nothing when it can."""
    guard, target, found = record.facts.guard, record.facts.target, []
    missing = [check for check in REQUIRED_CHECKS if check not in guard.checks]
    if missing:
        found.append(f"the guard did not check {', '.join(missing)}")
    if guard.exposed_images:
        found.append(f"{guard.exposed_images} test images were seen in training or by a generator")
    if guard.test_images != target.images_test:
        found.append(f"the guard checked {guard.test_images} of {target.images_test} test images")
    if record.predictions is not None and target.nature != "synthetic":
        made = int(np.char.startswith(record.predictions.ids, SYNTHETIC_MARK).sum())
        if made:
            found.append(f"{made} test images of {target.name}, a {target.nature} set, are synthetic")
    return found


def _same_experiment(records: Sequence[Record]) -> None:
    for what, values in {
        "protocols": {one.facts.protocol for one in records},
        "profiles": {one.facts.profile for one in records},
        "lists of classes": {", ".join(one.facts.classes) for one in records},
    }.items():
        if len(values) > 1:
            raise UsageFault(
                f"records of several {what} cannot share a board",
                problems=sorted(values),
                fix="make one board for each",
            )


def _unique(records: Sequence[Record]) -> list[Record]:
    kept: dict[Place, Record] = {}
    for record in sorted(records, key=lambda one: (place(one), one.key)):
        other = kept.setdefault(place(record), record)
        if not _equal(record, other):
            raise IntegrityFault(
                f"two records with different content claim {'/'.join(map(str, place(record)))}",
                problems=sorted([other.key, record.key]),
                fix="make the board from one run, or take one of the two records away",
            )
    return list(kept.values())


def _equal(record: Record, other: Record) -> bool:
    if record.facts != other.facts or (record.predictions is None) != (other.predictions is None):
        return False
    if record.predictions is None or other.predictions is None:
        return True
    return all(
        np.array_equal(getattr(record.predictions, name), getattr(other.predictions, name))
        for name in Predictions._fields
    )


def _disagreements(records: Sequence[Record]) -> list[str]:
    """Return every set that two records describe differently, and every image that is two things at once."""
    seen: dict[tuple[str, ...], set[Hashable]] = defaultdict(set)
    images: dict[tuple[str, str], set[str]] = defaultdict(set)
    for record in records:
        source, target = record.facts.source, record.facts.target
        seen["target", target.name, "split"].add(target.split_sha256)
        seen["source", source.name, f"with seed {record.facts.seed}"].add((source.key, source.split_sha256))
        seen["set", target.name, "nature"].add(target.nature)
        seen["set", source.name, "nature"].add(source.nature)
        if record.predictions is not None:
            ids, labels, _ = record.predictions
            order = np.argsort(ids)
            seen["target", target.name, "test images and labels"].add((ids[order].tobytes(), labels[order].tobytes()))
            images[target.name, target.nature] |= set(ids.tolist())
    found = [" ".join(what) + f": {len(values)} different" for what, values in sorted(seen.items()) if len(values) > 1]
    for ((one, first), mine), ((other, second), theirs) in itertools.combinations(sorted(images.items()), 2):
        if first != second and mine & theirs:
            found.append(f"{len(mine & theirs)} test images are both in {one} ({first}) and in {other} ({second})")
    return found
