"""Write a frozen set: built beside its place, synced, and moved there when it is whole.

A kill at any moment leaves no set or a whole one. A version that is there already is never written over: the same
content is left as it is, other content is refused.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cytobench import interrupts
from cytobench.datasets.archives.names import clashes
from cytobench.datasets.decode import drawn_png
from cytobench.datasets.frozen import formats, verifier
from cytobench.datasets.frozen.card import card, licence
from cytobench.datasets.frozen.croissant import croissant
from cytobench.datasets.frozen.edition import SEEN, Edition, Published, picture_path
from cytobench.datasets.frozen.identity import Identity
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, Row, problem_of_path, read, root_of, written
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.readers.listing import problem_of_label
from cytobench.datasets.splits import SPLITS
from cytobench.errors import DataFault, IntegrityFault
from cytobench.progress import task
from cytobench.store import disk_faults, file_sha256, held

CARD, LICENCE, CROISSANT, VERIFIER, TABLE = "README.md", "LICENSE", "croissant.json", "verify.py", "images.csv"
ATTRIBUTES = ".gitattributes"
AS_THEY_ARE = b"""* -text
*.npz filter=lfs diff=lfs merge=lfs -text
*.parquet filter=lfs diff=lfs merge=lfs -text
"""  # git, and hubs that are made of it, must not change line ends; the hub writes such a file where there is none
THREADS = 8  # PNGs are packed outside the interpreter lock
FORMULA = tuple("=+-@\t\r")  # a spreadsheet calculates what begins so


class Written(NamedTuple):
    """A set that is there."""

    folder: Path
    identity: Identity
    files: int
    bytes: int
    images: int
    new: bool
    """Whether it was written now; else it was there, byte for byte."""


def write(
    shelf: Path,
    edition: Edition,
    sets: Sequence[Published],
    *,
    extras: Callable[[Path], None],
    annotations: Mapping[str, bytes],
) -> Written:
    """Write an edition below a folder and return what it is called.

    Args:
        shelf: Where published sets lie.
        edition: The facts about it.
        sets: Its images.
        extras: Writes whatever else belongs to it into the set's folder: the board that it was born with.
        annotations: COCO files by their path below the set's folder.

    Raises:
        DataFault: Names of classes or files that some system can't hold.
        IntegrityFault: A photograph; or this version is there with other content, or damaged.
        EnvironmentFault: No room.
    """
    _check(sets)
    folder = shelf / edition.identity.folder
    beside = shelf / f".{folder.name}.partial"
    with disk_faults(shelf), held(shelf / f".{folder.name}.lock", wait=True):
        shutil.rmtree(beside, ignore_errors=True)  # left by a kill
        try:
            identity = _build(beside, edition, sets, extras, annotations)
            if folder.exists():
                return _same(folder, identity)
            os.sync()  # one call for all files; each of its own would take minutes for a large set
            interrupts.check()
            beside.replace(folder)
            _sync(shelf)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    return _told(folder, identity, new=True)


def _check(sets: Sequence[Published]) -> None:
    """Refuse photographs, and names that can't be folders."""
    for one in sets:
        table = one.images.table
        real = table[~table["origin"].isin(("synthetic", "phantom"))]
        if len(real) or one.images.nature == "real":
            raise IntegrityFault(
                f"{one.name} holds photographs ({len(real)} of {len(table)} images); only what was drawn is published",
                fix="name drawn sets with --sets; photographs stay with their owner",
            )
    labels = sorted({label for one in sets for label in one.images.classes})
    problems = [f"{label!r} {why}" for label in labels if (why := _problem_of_label(label))]
    problems += clashes((label, False) for label in labels)
    if problems:
        raise DataFault(
            "classes become folders, and these can't on every system",
            problems=problems,
            fix="rename them (--label-map)",
        )


def _problem_of_label(label: str) -> str:
    if label.startswith(FORMULA):
        return "begins as a formula does"
    if "/" in label:
        return "holds a slash"
    return problem_of_label(label) or problem_of_path(label)


