"""Looking at sets and freezing splits, as the door calls them."""

import functools
import hashlib
import io
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cytobench.benchmarks.data import Shares, fetch_set, freeze, scan_all, shares
from cytobench.benchmarks.lookup import Data, SetOptions, classes_of, find_sets
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.scan_text import described
from cytobench.datasets.awkward import Choices
from cytobench.datasets.known_set import known
from cytobench.errors import DataFault, IntegrityFault, UsageFault
from cytobench.store import Store
from tests.benchmarks.conftest import carry_out
from tests.conftest import picture
from tests.datasets.known_layouts import lay_out

Maker = Callable[..., Path]
Orders = Callable[..., Order]
SPLIT = Shares((0.6, 0.2, 0.2), 0)


def options(*paths: Path, **fields: Any) -> SetOptions:
    return SetOptions(data=tuple(Data(name=path.name.split(".")[0], path=str(path)) for path in paths), **fields)


def found(tmp_path: Path, asked: SetOptions) -> tuple[Any, ...]:
    return find_sets(asked, image_size=32, drawn_per_class=5, store=Store(tmp_path / "store"))


def test_a_scan_tells_counts_colours_copies_and_near_copies(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 6, "b": 6}, "lab", size=48)
    image = Image.open(root / "a/000.png")
    image.save(root / "a/copy.bmp")
    image.transpose(Image.Transpose.ROTATE_90).save(root / "b/turned.png")
    report = scan_all(options(root), 32, tmp_path)["lab"]
    assert report["classes"] == {"a": 7, "b": 7}
    assert report["duplicates"] == [["a/000.png", "a/copy.bmp"]]
    assert {one["second"] for one in report["near_copies"]} | {one["first"] for one in report["near_copies"]} >= {
        "b/turned.png"
    }
    assert report["looks"]["classes"]["a"]["images"] == 7
    text = described("lab", report)
    assert "a/000.png = a/copy.bmp" in text
    with Image.open(report["examples"]) as sheet:
        assert sheet.height == 2 * 32


