"""Folders of scenes and of generated images become frozen sets: their parts, masks, annotations and ancestry."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cytobench.benchmarks import release
from cytobench.benchmarks.compose import ComposeOrder
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.datasets import made
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.imageset import read_table
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.store import DONE, listing, read_json, write_json
from tests.benchmarks.test_compose import composed, drawn_cells
from tests.benchmarks.test_made import as_part, drawn, photographs, scenes, trained
from tests.benchmarks.test_release import edition

__all__ = ["photographs"]
Orders = Callable[..., Order]
Scenes = Callable[..., Path]


@pytest.fixture(scope="module")
def phantom_scenes(tmp_path_factory: pytest.TempPathFactory) -> Scenes:
    """Return a maker of folders of scenes of drawn cells; all tests take the same cells."""
    out = tmp_path_factory.mktemp("composing")
    return lambda to, part="train", **changes: _composed(out, to, part, **changes)


def _composed(out: Path, to: Path, part: str, **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "data": (Data(name="phantom-a"),), "classes": ("lymphocyte", "monocyte"), "images": 3, "image_size": 48,
        "part": part, "level": "0.5", "settings": {"crops.drawn": "24", "crops.size": "64"},
    }  # fmt: skip
    composed(ComposeOrder(**fields | changes), to, out)
    return to


def frozen(*places: Path, **choices: Any) -> Path:
    told = release.release(release.prepare(places, edition(), **choices), archive=None)
    return Path(told["folder"])


@pytest.fixture
def parts(phantom_scenes: Scenes, tmp_path: Path) -> Path:
    for part in ("train", "val", "test"):
        phantom_scenes(tmp_path / "scenes" / part, part)
    return tmp_path / "scenes"


class TestScenes:
    def test_the_parts_of_a_level_are_one_set(self, parts: Path) -> None:
        folder = frozen(parts)
        assert folder == parts.parent / "published/cells-v1"
        assert verify(folder).images == 3 * 2 * 3
        table = pd.read_csv(folder / "images.csv")
        assert set(table["set"]) == {"phantom-a-0.5"}
        for split, rows in table.groupby("split"):
            there = read_table(parts / str(split) / made.MANIFEST)
            assert list(rows["pixel_sha256"]) == list(there["pixel_sha256"])
            assert list(rows["label"]) == list(there["label"])
            assert set(rows["generator_run"]) == set(there["generator_run"])
            for ours, theirs in zip(rows["path"], there["path"], strict=True):
                assert _same(folder / ours, parts / str(split) / theirs)

    def test_its_cells_are_told(self, parts: Path) -> None:
        folder = frozen(parts)
        told = pd.read_csv(folder / "ancestry/phantom-a-0.5.csv")
        assert list(told.columns) == ["generator_run", "set", "label", "pixel_sha256"]
        for part in ("train", "val", "test"):
            [run] = set(read_table(parts / part / made.MANIFEST)["generator_run"])
            cells = read_table(parts / part / made.CELLS)
            assert set(told["pixel_sha256"][told["generator_run"] == run]) == set(cells["pixel_sha256"])
        card = (folder / "README.md").read_text()
        assert "cells of phantom-red-a that the embedded source drew" in card
        assert "`masks/SET/PART/CLASS/*.png`" in card
        assert "board" not in card.split("## Limits")[0].split("## How")[1]

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its array type
    def test_pycocotools_reads_masks_that_are_those_of_the_pictures(self, parts: Path) -> None:
        tool = pytest.importorskip("pycocotools.coco", reason="the package pycocotools is not installed")
        folder = frozen(parts)
        for name, split in (("train", "train"), ("validation", "val"), ("test", "test")):
            coco = tool.COCO(str(folder / f"annotations/phantom-a-0.5/instances_{name}.json"))
            assert len(coco.getImgIds()) == 6
            for image in coco.loadImgs(coco.getImgIds()):
                assert image["file_name"].startswith(f"images/phantom-a-0.5/{split}/")
                assert (folder / image["file_name"]).is_file()
                first = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))[0]
                numbers = np.asarray(Image.open(folder / image["file_name"].replace("images/", "masks/", 1)))
                assert np.array_equal(coco.annToMask(first) == 1, numbers == 1)

    def test_publishing_again_is_the_same(self, parts: Path, tmp_path: Path) -> None:
        first = verify(frozen(parts, shelf=tmp_path / "one")).identity
        folders = [parts / part for part in ("train", "val", "test")]
        assert verify(frozen(*folders, shelf=tmp_path / "two")).identity == first
        assert not release.release(release.prepare([parts], edition(), shelf=tmp_path / "one"), archive=None)["new"]

    def test_several_levels_are_several_sets(self, phantom_scenes: Scenes, parts: Path, tmp_path: Path) -> None:
        base = phantom_scenes(tmp_path / "base", "test", level="base")
        folder = frozen(parts, base)
        assert {one.set for one in verify(folder).manifest.rows if one.set} == {"phantom-a-0.5", "phantom-a-base"}
        alone = frozen(parts, base, sets=["phantom-a-base"], shelf=tmp_path / "shelf")
        assert {one.set for one in verify(alone).manifest.rows if one.set} == {"phantom-a-base"}
        with pytest.raises(UsageFault, match="no data set 'phantom-a-bse'; did you mean"):
            release.prepare([parts, base], edition(), sets=["phantom-a-bse"])

    def test_it_is_a_source_and_the_guard_knows_its_cells(self, parts: Path, order: Orders, tmp_path: Path) -> None:
        folder = frozen(parts)
        data = (Data(name="scenes", path=str(folder)), Data(name="other", path=str(drawn_cells(
            tmp_path / "other", marked=0, images=20, seed=5))))  # fmt: skip
        done = trained(order, *data, out=tmp_path / "out")
        assert len(done.plan.records) == 4

    @pytest.mark.fault(26)
    def test_the_guard_knows_the_cells_of_a_frozen_set(
        self, phantom_scenes: Scenes, parts: Path, order: Orders, tmp_path: Path
    ) -> None:
        """The test part's cells are what the other set, drawn scenes of the train part's, was trained on."""
        turned = tmp_path / "turned"
        for part, at in (("train", "test"), ("test", "train")):
            to = phantom_scenes(turned / at, part, level="base")
            as_part(to, at)
        data = (Data(name="scenes", path=str(frozen(parts))), Data(name="turned", path=str(turned)))
        with pytest.raises(IntegrityFault, match="composed of cells that were learned from"):
            trained(order, *data, out=tmp_path / "out")


class TestWhatIsRefused:
    @pytest.mark.fault(27)
    def test_cells_of_photographs(self, photographs: Callable[[str, int], Data], tmp_path: Path) -> None:
        to = scenes(photographs("lab", 1), tmp_path / "scenes")
        with pytest.raises(IntegrityFault, match="cut out of photographs of lab; only what was drawn is published"):
            release.prepare([to], edition())

    def test_parts_that_share_cells(self, phantom_scenes: Scenes, tmp_path: Path) -> None:
        train = phantom_scenes(tmp_path / "train")
        other = phantom_scenes(tmp_path / "other", "train", level="base")
        as_part(other, "test")
        with pytest.raises(IntegrityFault, match="no part may show what another does") as caught:
            release.prepare([train, other], edition())
        assert len(caught.value.problems) > 2 * 5
        assert caught.value.problems[0].startswith("phantom-a: ")

    def test_two_folders_of_one_part_and_other_settings(self, phantom_scenes: Scenes, tmp_path: Path) -> None:
        one, two = phantom_scenes(tmp_path / "one"), phantom_scenes(tmp_path / "two", images=2)
        with pytest.raises(UsageFault, match=r"two folders are the train part of phantom-a-0\.5"):
            release.prepare([one, two], edition())
        smaller = phantom_scenes(tmp_path / "smaller", "test", image_size=32)
        with pytest.raises(UsageFault, match="were made with other settings: optics"):
            release.prepare([one, smaller], edition())

    def test_a_damaged_folder(self, phantom_scenes: Scenes, tmp_path: Path) -> None:
        one = phantom_scenes(tmp_path / "one")
        mask = next(one.glob("masks/*/*.png"))
        mask.write_bytes(b"")
        with pytest.raises(IntegrityFault, match="was altered") as caught:
            release.prepare([one], edition())
        assert caught.value.problems[0].startswith(mask.relative_to(one).as_posix())

    def test_a_folder_beside_a_run(self, phantom_scenes: Scenes, tmp_path: Path) -> None:
        one = phantom_scenes(tmp_path / "one")
        (tmp_path / "notes").mkdir()
        with pytest.raises(UsageFault, match="not all are folders that cytobench drew"):
            release.prepare([one, tmp_path], edition())

    def test_a_set_whose_name_leads_elsewhere(self, phantom_scenes: Scenes, tmp_path: Path) -> None:
        one = phantom_scenes(tmp_path / "one")
        write_json(one / made.SCENES, {**read_json(one / made.SCENES), "set": "../../x"})
        write_json(one / DONE, {**read_json(one / DONE), "files": listing(one)})
        with pytest.raises(IntegrityFault, match="which is no name"):
            release.prepare([one], edition())


def test_generated_images_are_dealt_into_parts(
    order: Orders, photographs: Callable[[str, int], Data], tmp_path: Path
) -> None:
    lab = photographs("lab", 1)
    cells = drawn(order, lab, tmp_path / "cells")
    folder = frozen(Path(cells.path))
    table = pd.read_csv(folder / "images.csv")
    assert set(table["set"]) == {"lab-vae"}
    shares = {(split, label): len(rows) for (split, label), rows in table.groupby(["split", "label"])}
    assert sum(shares.values()) == 24
    wanted = {"train": 0.6 * 12, "val": 0.2 * 12, "test": 0.2 * 12}  # of 12 images of a class
    assert len(shares) == 6
    assert all(abs(count - wanted[str(split)]) <= 1 for (split, _), count in shares.items())
    told = pd.read_csv(folder / "ancestry/lab-vae.csv")
    seen = read_table(Path(cells.path) / made.SEEN)
    assert set(told["pixel_sha256"]) == set(seen["pixel_sha256"])
    card = (folder / "README.md").read_text()
    assert f"learned from {len(seen)} photographs of the training part of lab alone" in card
    assert not json.loads((folder / "croissant.json").read_text())["rai:dataCollection"].count(str(tmp_path))
    with pytest.raises(IntegrityFault, match="seen by a generator"):
        trained(order, Data(name="cells", path=str(folder)), lab, out=tmp_path / "out", seed=77)


def _same(one: Path, other: Path) -> bool:
    return np.array_equal(np.asarray(Image.open(one)), np.asarray(Image.open(other)))
