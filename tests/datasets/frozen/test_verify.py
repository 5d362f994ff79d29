"""Both verifiers: they agree, they find a thousand mutations and name the file, and nothing hostile is opened."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cytobench.datasets.archives.members import LIMITS
from cytobench.datasets.frozen import contents, verifier
from cytobench.datasets.frozen.archive import Kind, pack
from cytobench.datasets.frozen.identity import parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, ROW_HASH, root_of, row_hash
from cytobench.datasets.frozen.verify import verify
from cytobench.errors import DataFault, IntegrityFault, UsageFault
from cytobench.store import canonical, file_sha256
from tests.datasets.frozen.conftest import Freeze

Mutation = Callable[[Path, random.Random], str]


def problems(folder: Path) -> tuple[str, ...]:
    """Return what our verifier says; nothing when the set is untouched."""
    try:
        verify(folder)
    except IntegrityFault as fault:
        return fault.problems
    return ()


def told(folder: Path, capsys: pytest.CaptureFixture[str], expected: str = "") -> list[str]:
    """Return what the verifier within the set says; nothing when the set is untouched."""
    code = verifier.main(folder, expected)
    lines = capsys.readouterr().out.splitlines()
    assert code == (0 if lines[0].startswith("untouched: ") else 5)
    return lines if code else []


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def flip_a_bit(folder: Path, chance: random.Random) -> str:
    name = chance.choice([one for one in files(folder) if (folder / one).stat().st_size])
    content = bytearray((folder / name).read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    (folder / name).write_bytes(content)
    return name


def edit_a_row(field: str, values: tuple[object, ...]) -> Mutation:
    def mutate(folder: Path, chance: random.Random) -> str:
        lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
        images = [n for n, line in enumerate(lines) if n and json.loads(line)["pixel_sha256"]]
        number = chance.choice(images)
        row = json.loads(lines[number])
        row[field] = chance.choice([value for value in values if value != row[field]])
        lines[number] = canonical(row) + b"\n"
        (folder / MANIFEST).write_bytes(b"".join(lines))
        return str(row["path"])

    mutate.__name__ = f"edit_{field}"
    return mutate


def edit_a_row_and_its_hash(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    number = chance.randrange(1, len(lines))
    row = json.loads(lines[number])
    del row[ROW_HASH]
    row["label"] = "forged"
    lines[number] = canonical(row | {ROW_HASH: row_hash(row)}) + b"\n"
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return MANIFEST


def drop_a_row(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    gone = lines.pop(chance.randrange(1, len(lines)))
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return str(json.loads(gone)["path"])


def double_a_row(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    number = chance.randrange(1, len(lines))
    lines.insert(number, lines[number])
    (folder / MANIFEST).write_bytes(b"".join(lines))
    return str(json.loads(lines[number])["path"])


def edit_the_header(folder: Path, chance: random.Random) -> str:
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    header = json.loads(lines[0])
    header.update(chance.choice([{"version": 7}, {"name": "other"}, {"supersedes": "noise@v9"}, {"format": "x"}]))
    (folder / MANIFEST).write_bytes(canonical(header) + b"\n" + b"".join(lines[1:]))
    return MANIFEST


def edit_the_identity(folder: Path, chance: random.Random) -> str:
    text = (folder / IDENTITY).read_text()
    edits = [text.replace("noise", "other"), text.replace("@v1", "@v2"), text.strip(), text + "\n", text.upper()]
    (folder / IDENTITY).write_text(chance.choice(edits))
    return IDENTITY


def add_a_file(folder: Path, chance: random.Random) -> str:
    place = chance.choice(["", "images/x-vae/train/baso/", "board/", "new/", ".git/"])
    name = f"{place}{chance.choice(['extra.png', '.hidden', 'Z', 'ü.txt'])}"
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(chance.choice([b"", b"x"]))
    return name


def add_a_folder(folder: Path, chance: random.Random) -> str:
    name = chance.choice(["empty", "images/x-vae/train/third", "board/empty"])
    (folder / name).mkdir()
    return name


def add_a_link(folder: Path, chance: random.Random) -> str:
    (folder / "board/link").symlink_to(chance.choice(["/etc/passwd", ".", "README.md", "nowhere"]))
    return "board/link"


def remove_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).unlink()
    return name


def empty_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).write_bytes(b"")
    return name


def rename_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    (folder / name).rename(folder / f"{name}{chance.choice(['~', '.png', 'x'])}")
    return name


def move_to_another_label_or_part(folder: Path, chance: random.Random) -> str:
    name = chance.choice([one for one in files(folder) if one.startswith("images/")])
    other = name.replace("/baso/", "/eosino phil/") if "/baso/" in name else name.replace("/eosino phil/", "/baso/")
    other = chance.choice([other, name.replace("/train/", "/test/")]).replace(".png", "-.png")
    (folder / name).rename(folder / other)
    return name


def swap_two_images(folder: Path, chance: random.Random) -> str:
    one, other = chance.sample([one for one in files(folder) if one.startswith("images/")], 2)
    first, second = (folder / one).read_bytes(), (folder / other).read_bytes()
    (folder / one).write_bytes(second)
    (folder / other).write_bytes(first)
    return one


def link_instead_of_a_file(folder: Path, chance: random.Random) -> str:
    name = chance.choice(files(folder))
    moved = folder.parent / "moved"
    shutil.copy(folder / name, moved)
    (folder / name).unlink()
    (folder / name).symlink_to(moved)
    return name


HASHES = ("0" * 64, "f" * 64)
MUTATIONS: tuple[Mutation, ...] = (
    flip_a_bit, flip_a_bit, flip_a_bit, flip_a_bit,
    edit_a_row("label", ("baso", "eosino phil")), edit_a_row("split", ("train", "val", "test")),
    edit_a_row("partition", ("a", "b", "")), edit_a_row("sha256", HASHES), edit_a_row("pixel_sha256", HASHES),
    edit_a_row("bytes", (1, 10**30, True, "7")), edit_a_row("generator_run", ("", "generator/0")),
    edit_a_row_and_its_hash, drop_a_row, double_a_row, edit_the_header, edit_the_identity, add_a_file, add_a_folder,
    add_a_link, remove_a_file, empty_a_file, rename_a_file, move_to_another_label_or_part, swap_two_images,
    link_instead_of_a_file,
)  # fmt: skip


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a thousand small sets be read without starting thousands of threads."""

    class Serial:
        def __init__(self, *_: object) -> None: ...
        def __enter__(self) -> "Serial":
            return self

        def __exit__(self, *_: object) -> None: ...

        map = staticmethod(map)

    monkeypatch.setattr(contents, "ThreadPoolExecutor", Serial)
    monkeypatch.setattr(verifier, "ThreadPoolExecutor", Serial)


