"""Writing: whole or not at all, the same bytes every time, never over another version, never a photograph."""

import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cytobench.datasets.decode import DRAWN_BY, decode
from cytobench.datasets.frozen.archive import Kind, pack, zenodo
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, read
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import write
from cytobench.errors import DataFault, EnvironmentFault, IntegrityFault
from tests.datasets.frozen.conftest import Freeze, board, edition, published


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_image_has_a_row_that_tells_everything(freeze: Freeze) -> None:
    done = freeze(published("x-vae"), published("smears", "phantom"))
    rows = {row.path: row for row in read((done.folder / MANIFEST).read_bytes()).rows}
    pictures = {path.relative_to(done.folder).as_posix() for path in done.folder.rglob("*.png")}
    assert len(pictures) == done.images == 16
    for path in pictures:
        row, (_, name, split, label, _) = rows[path], path.split("/")
        found = decode((done.folder / path).read_bytes(), 16)
        assert (row.set, row.split, row.label, row.pixel_sha256) == (name, split, label, found.sha256)
        assert row.origin == ("synthetic" if name == "x-vae" else "phantom")
        assert row.partition == ("b" if split == "test" else "a")
        assert bool(row.generator_run) == (name == "x-vae")
        assert found.drawn_by.startswith(name)
    assert rows.keys() == bytes_of(done.folder).keys() - {IDENTITY, MANIFEST}


def test_the_same_content_has_the_same_name_and_is_not_written_twice(freeze: Freeze) -> None:
    first = freeze()
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    again, elsewhere = freeze(), freeze(shelf="other")
    assert (first.new, again.new, elsewhere.new) == (True, False, True)
    assert first.identity == again.identity == elsewhere.identity
    assert before == {path: path.stat().st_mtime_ns for path in first.folder.rglob("*")}
    assert bytes_of(first.folder) == bytes_of(elsewhere.folder)


def test_a_published_version_is_never_edited(freeze: Freeze) -> None:
    first = freeze()
    before = bytes_of(first.folder)
    with pytest.raises(IntegrityFault, match="is published, and this would be") as caught:
        freeze(title="Louder noise")
    assert f"--version 2 --supersedes {first.identity}" in caught.value.fix
    assert bytes_of(first.folder) == before
    second = freeze(version=2, title="Louder noise", supersedes=str(first.identity))
    assert read((second.folder / MANIFEST).read_bytes()).supersedes == str(first.identity)
    assert bytes_of(first.folder) == before


def test_a_damaged_version_is_not_taken_for_the_same(freeze: Freeze) -> None:
    first = freeze()
    (first.folder / "README.md").write_text("mine")
    with pytest.raises(IntegrityFault, match="is not what was published"):
        freeze()


def test_photographs_are_refused_whatever_a_set_calls_itself(freeze: Freeze, tmp_path: Path) -> None:
    one = published("x-vae")
    table = one.images.table.copy()
    table.loc[3, "origin"] = "real"
    mixed = one._replace(images=type(one.images)("x-vae", "synthetic", one.images.classes, table, one.images.pixels))
    with pytest.raises(IntegrityFault, match="photographs"):
        freeze(mixed)
    with pytest.raises(IntegrityFault, match="photographs"):
        freeze(published("lab", "real"))
    assert not list((tmp_path / "shelf").glob("noise*"))


@pytest.mark.fault(33, 47)
@pytest.mark.parametrize(
    "classes",
    [("=cmd()", "b"), ("a/b", "c"), ("..", "b"), ("a", "A"), ("é", "e\u0301"), ("con", "b"), ("a:b", "c"), ("a ", "b")],
)
def test_classes_that_are_no_folders_everywhere_are_refused(freeze: Freeze, classes: tuple[str, ...]) -> None:
    with pytest.raises(DataFault, match="classes become folders"):
        freeze(published("x-vae", classes=classes))


@pytest.mark.fault(35)
def test_a_link_is_refused(freeze: Freeze, tmp_path: Path) -> None:
    def linked(folder: Path) -> None:
        (folder / "board").mkdir(parents=True)
        (folder / "board/passwords").symlink_to("/etc/passwd")

    with pytest.raises(IntegrityFault, match="are links") as caught:
        freeze(extras=linked)
    assert caught.value.problems == ("board/passwords",)
    assert not (tmp_path / "shelf/noise-v1").exists()


