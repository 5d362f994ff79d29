"""Other people's readers open a published set and see the same images, labels and parts."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from PIL import Image

from cytobench.datasets.frozen.coco import adopt
from cytobench.datasets.frozen.formats import npz
from cytobench.datasets.readers.npz import read_npz
from cytobench.errors import DataFault
from tests.datasets.frozen.conftest import PARTS, SIZE, Freeze, published

CLASSES = ("baso", "eosino phil")
Expected = dict[tuple[str, str], list[NDArray[np.uint8]]]


@pytest.fixture
def expected() -> Expected:
    """Return the images by part and class, in their order."""
    one = published("x-vae")
    table = one.images.table
    return {
        (split, label): [
            one.images.pixels[int(r)] for r in table["row"][(table["split"] == split) & (table["label"] == label)]
        ]
        for split in PARTS
        for label in CLASSES
    }


@pytest.fixture
def folder(freeze: Freeze) -> Path:
    return freeze().folder


def same(found: Any, wanted: list[NDArray[np.uint8]]) -> bool:
    return np.array_equal(np.stack([np.asarray(one) for one in found]), np.stack(wanted))


def test_pandas_reads_the_csv_and_the_parquet(folder: Path, expected: Expected) -> None:
    table = pd.read_csv(folder / "images.csv")
    for split, name in {"train": "train", "val": "validation", "test": "test"}.items():
        frame = pd.read_parquet(folder / f"data/x-vae/{name}-00000-of-00001.parquet")
        assert list(frame["path"]) == list(table["path"][table["split"] == split])
        for code, label in enumerate(CLASSES):
            rows = frame[frame["label"] == code]
            assert same([Image.open(io.BytesIO(one["bytes"])) for one in rows["image"]], expected[split, label])
            for one in rows["image"]:
                assert (folder / one["path"]).read_bytes() == one["bytes"]


def test_torchvision_reads_the_folders(folder: Path, expected: Expected) -> None:
    from torchvision.datasets import ImageFolder

    for split in PARTS:
        found = ImageFolder(str(folder / "images/x-vae" / split))
        assert tuple(found.classes) == CLASSES
        for code, label in enumerate(CLASSES):
            assert same([image for image, target in found if target == code], expected[split, label])


def test_medmnist_reads_the_npz(folder: Path, expected: Expected, monkeypatch: pytest.MonkeyPatch) -> None:
    import medmnist
    from medmnist import info

    facts = {
        "task": "multi-class", "label": {str(code): label for code, label in enumerate(CLASSES)}, "n_channels": 3,
        "n_samples": {split: count * len(CLASSES) for split, count in PARTS.items()}, "description": "", "license": "",
    }  # fmt: skip
    monkeypatch.setitem(info.INFO, "x-vae", facts)
    monkeypatch.setattr(medmnist.BloodMNIST, "flag", "x-vae")
    for split in PARTS:
        found = medmnist.BloodMNIST(split, root=str(folder / "npz"))
        assert len(found) == PARTS[split] * len(CLASSES)
        for code, label in enumerate(CLASSES):
            assert same([image for image, target in found if target.tolist() == [code]], expected[split, label])


def test_a_copied_npz_is_still_not_taken_for_photographs(folder: Path, tmp_path: Path) -> None:
    copied = shutil.copy(folder / "npz/x-vae.npz", tmp_path / "blood.npz")
    entries = read_npz(Path(copied)).entries
    assert {entry.origin for entry in entries} == {"synthetic"}
    assert {entry.label for entry in entries} == set(CLASSES)


@pytest.mark.parametrize(("count", "kind"), [(1, "uint8"), (256, "uint8"), (257, "uint16")])
def test_the_labels_of_an_npz_never_wrap(tmp_path: Path, count: int, kind: str) -> None:
    classes = [f"{code:03d}" for code in range(count)]
    empty = np.zeros((0, 1, 1, 3), np.uint8), np.zeros(0, np.int64)
    parts = {"train": (np.zeros((count, 1, 1, 3), np.uint8), np.arange(count)), "val": empty, "test": empty}
    (tmp_path / "many.npz").write_bytes(npz(parts, classes, "noise"))
    assert [entry.label for entry in read_npz(tmp_path / "many.npz").entries] == classes
    assert np.load(tmp_path / "many.npz")["train_labels"].dtype == kind


def test_hugging_face_datasets_reads_the_folder(folder: Path, expected: Expected, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets", reason="the package datasets is not installed")
    if not hasattr(datasets, "load_dataset"):
        pytest.skip("the package datasets is not installed")  # the folder of that name at our root is no package
    found = datasets.load_dataset(str(folder), "x-vae", cache_dir=str(tmp_path / "cache"))
    assert set(found) == {"train", "validation", "test"}
    for split, name in {"train": "train", "val": "validation", "test": "test"}.items():
        part = found[name]
        assert part.features["label"].names == list(CLASSES)
        for code, label in enumerate(CLASSES):
            assert same([row["image"] for row in part if row["label"] == code], expected[split, label])


def test_the_parquet_says_what_hugging_face_needs(folder: Path) -> None:
    from pyarrow import parquet

    schema = parquet.read_schema(folder / "data/x-vae/test-00000-of-00001.parquet")
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert set(features) == set(schema.names)
    assert features["image"] == {"_type": "Image"}
    assert features["label"] == {"names": list(CLASSES), "_type": "ClassLabel"}


def test_the_head_of_the_card_names_files_that_are_there(folder: Path) -> None:
    head = (folder / "README.md").read_text().split("---\n")[1]
    paths = [json.loads(line.split("path: ")[1]) for line in head.splitlines() if "path: " in line]
    assert len(paths) == 3
    assert all((folder / path).is_file() for path in paths)


class TestCroissant:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of rdflib's own
    def test_mlcroissant_reads_every_record(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        mlcroissant = pytest.importorskip("mlcroissant", reason="the package mlcroissant is not installed")
        found = mlcroissant.Dataset(jsonld=folder / "croissant.json")
        assert not found.metadata.ctx.issues.errors
        assert "not standard" not in caplog.text
        assert len(list(found.records("all"))) == sum(PARTS.values()) * len(CLASSES)
        assert len(list(found.records("x-vae/test"))) == PARTS["test"] * len(CLASSES)

    def test_every_reference_in_it_leads_somewhere(self, folder: Path) -> None:
        import hashlib

        facts = json.loads((folder / "croissant.json").read_text())
        files = {one["@id"]: one for one in facts["distribution"]}
        for one in files.values():
            content = (folder / one["contentUrl"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one["sha256"]
        for record in facts["recordSet"]:
            for field in record["field"]:
                path, column = field["source"]["fileObject"]["@id"], field["source"]["extract"]["column"]
                frame = pd.read_csv(folder / path) if path.endswith(".csv") else pd.read_parquet(folder / path)
                assert path in files
                assert column in frame.columns
        ids = [one["@id"] for record in facts["recordSet"] for one in [record, *record["field"]]]
        assert len(set(ids)) == len(ids)

    def test_it_tells_what_responsible_use_needs(self, folder: Path) -> None:
        facts = json.loads((folder / "croissant.json").read_text())
        assert "http://mlcommons.org/croissant/RAI/1.0" in facts["conformsTo"]
        for name in ("dataCollection", "dataBiases", "dataLimitations", "dataUseCases", "personalSensitiveInformation"):
            assert facts[f"rai:{name}"]


def scenes() -> dict[str, Any]:
    """Return COCO annotations of the set's scenes: a run-length mask, polygons, and a box alone."""
    images = [
        {"id": number, "file_name": file, "width": SIZE, "height": SIZE}
        for number, file in enumerate(published("x-vae").images.table["file"], start=1)
    ]
    whole = {"size": [SIZE, SIZE], "counts": [2 * SIZE, 3 * SIZE, SIZE * SIZE - 5 * SIZE]}
    shapes: list[dict[str, Any]] = [
        {"segmentation": whole, "bbox": [2, 0, 3, SIZE], "area": 3 * SIZE},
        {"segmentation": [[1, 1, 5, 1, 5, 5]], "bbox": [1, 1, 4, 4], "area": 8},
        {"bbox": [0, 0, 2.5, 2.5], "area": 6.25},
    ]
    cells = [
        {"id": 10 * image["id"] + n, "image_id": image["id"], "category_id": 1 + n % 2, "iscrowd": 0, **shape}
        for image in images
        for n, shape in enumerate(shapes)
    ]
    categories = [{"id": code, "name": name} for code, name in enumerate(CLASSES, start=1)]
    return {"info": {"description": "noise"}, "images": images, "annotations": cells, "categories": categories}


