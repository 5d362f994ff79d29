"""A frozen set as a data set again: its own splits, its labels, and what its generators saw, proven before use."""

import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cytobench.datasets.frozen.edition import SEEN
from cytobench.datasets.frozen.identity import REFERENCE, Identity, parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, Row, read
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import LICENCE, ancestry_path
from cytobench.datasets.imageset import Nature, read_table
from cytobench.datasets.known_set import KnownSet
from cytobench.datasets.readers.listing import Ancestry, Entry, Listing
from cytobench.datasets.splits import PARTITIONS
from cytobench.errors import IntegrityFault, UsageFault


class Thawed(NamedTuple):
    """One set of a frozen set."""

    identity: Identity
    facts: KnownSet
    listing: Listing


def place_of(path: str, shelf: Path) -> tuple[Path, Identity | None]:
    """Return where a set lies, and what it must be where an identity was typed instead of a path.

    Args:
        path: A path, or ``NAME@vN`` with or without ``#HASH``.
        shelf: Where published sets lie.

    Raises:
        UsageFault: No such set was published there.
    """
    if not REFERENCE.fullmatch(path) or Path(path).exists():
        return Path(path), None
    identity = parse(path)
    folder = shelf / identity.folder
    if not folder.is_dir():
        raise UsageFault(f"there is no {path} in {shelf}", fix="name its folder with --data NAME=PATH, or --out")
    return folder, identity


def frozen_at(place: Path) -> Path | None:
    """Return the folder of a frozen set at a place, or in the only folder of an unpacked archive; None for others."""
    below = sorted(place.iterdir()) if place.is_dir() else []
    for folder in [place, *(below if len(below) == 1 else [])]:
        if (folder / MANIFEST).is_file() or (folder / IDENTITY).is_file():
            return folder
    return None


def thaw(folder: Path, name: str, *, expected: Identity | None, verified: bool) -> Thawed:
    """Return one set of a frozen set as a listing.

    Args:
        folder: The frozen set's.
        name: As the user calls it; where several sets are frozen together, which one is meant.
        expected: What the set must be; None takes any.
        verified: Whether every file is read and compared first. Pixels are compared when they are decoded, anyway.

    Raises:
        UsageFault: Several sets, none of that name.
        IntegrityFault: Something was changed; all files are named.
    """
    if verified:
        found = verify(folder, expected=expected)
        manifest, identity = found.manifest, found.identity
    else:
        manifest = read((folder / MANIFEST).read_bytes())
        identity = manifest.identity
        if manifest.problems:
            raise IntegrityFault(f"{folder} was edited", problems=manifest.problems, fix="get it again")
    pictures = [row for row in manifest.rows if row.pixel_sha256]
    sets = sorted({row.set for row in pictures})
    if len(sets) != 1 and name not in sets:
        raise UsageFault(
            f"{identity} holds {len(sets)} sets, and {name} is none of them",
            fix=" or ".join(f"--data {one}={folder}" for one in sets) or "publish a run that drew something",
        )
    chosen = sets[0] if len(sets) == 1 else name
    rows = [row for row in pictures if row.set == chosen]
    nature: Nature = "phantom" if rows[0].origin == "phantom" else "synthetic"
    facts = KnownSet(title=f"{chosen} of {identity}", licence=_licence(folder), nature=nature)
    try:
        seen = read_table(folder / ancestry_path(chosen))
    except (OSError, ValueError) as error:
        raise IntegrityFault(f"{folder} does not say what its generators saw: {error}", fix="get it again") from error
    ancestry = Ancestry(tuple(row.generator_run for row in rows), _rows(seen, chosen))
    return Thawed(identity, facts, Listing(folder, tuple(map(_entry, rows)), 0, ancestry=ancestry))


def _entry(row: Row) -> Entry:
    drawn = row.origin == "phantom" and row.split == "train" and row.partition in PARTITIONS
    return Entry(
        row.path,
        row.label,
        row.split,
        origin=row.origin,
        pixel_sha256=row.pixel_sha256,
        partition=row.partition if drawn else "",  # of a synthetic set it says what its generator saw
    )


def _rows(seen: pd.DataFrame, name: str) -> tuple[tuple[str, str, str, str], ...]:
    if list(seen.columns) != list(SEEN):
        raise IntegrityFault(
            f"{ancestry_path(name)} does not say what the generators of {name} saw", fix="get it again"
        )
    return tuple(seen.itertuples(index=False, name=None))


def _licence(folder: Path) -> str:
    path = folder / LICENCE
    found = re.match(r"SPDX-License-Identifier: (\S+)", path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else "unknown"
