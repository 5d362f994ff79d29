"""Frozen splits: who is trained on, who selects, who tests; drawn once, written down with a hash, never drawn again.

Units that may not be torn apart (a patient or slide, copies of one picture) go as a whole. Every choice about awkward
data is explicit and recorded: labels that contradict each other, copies, classes too small.
"""

import hashlib
from collections.abc import Iterator
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cytobench.datasets.scan import copies
from cytobench.errors import DataFault, UsageFault
from cytobench.seeds import seed_for
from cytobench.store import Step, digest

SPLITS = ("train", "val", "test")
PARTITIONS = ("a", "b")
SMALLEST_CLASS = 5  # one image for each partition of train, two for the ratio's sake, one each for val and test

Duplicates = Literal["together", "first"]
Contradictions = Literal["refuse", "drop"]
Rare = Literal["refuse", "drop", "train", "test"]


class Choices(BaseModel):
    """What to do about awkward data; each choice that is used is printed and recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: Duplicates = "together"
    """Copies of one picture: keep them in one part, or keep one of them (in test before val before train)."""
    contradictions: Contradictions = "refuse"
    """One picture with two labels: stop, or drop all its copies."""
    rare: Rare = "refuse"
    """A class too small to be split: stop, drop it, or put it into train or test as a whole."""


class SplitStep(Step):
    """Assign every image of a scanned set to a part."""

    kind: ClassVar[str] = "split"
    code: ClassVar[tuple[str, ...]] = ("cytobench.datasets.splits",)

    classes: tuple[str, ...]
    """The label space; images of other classes are left out."""
    ratios: tuple[float, float, float]
    """Shares of train, val and test."""
    seed: int
    choices: Choices = Choices()
    train_per_class: int = 0
    """At most so many training images per class, and a third as many for validation; 0 takes all. Never fewer tests."""


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


def make_split(table: pd.DataFrame, step: SplitStep) -> Split:
    """Return the split of a scanned table; the same for equal seeds, whatever the order of its rows.

    Raises:
        DataFault: Contradicting labels, a class too small, fewer than two classes; with the options there are.
        UsageFault: Only some rows name a split.
    """
    notes: list[str] = []
    table = table.sort_values(["id", "file"], kind="stable").reset_index(drop=True)
    table = _without_contradictions(table, step, notes)
    table = table[table["label"].isin(step.classes)].reset_index(drop=True)
    table = _without_copies(table, step, notes)
    present = [label for label in step.classes if (table["label"] == label).any()]
    if len(present) < 2:
        raise DataFault(f"only {len(present)} class is left: {present}", fix="a classifier needs at least two classes")
    given = (table["split"] != "").any()
    table = _given(table, step, notes) if given else _drawn(table, step, notes)
    known = int((table["group"] != "").sum())
    if known == 0:
        notes.append("no group column: the split is image-level, cells of one patient may be in two parts")
    else:
        level = "" if known == len(table) else f", for the {known} of {len(table)} images whose group is known"
        notes.append(f"no patient or slide is in two parts{level}")
    made = table[(table["origin"] == "synthetic") & (table["generator_run"] == "")]
    if len(made):
        notes.append(f"{len(made)} synthetic images came with the data; what their generator saw is not known")
    if step.train_per_class:
        table = _starved(table, step, notes)
    table["partition"] = ""
    train = table.index[table["split"] == "train"]
    table.loc[train, "partition"] = assign(table.loc[train], PARTITIONS, (0.5, 0.5), seed_for(step.seed, "partition"))
    return Split(table, tuple(notes))


def assign(table: pd.DataFrame, parts: tuple[str, ...], ratios: tuple[float, ...], seed: int) -> list[str]:
    """Return a part for every row: whole units, every class as near to its ratios as the units allow.

    Units of one image are dealt to the part whose share of the class is missing most, so that the counts are within
    one image of the ratios; larger units are dealt first, largest before smaller.
    """
    labels, codes = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    units = _units(table)
    unit_counts = np.zeros((units.max(initial=-1) + 1, len(labels)), dtype=np.int64)
    np.add.at(unit_counts, (units, codes), 1)
    names = table["id"].to_numpy(dtype=str)
    first_name = dict(zip(units[::-1], names[::-1], strict=True))
    order = sorted(range(len(unit_counts)), key=lambda u: (-unit_counts[u].sum(), _shuffled(first_name[u], seed)))
    target = np.outer(np.asarray(ratios) / sum(ratios), unit_counts.sum(axis=0))  # (parts, classes)
    held = np.zeros_like(target)
    part_of = np.zeros(len(unit_counts), dtype=np.int64)
    for unit in order:
        count = unit_counts[unit]
        missing = target - held
        # The part where adding the unit lowers the squared distance to the targets most, relative to class size.
        gain = ((2 * missing - count) * count / np.maximum(target.sum(axis=0), 1)).sum(axis=1)
        part_of[unit] = int(np.argmax(np.round(gain, 9)))
        held[part_of[unit]] += count
    return [parts[part_of[unit]] for unit in units]


def _units(table: pd.DataFrame) -> NDArray[np.int64]:
    """Number the sets of rows that share a group or a picture, at any remove."""
    count = len(table)
    edges = [*_chains(table["group"]), *_chains(table["pixel_sha256"])]
    left, right = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _chains(column: pd.Series) -> Iterator[tuple[int, int]]:
    last: dict[str, int] = {}
    for row, value in enumerate(column):
        if value and value in last:
            yield last[value], row
        last[value] = row


def _shuffled(name: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _without_contradictions(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    groups = [rows for rows in copies(table) if rows["label"].nunique() > 1]
    bad = [rows for rows in groups if rows["label"].isin(step.classes).any()]
    if not bad:
        return table
    said = [" = ".join(f"{file} ({label})" for file, label in zip(r["file"], r["label"], strict=True)) for r in bad]
    if step.choices.contradictions == "refuse":
        raise DataFault(
            f"{len(bad)} picture(s) carry two different labels",
            problems=said,
            fix="correct the labels, or leave these pictures out with --contradictions drop",
        )
    ids = {one for rows in bad for one in rows["id"]}
    notes.append(f"{len(ids)} images left out: {len(bad)} picture(s) with two labels (--contradictions drop)")
    return table[~table["id"].isin(ids)].reset_index(drop=True)


def _without_copies(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    groups = copies(table)
    if not groups:
        return table
    extra = sum(len(rows) - 1 for rows in groups)
    if step.choices.duplicates == "together":
        notes.append(f"{len(groups)} pictures are there more than once ({extra} copies); copies stay in one part")
        return table
    rank = {"test": 0, "val": 1, "train": 2, "": 3}
    surplus = [one for rows in groups for one in sorted(zip(rows["split"].map(rank), rows["id"], strict=True))[1:]]
    notes.append(f"{extra} copies of {len(groups)} pictures left out (--duplicates first)")
    return table[~table["id"].isin({name for _, name in surplus})].reset_index(drop=True)


def _starved(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    seed = seed_for(step.seed, "train_per_class")
    limits = {"train": step.train_per_class, "val": max(1, step.train_per_class // 3), "test": len(table)}
    ordered = sorted(table.index, key=lambda row: _shuffled(str(table.at[row, "id"]), seed))
    rank = table.loc[ordered].groupby(["label", "split"]).cumcount().sort_index()
    kept = table[rank < table["split"].map(limits)].reset_index(drop=True)
    notes.append(
        f"training on at most {limits['train']} images per class (validation {limits['val']}), chosen by seed: "
        f"{len(table) - len(kept)} images left out, none of them from test"
    )
    return kept


def _given(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    if (table["split"] == "").any():
        raise UsageFault(
            f"{int((table['split'] == '').sum())} of {len(table)} rows name no split, the others do",
            fix="give every row a split, or none",
        )
    notes.append("the split was given with the data")
    if not (table["split"] == "val").any():
        train = table.index[table["split"] == "train"]
        table.loc[train, "split"] = assign(table.loc[train], SPLITS[:2], (0.75, 0.25), seed_for(step.seed, "val"))
        notes.append("it names no validation part: a quarter of train was set aside by seed")
    absent = [part for part in SPLITS if not (table["split"] == part).any()]
    if absent:
        raise DataFault(f"the given split has no {' and no '.join(absent)} part", fix="add it, or give no split at all")
    return table


def _drawn(table: pd.DataFrame, step: SplitStep, notes: list[str]) -> pd.DataFrame:
    counts = table["label"].value_counts()
    rare = {str(label): int(count) for label, count in counts.items() if count < SMALLEST_CLASS}
    if rare and step.choices.rare == "refuse":
        raise DataFault(
            f"{len(rare)} class(es) have fewer than {SMALLEST_CLASS} images and can't be split",
            problems=[f"{label}: {count}" for label, count in sorted(rare.items())],
            fix="--rare drop leaves them out, --rare train or --rare test puts them whole into that part",
        )
    if rare:
        done = {"drop": "left out", "train": "all in train", "test": "all in test"}[step.choices.rare]
        said = ", ".join(f"{label} ({count})" for label, count in sorted(rare.items()))
        notes.append(f"too small to be split: {said}; {done} (--rare {step.choices.rare})")
    units = _units(table)  # what belongs to a rare image (its patient, its copies) goes where it goes
    apart = pd.Series(np.isin(units, units[table["label"].isin(rare)]), index=table.index)
    if step.choices.rare == "drop":
        kept = ~table["label"].isin(rare)
        table, apart = table[kept].copy(), apart[kept] & False
    common = table.index[~apart]
    table.loc[common, "split"] = assign(table.loc[common], SPLITS, step.ratios, seed_for(step.seed, "split"))
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
    return table
