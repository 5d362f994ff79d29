"""The scan: every file is opened once, before anything else, and all problems are told at once.

What can be read goes into a cache of pixels keyed by the files' hashes and the image size; later stages read there.
"""

import errno
import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.datasets.decode import Decoded, Unreadable, decode, from_array, in_turn
from cytobench.datasets.imageset import COLUMNS, PIXELS, TABLE, name_rows, write_table
from cytobench.datasets.readers.listing import Entry, Listing, problem_of_label
from cytobench.errors import DataFault, IntegrityFault
from cytobench.progress import task
from cytobench.store import Step, atomic, digest, file_sha256, write_json

REPORT = "report.json"
THREADS = 8  # Pillow decodes outside the interpreter lock
LARGEST_FILE = 400_000_000  # bytes; 50 megapixels of four channels with 16 bits, not compressed
LARGE_FILE = 50_000_000  # bytes; files above are read one after the other


class Survey(NamedTuple):
    """A listing with the hash of every file's bytes."""

    listing: Listing
    hashes: tuple[str, ...]
    """SHA-256 per entry; all rows of an npz share the archive's."""

    @property
    def root(self) -> Path:
        """What the files are relative to."""
        return self.listing.root

    @property
    def sha256(self) -> str:
        """Hash of what was listed: files, labels, splits, groups, contents and ancestry, but not where they lie."""
        rows = [[*entry, sha] for entry, sha in zip(self.listing.entries, self.hashes, strict=True)]
        return digest([*sorted(rows, key=repr), *([self.listing.ancestry] if self.listing.ancestry else [])])


class ScanStep(Step):
    """Decode one listed set at one size."""

    kind: ClassVar[str] = "images"
    code: ClassVar[tuple[str, ...]] = ("cytobench.datasets.scan",)

    survey: str
    """Hash of the listing and of the files' contents."""
    image_size: int
    """Side of the square images, pixels."""
    frame: int | None = None
    """Frame of multi-frame files; None refuses them."""


def survey(listing: Listing) -> Survey:
    """Hash every listed file.

    Raises:
        DataFault: Files that can't be opened, labels that are no names, all of them.
    """
    root = listing.root
    unnamed = [
        f"{label[:40]!r} {why}"
        for label in sorted({one.label for one in listing.entries})
        if (why := problem_of_label(label))
    ]
    if unnamed:
        raise DataFault(f"{len(unnamed)} labels of {root} are no names of classes", problems=unnamed, fix="rename them")
    if listing.arrays is not None:
        return Survey(listing, (file_sha256(root),) * len(listing.entries))
    problems: list[str] = []
    hashes: list[str] = []
    with task(f"read {root.name}", len(listing.entries)) as work, ThreadPoolExecutor(THREADS) as pool:
        for entry, sha in zip(
            listing.entries, pool.map(_hash, (root / one.file for one in listing.entries)), strict=True
        ):
            if isinstance(sha, OSError):
                problems.append(f"{entry.file}: {sha.strerror}")
            else:
                hashes.append(sha)
            work.advance()
    if problems:
        raise _unusable(root, problems, len(listing.entries))
    return Survey(listing, tuple(hashes))


def scan(step: ScanStep, found: Survey, folder: Path) -> None:
    """Decode a surveyed set into ``folder``: pixels, table and a report.

    Raises:
        DataFault: Images that can't be used, all of them.
        IntegrityFault: A file changed since it was surveyed, or a generator drew it.
    """
    entries, size = found.listing.entries, step.image_size
    shas: list[str] = []
    shapes: Counter[tuple[int, int]] = Counter()
    notes: Counter[str] = Counter()
    problems: list[str] = []
    changed: list[str] = []
    drawn: list[str] = []

    def kept(work: Any) -> Iterator[NDArray[np.uint8]]:
        for entry, result in zip(entries, _decode_all(found, step), strict=True):
            work.advance()
            if isinstance(result, Unreadable):
                problems.append(f"{entry.file}: {result}")
                yield np.zeros((size, size, 3), dtype=np.uint8)
                continue
            if result.drawn_by and entry.origin == "real":
                drawn.append(f"{entry.file}: drawn by {result.drawn_by}")
            if entry.pixel_sha256 and entry.pixel_sha256 != result.sha256:
                changed.append(entry.file)
            shas.append(result.sha256)
            shapes[result.shape] += 1
            notes.update(result.notes)
            yield result.pixels

    with task(f"decode {found.root.name}", len(entries)) as work:
        write_pixels(folder / PIXELS, kept(work), len(entries), size)
    if problems:
        (folder / PIXELS).unlink()
        raise _unusable(found.root, problems, len(entries))
    if changed:
        (folder / PIXELS).unlink()
        raise IntegrityFault(
            f"{len(changed)} of {len(entries)} pictures are not those that the manifest was frozen with",
            problems=changed,
            fix="get the original files, or freeze a new split",
        )
    if drawn:
        (folder / PIXELS).unlink()
        raise IntegrityFault(
            f"{len(drawn)} of {len(entries)} pictures were drawn by a generator; here they would count as photographs",
            problems=drawn,
            fix="take them out of this folder; `cytobench run --generator …` draws and tests synthetic sets",
        )
    table = _table(found, shas)
    write_table(folder / TABLE, table)
    write_json(folder / REPORT, report(table, shapes, notes, found.listing))