def test_an_archive_is_a_set_and_is_unpacked_once(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 3})
    with ZipFile(tmp_path / "lab.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root))
    [one] = found(tmp_path, options(tmp_path / "lab.zip"))
    assert one.counts == {"a": 3, "b": 3}
    assert one.step.key == found(tmp_path, options(root))[0].step.key  # what it holds counts, not how it came
    [kept] = (tmp_path / "store/unpacked").iterdir()
    before = (kept / "done.json").stat().st_mtime_ns
    found(tmp_path, options(tmp_path / "lab.zip"))
    assert (kept / "done.json").stat().st_mtime_ns == before


def test_unpacking_that_was_killed_before_it_counted_as_done_is_done_again(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 3, "b": 3})
    with ZipFile(tmp_path / "lab.zip", "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root))
    found(tmp_path, options(tmp_path / "lab.zip"))
    [kept] = (tmp_path / "store/unpacked").iterdir()
    (kept / "done.json").unlink()
    [one] = found(tmp_path, options(tmp_path / "lab.zip"))
    assert one.counts == {"a": 3, "b": 3}
    assert (kept / "done.json").exists()


def test_the_official_download_of_aml_gives_fifteen_or_five_classes(tmp_path: Path) -> None:
    """From the option to the label space: all classes of the folder, or the five of the named merge."""
    lay_out("aml", known("aml"), tmp_path)
    data = (Data(name="aml", path=str(tmp_path)),)
    assert len(classes_of((), found(tmp_path, SetOptions(data=data)))) == 15
    merged = found(tmp_path, SetOptions(data=data, label_map={"aml": "five"}))
    assert classes_of((), merged) == ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")


@pytest.mark.fault(29)
def test_labels_that_probably_mean_the_same_are_suggested_and_never_guessed(make_folder: Maker, tmp_path: Path) -> None:
    one = make_folder({"basophil": 2, "neutrophil": 2}, "one")
    two = make_folder({"Baso": 2, "Neutrophils": 2}, "two")
    with pytest.raises(DataFault, match="do not have the same classes") as caught:
        classes_of((), found(tmp_path, options(one, two)))
    assert "--label-map two=Baso:basophil,Neutrophils:neutrophil" in caught.value.fix
    mapped = found(tmp_path, options(one, two, label_map={"two": "Baso:basophil,Neutrophils:neutrophil"}))
    assert classes_of((), mapped) == ("basophil", "neutrophil")
    assert mapped[1].labels == {"Baso": "basophil", "Neutrophils": "neutrophil"}


def test_public_sets_share_the_classes_that_all_have(
    make_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"raabin": ["Basophil", "Lymphocyte"], "pbc": ["basophil", "lymphocyte", "platelet"]}
    roots = [make_folder(dict.fromkeys(labels, 2), name) for name, labels in names.items()]
    assert classes_of((), found(tmp_path, options(*roots))) == ("basophil", "lymphocyte")
    assert "classes that all sets have: basophil, lymphocyte" in capsys.readouterr().err


def test_a_description_s_choice_is_said_and_can_be_overruled(
    make_folder: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = make_folder({"basophil": 2, "lymphocyte": 2}, "jtsc")
    assert found(tmp_path, options(root))[0].choices == Choices(rare="test")
    assert "--rare test (its description chooses so" in capsys.readouterr().err
    assert found(tmp_path, options(root, rare={"jtsc": "drop"}))[0].choices == Choices(rare="drop")


@pytest.mark.fault(45)
@pytest.mark.parametrize("option", ["label_map", "manifest"])
def test_yaml_is_not_read_at_all(make_folder: Maker, tmp_path: Path, option: str) -> None:
    root, canary = make_folder({"a": 1, "b": 1}, "lab"), tmp_path / "canary"
    (tmp_path / "x.yaml").write_text(f"!!python/object/apply:os.system ['touch {canary}']\n")
    data = Data(name="lab", path=str(root), manifest=str(tmp_path / "x.yaml") if option == "manifest" else "")
    asked = SetOptions(data=(data,), label_map={"lab": str(tmp_path / "x.yaml")} if option == "label_map" else {})
    with pytest.raises(UsageFault) as caught:
        found(tmp_path, asked)
    assert caught.value.exit_code == 2
    assert not canary.exists()


def test_a_frozen_split_names_all_images_keeps_its_halves_and_is_read_again(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 12, "b": 12, "rest": 3}, "lab")
    asked = options(root, classes=("a", "b"))
    [(file, split)] = freeze(asked, SPLIT, starve={}, to=tmp_path / "lab.csv", out=tmp_path).items()
    rows = pd.read_csv(file, dtype=str, keep_default_na=False)
    assert list(rows.loc[rows["split"] == "out", "label"]) == ["rest"] * 3
    assert len(rows) == 27
    data = Data(name="lab", path=str(root), manifest=str(file))
    again = freeze(SetOptions(data=(data,)), SPLIT, starve={}, to=tmp_path / "again.csv", out=tmp_path)
    assert [one.sha256 for one in again.values()] == [split.sha256]
    with pytest.raises(UsageFault, match="never drawn again"):
        freeze(asked, SPLIT, starve={}, to=file, out=tmp_path)


def test_every_fold_is_a_file_and_every_image_is_tested_once(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 15, "b": 10}, "lab")
    made = freeze(options(root), Shares((0.6, 0.2, 0.2), 5), starve={}, to=tmp_path / "lab.csv", out=tmp_path)
    assert [file.name for file in made] == [f"lab-{number}.csv" for number in range(1, 6)]
    tested = [path for file in made for path in pd.read_csv(file).query("split == 'test'")["path"]]
    assert len(tested) == len(set(tested)) == 25


def test_a_class_can_be_starved(make_folder: Maker, tmp_path: Path) -> None:
    root = make_folder({"a": 20, "b": 20}, "lab")
    [split] = freeze(options(root), SPLIT, starve={"a": "2"}, to=tmp_path / "lab.csv", out=tmp_path).values()
    train = split.table.query("split == 'train'")["label"].value_counts()
    assert (train["a"], train["b"]) == (2, 12)
    with pytest.raises(UsageFault, match="train_of_class"):
        freeze(options(root), SPLIT, starve={"a": "few"}, to=tmp_path / "other.csv", out=tmp_path)


