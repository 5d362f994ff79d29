"""A frozen set as a data set again: its own splits, its labels, and what its generators saw, proven before use."""

import hashlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from cytobench.datasets.frozen.edition import SEEN
from cytobench.datasets.frozen.identity import REFERENCE, Identity, parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, Manifest, Row, read, root_of
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import LICENCE, ancestry_path
from cytobench.datasets.imageset import Nature
from cytobench.datasets.known_set import KnownSet
from cytobench.datasets.readers.listing import Ancestry, Entry, Listing, Seen
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


def refuse_part(path: str) -> None:
    """Refuse a file or folder within a frozen set: alone it says neither that it was drawn nor what from.

    Raises:
        UsageFault: With the frozen set's folder.
    """
    for folder in Path(path).resolve().parents:
        if (folder / MANIFEST).is_file() and (folder / IDENTITY).is_file():
            raise UsageFault(f"{path} is a part of a frozen set", fix=f"name its folder: --data NAME={folder}")


def thaw(folder: Path, name: str, *, expected: Identity | None, verified: bool) -> Thawed:
    """Return one set of a frozen set as a listing.

    Args:
        folder: The frozen set's.
        name: As the user calls it; where several sets are frozen together, which one is meant.
        expected: What the set must be; None takes any.
        verified: Whether every file is read and compared first. Pixels are compared when they are decoded, anyway.

    Raises:
        UsageFault: Several sets, none of that name.
        IntegrityFault: Something was changed, and all files are named; it is another set than was expected; or nobody
            says what drew an image, or what that had seen. These three hold unverified, too.
    """
    identity, manifest = verify(folder, expected=expected)[:2] if verified else _stated(folder, expected)
    pictures = [row for row in manifest.rows if row.pixel_sha256]
    sets = sorted({row.set for row in pictures})
    if len(sets) != 1 and name not in sets:
        raise UsageFault(
            f"{identity} holds {len(sets)} sets, and {name} is none of them",
            fix=" or ".join(f"--data {one}={folder}" for one in sets) or "publish a run that drew something",
        )
    chosen = sets[0] if len(sets) == 1 else name
    rows = [row for row in pictures if row.set == chosen]
    nature = _nature(rows, chosen)
    facts = KnownSet(title=f"{chosen} of {identity}", licence=_licence(folder), nature=nature)
    seen = _seen(folder, chosen, manifest.rows)
    ancestry = Ancestry(tuple(row.generator_run for row in rows), seen)
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


def _stated(folder: Path, expected: Identity | None) -> tuple[Identity, Manifest]:
    """Return what the manifest says, which is whole and the one that was asked for; no other file is looked at."""
    content = (folder / MANIFEST).read_bytes()
    manifest = read(content)
    identity = manifest.identity._replace(root=root_of(content))
    if manifest.problems:
        raise IntegrityFault(f"{folder} was edited", problems=manifest.problems, fix="get it again")
    if expected is not None and not expected.means(identity):
        raise IntegrityFault(f"{folder} is {identity}, and {expected} was asked for", fix="get the one that is meant")
    return identity, manifest


def _nature(rows: Sequence[Row], name: str) -> Nature:
    """Return what a set's images are: all of one origin, and those of generators with the fit that drew them."""
    origins = {row.origin for row in rows}
    if origins == {"phantom"}:
        return "phantom"
    if origins == {"synthetic"} and all(row.generator_run for row in rows):
        return "synthetic"
    told = ", ".join(sorted(origins))
    raise IntegrityFault(
        f"the manifest does not say which fit drew every image of {name}, or mixes origins ({told})",
        fix="get the frozen set again",
    )


def _seen(folder: Path, name: str, rows: Sequence[Row]) -> tuple[Seen, ...]:
    """Return what the generators of a set saw: the bytes that the manifest states, whether all was verified or not."""
    stated = {row.path: row.sha256 for row in rows}
    path = ancestry_path(name)
    try:
        content = (folder / path).read_bytes() if path in stated else b""
    except OSError as error:
        raise _untold(folder, path) from error
    if hashlib.sha256(content).hexdigest() != stated.get(path):
        raise _untold(folder, path)
    try:
        seen = pd.read_csv(io.BytesIO(content), dtype=str, na_filter=False, encoding_errors="surrogateescape")
    except ValueError as error:
        raise _untold(folder, path) from error
    if list(seen.columns) != list(SEEN):
        raise _untold(folder, path)
    return tuple(Seen(*row) for row in seen.itertuples(index=False, name=None))


def _untold(folder: Path, path: str) -> IntegrityFault:
    return IntegrityFault(
        f"{folder} does not say what its generators saw: {path} is not what its manifest states", fix="get it again"
    )


def _licence(folder: Path) -> str:
    path = folder / LICENCE
    found = re.match(r"SPDX-License-Identifier: (\S+)", path.read_text(encoding="utf-8")) if path.is_file() else None
    return found[1] if found else "unknown"