def write_pixels(path: Path, images: Iterable[NDArray[np.uint8]], count: int, size: int) -> None:
    """Write images (count, size, size, 3) uint8 one by one as ``.npy``, atomically and without holding them all."""
    with atomic(path) as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (count, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        for image in images:
            file.write(np.ascontiguousarray(image).tobytes())


def report(
    table: pd.DataFrame, shapes: Counter[tuple[int, int]], notes: Counter[str], listing: Listing
) -> dict[str, Any]:
    """Return what a scan tells about a set: counts, sizes, conversions, exact duplicates, labels that contradict."""
    groups = copies(table)
    return {
        "images": len(table),
        "classes": {str(label): int(count) for label, count in table["label"].value_counts().sort_index().items()},
        "sizes": {f"{width}×{height}": count for (height, width), count in shapes.most_common(5)},
        "different_sizes": len(shapes),
        "converted": dict(sorted(notes.items())),
        "ignored_files": listing.ignored,
        "notes": list(listing.notes),
        "groups": int((table["group"] != "").any()) and int(table["group"].nunique()),
        "duplicates": [list(rows["file"]) for rows in groups],
        "contradictions": [
            [f"{file} ({label})" for file, label in zip(rows["file"], rows["label"], strict=True)]
            for rows in groups
            if rows["label"].nunique() > 1
        ],
    }


def copies(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Return the rows of every picture that is there more than once, by decoded pixels."""
    repeated = table[table["pixel_sha256"].duplicated(keep=False)]
    return [rows for _, rows in repeated.groupby("pixel_sha256", sort=True)]


def _decode_all(found: Survey, step: ScanStep) -> Iterator[Decoded | Unreadable]:
    if found.listing.arrays is not None:
        for entry in found.listing.entries:
            try:
                yield from_array(found.listing.arrays[entry.file][entry.position], step.image_size)
            except Unreadable as error:
                yield error
        return

    def one(pair: tuple[Entry, str]) -> Decoded | Unreadable:
        entry, sha = pair
        path = found.root / entry.file
        try:
            with in_turn(path.stat().st_size > LARGE_FILE):
                content = _content(path)
                if hashlib.sha256(content).hexdigest() != sha:
                    raise OSError
                return decode(content, step.image_size, frame=step.frame, box=entry.box)
        except Unreadable as error:
            return error
        except OSError:
            fix = "repeat the command when it is at rest"
            raise IntegrityFault(f"{entry.file} changed while it was read", fix=fix) from None

    pairs = list(zip(found.listing.entries, found.hashes, strict=True))
    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(pairs), 512):  # a bounded number of decoded images waits to be written
            yield from pool.map(one, pairs[start : start + 512])


def _table(found: Survey, shas: list[str]) -> pd.DataFrame:
    entries = found.listing.entries
    table = pd.DataFrame([entry._asdict() for entry in entries]).drop(columns="pixel_sha256")
    table["box"] = [" ".join(map(str, entry.box)) if entry.box else "" for entry in entries]
    if found.listing.arrays is not None:
        table["file"] = [f"{entry.file}[{entry.position}]" for entry in entries]
    table["shot"] = ["1" if shot else "" for shot in table["shot"]]
    table["file_sha256"], table["pixel_sha256"] = found.hashes, shas
    table["id"] = name_rows(table)
    table["row"] = [str(row) for row in range(len(table))]
    table["generator_run"] = ""
    return table[list(COLUMNS)]


def _hash(path: Path) -> str | OSError:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return OSError(errno.EINVAL, "not a regular file")
        if path.stat().st_size > LARGEST_FILE:
            return OSError(errno.EFBIG, f"larger than {LARGEST_FILE // 1_000_000} MB, no picture of a cell")
        return file_sha256(path)
    except OSError as error:
        return error


def _content(path: Path) -> bytes:
    """Return a file's bytes; what became a pipe, a device or a giant meanwhile is an OSError and is not waited for."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # not every system has both
    with open(os.open(path, flags), "rb") as file:  # noqa: PTH123  # of a number
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_size > LARGEST_FILE:
            raise OSError(errno.EINVAL, "not a regular file")
        return file.read(LARGEST_FILE + 1)


def _unusable(root: Path, problems: list[str], total: int) -> DataFault:
    return DataFault(
        f"{len(problems)} of {total} images of {root} can't be used",
        problems=problems,
        fix="mend or remove these files; nothing was trained",
    )
