"""Scenes in a whole run: cells of every part into scenes of that part, at several levels, and what the guard knows."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.release import freeze
from cytobench.benchmarks.resolution import resolve
from cytobench.benchmarks.run import Prepared, prepare
from cytobench.benchmarks.steps import scenes
from cytobench.benchmarks.steps.ancestry import generated_from
from cytobench.benchmarks.steps.brought import SEEN, bring, is_composition
from cytobench.benchmarks.steps.scenes import ComposeScenes, CutCells, annotations
from cytobench.benchmarks.steps.step import RunStep
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.composers import library
from cytobench.datasets.frozen.thaw import thaw
from cytobench.datasets.imageset import PIXELS, TABLE, read_table
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.record import read
from cytobench.store import Store
from tests.benchmarks.conftest import SMALL, carry_out
from tests.doors import open_door

PHANTOM = SMALL | {"image_size": "32", "drawn_per_class": "30", "training.epochs": "1"}
DDPM = {
    "generator.steps": "2", "generator.channels": "[8, 8]", "generator.blocks": "1",
    "generator.attention_side": "8", "generator.batch": "4", "generator.evaluations": "2", "generator.components": "4",
}  # fmt: skip


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Return a finished run of scenes at three levels, its cells cut from the phantom itself."""
    place = tmp_path_factory.mktemp("three")
    with pytest.MonkeyPatch.context() as patch:
        open_door("backbone", place / "plugins")
        patch.setenv("CYTOBENCH_PLUGINS", str(place / "plugins"))
        return carry_out(small(), place / "out")


def small(**changes: Any) -> Order:
    """Return a small order of scenes of phantom cells; keyword arguments replace fields."""
    fields: dict[str, Any] = {
        "composers": ("base", "0.5", "complex"),
        "backbones": ("two-layers",),
        "data": (Data(name="phantom-a"),),
        "classes": ("lymphocyte", "neutrophil"),
        "profile": "demo",
        "settings": PHANTOM | changes.pop("settings", {}),
    }
    return Order(**{**fields, **changes})


def of_kind(done: Prepared, kind: type[Any]) -> list[Any]:
    return [step for step in done.plan.steps if isinstance(step, kind)]


def test_scenes_are_sources_and_targets_of_several_levels(three: Prepared) -> None:
    done = three
    records = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    names = {"phantom-a", "phantom-a-base", "phantom-a-0.5", "phantom-a-complex"}
    assert {(one.source.name, one.target.name) for one in records} == {(a, b) for a in names for b in names}
    dials = {one.target.name: one.target.scenes and one.target.scenes.dial for one in records}
    assert dials == {"phantom-a": None, "phantom-a-base": 0.0, "phantom-a-0.5": 0.5, "phantom-a-complex": 1.0}
    board = json.loads((done.folder / "board" / "board.json").read_text())
    assert any("put into scenes, level base, 0.5, complex" in one for one in board["choices"])
    text = (done.folder / "board" / "README.md").read_text()
    assert "Harder scenes" in text
    assert (done.folder / "board" / "figures" / "levels-phantom-a.png").exists()


def test_levels_show_the_same_cells_and_parts_share_none(three: Prepared) -> None:
    done = three
    base, _, complex_ = of_kind(done, ComposeScenes)
    assert len(of_kind(done, CutCells)) == 3  # once for all levels
    told = []
    for step in (base, complex_):
        folder = done.context.store.folder(step)
        pixels, table = np.load(folder / PIXELS), read_table(folder / TABLE)
        assert pixels.shape == (2 * (6 + 2 + 3), 32, 32, 3)
        assert table["split"].value_counts().to_dict() == {"train": 12, "val": 4, "test": 6}
        centres = {}
        for split in ("train", "val", "test"):
            cells = json.loads((folder / annotations(split)).read_text())["annotations"]
            centres[split] = [one["cell"] for one in cells if one["central"]]
        told.append(centres)
    assert told[0] == told[1]
    parts = [set(cells) for cells in told[0].values()]
    assert not parts[0] & parts[1] and not parts[0] & parts[2] and not parts[1] & parts[2]  # noqa: PT018


