"""Bytes that were made to do harm, for the corpus."""

import io
import os
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import picture
from tests.faults.corpus import RAN

MEGABYTE = bytes(1 << 20)


class _Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._place / RAN),)


def pickled(place: Path, protocol: int = 2) -> bytes:
    """Return a pickle that makes the canary's folder when it is loaded."""
    return pickle.dumps(_Payload(place), protocol)


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    """Return an image file's bytes."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def npy(shape: str, data: bytes, descr: str = "|u1") -> bytes:
    """Return an array file whose header says whatever one likes."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(117) + b"\n"
    return np.lib.format.magic(1, 0) + struct.pack("<H", len(header)) + header + data


def deflated_gigabyte() -> bytes:
    """Return a zlib stream of 1 GB of zeros, made without compressing that much."""
    packer = zlib.compressobj(9)
    first = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(MEGABYTE) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * 1023


def chunk(name: bytes, body: bytes) -> bytes:
    """Return a PNG chunk."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int, height: int, *extra: bytes, bits: int = 8, colour: int = 2, data: bytes = b"") -> bytes:
    """Return a PNG that says it has that size."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + b"".join(extra)
        + chunk(b"IDAT", data or zlib.compress(b"\0" * 999))
        + chunk(b"IEND", b"")
    )


def good_png(*extra: bytes) -> bytes:
    """Return a small whole PNG with more chunks after its header."""
    content = stored(picture("good", size=16))
    return content[:33] + b"".join(extra) + content[33:]


def tiff(tags: list[tuple[int, int, int, int]], following: int = 0) -> bytes:
    """Return a little-endian TIFF with one directory of (tag, type, count, value) and the offset of the next."""
    entries = b"".join(struct.pack("<HHII", *tag) for tag in sorted(tags))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", following) + bytes(2048)


def flat_tiff(*, width: int = 16, height: int = 16, offset: int = 200, length: int = 256, following: int = 0) -> bytes:
    """Return a grey TIFF of one strip that may lie about it."""
    sizes = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    return tiff([*sizes, (273, 4, 1, offset), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, length)], following)


def gif(frames: int) -> bytes:
    """Return a GIF of many frames of 16×16 pixels."""
    content = stored(Image.new("P", (16, 16)), "GIF")
    start = content.index(b",\0\0\0\0\x10\0\x10\0")
    return content[:start] + content[start:-1] * frames + b";"


def jp2(*, size: tuple[int, int] | None = None, tile: tuple[int, int] | None = None) -> bytes:
    """Return a JPEG 2000 whose size or tiles are absurd."""
    content = bytearray(stored(picture("jp2", size=64), "JPEG2000"))
    place = content.index(b"\xff\x51") + 6
    if size:
        content[place : place + 8] = struct.pack(">II", *size)
        header = content.index(b"ihdr") + 4
        content[header : header + 8] = struct.pack(">II", size[1], size[0])
    if tile:
        content[place + 16 : place + 24] = struct.pack(">II", *tile)
    return bytes(content)
