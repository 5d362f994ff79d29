"""What every kind of archive is read as: members with names, stated sizes and bytes, counted while they come."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from cytobench.datasets.archives.names import parts_of
from cytobench.datasets.readers.listing import IMAGE_ENDINGS, SYSTEM_FILES
from cytobench.errors import IntegrityFault
from cytobench.progress import Task, size

ENDINGS = IMAGE_ENDINGS | {".csv", ".tsv", ".parquet", ".npz", ".txt", ".xml", ".dat", ".json", ".md"}
ARCHIVE_ENDINGS = frozenset({".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz2", ".xz", ".txz", ".zst", ".7z", ".rar"})
CHUNK = 1 << 18  # bytes in memory at a time
HARMLESS = 1 << 20  # bytes; below this no ratio is looked at, as a small text may shrink a lot


class Limits(NamedTuple):
    """What an archive may come to."""

    members: int = 500_000
    """Files and folders in it."""
    bytes: int = 200_000_000_000
    """Of everything that is decompressed."""
    ratio: float = 200.0
    """Decompressed bytes over the archive's own."""


LIMITS = Limits()


class Torn(Exception):
    """The bytes are no whole archive; the text says why."""


class Member(NamedTuple):
    """One entry of an archive."""

    name: str
    """As the archive spells it."""
    size: int
    """Bytes, as stated; nobody has counted yet."""
    is_folder: bool
    problem: str
    """Why it is neither a plain file nor a folder; empty when it is."""
    chunks: Iterator[bytes]
    """Its bytes, decompressed when asked for; to be read before the next member is."""


def is_wanted(name: str) -> bool:
    """Tell whether a member is an image, a table or a text that goes with them; hidden files never are."""
    parts = parts_of(name)
    if not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
        return False
    return parts[-1].lower() not in SYSTEM_FILES and PurePosixPath(parts[-1]).suffix.lower() in ENDINGS


def is_archive(name: str) -> bool:
    """Tell whether a member is an archive itself by its ending; such members are never opened."""
    return PurePosixPath(name).suffix.lower() in ARCHIVE_ENDINGS


class Meter:
    """Counts what comes out of an archive and stops a bomb.

    Args:
        archive: The file.
        limits: What it may come to.
        work: Where progress is shown.
    """

    def __init__(self, archive: Path, limits: Limits, work: Task) -> None:
        self.seen = 0
        self._archive, self._limits, self._work = archive, limits, work
        self._most = min(limits.bytes, max(HARMLESS, int(archive.stat().st_size * limits.ratio)))

    def add(self, count: int) -> None:
        """Count decompressed bytes.

        Raises:
            IntegrityFault: More than the limits allow.
            Interrupted: SIGINT or SIGTERM came.
        """
        self.seen += count
        self.room_for(self.seen)
        self._work.advance(count)

    def room_for(self, total: int) -> None:
        """Refuse a number of bytes, stated or counted, that is more than the limits allow.

        Raises:
            IntegrityFault: It is.
        """
        if total > self._most:
            raise bomb(
                self._archive,
                f"unpacks to more than {size(self._most)} (at most {size(self._limits.bytes)}, "
                f"and at most {self._limits.ratio:g} times its own size)",
            )


def bomb(archive: Path, why: str) -> IntegrityFault:
    """Return the fault for an archive that is larger than it may be."""
    return IntegrityFault(
        f"{archive} {why}; nothing was unpacked",
        fix="if you trust it, unpack it yourself and name the folder with --data NAME=FOLDER",
    )