class TestCoco:
    def test_a_file_for_each_part_names_published_images(self, freeze: Freeze) -> None:
        parts = adopt(json.dumps(scenes()).encode(), published("x-vae"), "scenes.json")
        folder = freeze(annotations=parts).folder
        seen = 0
        for split, name in {"train": "train", "val": "validation", "test": "test"}.items():
            facts = json.loads((folder / f"annotations/x-vae/instances_{name}.json").read_text())
            assert len(facts["images"]) == PARTS[split] * len(CLASSES)
            assert len(facts["annotations"]) == 3 * len(facts["images"])
            assert facts["info"] == {"description": "noise"}
            for image in facts["images"]:
                assert image["file_name"].startswith(f"images/x-vae/{split}/")
                assert (folder / image["file_name"]).is_file()
                seen += 1
        assert seen == len(published("x-vae").images.table)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its array type
    def test_pycocotools_reads_it(self, freeze: Freeze) -> None:
        coco = pytest.importorskip("pycocotools.coco", reason="the package pycocotools is not installed")
        parts = adopt(json.dumps(scenes()).encode(), published("x-vae"), "scenes.json")
        folder = freeze(annotations=parts).folder
        found = coco.COCO(str(folder / "annotations/x-vae/instances_test.json"))
        image = found.loadImgs(found.getImgIds())[0]
        cells = found.loadAnns(found.getAnnIds(imgIds=image["id"]))
        mask = found.annToMask(cells[0])
        assert mask.sum() == 3 * SIZE
        assert mask[:, 2:5].all()
        assert (folder / image["file_name"]).is_file()

    @pytest.mark.parametrize(
        ("place", "change", "said"),
        [
            ("images", {"file_name": "../x.png"}, "there is no"),
            ("images", {"width": 99}, "its size"),
            ("images", {"id": 2}, "each used once"),
            ("images", {"id": "1"}, "each used once"),
            ("annotations", {"image_id": 999}, "is not in the file"),
            ("annotations", {"category_id": 0}, "is not in the file"),
            ("annotations", {"bbox": [0, 0, SIZE + 1, 1]}, "no part of"),
            ("annotations", {"bbox": [0, 0, 0, 1]}, "no part of"),
            ("annotations", {"bbox": [0, 0, float("nan"), 1]}, "four numbers"),
            ("annotations", {"segmentation": {"size": [SIZE, SIZE], "counts": [1, 2]}}, "does not fit"),
            ("annotations", {"segmentation": {"size": [9, 9], "counts": "aa"}}, "does not fit"),
            ("annotations", {"segmentation": [[1, 2, 3]]}, "does not fit"),
            ("annotations", {"segmentation": None}, "neither"),
        ],
    )
    def test_what_does_not_fit_is_listed(self, place: str, change: dict[str, Any], said: str) -> None:
        facts = scenes()
        facts[place][0] |= change
        with pytest.raises(DataFault) as caught:
            adopt(json.dumps(facts).encode(), published("x-vae"), "scenes.json")
        assert any(said in problem for problem in caught.value.problems)

    @pytest.mark.parametrize(
        "content", [b"", b"[]", b'{"images":[]}', b'{"images":[1],"annotations":[],"categories":[]}']
    )
    def test_what_is_no_coco_file_is_bad_data(self, content: bytes) -> None:
        with pytest.raises(DataFault, match=r"scenes\.json"):
            adopt(content, published("x-vae"), "scenes.json")
