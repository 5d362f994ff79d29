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


def test_all_broken_files_are_told_at_once_and_nothing_is_kept(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3})
    (root / "a" / "000.png").write_bytes(b"")
    (root / "a" / "002.png").write_bytes(b"text")
    with pytest.raises(DataFault, match="2 of 3 images") as caught:
        scanned(root, tmp_path / "out")
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["a/000.png", "a/002.png"]
    assert not list((tmp_path / "out").iterdir())


def test_copies_and_contradictions_are_reported(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 2})
    shutil.copy(root / "a" / "000.png", root / "a" / "copy.png")
    shutil.copy(root / "a" / "001.png", root / "b" / "copy.png")
    report = read_json(scanned(root, tmp_path / "out") / REPORT)
    assert sorted(map(sorted, report["duplicates"])) == [["a/000.png", "a/copy.png"], ["a/001.png", "b/copy.png"]]
    assert report["contradictions"] == [["a/001.png (a)", "b/copy.png (b)"]]


def test_a_file_that_changes_between_survey_and_scan_is_an_integrity_fault(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 2})
    found = survey(read(root, columns={}))
    picture("other").save(root / "a" / "001.png")
    (tmp_path / "out").mkdir()
    with pytest.raises(IntegrityFault, match=r"a/001\.png changed"):
        scan(ScanStep(survey=found.sha256, image_size=16), found, tmp_path / "out")


def test_the_survey_depends_on_contents_and_labels_but_not_on_the_place(make_folder: Maker) -> None:
    root = make_folder({"a": 2})
    before = survey(read(root, columns={})).sha256
    moved = root.rename(root.with_name("elsewhere"))
    assert survey(read(moved, columns={})).sha256 == before
    picture("new").save(moved / "a" / "000.png")
    assert survey(read(moved, columns={})).sha256 != before


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
