"""Archives as input: a zip or a tar becomes a folder of images and tables, or a fault and no folder.

An archive is what a stranger wrote. All of its names are checked before the first byte is written, everything is
counted while it is decompressed, and it is unpacked beside its place and moved there when it is whole. Nothing in it
is executed, linked or opened; archives within it stay closed.
"""

import errno
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from cytobench.datasets.archives import tar as tar_files
from cytobench.datasets.archives import zip as zip_files
from cytobench.datasets.archives.members import LIMITS, Limits, Member, Meter, Torn, bomb, is_archive, is_wanted
from cytobench.datasets.archives.names import clashes, parts_of, problem_of
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST
from cytobench.errors import DataFault, EnvironmentFault, IntegrityFault, UsageFault
from cytobench.progress import size, task
from cytobench.store import disk_faults, free_bytes, held

FOREIGN = {b"7z\xbc\xaf\x27\x1c": "7z x", b"Rar!\x1a\x07": "unrar x", b"(\xb5/\xfd": "tar --zstd -xf"}
TARS = (tar_files.GZIP, tar_files.BZIP2, tar_files.XZ)


class Unpacked(NamedTuple):
    """What came out of an archive."""

    folder: Path
    files: int
    bytes: int
    passed_over: int
    """Files that are no image, table or text, and hidden ones."""
    archives: int
    """How many of those are archives themselves; none was opened."""


class _Plan(NamedTuple):
    """What the first look at an archive found."""

    wanted: dict[str, int]
    """Name -> stated bytes of the files to be written."""
    passed_over: int
    archives: int
    total: int
    """Bytes that the second look will decompress."""


def unpack(archive: Path, folder: Path, *, limits: Limits = LIMITS) -> Unpacked:
    """Unpack the images, tables and texts of a zip, tar, tar.gz, tar.bz2 or tar.xz.

    Args:
        archive: The file; what it is, is told from its first bytes.
        folder: Where to; must be missing or empty. After a fault it is as it was.
        limits: What the archive may come to.

    Raises:
        UsageFault: No such archive, or the folder holds something.
        DataFault: Damaged, encrypted, without a usable file, or of a kind that is not read.
        EnvironmentFault: Not enough room on the disk.
        IntegrityFault: Names that leave the folder or clash, links, devices, sizes that lie, more than the limits.
    """
    if not archive.is_file():
        raise UsageFault(f"there is no archive at {archive}", fix="check the path")
    with disk_faults(folder), held(folder.with_name(f".{folder.name}.lock"), wait=True):
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageFault(f"{folder} is there already", fix="remove it, or name another folder")
        with damage_named(archive):
            plan = _planned(archive, limits)
            _check_room(archive, folder, plan)
            beside = folder.with_name(f".{folder.name}.partial")
            shutil.rmtree(beside, ignore_errors=True)  # left by a kill
            try:
                _write(archive, beside, plan, limits)
                os.sync()  # one call for all files; each of its own would take minutes for a large set
                beside.replace(folder)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return Unpacked(folder, len(plan.wanted), sum(plan.wanted.values()), plan.passed_over, plan.archives)


def _planned(archive: Path, limits: Limits) -> _Plan:
    """Look at every member's name, kind and stated size; write nothing."""
    names: list[tuple[str, bool]] = []
    plain: dict[str, int] = {}
    problems: list[str] = []
    with task(f"check {archive.name}", 0, form=size) as work:
        meter = Meter(archive, limits, work)
        for member in walk(archive, limits, meter):
            names.append((member.name, member.is_folder))
            if len(names) > limits.members:
                raise bomb(archive, f"holds more than {limits.members} members")
            if why := member.problem or problem_of(member.name):
                problems.append(f"{member.name!r} {why}")
            elif not member.is_folder:
                plain[member.name] = member.size
    if not problems:
        problems = [f"{pair} are one name where case or Unicode form does not count" for pair in clashes(names)]
    if problems:
        raise IntegrityFault(
            f"{archive} holds members that are not safe to unpack; nothing was unpacked",
            problems=problems,
            fix="don't use it; or, if you trust it, unpack it yourself and name the folder with --data NAME=FOLDER",
        )
    wanted = {name: size for name, size in plain.items() if is_wanted(name)}
    if {IDENTITY, MANIFEST} <= {"/".join(parts_of(name)[1:]) for name in plain}:
        wanted = plain  # a frozen set must be whole to be proven
    if not wanted:
        raise DataFault(f"{archive} holds no image and no table", fix="check that it is the right archive")
    meter.room_for(sum(wanted.values()))
    files = [name for name, is_folder in names if not is_folder]
    others = [name for name in files if name not in wanted]
    return _Plan(wanted, len(others), sum(map(is_archive, others)), max(meter.seen, sum(wanted.values())))