def _build(
    folder: Path,
    edition: Edition,
    sets: Sequence[Published],
    extras: Callable[[Path], None],
    annotations: Mapping[str, bytes],
) -> Identity:
    folder.mkdir(parents=True)
    extras(folder)
    images = pd.concat([_pictures(folder, one) for one in sets], ignore_index=True)
    for path, content in annotations.items():
        _put(folder / path, content)
    _put(folder / TABLE, formats.csv(images))
    _put(folder / ATTRIBUTES, AS_THEY_ARE)
    _put(folder / VERIFIER, Path(verifier.__file__).read_bytes())
    _put(folder / LICENCE, licence(edition).encode())
    _put(folder / CARD, card(edition, sets, frozenset(path.name for path in folder.iterdir())).encode())
    hashes = {path: file_sha256(folder / path) for path in (TABLE, *_parquets(sets))}
    facts = croissant(edition, sets, hashes, TABLE)
    _put(folder / CROISSANT, (json.dumps(facts, indent=1, ensure_ascii=False) + "\n").encode())
    known = {facts["path"]: facts for facts in images.to_dict("records")}
    rows = [_row(folder, path, known.get(path, {"path": path})) for path in _files(folder)]
    content = written(edition.identity, edition.supersedes, rows)
    problems = read(content).problems
    if problems:
        raise DataFault("some files have names that not every system can hold", problems=problems, fix="rename them")
    identity = edition.identity._replace(root=root_of(content))
    _put(folder / MANIFEST, content)
    _put(folder / IDENTITY, f"{identity}\n".encode())
    return identity


def _pictures(folder: Path, one: Published) -> pd.DataFrame:
    """Write a set's images in every form; return the rows of its table with their paths."""
    classes, number = one.images.classes, {label: code for code, label in enumerate(one.images.classes)}
    parts, tables = {}, []
    with task(f"write {one.name}", len(one.images.table)) as work, ThreadPoolExecutor(THREADS) as pool:
        for split in SPLITS:
            table, pixels = one.part(split)
            paths = [
                picture_path(one.name, split, label, file)
                for label, file in zip(table["label"], table["file"], strict=True)
            ]
            by = [f"{one.name}, {run}" if run else one.name for run in table["generator_run"]]
            pngs = list(pool.map(drawn_png, pixels, by))
            for path, png in zip(paths, pngs, strict=True):
                _put(folder / path, png)
                work.advance()
            rows = table.assign(path=paths, set=one.name)
            if split in one.parts:
                _put(folder / formats.parquet_path(one.name, split), formats.parquet(rows, pngs, classes))
            parts[split] = pixels, np.array([number[label] for label in table["label"]], np.int64)
            tables.append(rows[list(formats.COLUMNS)])
    _put(folder / f"npz/{one.name}.npz", formats.npz(parts, classes, one.name))
    _put(folder / ancestry_path(one.name), one.seen[list(SEEN)].to_csv(index=False, lineterminator="\n").encode())
    return pd.concat(tables)


def ancestry_path(name: str) -> str:
    """Return where the list of what a set's generators learned from lies below the folder."""
    return f"ancestry/{name}.csv"


def _parquets(sets: Sequence[Published]) -> list[str]:
    return [formats.parquet_path(one.name, split) for one in sets for split in one.parts]


def _row(folder: Path, path: str, facts: Mapping[Any, Any]) -> Row:
    size = (folder / path).stat().st_size
    return Row(bytes=size, sha256=file_sha256(folder / path), **facts)


def _files(folder: Path) -> list[str]:
    """Return the files of a set, sorted.

    Raises:
        IntegrityFault: A link among them: what it means elsewhere is not known.
    """
    found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    links = [name for name, path in found.items() if path.is_symlink()]
    links += [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_dir() and path.is_symlink()]
    if links:
        raise IntegrityFault(f"{len(links)} files are links", problems=links, fix="put the files themselves there")
    return sorted(found)


def _put(path: Path, content: bytes) -> None:
    """Write a file of a folder that nobody looks at before it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _same(folder: Path, identity: Identity) -> Written:
    """Return what is there when it is the same and untouched."""
    there = verify(folder).identity
    if there != identity:
        raise IntegrityFault(
            f"{there} is published, and this would be {identity}",
            fix=f"a published version is never edited: --version {identity.version + 1} --supersedes {there}",
        )
    return _told(folder, identity, new=False)


def _told(folder: Path, identity: Identity, *, new: bool) -> Written:
    manifest = read((folder / MANIFEST).read_bytes())
    sizes = [row.bytes for row in manifest.rows]
    images = sum(bool(row.pixel_sha256) for row in manifest.rows)
    return Written(folder, identity, len(sizes) + 2, sum(sizes), images, new)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
