"""Members of a zip, read so that a lie in its headers is found.

The directory is read by :mod:`zipfile`; the bytes are not, as it believes the sizes that the directory states, and
decompresses some methods without a bound. Stored and deflated members are read, which is what zips hold in practice.
"""

import io
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

from cytobench.datasets.archives.members import CHUNK, Limits, Member, Meter, Torn, bomb
from cytobench.errors import DataFault, IntegrityFault

ENTRY = b"PK\1\2"  # begins every entry of the directory
LOCAL = struct.Struct("<4s22xHH")  # signature, length of the name, length of the extra field
ENTRY_BYTES = 512  # of the directory per member, on average, before it counts as too large
ENCRYPTED = 0x1
UTF8 = 0x800


class _Guarded(io.FileIO):
    """A file that does not hand out a directory that would fill memory: zipfile reads it at one go."""

    def __init__(self, archive: Path, limits: Limits) -> None:
        super().__init__(archive)
        self._archive, self._limits = archive, limits

    def read(self, count: int | None = -1, /) -> bytes:
        asked = count if count is not None and count >= 0 else self._archive.stat().st_size
        if asked > max(self._limits.members * ENTRY_BYTES, CHUNK):
            raise bomb(self._archive, f"has a directory for more than {self._limits.members} members")
        content = super().read(count) or b""
        if content.count(ENTRY) > self._limits.members:
            raise bomb(self._archive, f"holds more than {self._limits.members} members")
        return content


def walk(archive: Path, limits: Limits, meter: Meter) -> Iterator[Member]:
    """Yield a zip's members in the directory's order.

    Raises:
        Torn: The directory or a member is damaged.
        DataFault: Members are encrypted or packed by a method that is not read.
        IntegrityFault: Members overlap, or are not as large as the directory says.
    """
    with _Guarded(archive, limits) as file, zipfile.ZipFile(file) as directory, archive.open("rb") as content:
        infos = directory.infolist()
        _check_methods(archive, infos)
        _check_places(archive, infos, directory.start_dir)
        for info in infos:
            yield Member(
                info.orig_filename,
                info.file_size,
                info.orig_filename.endswith("/"),
                _problem_of(info),
                _chunks(content, info, archive, meter),
            )


def _problem_of(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link"
    return "" if kind in (0, stat.S_IFREG, stat.S_IFDIR) else "is a device or a pipe"


def _check_methods(archive: Path, infos: list[zipfile.ZipInfo]) -> None:
    locked = [repr(info.orig_filename) for info in infos if info.flag_bits & ENCRYPTED]
    if locked:
        raise DataFault(
            f"{archive} is encrypted ({len(locked)} of {len(infos)} members)",
            problems=locked,
            fix="unpack it yourself with its password and name the folder with --data NAME=FOLDER",
        )
    read = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    other = [f"{info.orig_filename!r}: method {info.compress_type}" for info in infos if info.compress_type not in read]
    if other:
        raise DataFault(
            f"{archive} is packed by a method that is not read (only stored and deflated are)",
            problems=other,
            fix="unpack it yourself and name the folder with --data NAME=FOLDER",
        )


def _check_places(archive: Path, infos: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse members that share bytes: a small file can pretend to be petabytes that way."""
    placed = sorted((info.header_offset, _least_end(info), info.orig_filename) for info in infos)
    placed.append((end, end, "the directory"))
    shared = [f"{one[2]!r} and {two[2]!r}" for one, two in pairwise(placed) if one[1] > two[0]]
    if shared:
        raise IntegrityFault(
            f"{archive} has members that lie over one another; nothing was unpacked",
            problems=shared,
            fix="don't use it; get the archive again from its publisher",
        )


def _least_end(info: zipfile.ZipInfo) -> int:
    return info.header_offset + LOCAL.size + len(_raw_name(info)) + info.compress_size


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")


def _chunks(file: BinaryIO, info: zipfile.ZipInfo, archive: Path, meter: Meter) -> Iterator[bytes]:
    """Yield a member's bytes; compare its name, its size and its checksum with the directory's."""
    file.seek(info.header_offset)
    signature, name_length, extra_length = LOCAL.unpack(_exactly(file, LOCAL.size))
    if signature != b"PK\3\4":
        raise Torn(f"there is no member where {info.orig_filename!r} should begin")
    if _exactly(file, name_length) != _raw_name(info):
        raise _lie(archive, f"{info.orig_filename!r} has another name where it lies")
    file.seek(extra_length, io.SEEK_CUR)
    plain = _inflate if info.compress_type == zipfile.ZIP_DEFLATED else _copy
    made, checksum = 0, 0
    for chunk in plain(file, info.compress_size):
        made, checksum = made + len(chunk), zlib.crc32(chunk, checksum)
        meter.add(len(chunk))
        if made > info.file_size:
            break
        yield chunk
    if made != info.file_size:
        more = "more" if made > info.file_size else f"only {made}"
        raise _lie(archive, f"{info.orig_filename!r} states {info.file_size} bytes and holds {more}")
    if checksum != info.CRC:
        raise Torn(f"the checksum of {info.orig_filename!r} is wrong")


def _copy(file: BinaryIO, packed: int) -> Iterator[bytes]:
    while packed:
        chunk = file.read(min(CHUNK, packed))
        if not chunk:
            raise Torn("it ends in the middle of a member")
        packed -= len(chunk)
        yield chunk


def _inflate(file: BinaryIO, packed: int) -> Iterator[bytes]:
    inflater, waiting, source = zlib.decompressobj(-zlib.MAX_WBITS), b"", _copy(file, packed)
    while not inflater.eof:
        fresh = b"" if waiting else next(source, b"")
        plain = inflater.decompress(waiting or fresh, CHUNK)
        if not (plain or waiting or fresh):
            raise Torn("a member's compressed bytes end too early")
        waiting = inflater.unconsumed_tail
        yield plain


def _exactly(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise Torn("it ends in the middle of a member")
    return content


def _lie(archive: Path, why: str) -> IntegrityFault:
    return IntegrityFault(
        f"{archive}: {why}; nothing was unpacked", fix="don't use it; get the archive again from its publisher"
    )
