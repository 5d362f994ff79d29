import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from cytobench.datasets.readers import Entry, read
from cytobench.errors import DataFault, IntegrityFault, UsageFault

Maker = Callable[..., Path]


@pytest.mark.fault(15, 16)
def test_a_folder_per_class_is_listed_and_system_files_are_counted(make_folder: Maker) -> None:
    root = make_folder({"baso": 2, "eo": 1})
    (root / ".DS_Store").write_bytes(b"x")
    (root / "baso" / "Thumbs.db").write_bytes(b"x")
    (root / "eo" / "000.png").rename(root / "eo" / "A b é.PNG")
    listing = read(root, columns={})
    assert [(one.file, one.label) for one in listing.entries] == [
        ("baso/000.png", "baso"),
        ("baso/001.png", "baso"),
        ("eo/A b é.PNG", "eo"),
    ]
    assert listing.ignored == 2


def test_images_in_no_folder_of_a_class_are_told(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"ba": 2})
    (root / "ba/000.png").rename(root / "000.png")
    listing = read(root, columns={})
    assert [entry.file for entry in listing.entries] == ["ba/001.png"]
    assert listing.notes == ("1 images, as 000.png, lie in no folder of a class: passed over",)
    (tmp_path / "flat").mkdir()
    (root / "000.png").rename(tmp_path / "flat/000.png")
    with pytest.raises(DataFault, match=r"1 images, as 000\.png, lie in no folder of a class"):
        read(tmp_path / "flat", columns={})


@pytest.mark.fault(17)
def test_an_empty_class_is_named(make_folder: Maker) -> None:
    root = make_folder({"baso": 1})
    (root / "eo").mkdir()
    with pytest.raises(DataFault, match="eo/ holds no image"):
        read(root, columns={})


@pytest.mark.fault(34)
def test_a_loop_of_links_ends_with_a_fault(make_folder: Maker) -> None:
    root = make_folder({"baso": 1})
    (root / "baso" / "again").symlink_to(root / "baso")
    with pytest.raises(DataFault, match="leads back"):
        read(root, columns={})


@pytest.mark.fault(31)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_manifest_with_named_columns_is_read(make_folder: Maker, separator: str, end: str) -> None:
    root = make_folder({"baso": 2})
    rows = [
        ["img", "cell", "fold", "patient", "is_real", "seen"],
        ["baso/000.png", "Baso", "training", "p1", "1", "true"],
        ["baso/001.png", "Baso", "test", "p2", "false", "0"],
    ]
    text = "\ufeff" + end.join(separator.join(row) for row in rows) + end
    (root / "list.csv").write_bytes(text.encode())
    named = {"path": "img", "label": "cell", "split": "fold", "group": "patient", "origin": "is_real", "shot": "seen"}
    assert read(root / "list.csv", columns=named).entries == (
        Entry("baso/000.png", "Baso", "train", "p1", "real", True),
        Entry("baso/001.png", "Baso", "test", "p2", "synthetic", False),
    )


def test_a_parquet_manifest_over_a_folder_is_read(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"baso": 1})
    pd.DataFrame({"path": ["baso/000.png"], "label": ["b"]}).to_parquet(tmp_path / "list.parquet")
    listing = read(root, columns={}, manifest=tmp_path / "list.parquet")
    assert listing.entries == (Entry("baso/000.png", "b"),)


@pytest.mark.fault(40)
@pytest.mark.parametrize("path", ["../x.png", "a/../../x.png", "/etc/passwd", "C:\\x.png", "\\\\host\\x.png", "..\\x"])
def test_a_path_that_leaves_the_folder_is_refused_and_nothing_is_opened(tmp_path: Path, path: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n{path},a\n")
    with pytest.raises(IntegrityFault, match="outside its folder"):
        read(tmp_path / "list.csv", columns={})


@pytest.mark.fault(30)
def test_all_rows_that_do_not_fit_are_told_with_their_lines(make_folder: Maker) -> None:
    root = make_folder({"baso": 1})
    (root / "list.csv").write_text(
        "path,label,split,origin\nbaso/000.png,,,\nno.png,a,,\nbaso/000.png,a,tset,\nbaso/000.png,a,,maybe\n"
    )
    with pytest.raises(DataFault, match="4 of 4 rows") as caught:
        read(root / "list.csv", columns={})
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 2", "line 3", "line 4", "line 5"]


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("img,label\na,b\n")
    with pytest.raises(UsageFault, match="no column 'path'; it has 'img', 'label'"):
        read(tmp_path / "list.csv", columns={})


def test_medmnist_archives_are_read_with_their_splits(tmp_path: Path) -> None:
    images = np.zeros((3, 8, 8, 3), np.uint8)
    labels = np.array([[0], [1], [1]])
    np.savez(
        tmp_path / "x.npz", train_images=images, train_labels=labels, test_images=images[:1], test_labels=labels[:1]
    )
    listing = read(tmp_path / "x.npz", columns={})
    assert [(one.label, one.split, one.position) for one in listing.entries] == [
        ("0", "train", 0),
        ("1", "train", 1),
        ("1", "train", 2),
        ("0", "test", 0),
    ]


@pytest.mark.fault(44)
def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.array([{}], dtype=object), labels=np.array([0]))
    with pytest.raises(IntegrityFault, match="never loaded"):
        read(tmp_path / "x.npz", columns={})


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": np.zeros((2, 16, 16, 4), np.uint8), "labels": np.array([0, 1])}, "images must be uint8"),
        ({"images": np.zeros((2, 16, 16, 3), np.float32), "labels": np.array([0, 1])}, "images must be uint8"),
        ({"images": np.zeros((2, 16, 16, 3), np.uint8), "labels": np.array([0.5, 1.5])}, "not integers"),
        (
            {
                "images": np.zeros((2, 16, 16, 3), np.uint8),
                "labels": np.array([-1, 0]),
                "classes": np.array(["a", "b"]),
            },
            "outside 0",
        ),
        ({"pictures": np.zeros(3)}, "no arrays images and labels"),
    ],
)
def test_archives_that_do_not_fit_are_refused_with_the_reason(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]  # its stub takes a name for allow_pickle
    with pytest.raises(DataFault, match=message):
        read(tmp_path / "x.npz", columns={})


