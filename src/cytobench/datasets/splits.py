"""Frozen splits: who is trained on, who selects, who tests; drawn once, written down with a hash, never drawn again.

Units that may not be torn apart (a patient or slide, copies of one picture) go as a whole. Every choice about awkward
data is explicit and recorded.
"""

from collections.abc import Mapping
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from pydantic import NonNegativeInt, model_validator

from cytobench.datasets.assignment import assign, shuffled, units
from cytobench.datasets.awkward import Choices, check_near, check_rare, without_contradictions, without_copies
from cytobench.errors import DataFault, UsageFault
from cytobench.seeds import seed_for
from cytobench.store import Step, digest

SPLITS = ("train", "val", "test")
PARTITIONS = ("a", "b")
SMALLEST_CLASS = 5  # one image for each partition of train, two for the ratio's sake, one each for val and test
SET_ASIDE = (0.75, 0.25)
"""What of a given training part stays in it and what is selected with, where no validation part was given."""


class Fold(NamedTuple):
    """One of several rotating splits: ``number`` is tested on, the next one selects, all others train."""

    number: int
    """From 0."""
    of: int
    """How many there are; 5 gives 60/20/20."""


class SplitStep(Step):
    """Assign every image of a scanned set to a part."""

    kind: ClassVar[str] = "split"
    code: ClassVar[tuple[str, ...]] = ("cytobench.datasets.splits",)

    classes: tuple[str, ...]
    """The label space; images of other classes are left out."""
    labels: dict[str, str] = {}
    """Label on the disk -> class; empty text leaves its images out. Labels that are not named stay."""
    ratios: tuple[float, float, float]
    """Shares of train, val and test where the split is drawn and there are no folds."""
    fold: Fold | None = None
    """Which of several rotating splits; None draws one by ``ratios``."""
    seed: int
    choices: Choices = Choices()
    train_per_class: NonNegativeInt = 0
    """At most so many training images per class, and a third as many for validation; 0 takes all. Never fewer tests."""
    train_of_class: dict[str, NonNegativeInt] = {}
    """Likewise for single classes, where they differ."""

    @model_validator(mode="after")
    def _possible(self) -> "SplitStep":
        if self.fold and not (self.fold.of >= 3 and 0 <= self.fold.number < self.fold.of):
            raise ValueError(f"fold {self.fold.number} of {self.fold.of}: at least 3 folds, numbered from 0")
        return self


class Split(NamedTuple):
    """A frozen split."""

    table: pd.DataFrame
    """The scanned table with ``split`` and ``partition`` filled in; images that are left out are not in it."""
    notes: tuple[str, ...]
    """Every choice that was used, as sentences."""

    @property
    def sha256(self) -> str:
        """Hash of the assignment, independent of the order of rows."""
        return assignment_sha256(self.table)


def assignment_sha256(table: pd.DataFrame) -> str:
    """Return the hash of who is in which part, independent of the order of rows."""
    columns = table[["id", "label", "split", "partition", "group"]]
    return digest(sorted(map(list, columns.itertuples(index=False))))


def make_split(table: pd.DataFrame, step: SplitStep, near: Mapping[str, str] | None = None) -> Split:
    """Return the split of a scanned table; the same for equal seeds, whatever the order of its rows.

    Args:
        table: Columns of :data:`cytobench.datasets.imageset.COLUMNS`, labels as on the disk.
        step: What is asked for.
        near: Cluster of pictures that are nearly alike, by id; None when nobody looked.

    Raises:
        DataFault: Contradicting labels, a class too small, fewer than two classes; with the options there are.
        IntegrityFault: Near-copies in two parts that were to be refused.
        UsageFault: Only some rows name a split.
    """
    notes: list[str] = []
    table = table.sort_values(["id", "file"], kind="stable").reset_index(drop=True)
    table["near"] = table["id"].map(near or {}).fillna("") if near else ""
    table = _mapped(table, step.labels, notes)
    table, said = without_contradictions(table, step.classes, step.choices.contradictions)
    notes += said
    table = _of_classes(table, step.classes, notes)
    table, said = without_copies(table, step.choices.duplicates)
    notes += said
    present = [label for label in step.classes if (table["label"] == label).any()]
    if len(present) < 2:
        raise DataFault(f"only {len(present)} class is left: {present}", fix="a classifier needs at least two classes")
    given = bool((table["split"] != "").any())
    table = _given(table, step, notes) if given else _drawn(table, step, notes)
    notes += [_level(table), *_foreign(table)]
    if step.train_per_class or step.train_of_class:
        table = _starved(table, step, notes)
    notes += check_near(table, step.choices.near)
    train = table.index[table["split"] == "train"]
    if not given or not table.loc[train, "partition"].isin(PARTITIONS).all():
        table["partition"] = ""
        halves = _joined(table.loc[train], step)
        table.loc[train, "partition"] = assign(halves, PARTITIONS, (0.5, 0.5), seed_for(step.seed, "partition"))
    return Split(table.drop(columns="near"), tuple(notes))


