"""Awkward images in a set, and what was chosen to do about them: never in silence, always recorded.

Two labels on one picture, copies of a picture, pictures that are nearly alike, classes too small to be split.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import pandas as pd
from pydantic import BaseModel, ConfigDict

from cytobench.datasets.scan import copies
from cytobench.errors import DataFault, IntegrityFault

Duplicates = Literal["together", "first"]
Contradictions = Literal["refuse", "drop"]
Rare = Literal["refuse", "drop", "train", "test"]
Near = Literal["warn", "refuse", "together"]
RANK = {"test": 0, "val": 1, "train": 2, "": 3}  # which of several copies is kept


class Choices(BaseModel):
    """What to do about awkward data; each choice that is used is printed and recorded."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    duplicates: Duplicates = "together"
    """Copies of one picture: keep them in one part, or keep one of them (in test before val before train)."""
    contradictions: Contradictions = "refuse"
    """One picture with two labels: stop, or drop all its copies."""
    rare: Rare = "refuse"
    """A class too small to be split: stop, drop it, or put it into train or test as a whole."""
    near: Near = "warn"
    """Pictures that are nearly alike in two parts: say so, stop, or keep them in one part."""


class Left(NamedTuple):
    """What is left of a table, and a sentence about it."""

    table: pd.DataFrame
    notes: tuple[str, ...] = ()


def without_contradictions(table: pd.DataFrame, classes: Iterable[str], choice: Contradictions) -> Left:
    """Return a table without pictures that carry two labels.

    Raises:
        DataFault: There are some, and nobody chose to drop them.
    """
    groups = [rows for rows in copies(table) if rows["label"].nunique() > 1]
    bad = [rows for rows in groups if rows["label"].isin(tuple(classes)).any()]
    if not bad:
        return Left(table)
    said = [" = ".join(f"{file} ({label})" for file, label in zip(r["file"], r["label"], strict=True)) for r in bad]
    if choice == "refuse":
        raise DataFault(
            f"{len(bad)} picture(s) carry two different labels",
            problems=said,
            fix="correct the labels, or leave these pictures out with --contradictions drop",
        )
    ids = {one for rows in bad for one in rows["id"]}
    note = f"{len(ids)} images left out: {len(bad)} picture(s) with two labels (--contradictions drop)"
    return Left(table[~table["id"].isin(ids)].reset_index(drop=True), (note,))


def without_copies(table: pd.DataFrame, choice: Duplicates) -> Left:
    """Return a table with copies of a picture as chosen: all of them, or one of each."""
    groups = copies(table)
    if not groups:
        return Left(table)
    extra = sum(len(rows) - 1 for rows in groups)
    if choice == "together":
        note = f"{len(groups)} pictures are there more than once ({extra} copies); copies stay in one part"
        return Left(table, (note,))
    surplus = {name for rows in groups for _, name in sorted(zip(rows["split"].map(RANK), rows["id"], strict=True))[1:]}
    note = f"{extra} copies of {len(groups)} pictures left out (--duplicates first)"
    return Left(table[~table["id"].isin(surplus)].reset_index(drop=True), (note,))


def check_rare(table: pd.DataFrame, smallest: int, choice: Rare) -> Left:
    """Return the rows of classes with fewer images than can be split, and a note on what becomes of them.

    Raises:
        DataFault: There are some, and nobody chose what to do.
    """
    counts = table["label"].value_counts()
    rare = {str(label): int(count) for label, count in counts.items() if count < smallest}
    if not rare:
        return Left(table.iloc[:0])
    if choice == "refuse":
        raise DataFault(
            f"{len(rare)} class(es) have fewer than {smallest} images and can't be split",
            problems=[f"{label}: {count}" for label, count in sorted(rare.items())],
            fix="--rare drop leaves them out, --rare train or --rare test puts them whole into that part",
        )
    done = {"drop": "left out", "train": "all in train", "test": "all in test"}[choice]
    said = ", ".join(f"{label} ({count})" for label, count in sorted(rare.items()))
    return Left(table[table["label"].isin(rare)], (f"too small to be split: {said}; {done} (--rare {choice})",))


def check_near(table: pd.DataFrame, choice: Near) -> tuple[str, ...]:
    """Return a note on pictures that are nearly alike and lie in different parts of a split.

    Args:
        table: With a column ``near``: the same text for pictures that are nearly alike, else empty.
        choice: What was chosen about them.

    Raises:
        IntegrityFault: There are some, and the choice is to stop.
    """
    known = table[(table["near"] != "") & (table["split"] != "")]
    torn = [rows for _, rows in known.groupby("near", sort=True) if rows["split"].nunique() > 1]
    if not torn:
        return ()
    # Names go to the one who runs it, in the fault; the note is published and holds none.
    said = [" ~ ".join(f"{file} ({part})" for file, part in zip(r["file"], r["split"], strict=True)) for r in torn]
    told = f"{len(torn)} pictures have near-copies in another part"
    if choice == "refuse":
        raise IntegrityFault(told, problems=said, fix="--near together keeps them in one part; or take them out")
    return (f"{told}: `--near together` keeps them in one part, `--strict` names and refuses them",)
