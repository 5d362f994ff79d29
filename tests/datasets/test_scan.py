import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytobench.datasets.imageset import TABLE, read_pixels, read_table
from cytobench.datasets.readers import read
from cytobench.datasets.scan import REPORT, ScanStep, scan, survey
from cytobench.errors import DataFault, IntegrityFault
from cytobench.store import read_json
from tests.conftest import picture

Maker = Callable[..., Path]


def scanned(root: Path, folder: Path) -> Path:
    found = survey(read(root, columns={}))
    folder.mkdir()
    scan(ScanStep(survey=found.sha256, image_size=16), found, folder)
    return folder


def test_pixels_and_table_go_together(make_folder: Maker, tmp_path: Path) -> None:
    folder = scanned(make_folder({"a": 3, "b": 2}), tmp_path / "out")
    table, pixels = read_table(folder / TABLE), read_pixels(folder)
    assert pixels.shape == (5, 16, 16, 3)
    assert list(table["label"]) == ["a", "a", "a", "b", "b"]
    expected = np.asarray(picture("set", "b", 1).resize((16, 16), 1))
    assert np.array_equal(pixels[4], expected)


@pytest.mark.fault(1, 3)
def test_all_broken_files_are_told_at_once_and_nothing_is_kept(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3})
    (root / "a" / "000.png").write_bytes(b"")
    (root / "a" / "002.png").write_bytes(b"text")
    with pytest.raises(DataFault, match="2 of 3 images") as caught:
        scanned(root, tmp_path / "out")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a/000.png", "a/002.png"]
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.fault(13)
def test_copies_and_contradictions_are_reported(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 2})
    shutil.copy(root / "a" / "000.png", root / "a" / "copy.png")
    shutil.copy(root / "a" / "001.png", root / "b" / "copy.png")
    report = read_json(scanned(root, tmp_path / "out") / REPORT)
    assert sorted(map(sorted, report["duplicates"])) == [["a/000.png", "a/copy.png"], ["a/001.png", "b/copy.png"]]
    assert report["contradictions"] == [["a/001.png (a)", "b/copy.png (b)"]]


@pytest.mark.fault(14)
def test_a_file_that_changes_between_survey_and_scan_is_an_integrity_fault(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 2})
    found = survey(read(root, columns={}))
    picture("other").save(root / "a" / "001.png")
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityFault, match=r"a/001\.png changed"):
        scan(ScanStep(survey=found.sha256, image_size=16), found, tmp_path / "out")


@pytest.mark.fault(14)
@pytest.mark.parametrize("harm", ["pipe", "gone", "giant"])
def test_what_takes_the_place_of_a_file_is_not_waited_for(make_folder: Maker, tmp_path: Path, harm: str) -> None:
    root = make_folder({"a": 2})
    found = survey(read(root, columns={}))
    file = root / "a" / "001.png"
    file.unlink()
    if harm == "pipe":
        os.mkfifo(file)
    if harm == "giant":
        with file.open("wb") as giant:
            giant.truncate(10 * 1000**3)
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityFault, match=r"a/001\.png changed"):
        scan(ScanStep(survey=found.sha256, image_size=16), found, tmp_path / "out")


@pytest.mark.parametrize("label", ["x" * 201, "a\nb", "a\u202eb", "\x1b[2J"])
def test_labels_that_could_pass_for_something_else_are_told(make_folder: Maker, label: str) -> None:
    listing = read(make_folder({"a": 1}), columns={})
    entries = tuple(entry._replace(label=label) for entry in listing.entries)
    with pytest.raises(DataFault, match="1 labels"):
        survey(listing._replace(entries=entries))


def test_the_survey_depends_on_contents_and_labels_but_not_on_the_place(make_folder: Maker) -> None:
    root = make_folder({"a": 2})
    before = survey(read(root, columns={})).sha256
    moved = root.rename(root.with_name("elsewhere"))
    assert survey(read(moved, columns={})).sha256 == before
    picture("new").save(moved / "a" / "000.png")
    assert survey(read(moved, columns={})).sha256 != before


@pytest.mark.fault(37)
def test_a_picture_that_changed_since_its_manifest_was_frozen_is_named(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 2})
    table = read_table(scanned(root, tmp_path / "before") / TABLE)
    frozen = table.rename(columns={"file": "path"})[["path", "label", "pixel_sha256"]]
    frozen.to_csv(tmp_path / "frozen.csv", index=False)
    listing = read(root, columns={}, manifest=tmp_path / "frozen.csv")
    (tmp_path / "same").mkdir()
    scan(ScanStep(survey="x", image_size=16), survey(listing), tmp_path / "same")
    picture("other").save(root / "b" / "001.png")
    (tmp_path / "after").mkdir()
    with pytest.raises(IntegrityFault, match="1 of 5 pictures are not those") as caught:
        scan(ScanStep(survey="y", image_size=16), survey(listing), tmp_path / "after")
    assert caught.value.problems == ("b/001.png",)


@pytest.mark.fault(13)
def test_mixed_sizes_are_read_and_reported(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 2})
    picture("wide", size=40).save(root / "a" / "wide.png")
    report = read_json(scanned(root, tmp_path / "out") / REPORT)
    assert report["sizes"] == {"24×24": 2, "40×40": 1}
    assert report["different_sizes"] == 2


@pytest.mark.fault(36)
def test_files_that_can_not_be_opened_are_all_named(make_folder: Maker) -> None:
    root = make_folder({"a": 2})
    (root / "a" / "gone.png").symlink_to(root / "nowhere")
    os.mkfifo(root / "a" / "pipe.png")
    with pytest.raises(DataFault, match="2 of 4 images") as caught:
        survey(read(root, columns={}))
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a/gone.png", "a/pipe.png"]


def test_cells_in_one_field_are_pictures_of_their_own(tmp_path: Path) -> None:
    picture("field", size=64).save(tmp_path / "field.png")
    (tmp_path / "cells.csv").write_text("path,label,box\nfield.png,a,0 0 20 20\nfield.png,b,30 30 24 24\n")
    found = survey(read(tmp_path / "cells.csv", columns={}))
    (tmp_path / "out").mkdir()
    scan(ScanStep(survey=found.sha256, image_size=16), found, tmp_path / "out")
    table = read_table(tmp_path / "out" / TABLE)
    assert list(table["box"]) == ["0 0 20 20", "30 30 24 24"]
    assert table["id"].is_unique
