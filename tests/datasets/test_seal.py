from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from cytobench.datasets import seal
from cytobench.datasets.imageset import write_table
from cytobench.datasets.readers import read
from cytobench.errors import IntegrityFault

Maker = Callable[..., Path]


@pytest.fixture
def frozen(make_folder: Maker, tmp_path: Path) -> Path:
    """Freeze four images, one of them left out."""
    root = make_folder({"a": 2, "b": 2})
    rows = pd.DataFrame("", index=range(4), columns=list(seal.CONTENT))
    rows["path"] = ["a/000.png", "a/001.png", "b/000.png", "b/001.png"]
    rows["label"], rows["split"] = ["a", "a", "b", "b"], ["train", "test", "train", seal.OUT]
    write_table(tmp_path / "split.csv", seal.sealed(rows))
    assert root.name == "set"
    return tmp_path / "split.csv"


def test_what_was_not_touched_is_read_without_what_was_left_out(frozen: Path) -> None:
    listing = read(frozen.parent / "set", columns={}, manifest=frozen)
    assert [(one.file, one.split) for one in listing.entries] == [
        ("a/000.png", "train"),
        ("a/001.png", "test"),
        ("b/000.png", "train"),
    ]


@pytest.mark.fault(38)
@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("a/001.png,a,test", "a/001.png,b,test", "line 3: a/001.png"),
        ("a/001.png,a,test", "a/001.png,a,train", "line 3: a/001.png"),
        ("b/001.png,b,out", "b/001.png,b,train", "line 5: b/001.png"),
    ],
)
def test_an_edited_label_and_a_moved_row_are_named(frozen: Path, old: str, new: str, named: str) -> None:
    text = frozen.read_text()
    assert old in text
    frozen.write_text(text.replace(old, new))
    with pytest.raises(IntegrityFault, match="edited since it was frozen") as caught:
        read(frozen.parent / "set", columns={}, manifest=frozen)
    assert caught.value.problems == (named,)


@pytest.mark.fault(38)
def test_a_row_that_is_taken_away_or_doubled_is_found(frozen: Path) -> None:
    lines = frozen.read_text().splitlines(keepends=True)
    for changed in (lines[:-1], [*lines, lines[-1]]):
        frozen.write_text("".join(changed))
        with pytest.raises(IntegrityFault, match="rows were added"):
            read(frozen.parent / "set", columns={}, manifest=frozen)


@pytest.mark.fault(38)
def test_a_seal_that_is_half_there_is_no_seal(frozen: Path) -> None:
    table = pd.read_csv(frozen, dtype=str, keep_default_na=False)
    write_table(frozen, table.drop(columns=seal.ROW))
    with pytest.raises(IntegrityFault, match="without its column"):
        read(frozen.parent / "set", columns={}, manifest=frozen)


@pytest.mark.fault(39)
def test_a_missing_or_renamed_file_of_a_frozen_split_is_an_integrity_fault(frozen: Path) -> None:
    picture = frozen.parent / "set/a/001.png"
    picture.rename(picture.with_name("renamed.png"))
    with pytest.raises(IntegrityFault, match="frozen split") as caught:
        read(frozen.parent / "set", columns={}, manifest=frozen)
    assert caught.value.problems == ("line 3: no file a/001.png",)


@pytest.mark.fault(39)
def test_an_extra_file_is_told_and_not_used(frozen: Path) -> None:
    picture = frozen.parent / "set/a/001.png"
    (picture.parent / "new.png").write_bytes(picture.read_bytes())
    listing = read(frozen.parent / "set", columns={}, manifest=frozen)
    assert len(listing.entries) == 3
    assert listing.notes == ("1 images of the folder are not in split.csv and not used, as a/new.png",)
