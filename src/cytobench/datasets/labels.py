"""Labels and what they may mean: suggestions from a taxonomy of blood cells, and maps that a user writes.

A suggestion is printed, never applied. Only what the user or a set's description says outright changes a label.
"""

import csv
import difflib
import functools
import io
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from cytobench.datasets.known_set import KnownSet, known
from cytobench.datasets.layouts.listing import folded
from cytobench.datasets.readers.listing import problem_of_label
from cytobench.errors import DataFault, UsageFault

CLOSE = 0.85  # below, names of different cells look alike: myelocyte and metamyelocyte are at 0.82
LARGEST = 1_000_000  # bytes of a file with a map
LONGEST_LINE = 3000  # characters; a key of many parts takes the square of their number


class CellClass(BaseModel):
    """A class of the taxonomy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    synonyms: tuple[str, ...] = ()
    """Other names and abbreviations."""
    parent: str = ""
    """The coarser class it belongs to."""


class LabelMap(BaseModel):
    """What becomes of a set's labels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    """The set."""
    pairs: Mapping[str, str]
    """Label -> class; an empty class leaves its images out."""
    others: Literal["keep", "drop"] = "keep"
    """What happens to labels that are not named; a named merge drops them."""


@functools.cache
def taxonomy() -> Mapping[str, CellClass]:
    """Return the classes of blood cells by name."""
    text = (Path(__file__).parent / "taxonomy.toml").read_text(encoding="utf-8")
    return {name: CellClass.model_validate(entry) for name, entry in tomllib.loads(text).items()}


def suggest(labels: Collection[str], allowed: Collection[str]) -> dict[str, str]:
    """Return what unknown labels probably mean; those with no single clear meaning are missing.

    Args:
        labels: Labels as they are on the disk.
        allowed: Classes that may be suggested. Where a label means a finer class, its nearest allowed ancestor is.
    """
    meanings = {name: _nearest(name, allowed) for name in taxonomy()}
    keys: dict[str, set[str]] = {}
    for name, entry in taxonomy().items():
        for word in (name, *entry.synonyms):
            keys.setdefault(folded(_plain(word)), set()).add(meanings[name])
    for label in allowed:
        keys.setdefault(folded(_plain(label)), set()).add(label)
    found: dict[str, str] = {}
    for label in labels:
        key = folded(_plain(label))
        near = [key] if key in keys else difflib.get_close_matches(key, keys, n=5, cutoff=CLOSE)
        meant: set[str] = set().union(*(keys[one] for one in near))
        if len(meant) == 1 and (meaning := meant.pop()):
            found[label] = meaning
    return found


def parse_map(text: str) -> LabelMap:
    """Read ``--label-map``: ``NAME=Baso:basophil,Smudge:``, ``NAME=five`` (a set's own merge) or ``NAME=FILE``.

    A file is TOML (``label = "class"``) or CSV with the columns label and class. An empty class leaves images out.

    Raises:
        UsageFault: Not of this form, a label named twice, a map in two steps, no such merge.
        DataFault: The file can't be read.
    """
    name, _, given = (part.strip() for part in text.partition("="))
    if not name or not given:
        raise UsageFault(
            f"--label-map {text}: a set's name and a map are needed",
            fix="--label-map NAME=Baso:basophil,Smudge: (or NAME=five, NAME=map.toml, NAME=map.csv)",
        )
    if given.lower().endswith((".toml", ".csv")):
        return _checked(name, _read(Path(given)))
    if ":" not in given:
        return merge(name, known(name), given)
    pairs: list[tuple[str, str]] = []
    for one in filter(None, (part.strip() for part in given.split(","))):
        label, colon, meaning = one.partition(":")
        if not colon or not label.strip():
            raise UsageFault(f"--label-map {text}: {one!r} is no LABEL:CLASS", fix="write Baso:basophil; Smudge: drops")
        pairs.append((label, meaning))
    return _checked(name, pairs)


def merge(name: str, facts: KnownSet, wanted: str) -> LabelMap:
    """Return a merge that a known set describes.

    Raises:
        UsageFault: It has none of that name.
    """
    if wanted not in facts.merges:
        has = f"it has {', '.join(sorted(facts.merges))}" if facts.merges else "it has none"
        raise UsageFault(f"{name} has no merge {wanted!r}; {has}", fix=f"or write --label-map {name}=LABEL:CLASS,…")
    return LabelMap(name=name, pairs=dict(facts.merges[wanted]), others="drop")