@pytest.mark.fault(53)
def test_a_kill_at_any_moment_leaves_no_set_or_a_whole_one(freeze: Freeze, tmp_path: Path) -> None:
    whole = freeze(shelf="whole")
    began = time.monotonic()
    freeze(shelf="again")  # the first one also imports and warms up
    usual = time.monotonic() - began
    expected = bytes_of(whole.folder)
    moments, torn = random.Random(53), 0
    for number in range(30):
        shelf = tmp_path / f"killed {number}"
        child = os.fork()
        if child == 0:
            try:
                sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  # the child dies with it
                write(shelf, edition(), [published("x-vae")], extras=board, annotations={})
            finally:
                os._exit(0)
        time.sleep(moments.uniform(0, 1.2 * usual))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        folder = shelf / "noise-v1"
        if folder.exists():
            assert bytes_of(folder) == expected
        else:
            torn += (shelf / ".noise-v1.partial").exists()
        assert write(shelf, edition(), [published("x-vae")], extras=board, annotations={}).identity == whole.identity
        assert bytes_of(folder) == expected
        assert not (shelf / ".noise-v1.partial").exists()
    assert torn > 5, "most kills must come while it is written to mean anything"


@pytest.mark.parametrize("nth", [1, 5, 15])
def test_a_full_disk_leaves_nothing_behind(
    freeze: Freeze, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    real, count = Path.write_bytes, 0

    def full(path: Path, content: bytes) -> int:
        nonlocal count
        count += 1
        if count >= nth:
            raise OSError(28, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(EnvironmentFault, match="no space left"):
        freeze()
    assert not [path for path in (tmp_path / "shelf").iterdir() if path.suffix != ".lock"]


class TestArchive:
    @pytest.mark.parametrize("kind", ["zip", "tar"])
    def test_packing_twice_gives_the_same_bytes(self, freeze: Freeze, tmp_path: Path, kind: Kind) -> None:
        one, other = freeze(), freeze(shelf="other")
        for path in other.folder.rglob("*"):
            path.chmod(0o700)
            os.utime(path, (1, 1))
        first = pack(one.folder, tmp_path / f"one.{kind}", kind)
        second = pack(other.folder, tmp_path / f"two.{kind}", kind)
        assert first.read_bytes() == second.read_bytes()
        assert verify(first).identity == one.identity

    def test_the_deposit_names_what_zenodo_asks_for(self) -> None:
        facts = zenodo(edition(creators=("Ada", "Bo"), date="2026-11-21"), "noise@v1#0")["metadata"]
        assert facts["creators"] == [{"name": "Ada"}, {"name": "Bo"}]
        asked = {"upload_type", "title", "description", "access_right", "license", "version", "publication_date"}
        assert asked <= facts.keys()


def test_the_card_says_what_no_one_may_miss(freeze: Freeze) -> None:
    done = freeze(published("x-vae", classes=("a|b", "<script>")), title="A <b>title</b>")
    text = (done.folder / "README.md").read_text()
    for told in ("No photographs", "What not for", "Diagnosis", "CC0-1.0", "ancestry/", "noise@v1"):
        assert told in text
    assert "a\\|b" in text
    assert "<script>" not in text
    assert "<b>" not in text.split("---", 2)[2]


def test_pixels_and_table_need_not_be_in_one_order(freeze: Freeze) -> None:
    one = published("x-vae")
    order = np.random.default_rng(0).permutation(len(one.images.table))
    table = one.images.table.iloc[order].reset_index(drop=True)
    mixed = one._replace(images=type(one.images)("x-vae", "synthetic", one.images.classes, table, one.images.pixels))
    done = freeze(mixed)
    rows = pd.read_csv(done.folder / "images.csv")
    for path, sha in zip(rows["path"], rows["pixel_sha256"], strict=True):
        assert decode((done.folder / path).read_bytes(), 16).sha256 == sha
        with Image.open(done.folder / path) as image:
            assert DRAWN_BY in image.info