def test_a_torn_archive_and_a_torn_parquet_are_bad_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", images=np.zeros((9, 16, 16, 3), np.uint8), labels=np.zeros(9, np.int64))
    (tmp_path / "x.npz").write_bytes((tmp_path / "x.npz").read_bytes()[:900])
    (tmp_path / "x.parquet").write_bytes(b"PAR1 torn")
    for name in ("x.npz", "x.parquet"):
        with pytest.raises(DataFault, match="read"):
            read(tmp_path / name, columns={})


def test_a_missing_group_in_parquet_is_no_group(make_folder: Maker) -> None:
    root = make_folder({"baso": 2})
    rows = {"path": ["baso/000.png", "baso/001.png"], "label": ["b", "b"], "group": ["p1", None]}
    pd.DataFrame(rows).to_parquet(root / "list.parquet")
    assert [one.group for one in read(root / "list.parquet", columns={}).entries] == ["p1", ""]


@pytest.mark.fault(32)
@pytest.mark.parametrize(
    "name", [" a b.png", "zwei\nZeilen.png", "Zelle 🩸.png", "e\u0301osinophile.png", "ü;,\"'.png"]
)
def test_names_of_every_kind_are_found_in_folders_and_manifests(make_folder: Maker, name: str) -> None:
    root = make_folder({"baso": 1})
    (root / "baso/000.png").rename(root / "baso" / name)
    assert [one.file for one in read(root, columns={}).entries] == [f"baso/{name}"]
    pd.DataFrame({"path": [f"baso/{name}"], "label": ["b"]}).to_csv(root / "list.csv", index=False)
    assert [one.file for one in read(root / "list.csv", columns={}).entries] == [f"baso/{name}"]


@pytest.mark.fault(32)
@pytest.mark.parametrize("written", ["NFC", "NFD"])
def test_a_table_may_spell_accents_in_the_other_unicode_form(
    make_folder: Maker, written: Literal["NFC", "NFD"]
) -> None:
    """Classes of both forms are one class; files are found by either."""
    root = make_folder({"e": 1})
    folder = unicodedata.normalize("NFD" if written == "NFC" else "NFC", "éosinophile")
    (root / "e").rename(root / folder)
    text = unicodedata.normalize(written, "éosinophile/000.png")
    (root / "list.csv").write_text(f"path,label\n{text},{unicodedata.normalize(written, 'é')}\n")
    [entry] = read(root / "list.csv", columns={}).entries
    assert entry == Entry(f"{folder}/000.png", "é")


@pytest.mark.fault(32)
def test_windows_separators_in_a_table_are_understood(make_folder: Maker) -> None:
    root = make_folder({"baso": 1})
    (root / "list.csv").write_text("path,label\nbaso\\000.png,b\n")
    assert read(root / "list.csv", columns={}).entries == (Entry("baso/000.png", "b"),)


@pytest.mark.fault(30)
def test_images_without_a_row_are_counted_and_named(make_folder: Maker) -> None:
    root = make_folder({"baso": 3})
    (root / "list.csv").write_text("path,label\nbaso/000.png,b\n")
    assert read(root, columns={}, manifest=root / "list.csv").notes == (
        "2 images of the folder are not in list.csv and not used, as baso/001.png",
    )


@pytest.mark.fault(31)
def test_a_line_that_is_no_utf8_or_no_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_bytes(b"path,label\na.png,a\nb.png,\xff\n")
    with pytest.raises(DataFault, match="line 3: not UTF-8"):
        read(tmp_path / "list.csv", columns={})
    (tmp_path / "list.csv").write_text("path,label\na.png,a\nb.png,b,c,d\n")
    with pytest.raises(DataFault, match="line 3"):
        read(tmp_path / "list.csv", columns={})


@pytest.mark.parametrize("box", ["1 2 3", "a b c d", "0 0 0 5", "-1 0 5 5"])
def test_a_box_that_is_none_is_told(make_folder: Maker, box: str) -> None:
    root = make_folder({"baso": 1})
    (root / "list.csv").write_text(f"path,label,box\nbaso/000.png,a,{box}\n")
    with pytest.raises(DataFault) as caught:
        read(root / "list.csv", columns={})
    assert box in caught.value.problems[0]
