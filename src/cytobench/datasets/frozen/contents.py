"""What a folder or an archive that claims to be a frozen set holds, without believing anything that it says."""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from cytobench.datasets.archives.members import LIMITS, Meter, bomb
from cytobench.datasets.archives.names import clashes, parts_of, problem_of
from cytobench.datasets.archives.unpack import damage_named, walk
from cytobench.datasets.decode import SMALLEST, Unreadable, decode
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, MOST_BYTES
from cytobench.errors import IntegrityFault
from cytobench.progress import size, task

THREADS = 8  # hashing and decoding run outside the interpreter lock
PICTURES = "images/"  # below it lie the images, whose pixels are looked at
LARGEST_PICTURE = 400_000_000  # bytes
CHUNK = 1 << 20  # bytes


class Content(NamedTuple):
    """What was read of one file."""

    sha256: str
    pixel_sha256: str = ""
    """Of an image's pixels; empty for other files."""
    problem: str = ""
    """Why it can't be read; empty when it can."""


class Contents(NamedTuple):
    """What is there."""

    files: dict[str, int]
    """Bytes of every plain file, by its path below the set's folder."""
    folders: frozenset[str]
    problems: tuple[str, ...]
    """Links, devices and names that may not be; each begins with the path."""
    small: Callable[[str], bytes]
    """Read one of the two files that are read whole: the identity and the manifest."""
    read: Callable[[Iterable[str]], Iterator[tuple[str, Content]]]
    """Read files, each with its path."""


def of_folder(folder: Path) -> Contents:
    """Look at a folder; links are told and never followed."""
    files: dict[str, int] = {}
    folders: set[str] = set()
    problems: list[str] = []
    waiting = [folder]
    while waiting:
        for one in os.scandir(waiting.pop()):
            path = Path(one.path).relative_to(folder).as_posix()
            mode = one.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                folders.add(path)
                waiting.append(Path(one.path))
            elif stat.S_ISREG(mode):
                files[path] = one.stat(follow_symlinks=False).st_size
            else:
                problems.append(f"{path}: {'a link' if stat.S_ISLNK(mode) else 'a device or a pipe'}, not a file")

    def small(path: str) -> bytes:
        if files[path] > MOST_BYTES:
            raise _too_large(folder / path)
        return (folder / path).read_bytes()

    def read(paths: Iterable[str]) -> Iterator[tuple[str, Content]]:
        with ThreadPoolExecutor(THREADS) as pool:
            yield from pool.map(lambda path: (path, _of_file(folder / path, path)), paths)

    return Contents(files, frozenset(folders), tuple(problems), small, read)


def _of_file(path: Path, name: str) -> Content:
    try:
        if name.startswith(PICTURES) and path.stat().st_size <= LARGEST_PICTURE:
            return of_bytes(path.read_bytes())
        with path.open("rb") as file:
            return Content(hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        return Content("", problem=f"can't be read: {error.strerror}")


def of_bytes(content: bytes) -> Content:
    """Return the hashes of an image file's bytes and of its pixels."""
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        return Content(sha256, decode(content, SMALLEST).sha256)
    except Unreadable as error:
        return Content(sha256, problem=str(error))


def of_archive(archive: Path) -> Contents:
    """Read a zip or tar from end to end, member by member; nothing is written anywhere.

    Raises:
        DataFault: It is torn.
        IntegrityFault: More in it than its size or ``LIMITS`` allow, or members that overlap or lie about themselves.
    """
    files: dict[str, int] = {}
    found: dict[str, Content] = {}
    kept: dict[str, bytes] = {}
    problems: list[str] = []
    names: list[tuple[str, bool]] = []
    folders: set[str] = set()
    with damage_named(archive), task(f"read {archive.name}", 0, form=size) as work:
        meter = Meter(archive, LIMITS, work)
        for member in walk(archive, LIMITS, meter):
            names.append((member.name, member.is_folder))
            if len(names) > LIMITS.members:
                raise bomb(archive, f"holds more than {LIMITS.members} members")
            why = member.problem or problem_of(member.name)
            path = "/".join(parts_of(member.name)[1:])
            if why:
                problems.append(f"{member.name}: {why}")
            elif member.is_folder:
                folders.add(path)
            elif not path:
                problems.append(f"{member.name}: beside the set's folder")
            else:
                files[path] = member.size
                found[path], kept[path] = _of_member(member.chunks, path)
    problems += [f"{pair}: one name where case or Unicode form does not count" for pair in clashes(names)]
    tops = sorted({parts_of(name)[0] for name, _ in names if parts_of(name)})
    problems += [f"{top}: a second folder beside the set's" for top in tops[1:]]
    folders |= {"/".join(parts[:n]) for path in files for parts in [path.split("/")] for n in range(1, len(parts))}
    return Contents(
        files,
        frozenset(folders - {""}),
        tuple(problems),
        kept.__getitem__,
        lambda paths: ((p, found[p]) for p in paths),
    )


def _of_member(chunks: Iterator[bytes], path: str) -> tuple[Content, bytes]:
    """Return what a member holds, and its bytes where they are needed again."""
    whole = path in (IDENTITY, MANIFEST)
    picture = path.startswith(PICTURES)
    sha, parts, length = hashlib.sha256(), [], 0
    for chunk in chunks:
        sha.update(chunk)
        length += len(chunk)
        if whole and length > MOST_BYTES:
            raise _too_large(Path(path))
        if whole or (picture and length <= LARGEST_PICTURE):
            parts.append(chunk)
    if picture and length <= LARGEST_PICTURE:
        return of_bytes(b"".join(parts)), b""
    return Content(sha.hexdigest()), b"".join(parts) if whole else b""


def _too_large(path: Path) -> IntegrityFault:
    return IntegrityFault(f"{path} is larger than {size(MOST_BYTES)}, no manifest of a set", fix="get the set again")
