import bz2
import gzip
import io
import lzma
import os
import signal
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from cytobench import interrupts
from cytobench.datasets.archives import unpack as unpacking
from cytobench.datasets.archives.members import LIMITS, Limits
from cytobench.datasets.archives.unpack import unpack
from cytobench.errors import CytobenchError, DataFault, Interrupted

FILES = {"baso/1.png": b"one" * 50, "eo/é 2.JPG": b"two" * 50, "list.csv": b"path,label\n"}
OTHERS = {"run.py": b"x", "inner.zip": b"PK", "model.pt": b"x", "__MACOSX/._1.png": b"x", "Thumbs.db": b"x"}
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes, "tar.gz": gzip.compress, "tar.bz2": bz2.compress, "tar.xz": lzma.compress
}  # fmt: skip


def zipped(path: Path, files: Iterable[tuple[str | zipfile.ZipInfo, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return path


def tar_bytes(members: Iterable[tuple[str | tarfile.TarInfo, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members:
            one = tarfile.TarInfo(name) if isinstance(name, str) else name
            one.size = len(content)
            archive.addfile(one, io.BytesIO(content))
    return buffer.getvalue()


def tarred(path: Path, members: Iterable[tuple[str | tarfile.TarInfo, bytes]], ending: str = "tar") -> Path:
    path.write_bytes(PACKERS[ending](tar_bytes(members)))
    return path


def refused(archive: Path, code: int, *words: str, limits: Limits = LIMITS) -> None:
    """Unpack; expect the fault, nothing outside touched, and nothing left."""
    canary = archive.parent / "canary.png"
    canary.write_bytes(b"alive")
    before = sorted({path.name for path in archive.parent.iterdir()} - {"to"})
    with pytest.raises(CytobenchError) as caught:
        unpack(archive, archive.parent / "to" / "set", limits=limits)
    assert caught.value.exit_code == code, str(caught.value)
    for word in (archive.name, *words):
        assert word in str(caught.value)
    assert canary.read_bytes() == b"alive"
    assert sorted({path.name for path in archive.parent.iterdir()} - {"to"}) == before
    left = [path.name for path in (archive.parent / "to").rglob("*")]
    assert left in ([], [".set.lock"])


@pytest.mark.parametrize("ending", ["zip", *PACKERS])
def test_images_and_tables_come_out_and_the_rest_is_counted(tmp_path: Path, ending: str) -> None:
    members = [*FILES.items(), *OTHERS.items()]
    path = tmp_path / "x.bin"  # the ending is not believed
    archive = zipped(path, members) if ending == "zip" else tarred(path, members, ending)
    made = unpack(archive, tmp_path / "set")
    found = {
        path.relative_to(tmp_path / "set").as_posix(): path.read_bytes()
        for path in (tmp_path / "set").rglob("*")
        if path.is_file()
    }
    assert found == FILES
    assert (made.files, made.bytes) == (3, sum(map(len, FILES.values())))
    assert (made.passed_over, made.archives) == (5, 1)
    assert not (tmp_path / ".set.partial").exists()


def test_stored_members_folders_and_dotted_names_are_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/", b"")
        archive.writestr("./a//1.png", b"one")
    unpack(tmp_path / "a.zip", tmp_path / "set")
    assert (tmp_path / "set/a/1.png").read_bytes() == b"one"


def test_execute_bits_are_dropped(tmp_path: Path) -> None:
    one = tarfile.TarInfo("a.png")
    one.mode = 0o6777
    unpack(tarred(tmp_path / "a.tar", [(one, b"x")]), tmp_path / "set")
    assert not (tmp_path / "set/a.png").stat().st_mode & (0o111 | stat.S_ISUID | stat.S_ISGID)


@pytest.mark.fault(41)
@pytest.mark.parametrize(
    "name",
    ["../canary.png", "a/../../canary.png", "/tmp/canary.png", "C:/canary.png", "C:canary.png", "\\\\host\\c.png",
     "..\\canary.png", "a.png:stream", "CON", "a/nul.txt", "LPT1 .png", "a./b.png", "a /b.png", "..."],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_name_that_leaves_or_deceives_is_refused_with_the_name(tmp_path: Path, kind: str, name: str) -> None:
    members = [("good.png", b"x"), (name, b"evil")]
    archive = zipped(tmp_path / "a.zip", members) if kind == "zip" else tarred(tmp_path / "a.tar", members)
    refused(archive, 5, repr(name))


@pytest.mark.fault(41)
def test_a_nul_in_a_name_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("good.png", b"x"), ("ab.pngZ.exe", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"ab.pngZ.exe", b"ab.png\0.exe"))
    refused(archive, 5, "NUL byte")


@pytest.mark.parametrize(
    "pair",
    [("A.png", "a.png"), ("\u00e9.png", "e\u0301.png"), ("A/1.png", "a/2.png"), ("a", "a/1.png"), ("b.png", "b.png"),
     ("a.png", "./a.png"), ("stra\u00dfe.png", "STRASSE.png")],
)  # fmt: skip
def test_names_that_are_one_where_case_or_form_does_not_count_are_refused(
    tmp_path: Path, pair: tuple[str, str]
) -> None:
    refused(tarred(tmp_path / "a.tar", [(name, b"x") for name in pair]), 5, "one name")


@pytest.mark.fault(41)
@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    one = tarfile.TarInfo("a.png")
    one.type, one.linkname = kind, "../canary.png"
    refused(tarred(tmp_path / "a.tar", [("good.png", b"x"), (one, b"")]), 5, "'a.png' is a")


@pytest.mark.fault(41)
def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    one = zipfile.ZipInfo("a.png")
    one.external_attr = (stat.S_IFLNK | 0o777) << 16
    refused(zipped(tmp_path / "a.zip", [(one, b"../canary.png")]), 5, "symbolic link")


@pytest.mark.parametrize("form", ["gnu", "pax"])
def test_a_sparse_member_is_refused(tmp_path: Path, form: str) -> None:
    one = tarfile.TarInfo("a.png")
    if form == "pax":
        one.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": str(1 << 40)}
        refused(tarred(tmp_path / "a.tar", [(one, b"x")]), 5, "sparse")
        return
    header = bytearray(tar_bytes([("a.png", b"")]))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header[:512]):06o}\0 ".encode()
    (tmp_path / "a.tar").write_bytes(header)
    refused(tmp_path / "a.tar", 5, "sparse")


def test_a_header_without_an_end_does_not_fill_memory(tmp_path: Path) -> None:
    one = tarfile.TarInfo("././@LongLink")
    one.type = tarfile.GNUTYPE_LONGNAME
    refused(tarred(tmp_path / "a.tar.gz", [(one, b"a" * 900_000), ("a.png", b"x")], "tar.gz"), 5, "header of more")


def test_an_encrypted_zip_is_no_data(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x")])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(content)
    refused(archive, 3, "encrypted", "a.png")


def test_a_method_that_has_no_bound_is_not_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("a.png", b"x")
    refused(tmp_path / "a.zip", 3, "method 12")


@pytest.mark.fault(42)
def test_members_that_lie_over_one_another_are_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", os.urandom(99)), ("b.png", os.urandom(99))])
    content = bytearray(archive.read_bytes())
    second = content.index(b"PK\1\2", content.index(b"PK\1\2") + 4)
    content[second + 42 : second + 46] = struct.pack("<I", 0)
    archive.write_bytes(content)
    refused(archive, 5, "over one another")


def restated(archive: Path, size: int, checksum: int | None = None) -> Path:
    """Let the headers of a zip's only member state another size and checksum."""
    content = bytearray(archive.read_bytes())
    for signature, at in ((b"PK\3\4", 14), (b"PK\1\2", 16)):
        start = content.index(signature) + at
        if checksum is not None:
            content[start : start + 4] = struct.pack("<I", checksum)
        content[start + 8 : start + 12] = struct.pack("<I", size)
    archive.write_bytes(content)
    return archive


@pytest.mark.fault(42)
def test_a_zip_that_holds_more_than_it_states_is_refused_even_with_a_fitting_checksum(tmp_path: Path) -> None:
    plain = b"ab" * 500_000
    archive = zipped(tmp_path / "a.zip", [("a.png", plain)])
    refused(restated(archive, 10, zlib.crc32(plain[:10])), 5, "states 10 bytes and holds more")


def test_a_zip_that_holds_less_than_it_states_is_refused(tmp_path: Path) -> None:
    refused(restated(zipped(tmp_path / "a.zip", [("a.png", b"x" * 50)]), 60), 5, "holds only 50")


def test_a_wrong_checksum_is_damage(tmp_path: Path) -> None:
    refused(restated(zipped(tmp_path / "a.zip", [("a.png", b"x" * 50)]), 50, 1), 3, "checksum of 'a.png' is wrong")


def test_another_name_where_the_member_lies_is_refused(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x" * 50)])
    archive.write_bytes(archive.read_bytes().replace(b"a.png", b"b.exe", 1))
    refused(archive, 5, "another name")


@pytest.mark.fault(42)
@pytest.mark.parametrize("ending", ["zip", "tar.gz", "tar.bz2", "tar.xz"])
@pytest.mark.parametrize(
    ("limits", "word"),
    [
        (Limits(ratio=20), "20 times"),
        (Limits(bytes=2_000_000, ratio=1e9), "2.0 MB"),
        (Limits(members=1, ratio=1e9), "1 members"),
    ],
)
def test_a_bomb_stops_at_the_cap(tmp_path: Path, ending: str, limits: Limits, word: str) -> None:
    members = [("a.png", bytes(3_000_000)), ("b.bin", b"x")]
    path = tmp_path / f"a.{ending}"
    refused(zipped(path, members) if ending == "zip" else tarred(path, members, ending), 5, word, limits=limits)


@pytest.mark.fault(42)
def test_a_bomb_is_counted_while_it_decompresses_whatever_its_header_says(tmp_path: Path) -> None:
    archive = restated(zipped(tmp_path / "a.zip", [("a.png", bytes(3_000_000))]), 900_000)
    refused(archive, 5, "states 900000 bytes and holds more", limits=Limits(ratio=20))


@pytest.mark.fault(42)
def test_a_bomb_that_is_passed_over_counts_too(tmp_path: Path) -> None:
    members = [("a.png", b"x"), ("inner.zip", bytes(3_000_000))]
    refused(tarred(tmp_path / "a.tgz", members, "tar.gz"), 5, "20 times", limits=Limits(ratio=20))


def test_a_directory_that_would_fill_memory_is_not_read(tmp_path: Path) -> None:
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, 600_000, 0, 0)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(599_996) + end)
    refused(tmp_path / "a.zip", 5, "directory for more than 100", limits=Limits(members=100))


@pytest.mark.parametrize("ending", ["zip", *PACKERS])
@pytest.mark.parametrize("kept", [0.3, 0.7, 0.97])
def test_a_truncated_archive_is_no_data(tmp_path: Path, ending: str, kept: float) -> None:
    members = [(f"{number}.png", os.urandom(700)) for number in range(30)]
    path = tmp_path / f"a.{ending}"
    archive = zipped(path, members) if ending == "zip" else tarred(path, members, ending)
    archive.write_bytes(archive.read_bytes()[: int(archive.stat().st_size * kept)])
    if ending == "tar" and kept > 0.9:
        pytest.skip("only its padding is missing")
    refused(archive, 3, "truncated or damaged")


def test_a_directory_that_points_before_the_file_is_damage(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x" * 99)])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\5\6") + 16] += 90  # where the directory begins
    archive.write_bytes(content)
    refused(archive, 3, "truncated or damaged")


def test_a_damaged_header_in_the_middle_is_not_taken_for_the_end(tmp_path: Path) -> None:
    content = bytearray(tar_bytes([("a.png", b"x"), ("b.png", b"y"), ("c.png", b"z")]))
    for start, damage in ((1024, bytes([content[1024] ^ 1])), (1024, bytes(512))):
        harmed = bytearray(content)
        harmed[start : start + len(damage)] = damage
        (tmp_path / "a.tar").write_bytes(harmed)
        refused(tmp_path / "a.tar", 3, "truncated or damaged")


@pytest.mark.parametrize("head", [b"7z\xbc\xaf\x27\x1c", b"Rar!\x1a\x07\x00"])
def test_kinds_that_are_not_read_come_with_the_command_that_does(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "a.x").write_bytes(head + bytes(99))
    refused(tmp_path / "a.x", 3, "unpack it yourself", "--data NAME=FOLDER")


@pytest.mark.parametrize("content", [b"", b"<html>sign in</html>", gzip.compress(b"a\n", mtime=0)])
def test_what_is_no_archive_is_no_data(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", 3)


def test_an_archive_without_anything_usable_is_no_data(tmp_path: Path) -> None:
    refused(zipped(tmp_path / "a.zip", [("setup.exe", b"x")]), 3, "no image and no table")


def test_too_little_room_is_told_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "free_bytes", lambda _: 50)
    refused(zipped(tmp_path / "a.zip", [("a.png", b"x" * 100)]), 4, "needs 100 B", "50 B are free")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x")])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine").write_text("mine")
    with pytest.raises(CytobenchError, match="there already") as caught:
        unpack(archive, tmp_path / "set")
    assert caught.value.exit_code == 2
    assert [path.name for path in (tmp_path / "set").iterdir()] == ["mine"]


def test_a_stop_leaves_nothing_and_what_a_kill_left_is_cleared(tmp_path: Path) -> None:
    archive = zipped(tmp_path / "a.zip", [("a.png", b"x")])
    (tmp_path / ".set.partial" / "a.png").mkdir(parents=True)
    with interrupts.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(Interrupted):
            unpack(archive, tmp_path / "set")
    assert not (tmp_path / "set").exists()
    assert not (tmp_path / ".set.partial").exists()
    assert unpack(archive, tmp_path / "set").files == 1


def test_an_xz_that_asks_for_endless_memory_is_not_unpacked(tmp_path: Path) -> None:
    """Its header names a dictionary of a gigabyte, which would be filled by what comes out."""
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 30}]
    (tmp_path / "set.tar.xz").write_bytes(lzma.compress(b"x" * 10_000, filters=filters, preset=None))
    with pytest.raises(DataFault, match=r"needs more than 268\.4 MB of memory"):
        unpack(tmp_path / "set.tar.xz", tmp_path / "out")


def test_xz_streams_that_follow_one_another_are_one_archive(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a/x.png")
        member.size = 5000
        archive.addfile(member, io.BytesIO(b"y" * 5000))
    whole = buffer.getvalue()
    (tmp_path / "set.tar.xz").write_bytes(lzma.compress(whole[:3000]) + bytes(4) + lzma.compress(whole[3000:]))
    unpack(tmp_path / "set.tar.xz", tmp_path / "out")
    assert (tmp_path / "out/a/x.png").read_bytes() == b"y" * 5000