@pytest.mark.fault(37, 38, 39)
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("count", [150, pytest.param(1000, marks=pytest.mark.slow)])
def test_mutations_are_found_by_both_verifiers_and_the_file_is_named(
    count: int, freeze: Freeze, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = freeze().folder
    assert problems(whole) == ()
    assert told(whole, capsys) == []
    chance = random.Random(20261121)
    for number in range(count):
        folder = tmp_path / "mutated"
        shutil.copytree(whole, folder)
        mutation = MUTATIONS[number % len(MUTATIONS)]
        name = mutation(folder, chance)
        ours, theirs = problems(folder), told(folder, capsys)
        where = f"number {number}, {mutation.__name__}: {name}"
        assert any(name in line for line in ours), f"{where}, ours: {ours}"
        assert any(ascii(name)[1:-1] in line for line in theirs), f"{where}, theirs: {theirs}"
        shutil.rmtree(folder)


def forged(folder: Path, *rows: dict[str, object]) -> None:
    """Write more rows into a manifest, with all hashes right: only what they name is wrong."""
    lines = (folder / MANIFEST).read_bytes().splitlines()
    facts = [json.loads(line) for line in lines[1:]]
    for one in facts:
        del one[ROW_HASH]
    example = next(one for one in facts if one["path"] == "LICENSE")
    facts = sorted([*facts, *(example | row for row in rows)], key=lambda one: str(one["path"]))
    content = b"".join([lines[0] + b"\n", *(canonical(one | {ROW_HASH: row_hash(one)}) + b"\n" for one in facts)])
    (folder / MANIFEST).write_bytes(content)
    (folder / IDENTITY).write_text(f"noise@v1#{root_of(content)}\n")


HOSTILE = (
    "../outside", "a/../../outside", "/etc/passwd", "C:/outside", "C:outside", "..\\outside", "a//b", "./LICENSE", "",
    "a/./b", "nul\0byte", "board/..",
)  # fmt: skip


@pytest.mark.fault(40)
@pytest.mark.parametrize("path", HOSTILE)
def test_a_path_that_leads_elsewhere_is_refused_and_never_opened(
    freeze: Freeze, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    folder = freeze().folder
    os.mkfifo(tmp_path / "outside")  # who opens it waits for ever
    forged(folder, {"path": path})
    opened: list[str] = []
    real = Path.open

    def noted(self: Path, *rest: Any, **more: Any) -> Any:
        opened.append(str(self))
        return real(self, *rest, **more)

    monkeypatch.setattr(Path, "open", noted)
    ours, theirs = problems(folder), told(folder, capsys)
    assert any(line.startswith(f"{path}: a path that") for line in ours)
    assert any("a path that no file of a set can have" in line for line in theirs)
    assert all(Path(one).resolve().is_relative_to(folder) and ".." not in one for one in opened)


@pytest.mark.fault(33)
def test_names_that_are_one_on_some_systems_are_refused(freeze: Freeze) -> None:
    folder = freeze().folder
    (folder / "license").write_bytes((folder / "LICENSE").read_bytes())
    forged(folder, {"path": "license"})
    assert any("'license'" in line and "'LICENSE'" in line for line in problems(folder))


def test_a_path_that_windows_can_not_hold_is_refused(freeze: Freeze) -> None:
    folder = freeze().folder
    (folder / "con.txt").write_bytes((folder / "LICENSE").read_bytes())
    forged(folder, {"path": "con.txt"})
    assert any("device on Windows" in line for line in problems(folder))


def test_a_manifest_that_forges_everything_is_told_by_the_cited_hash_alone(
    freeze: Freeze, capsys: pytest.CaptureFixture[str]
) -> None:
    done = freeze()
    (done.folder / "board/extra").write_bytes((done.folder / "LICENSE").read_bytes())
    forged(done.folder, {"path": "board/extra"})
    assert problems(done.folder) == ()
    with pytest.raises(IntegrityFault, match="is not what was published"):
        verify(done.folder, expected=done.identity)
    assert told(done.folder, capsys, str(done.identity))


@pytest.mark.parametrize(("cut", "right"), [("noise@v1", True), ("noise@v1#{8}", True), ("noise@v2", False),
                                            ("noise@v1#00000000", False), ("other@v1", False)])  # fmt: skip
def test_what_was_cited_is_compared(freeze: Freeze, capsys: pytest.CaptureFixture[str], cut: str, right: bool) -> None:
    done = freeze()
    text = cut.replace("{8}", done.identity.root[:8])
    assert (told(done.folder, capsys, text) == []) == right
    if right:
        assert verify(done.folder, expected=parse(text)).identity == done.identity
    else:
        with pytest.raises(IntegrityFault, match="is not what was published"):
            verify(done.folder, expected=parse(text))


def test_version_one_is_not_version_ten(freeze: Freeze, capsys: pytest.CaptureFixture[str]) -> None:
    done = freeze(version=10, supersedes="noise@v9#" + "0" * 64)
    assert told(done.folder, capsys, "noise@v1")
    with pytest.raises(IntegrityFault):
        verify(done.folder, expected=parse("noise@v1"))


class TestTheVerifierWithin:
    def test_it_runs_with_nothing_but_python(self, freeze: Freeze) -> None:
        done = freeze()
        command = [sys.executable, "-I", "-S", "-W", "error", str(done.folder / "verify.py")]
        found = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
        assert found.stdout == f"untouched: {done.identity}, {done.files} files\n"
        (done.folder / "README.md").write_text("mine")
        found = subprocess.run(command, capture_output=True, text=True, check=False, env={"LC_ALL": "C"})
        assert (found.returncode, found.stdout, found.stderr) == (5, "README.md: other bytes than were published\n", "")

    def test_it_is_short_and_imports_the_standard_library_alone(self) -> None:
        text = Path(verifier.__file__).read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 100
        imported = re.findall(r"^(?:import|from) (\w+)", text, re.M)
        assert imported
        assert set(imported) <= set(sys.stdlib_module_names)


class TestArchives:
    """A published archive is verified as it is; a hostile one is refused and nothing of it is written."""

    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_a_published_one_is_untouched(self, freeze: Freeze, tmp_path: Path, kind: Kind) -> None:
        done = freeze()
        found = verify(pack(done.folder, tmp_path / f"noise.{kind}", kind))
        assert (found.identity, found.files, found.images) == (done.identity, done.files, done.images)

    def test_a_changed_member_is_named(self, freeze: Freeze, tmp_path: Path) -> None:
        done = freeze()
        picture = next(done.folder.rglob("*.png"))
        picture.write_bytes(next(p for p in done.folder.rglob("*.png") if p != picture).read_bytes())
        (done.folder / "extra").mkdir()
        (done.folder / "extra/one").write_bytes(b"x")
        with pytest.raises(IntegrityFault) as caught:
            verify(pack(done.folder, tmp_path / "noise.zip", "zip"))
        name = picture.relative_to(done.folder).as_posix()
        assert any(line.startswith(name) for line in caught.value.problems)
        assert "extra/one: not of this set" in caught.value.problems

    @pytest.mark.fault(41)
    @pytest.mark.parametrize("name", ["../outside", "/outside", "C:/outside", "noise-v1/../../outside", "..\\outside"])
    def test_a_member_that_climbs_is_refused(self, freeze: Freeze, tmp_path: Path, name: str) -> None:
        archive = pack(freeze().folder, tmp_path / "in/noise.zip", "zip")
        with zipfile.ZipFile(archive, "a") as more:
            more.writestr(name, b"x")
        with pytest.raises(IntegrityFault) as caught:
            verify(archive)
        assert any(line.startswith(name) for line in caught.value.problems)
        assert not (tmp_path / "outside").exists()

    @pytest.mark.fault(41)
    @pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
    def test_a_link_or_device_in_a_tar_is_refused(self, freeze: Freeze, tmp_path: Path, kind: bytes) -> None:
        folder = freeze().folder
        archive = tmp_path / "noise.tar"
        with tarfile.open(archive, "w") as packed:
            packed.add(folder, "noise-v1")
            strange = tarfile.TarInfo("noise-v1/strange")
            strange.type, strange.linkname = kind, "/etc/passwd"
            packed.addfile(strange)
        with pytest.raises(IntegrityFault) as caught:
            verify(archive)
        assert [line for line in caught.value.problems if line.startswith("noise-v1/strange: is a")]

    @pytest.mark.fault(42)
    def test_a_bomb_is_stopped(self, tmp_path: Path) -> None:
        with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr(f"noise-v1/{MANIFEST}", bytes(64 << 20))
        with pytest.raises(IntegrityFault, match="unpacks to more than"):
            verify(tmp_path / "bomb.zip")

    @pytest.mark.fault(42)
    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_members_without_end_are_stopped(
        self, freeze: Freeze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Kind
    ) -> None:
        done = freeze()
        archive = pack(done.folder, tmp_path / f"noise.{kind}", kind)
        monkeypatch.setattr(contents, "LIMITS", LIMITS._replace(members=done.files))
        assert verify(archive).files == done.files
        monkeypatch.setattr(contents, "LIMITS", LIMITS._replace(members=done.files - 1))
        with pytest.raises(IntegrityFault, match=f"holds more than {done.files - 1} members"):
            verify(archive)

    def test_a_torn_one_is_bad_data(self, freeze: Freeze, tmp_path: Path) -> None:
        archive = pack(freeze().folder, tmp_path / "noise.tar", "tar")
        archive.write_bytes(archive.read_bytes()[:-20_000])
        with pytest.raises(DataFault, match="truncated or damaged"):
            verify(archive)


def test_pixels_are_looked_at_where_the_bytes_agree_with_a_forged_row(freeze: Freeze) -> None:
    folder = freeze().folder
    name = next(one for one in files(folder) if one.endswith(".png"))
    Image.new("RGB", (16, 16)).save(folder / name)
    lines = [json.loads(line) for line in (folder / MANIFEST).read_bytes().splitlines()[1:]]
    row = next(one for one in lines if one["path"] == name)
    del row[ROW_HASH]
    row |= {"bytes": (folder / name).stat().st_size, "sha256": file_sha256(folder / name)}
    kept = [
        one
        for one in (folder / MANIFEST).read_bytes().splitlines(keepends=True)
        if f'"path":"{name}"'.encode() not in one
    ]
    (folder / MANIFEST).write_bytes(b"".join(kept))
    forged(folder, row)
    assert problems(folder) == (f"{name}: its pixels are not those that its row states",)


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: None])
def test_what_is_no_frozen_set_is_wrong_use(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "thing")
    with pytest.raises((UsageFault, DataFault)) as caught:
        verify(tmp_path / "thing")
    assert caught.value.fix


@pytest.mark.parametrize(
    "content", [b"", b"\xff\n", b"[" * 100_000, b"{}\n", b'{"format":1}\n{"path":[]}\n', b"null\nnull\n"]
)
def test_a_manifest_of_nonsense_is_an_integrity_fault(
    freeze: Freeze, capsys: pytest.CaptureFixture[str], content: bytes
) -> None:
    folder = freeze().folder
    (folder / MANIFEST).write_bytes(content)
    assert problems(folder)
    assert told(folder, capsys)