def test_what_lies_around_is_cut_as_distractors(
    three: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, asked = of_kind(three, CutCells)[0], {}

    def cut(pictures: Any, labels: list[str], *others: Any, **how: Any) -> Any:
        asked[labels[0]] = how["distractors"]
        return library.cut(pictures, labels, *others, **how)

    monkeypatch.setattr(scenes, "cut", cut)
    step.run(three.context, tmp_path)
    assert asked.pop("erythrocyte") is True
    assert set(asked.values()) == {False}


@pytest.mark.fault(26)
def test_the_guard_knows_whose_cells_a_scene_shows(three: Prepared) -> None:
    done = three
    *_, step = of_kind(done, ComposeScenes)
    table = read_table(done.context.store.folder(step) / TABLE)
    cells = read_table(done.context.folder(done.plan.sides[0].split) / TABLE)
    for split in ("train", "test"):
        behind = generated_from(done.context, table[table["split"] == split])
        own = set(cells.loc[cells["split"] == split, "pixel_sha256"])
        others = set(cells.loc[cells["split"] != split, "pixel_sha256"])
        assert behind.pixels & own
        assert not behind.pixels & others


@pytest.mark.fault(26)
def test_a_scene_with_a_tested_cell_is_refused(doors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Scenes to train with that are made of the cells to test on: the guard has to see through the composer."""
    from cytobench.benchmarks import scenery

    whole = scenery.compose

    def leaking(spec: Any, cells: Any, around: Any, parts: Any, number: int = 0) -> Any:
        made = whole(spec, cells, around, parts, number)
        wrong = next(one for one in made.steps if isinstance(one, CutCells) and one.part == "test")
        step = next(one for one in made.steps if isinstance(one, ComposeScenes))
        leaked = step.model_copy(update={"inputs": {**step.inputs, "train": wrong.reference}})
        steps: list[RunStep] = [one for one in made.steps if isinstance(one, CutCells)] + [leaked]
        side = made.sides[0]._replace(images=leaked.reference, split=leaked.reference)
        return scenery.Composed(steps, (side,))

    monkeypatch.setattr(scenery, "compose", leaking)
    with pytest.raises(IntegrityFault, match="phantom-a"):
        carry_out(small(composers=("base",)), tmp_path / "out")


def test_the_cells_of_scenes_can_be_drawn_by_a_generator(doors: Path, tmp_path: Path) -> None:
    done = carry_out(small(generators=("ddpm",), composers=("base", "complex"), settings=DDPM), tmp_path / "out")
    fits = of_kind(done, FitGenerator)
    assert len(fits) == 2 * (2 + 1)  # partitions × (classes and red cells)
    assert [one.name for one in of_kind(done, DrawSynthetic)] == ["phantom-a-ddpm", "phantom-red-a-ddpm"]
    assert [side.name for side in done.plan.sides] == ["phantom-a", "phantom-a-ddpm-base", "phantom-a-ddpm-complex"]
    scene = done.plan.sides[-1]
    table = read_table(done.context.folder(scene.split) / TABLE)
    frozen = read_table(done.context.folder(done.plan.sides[0].split) / TABLE)
    behind = {split: generated_from(done.context, table[table["split"] == split]).pixels for split in ("train", "test")}
    for split, half in (("train", "a"), ("test", "b")):
        own = set(frozen.loc[frozen["partition"] == half, "pixel_sha256"])
        assert own <= behind[split]
    assert not behind["train"] & behind["test"]
    told = freeze(done.folder, "drawn")
    names = sorted(path.name for path in (Path(told["folder"]) / "images").iterdir())
    assert names == ["phantom-a-ddpm-base", "phantom-a-ddpm-complex"]
    card = (Path(told["folder"]) / "README.md").read_text()
    assert "Drawn by the generator ddpm" in card


def test_scenes_of_a_run_become_a_frozen_set(three: Prepared) -> None:
    told = freeze(three.folder, "two-levels")
    again = freeze(three.folder, "two-levels")
    assert (told["new"], again["new"]) == (True, False)
    assert told["identity"] == again["identity"]
    folder = Path(told["folder"])
    assert told["images"] == 3 * 2 * (6 + 2 + 3)
    assert told["verified_files"] == told["files"]
    found = json.loads((folder / "annotations" / "phantom-a-complex" / "instances_test.json").read_text())
    assert len(found["images"]) == 6
    assert all((folder / one["file_name"]).is_file() for one in found["images"])
    assert {one["central"] for one in found["annotations"]} == {True, False}
    assert "Scenes of level 0.5" in (folder / "README.md").read_text()


def test_frozen_scenes_are_no_test_of_what_learned_from_their_cells(three: Prepared, tmp_path: Path) -> None:
    """The composer's mark has to outlive publication: only then does the guard compare the cells themselves."""
    folder = Path(freeze(three.folder, "two-levels")["folder"])
    found = thaw(folder, "phantom-a-complex", expected=None, verified=True).listing.ancestry
    assert found is not None
    runs = bring(tmp_path, "images/x", found)
    assert len(set(runs)) == 3  # one library of cells for each part
    assert all(is_composition(run) for run in runs)


def test_what_stands_behind_scenes_is_proven_before_it_is_published(three: Prepared, tmp_path: Path) -> None:
    shutil.copytree(three.folder.parent.parent, tmp_path / "out")
    cut = next(step for step in three.plan.steps if isinstance(step, CutCells))
    seen = tmp_path / "out" / "store" / cut.reference / SEEN
    seen.write_text("".join(seen.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(IntegrityFault, match="was edited since it was computed"):
        freeze(tmp_path / "out" / "runs" / three.folder.name, "edited")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"composers": ("bse",)}, "did you mean 'base'"),
        ({"composers": ("7",)}, "the dial goes from"),
        ({"composers": ("base", "base")}, "names base twice"),
        ({"composers": (), "distractors": Data(name="phantom-red-a")}, "no composer"),
        ({"settings": {"level.nmber": "[1, 2]"}}, "nmber"),
        ({"settings": {"optics.image_size": "96"}}, "as large as its images"),
        ({"distractors": Data(name="phantom-a")}, "already"),
    ],
)
def test_what_cannot_be_composed_is_said_before_any_work(
    doors: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageFault) as caught:
        prepare(small(**changes), tmp_path / "out")
    assert said in str(caught.value)


def test_a_protocol_brings_its_generators_levels_and_backbones(tmp_path: Path) -> None:
    resolved = resolve(Order(protocol="wbc-usid", profile="demo"), Store(tmp_path))
    assert [one.asked for one in resolved.spec.backbones] == ["resnet18", "mobilenetv3"]
    scenery = resolved.spec.scenery
    assert scenery is not None
    assert [one.asked for one in scenery.levels] == ["base", "complex"]
    assert [one.set_name for one in scenery.generators] == ["phantom-red-a-ddpm"]
    paper = resolve(
        Order(protocol="wbc-usid", profile="demo", backbones=("resnet18",), composers=("0.3",)), Store(tmp_path)
    )
    assert paper.spec.scenery is not None
    assert [one.asked for one in paper.spec.scenery.levels] == ["0.3"]