@pytest.mark.fault(33, 35)
def test_names_and_links_that_mean_something_else_elsewhere_are_refused_when_a_split_is_frozen(
    make_folder: Maker, tmp_path: Path
) -> None:
    root = make_folder({"a": 8, "b": 8}, "lab")
    picture("other").save(root / "a/AA.png")
    picture("another").save(root / "a/aa.png")
    with pytest.raises(DataFault, match="differ in case"):
        freeze(options(root), SPLIT, starve={}, to=tmp_path / "x.csv", out=tmp_path)
    (root / "a/AA.png").unlink()
    picture("outside").save(tmp_path / "outside.png")
    (root / "a/link.png").symlink_to(tmp_path / "outside.png")
    with pytest.raises(IntegrityFault, match="links to files outside"):
        freeze(options(root), SPLIT, starve={}, to=tmp_path / "x.csv", out=tmp_path)
    assert not (tmp_path / "x.csv").exists()


@pytest.mark.parametrize("text", ["0.6,0.4", "a,b,c", "0.6,0.6,0.2", "1,0,0"])
def test_shares_that_are_none_are_wrong_use(text: str) -> None:
    with pytest.raises(UsageFault, match="--ratios"):
        shares(text, 0)


def test_a_set_without_a_direct_download_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="raabin has no direct download") as caught:
        fetch_set("raabin", tmp_path)
    assert caught.value.fix


@pytest.mark.fault(18)
def test_one_class_alone_is_refused(make_folder: Maker, tmp_path: Path) -> None:
    with pytest.raises(DataFault, match="only 1 class to tell apart"):
        classes_of((), found(tmp_path, options(make_folder({"a": 9}, "lab"))))


@pytest.mark.fault(22)
def test_near_copies_in_two_parts_are_told_and_refused_when_strict(order: Orders, tmp_path: Path) -> None:
    """A turned copy of a training image in the test part: a note on the board, or exit 5."""
    root = tmp_path / "near"
    root.mkdir()
    lines = ["path,label,split"]
    for number in range(20):
        picture("near", number, size=48).save(root / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},{'train' if number < 12 else 'val' if number < 16 else 'test'}")
    picture("near", 0, size=48).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(root / "mirrored.png")
    (root / "list.csv").write_text("\n".join([*lines, "mirrored.png,a,test"]) + "\n")
    data = (Data(name="near", path=str(root / "list.csv")),)
    settings = {"image_size": "32", "training.epochs": "1", "training.batch": "8", "training.precision": '"fp32"'}
    done = carry_out(order(data=data, generators=(), settings=settings), tmp_path / "out")
    page = (done.folder / "board/index.html").read_text()
    assert "1 pictures have near-copies in another part" in page
    with pytest.raises(IntegrityFault, match="near-copies in another part") as caught:
        carry_out(order(data=data, generators=(), settings=settings, near={"": "refuse"}), tmp_path / "out")
    assert "mirrored.png (test)" in caught.value.problems[0]
    kept = carry_out(order(data=data[:1], generators=(), settings=settings, near={"near": "warn"}), tmp_path / "out")
    assert kept.folder == done.folder