def selection_limit(most: int) -> int:
    """Return how many images of a class are kept to select with, where so many are kept to train with: a third."""
    return max(1, most // 3)


def starved(table: pd.DataFrame, limits: Mapping[str, int], seed: int) -> pd.DataFrame:
    """Return a table with at most so many rows of each class, chosen by seed.

    The first n of n + 1 are the same: fewer shots are always a part of more.
    """
    ordered = sorted(table.index, key=lambda row: shuffled(str(table.at[row, "id"]), seed))
    rank = table.loc[ordered].groupby("label").cumcount().sort_index()
    return table[rank < table["label"].map(limits)]


def _mapped(table: pd.DataFrame, labels: Mapping[str, str], notes: list[str]) -> pd.DataFrame:
    counts = table["label"].value_counts()
    changed = [
        f"{raw} -> {labels[raw] or 'left out'} ({counts[raw]})"
        for raw in sorted(counts.index)
        if labels.get(raw, raw) != raw
    ]
    if changed:
        notes.append(f"labels: {', '.join(changed)}")
    table["label"] = [labels.get(label, label) for label in table["label"]]
    return table[table["label"] != ""].reset_index(drop=True)


def _of_classes(table: pd.DataFrame, classes: tuple[str, ...], notes: list[str]) -> pd.DataFrame:
    other = table.loc[~table["label"].isin(classes), "label"].value_counts().sort_index()
    if len(other):
        said = ", ".join(f"{label} ({count})" for label, count in other.items())
        notes.append(f"{other.sum()} images of other classes left out: {said}")
    return table[table["label"].isin(classes)].reset_index(drop=True)


def _level(table: pd.DataFrame) -> str:
    known = int((table["group"] != "").sum())
    if known == 0:
        return "no group column: the split is image-level, cells of one patient may be in two parts"
    level = "" if known == len(table) else f", for the {known} of {len(table)} images whose group is known"
    return f"no patient or slide is in two parts{level}"


def _foreign(table: pd.DataFrame) -> list[str]:
    made = table[(table["origin"] == "synthetic") & (table["generator_run"] == "")]
    return (
        [f"{len(made)} synthetic images came with the data; what their generator saw is not known"] if len(made) else []
    )


def _joined(table: pd.DataFrame, step: SplitStep) -> pd.DataFrame:
    """Return a table whose near-copies are one unit, if that was chosen."""
    return table if step.choices.near == "together" else table.assign(near="")


def _starved(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    unknown = sorted(set(step.train_of_class) - set(step.classes))
    if unknown:
        raise UsageFault(
            f"train_of_class names {unknown[0]!r}, which is no class here", fix=f"one of {', '.join(step.classes)}"
        )
    seed = seed_for(step.seed, "train_per_class")
    limited = {label: most for label in step.classes if (most := step.train_of_class.get(label, step.train_per_class))}
    if not limited:
        return table
    every = dict.fromkeys(step.classes, len(table))
    limits = {
        "train": every | limited,
        "val": every | {label: selection_limit(most) for label, most in limited.items()},
    }
    parts = {part: table[table["split"] == part] for part in SPLITS}
    kept = pd.concat([starved(rows, limits[part], seed) if part in limits else rows for part, rows in parts.items()])
    kept = kept.sort_index().reset_index(drop=True)
    each = (
        f"{step.train_per_class} images per class"
        if list(limited.values()) == [step.train_per_class] * len(step.classes)
        else ", ".join(f"{most} of {label}" for label, most in limited.items())
    )
    notes.append(
        f"training on at most {each} (validation a third), chosen by seed: "
        f"{len(table) - len(kept)} images left out, none of them from test"
    )
    return kept


def _given(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    if (table["split"] == "").any():
        raise UsageFault(
            f"{int((table['split'] == '').sum())} of {len(table)} rows name no split, the others do",
            fix="give every row a split, or none",
        )
    if step.fold:
        raise UsageFault(
            "the split was given with the data; it has no folds", fix="leave --fold out, or the split column"
        )
    notes.append("the split was given with the data")
    if not (table["split"] == "val").any():
        train = table.index[table["split"] == "train"]
        rows = _joined(table.loc[train], step)
        table.loc[train, "split"] = assign(rows, SPLITS[:2], SET_ASIDE, seed_for(step.seed, "val"))
        notes.append("it names no validation part: a quarter of train was set aside by seed")
    absent = [part for part in SPLITS if not (table["split"] == part).any()]
    if absent:
        raise DataFault(f"the given split has no {' and no '.join(absent)} part", fix="add it, or give no split at all")
    return table


def _drawn(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    smallest = max(SMALLEST_CLASS, step.fold.of if step.fold else 0)
    rare, said = check_rare(table, smallest, step.choices.rare)
    notes += said
    joined = _joined(table, step)
    numbers = units(joined)  # what belongs to a rare image (its patient, its copies) goes where it goes
    apart = pd.Series(np.isin(numbers, numbers[table.index.isin(rare.index)]), index=table.index)
    if step.choices.rare == "drop":
        kept = ~table.index.isin(rare.index)
        table, joined, apart = table[kept].copy(), joined[kept], apart[kept] & False
    common = table.index[~apart]
    table.loc[common, "split"] = _dealt(joined.loc[common], step)
    table.loc[table.index[apart], "split"] = step.choices.rare
    absent = [
        f"{label} in {part}"
        for part in SPLITS
        for label in sorted(set(table.loc[common, "label"]))
        if not ((table["label"] == label) & (table["split"] == part)).any()
    ]
    if absent:
        raise DataFault(
            "the groups are too few or too large to give every class to every part",
            problems=absent,
            fix="use more groups, give the split yourself, or drop these classes with --classes",
        )
    return table.reset_index(drop=True)


def _dealt(table: pd.DataFrame, step: SplitStep) -> list[str]:
    if step.fold is None:
        return assign(table, SPLITS, step.ratios, seed_for(step.seed, "split"))
    number, of = step.fold
    folds = [str(one) for one in range(of)]
    part = {**dict.fromkeys(folds, "train"), folds[number]: "test", folds[(number + 1) % of]: "val"}
    return [part[one] for one in assign(table, folds, (1.0,) * of, seed_for(step.seed, "folds"))]