def _check_room(archive: Path, folder: Path, plan: _Plan) -> None:
    needed, free = sum(plan.wanted.values()), free_bytes(folder)
    if needed > free:
        raise EnvironmentFault(
            f"{archive} needs {size(needed)} at {folder}, and {size(free)} are free",
            fix="free some space, or name a folder on another disk",
        )


def _write(archive: Path, folder: Path, plan: _Plan, limits: Limits) -> None:
    folder.mkdir(parents=True)
    waiting = dict(plan.wanted)
    with task(f"unpack {archive.name}", plan.total, form=size) as work:
        for member in walk(archive, limits, Meter(archive, limits, work)):
            if member.name not in plan.wanted or member.is_folder:
                continue
            if waiting.pop(member.name, None) != member.size or member.problem:
                raise _changed(archive)
            path = folder.joinpath(*parts_of(member.name))
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                for chunk in member.chunks:
                    file.write(chunk)
    if waiting:
        raise _changed(archive)


def _changed(archive: Path) -> IntegrityFault:
    return IntegrityFault(f"{archive} changed while it was read; nothing was unpacked", fix="repeat the command")


def walk(archive: Path, limits: Limits, meter: Meter) -> Iterator[Member]:
    """Yield the members of an archive of any kind that is read; what that is, is told from its first bytes.

    Raises:
        DataFault: Of no kind that is read.
        IntegrityFault: Members that lie about themselves, or more bytes than the meter allows.
    """
    with archive.open("rb") as file:
        head = file.read(512)
    for magic, command in FOREIGN.items():
        if head.startswith(magic):
            raise DataFault(
                f"{archive} is of a kind that is not read",
                fix=f"unpack it yourself with `{command} {archive.name}`, then name the folder with --data NAME=FOLDER",
            )
    if head.startswith(b"PK"):
        return zip_files.walk(archive, limits, meter)
    if head.startswith(TARS) or head[257:262] == b"ustar" or archive.suffix.lower() == ".tar":
        return tar_files.walk(archive, meter)
    raise DataFault(
        f"{archive} is no archive that is read (zip, tar, tar.gz, tar.bz2, tar.xz)", fix="check that it is whole"
    )


@contextmanager
def damage_named(archive: Path) -> Iterator[None]:
    """Turn whatever a damaged archive makes the standard library trip over into one fault with its name."""
    try:
        yield
    except PermissionError as error:
        if str(error.filename) == str(archive):
            raise DataFault(f"{archive} can't be read: {error.strerror}", fix="check its permissions") from error
        raise
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # of the disk; EINVAL is a place before the file's beginning
            raise
        raise _damaged(archive, error) from error
    except (
        Torn, zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, struct.error, EOFError, ValueError,
        OverflowError,
    ) as error:  # fmt: skip
        raise _damaged(archive, error) from error
    except NotImplementedError as error:  # what zipfile says of methods that it does not know
        raise DataFault(
            f"{archive} is packed in a way that can't be read: {error}", fix="pack it again as an ordinary zip"
        ) from error


def _damaged(archive: Path, error: BaseException) -> DataFault:
    why = str(error) or type(error).__name__
    return DataFault(f"{archive} is truncated or damaged: {why}", fix="get the archive again")
