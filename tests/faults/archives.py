"""Hostile archives, npz files and weights."""

import io
import json
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from tests.conftest import picture
from tests.faults.corpus import few, hostile
from tests.faults.payloads import MEGABYTE, npy, pickled, stored

GOOD = stored(picture("good", size=16))


def archive(name: str, code: int, ending: str, content: Callable[[Path], bytes], *rows: int) -> None:
    """Register bytes that are given as an archive."""

    def make(place: Path) -> Path:
        (place / f"set.{ending}").write_bytes(content(place))
        return place / f"set.{ending}"

    make.__name__ = name
    hostile("archives", code, *rows)(make)


def zipped(members: Iterable[tuple[str | zipfile.ZipInfo, bytes]], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for name, content in members:
            file.writestr(name, content, method)
    return buffer.getvalue()


def tarred(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", content: bytes = b"x", form: str = "w") -> bytes:
    """Return a tar of a good image and that member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=form) as file:  # type: ignore[call-overload]
        for one, data in ((tarfile.TarInfo("a/0.png"), GOOD), (tarfile.TarInfo(name), content)):
            if one.name == name:
                one.type, one.linkname = kind, link
            one.size = len(data) if one.isreg() else 0
            file.addfile(one, io.BytesIO(data))
    return buffer.getvalue()


def _overlapping(_: Path) -> bytes:
    content = bytearray(zipped([("a/0.png", os.urandom(99)), ("a/1.png", os.urandom(99))]))
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    return bytes(content)


def _link(_: Path) -> bytes:
    one = zipfile.ZipInfo("a/0.png")
    one.external_attr = (stat.S_IFLNK | 0o777) << 16
    return zipped([(one, b"../../../outside.png")])


def _nested(_: Path) -> bytes:
    inner = zipped([("0.png", MEGABYTE * 4)])
    for _depth in range(6):
        inner = zipped((f"{number}.zip", inner) for number in range(4))
    return inner


archive("zip_bomb", 5, "zip", lambda _: zipped([("a/0.png", MEGABYTE * 64)]), 42)
archive("zip_of_zips_of_zips", 3, "zip", _nested, 42)
archive("zip_whose_members_overlap", 5, "zip", _overlapping, 42)
archive("zip_that_climbs", 5, "zip", lambda _: zipped([("a/0.png", GOOD), ("../../outside.png", b"x")]), 41)
archive("zip_that_climbs_on_windows", 5, "zip", lambda _: zipped([("..\\..\\outside.png", b"x")]), 41)
archive("zip_with_a_drive", 5, "zip", lambda _: zipped([("C:/outside.png", b"x")]), 41)
archive("zip_with_a_link", 5, "zip", _link, 41)
archive("zip_with_a_hostile_manifest", 3, "zip", lambda _: zipped([("list.csv", b"path,label\n../x.png,a\n")]), 40)
archive("tar_bomb", 5, "tar.gz", lambda _: tarred("a/1.png", content=MEGABYTE * 64, form="w:gz"), 42)
archive("tar_that_climbs", 5, "tar", lambda _: tarred("../../outside.png"), 41)
archive("tar_with_an_absolute_path", 5, "tar", lambda place: tarred(str(place.parent / "outside.png")), 41)
archive("tar_with_a_link", 5, "tar", lambda place: tarred("a/1.png", tarfile.SYMTYPE, "/etc/passwd"), 41)
archive("tar_with_a_hard_link", 5, "tar", lambda place: tarred("a/1.png", tarfile.LNKTYPE, "../../outside.png"), 41)
archive("tar_with_a_device", 5, "tar", lambda place: tarred("a/1.png", tarfile.CHRTYPE), 41)
archive("pickle_named_zip", 3, "zip", pickled)


def _saved(save: Callable[..., None] = np.savez, **arrays: object) -> Callable[[Path], bytes]:
    def content(_: Path) -> bytes:
        buffer = io.BytesIO()
        save(buffer, **arrays)
        return buffer.getvalue()

    return content


def _encrypted(place: Path) -> bytes:
    content = bytearray(_saved(images=np.zeros((2, 16, 16), np.uint8), labels=np.array([0, 1]))(place))
    for start in [n for n in range(len(content)) if content[n : n + 4] == b"PK\1\2"]:
        content[start + 8] |= 1
    for start in [n for n in range(len(content)) if content[n : n + 4] == b"PK\3\4"]:
        content[start + 6] |= 1
    return bytes(content)


def _damaged(place: Path) -> bytes:
    content = bytearray(
        _saved(np.savez_compressed, images=np.zeros((99, 16, 16), np.uint8), labels=np.arange(99))(place)
    )
    content[60:90] = os.urandom(30)
    return bytes(content)


LABELS = ("labels.npy", npy("(2,)", b"\0\1"))
archive("pickle_named_npz", 3, "npz", pickled, 44)
archive(
    "npz_with_a_pickled_member",
    5,
    "npz",
    lambda place: zipped([("images.npy", npy("(1,)", pickled(place), "|O")), LABELS]),
    44,
)
archive("npz_with_a_bare_pickle", 3, "npz", lambda place: zipped([("images", pickled(place)), ("labels", b"x")]), 44)
archive(
    "npz_of_two_to_the_sixty_values", 3, "npz", lambda _: zipped([("images.npy", npy(f"({2**60},)", b"x")), LABELS])
)
archive(
    "npz_of_a_shape_that_overflows",
    3,
    "npz",
    lambda _: zipped([("images.npy", npy(f"({2**40}, {2**40})", b"x")), LABELS]),
)
archive("npz_with_a_header_nested_deeply", 3, "npz", lambda _: zipped([("images.npy", npy("(" * 9000, b"x")), LABELS]))
archive(
    "npz_with_a_bomb", 5, "npz", lambda _: zipped([("images.npy", npy("(262144, 16, 16)", MEGABYTE * 64)), LABELS]), 42
)
archive("npz_that_is_encrypted", 3, "npz", _encrypted)
archive("npz_that_is_damaged", 3, "npz", _damaged)
archive("npz_of_images_too_small", 3, "npz", _saved(images=np.zeros((2, 4, 4), np.uint8), labels=np.array([0, 1])), 12)
archive("npz_without_an_image", 3, "npz", _saved(images=np.zeros((0, 16, 16), np.uint8), labels=np.zeros(0, int)), 17)


@hostile("archives", 2)
def npz_that_is_a_pipe(place: Path) -> Path:
    os.mkfifo(place / "set.npz")
    return place / "set.npz"


@hostile("archives", 2)
def npz_that_is_an_endless_device(place: Path) -> Path:
    (place / "set.npz").symlink_to("/dev/zero")
    return place / "set.npz"


@hostile("archives", 2, 43)
def pickle_named_pt_as_data(place: Path) -> Path:
    (place / "set.pt").write_bytes(pickled(place))
    return place / "set.pt"


def weights(name: str, ending: str, content: Callable[[Path], bytes]) -> None:
    """Register bytes that are given as weights to start from."""

    def make(place: Path) -> tuple[str, ...]:
        file = place / f"net.{ending}"
        file.write_bytes(content(place))
        trial = ("--data", f"x={few(place)}", "--backbones", "resnet18", "--device", "cpu")
        return "run", *trial, "--weights", str(file), "--dry-run"

    make.__name__ = name
    hostile("weights", 5, 43)(make)


def _torch_zip(place: Path) -> bytes:
    return zipped([("net/data.pkl", pickled(place)), ("net/version", b"3\n")], zipfile.ZIP_STORED)


def _header(stated: int, header: bytes = b"{}") -> bytes:
    return struct.pack("<Q", stated) + header


FAR = json.dumps({"w": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
weights("weights_that_are_a_pickle", "pt", pickled)
weights("weights_with_a_pickle_inside", "pth", _torch_zip)
weights("weights_named_bin", "bin", lambda place: pickled(place, 0))
weights("safetensors_with_a_header_of_two_to_the_63", "safetensors", lambda _: _header(2**63))
weights("safetensors_with_tensors_beyond_its_end", "safetensors", lambda _: _header(len(FAR), FAR))
weights("safetensors_nested_deeply", "safetensors", lambda _: _header(90_000, b"[" * 90_000))
weights("pickle_named_safetensors", "safetensors", pickled)