@pytest.mark.fault(11, 25)
def test_file_names_patients_and_what_a_camera_noted_reach_no_record_and_no_board(
    order: Orders, tmp_path: Path
) -> None:
    """Names, places and patients stay on the user's disk; without patients the board says "image-level"."""
    root = tmp_path / "ward"
    exif = Image.Exif()
    exif[0x013B] = "ARTIST-SECRET"
    exif.get_ifd(0x8825)[1] = "GPS-SECRET"
    for label in "ab":
        (root / label).mkdir(parents=True)
        for number in range(15):
            buffer = io.BytesIO()
            picture(label, number, size=16).save(buffer, "JPEG", exif=exif, quality=95)
            (root / label / f"NAME-SECRET {number}.jpg").write_bytes(buffer.getvalue())
    rows = [
        f"{label}/NAME-SECRET {number}.jpg,{label},PATIENT-SECRET-{number}" for label in "ab" for number in range(15)
    ]
    (root / "list.csv").write_text("path,label,group\n" + "\n".join(rows) + "\n")
    data = (Data(name="ward", path=str(root / "list.csv")), *order().data[:1])
    done = carry_out(order(data=data), tmp_path / "out")
    public = [
        *(done.folder / "board").rglob("*"),
        *(tmp_path / "out/store/record").rglob("*"),
        done.folder / "order.json",
    ]
    for path in (one for one in public if one.is_file() and one.name != "order.json"):
        content = path.read_bytes()
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                content += b"".join(arrays[name].tobytes().replace(b"\0", b"") for name in arrays.files)
        assert b"SECRET" not in content, path
    for path in (tmp_path / "out").rglob("*"):  # what a camera noted is dropped at once, on the user's disk too
        if path.is_file() and path.suffix != ".npz":
            assert b"ARTIST-SECRET" not in path.read_bytes(), path
            assert b"GPS-SECRET" not in path.read_bytes(), path
    page = (done.folder / "board/index.html").read_text()
    assert "x: no group column: the split is image-level" in page


@pytest.mark.fault(22)
def test_near_copies_between_two_sets_are_told_and_refused_when_strict(
    order: Orders, tmp_path: Path, make_folder: Maker
) -> None:
    """One lab's test image is the other lab's training image, compressed: a note, or exit 5 with both names."""
    one, two = make_folder({"a": 15, "b": 15}, "one", size=48), make_folder({"a": 15, "b": 15}, "two", size=48)
    for label in "ab":
        for number in range(15):
            Image.open(one / label / f"{number:03d}.png").save(two / label / f"{number:03d}.jpg", quality=90)
            (two / label / f"{number:03d}.png").unlink()
    data = tuple(Data(name=root.name, path=str(root)) for root in (one, two))
    settings = {"image_size": "32", "training.epochs": "1", "training.batch": "8", "training.precision": '"fp32"'}
    done = carry_out(order(data=data, generators=(), settings=settings), tmp_path / "out")
    assert "pictures of one and two are near-copies" in (done.folder / "board/index.html").read_text()
    with pytest.raises(IntegrityFault, match="pictures of one and two are near-copies") as caught:
        carry_out(order(data=data, generators=(), settings=settings, near={"": "refuse"}), tmp_path / "out")
    assert "one: a/" in caught.value.problems[0]


@pytest.fixture
def published(make_folder: Maker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Serve an archive of a set on this machine, and describe the set in a plug-in; return the archive."""
    root = make_folder({"Baso": 3, "Eos": 3}, "smears")
    place = tmp_path / "served/smears.zip"
    place.parent.mkdir()
    with ZipFile(place, "w") as archive:
        for path in sorted(root.rglob("*.png")):
            archive.write(path, path.relative_to(root.parent))
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(place.parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    known = tmp_path / "plugins/datasets/known"
    known.mkdir(parents=True)
    (known / "smears.toml").write_text(
        f"""title = "Served smears"
licence = "CC0-1.0"
[classes]
Baso = "basophil"
Eos = "eosinophil"
[[downloads]]
url = "http://127.0.0.1:{server.server_port}/smears.zip"
file = "smears.zip"
sha256 = "{hashlib.sha256(place.read_bytes()).hexdigest()}"
"""
    )
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path / "plugins"))
    yield place
    server.shutdown()
    server.server_close()


def test_a_published_set_is_fetched_proven_and_read(published: Path, tmp_path: Path) -> None:
    got = fetch_set("smears", tmp_path / "data")
    assert got["licence"] == "CC0-1.0"
    [one] = found(tmp_path, SetOptions(data=(Data(name="smears", path=got["path"]),)))
    assert one.counts == {"basophil": 3, "eosinophil": 3}


def test_a_download_that_is_not_what_was_published_is_kept_aside(published: Path, tmp_path: Path) -> None:
    published.write_bytes(published.read_bytes() + b"x")
    with pytest.raises(IntegrityFault, match="not what its publisher states"):
        fetch_set("smears", tmp_path / "data")
    assert not (tmp_path / "data/smears.zip").exists()