def apply(labels: Sequence[str], label_map: LabelMap) -> tuple[str, ...]:
    """Return a class for every label; empty for those to leave out.

    Raises:
        UsageFault: The map names labels that are not there, with the nearest ones.
    """
    present = sorted(set(labels))
    strange = sorted(set(label_map.pairs) - set(present)) if label_map.others == "keep" else []
    if strange:
        problems = []
        for label in strange:
            near = difflib.get_close_matches(label, present, n=1, cutoff=0.5) or [
                one for one in present if folded(one) == folded(label)
            ]
            problems.append(f"{label!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        raise UsageFault(
            f"the label map of {label_map.name} names labels that the set does not have",
            problems=problems,
            fix=f"its labels are {', '.join(present)}",
        )
    return tuple(label_map.pairs.get(label, label if label_map.others == "keep" else "") for label in labels)


def _checked(name: str, given: Sequence[tuple[str, str]]) -> LabelMap:
    pairs = [(unicodedata.normalize("NFC", label.strip()), meaning.strip()) for label, meaning in given]
    if not pairs:
        raise UsageFault(f"the label map of {name} is empty", fix=f"--label-map {name}=LABEL:CLASS")
    if twice := sorted(label for label, count in Counter(label for label, _ in pairs).items() if count > 1):
        raise UsageFault(
            f"the label map of {name} names {', '.join(map(repr, twice))} twice", fix="name each label once"
        )
    mapped = dict(pairs)
    if unnamed := [f"{one[:40]!r} {why}" for one in sorted(set(mapped.values())) if (why := problem_of_label(one))]:
        raise UsageFault(
            f"the label map of {name} leads to what is no name of a class", problems=unnamed, fix="rename it"
        )
    chains = [f"{a}:{b} and {b}:{mapped[b]}" for a, b in pairs if b in mapped and mapped[b] != b]
    if chains:
        raise UsageFault(
            f"the label map of {name} has two steps, which could mean either",
            problems=chains,
            fix="say for each label where it ends",
        )
    return LabelMap(name=name, pairs=mapped)


def _read(file: Path) -> list[tuple[str, str]]:
    if not file.is_file():
        raise UsageFault(f"there is no label map {file}", fix="check --label-map NAME=FILE")
    if file.stat().st_size > LARGEST:
        raise DataFault(f"{file} is larger than {LARGEST // 1_000_000} MB, no label map", fix="name another file")
    try:
        text = file.read_text(encoding="utf-8-sig")
        if any(len(line) > LONGEST_LINE for line in text.splitlines()):
            raise ValueError(f"a line of more than {LONGEST_LINE} characters")
        return _from_toml(tomllib.loads(text)) if file.suffix.lower() == ".toml" else _from_csv(text)
    except RecursionError:
        raise DataFault(
            f"{file} can't be read as a label map: nested too deeply", fix='write label = "class" per line'
        ) from None
    except (ValueError, csv.Error) as error:  # tomllib's and Unicode's faults are ValueErrors
        raise DataFault(
            f"{file} can't be read as a label map: {error}", fix='write label = "class" per line'
        ) from error


def _from_toml(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    if wrong := [key for key, value in table.items() if not isinstance(value, str)]:
        raise ValueError(f"{', '.join(wrong)}: not a class's name")
    return list(table.items())


def _from_csv(text: str) -> list[tuple[str, str]]:
    rows = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    if rows and not {"label", "class"} <= set(rows[0]):
        raise ValueError("the columns label and class are needed")
    if wrong := [
        str(number) for number, row in enumerate(rows, 2) if not row["label"] or row["class"] is None or None in row
    ]:
        raise ValueError(f"line {', '.join(wrong)}: a label and a class are needed")
    return [(row["label"], row["class"]) for row in rows]


def _nearest(name: str, allowed: Collection[str]) -> str:
    """Return the class itself or its nearest ancestor that is allowed; empty if none is."""
    seen: set[str] = set()
    while name and name not in allowed and name not in seen:
        seen.add(name)
        name = taxonomy()[name].parent
    return name if name in allowed else ""


def _plain(name: str) -> str:
    """Return a name without accents."""
    return "".join(one for one in unicodedata.normalize("NFKD", name) if not unicodedata.combining(one))
