"""Members of a tar, plain or compressed, read once from front to back.

Seeking back in a compressed file would decompress it again from its beginning, and only reading forward lets every
byte be counted.
"""

import bz2
import gzip
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

from cytobench.datasets.archives.members import CHUNK, Member, Meter, Torn
from cytobench.errors import DataFault, IntegrityFault
from cytobench.progress import size

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
XZ_MEMORY = 256 << 20  # bytes; the largest of xz's own presets takes 65 MB
BLOCK = 1 << 16  # bytes that tarfile asks for at a time
HEADER = 1 << 18  # bytes of one member's header with all that belongs to it; tarfile keeps it in memory


class _Header(tarfile.TarInfo):
    """A header that does not pass off a damaged archive as one that ends."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        if len(buf) < tarfile.BLOCKSIZE:
            raise Torn("it has no end mark, so something is missing")
        if not any(buf):
            return super().frombuf(buf, encoding, errors)  # says that the archive ends here
        try:
            one = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            raise Torn(str(error)) from None
        if one.size < 0:
            raise Torn(f"{one.name!r} has a negative size")
        return one


class _Xz:
    """An xz stream that may not ask for endless memory; the standard library's own file sets no limit."""

    def __init__(self, packed: BinaryIO) -> None:
        self._packed = packed
        self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._packed.close()

    def read(self, count: int) -> bytes:
        while True:
            if self._decoder.eof:  # another stream or padding may follow
                feed = (self._decoder.unused_data or self._packed.read(CHUNK)).lstrip(b"\0")
                if not feed and not (feed := self._packed.read(CHUNK).lstrip(b"\0")):
                    return b""
                self._decoder = lzma.LZMADecompressor(memlimit=XZ_MEMORY)
            else:
                feed = self._packed.read(CHUNK) if self._decoder.needs_input else b""
                if self._decoder.needs_input and not feed:
                    raise Torn("it ends in the middle")
            try:
                content = self._decoder.decompress(feed, count)
            except lzma.LZMAError as error:
                if "emory" in str(error):
                    raise DataFault(
                        f"{self._packed.name} needs more than {size(XZ_MEMORY)} of memory to be unpacked",
                        fix="if you trust it, unpack it yourself and name the folder with --data NAME=FOLDER",
                    ) from error
                raise
            if content:
                return content


class _Counted:
    """A stream that counts what is read, and that reads no endless header."""

    def __init__(self, stream: BinaryIO, archive: Path, meter: Meter) -> None:
        self._stream, self._archive, self._meter = stream, archive, meter
        self._header_ends: int | None = None
        self.begin_header()

    def begin_header(self) -> None:
        self._header_ends = self._meter.seen + HEADER

    def begin_content(self) -> None:
        self._header_ends = None

    def read(self, count: int) -> bytes:
        content = self._stream.read(count)
        self._meter.add(len(content))
        if self._header_ends is not None and self._meter.seen > self._header_ends:
            raise IntegrityFault(
                f"{self._archive} has a member with a header of more than {HEADER} bytes; nothing was unpacked",
                fix="don't use it; get the archive again from its publisher",
            )
        return content


def walk(archive: Path, meter: Meter) -> Iterator[Member]:
    """Yield a tar's members in their order.

    Raises:
        Torn: It is damaged, or ends before its end mark.
        IntegrityFault: A sparse member, a header without an end, or more bytes than the meter allows.
    """
    with archive.open("rb") as packed, _decompressed(packed) as stream:
        counted = _Counted(stream, archive, meter)
        with tarfile.open(fileobj=counted, mode="r|", bufsize=BLOCK, tarinfo=_Header) as tar:  # type: ignore[call-overload]  # only read is asked of it
            while (one := tar.next()) is not None:
                tar.members.clear()  # else tarfile keeps them all
                if one.issparse():
                    raise IntegrityFault(
                        f"{archive}: {one.name!r} is a sparse file, which can state any size; nothing was unpacked",
                        fix="if you trust it, unpack it yourself and name the folder with --data NAME=FOLDER",
                    )
                counted.begin_content()
                chunks = _chunks(tar, one)
                yield Member(one.name, one.size, one.isdir(), _problem_of(one), chunks)
                for _ in chunks:  # what the caller did not read
                    pass
                counted.begin_header()
            counted.begin_content()
            _check_end(tar)


def _decompressed(packed: BinaryIO) -> BinaryIO:
    magic = packed.read(len(XZ))
    packed.seek(0)
    if magic.startswith(GZIP):
        return gzip.GzipFile(fileobj=packed, mode="rb")  # type: ignore[return-value]  # reads as one
    if magic.startswith(BZIP2):
        return bz2.BZ2File(packed)  # type: ignore[return-value]
    if magic.startswith(XZ):
        return _Xz(packed)  # type: ignore[return-value]
    return packed


def _problem_of(one: tarfile.TarInfo) -> str:
    if one.issym():
        return "is a symbolic link"
    if one.islnk():
        return "is a hard link"
    return "" if one.isreg() or one.isdir() else "is a device, a pipe or of an unknown kind"


def _chunks(tar: tarfile.TarFile, one: tarfile.TarInfo) -> Iterator[bytes]:
    source = tar.extractfile(one) if one.isreg() else None
    left = one.size if source else 0
    while source and left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise Torn(f"it ends in the middle of {one.name!r}")
        left -= len(chunk)
        yield chunk


def _check_end(tar: tarfile.TarFile) -> None:
    """Read on to the end, which proves the compressed file's checksum; only padding may follow."""
    stream = tar.fileobj
    while stream and (chunk := stream.read(CHUNK)):
        if any(chunk):
            raise Torn("there is more after its end mark")
