"""Scenes in a folder: everything told, the parts apart, drawn cells welcome, a kill costs nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cytobench.benchmarks import compose, scene_folder
from cytobench.benchmarks.compose import ComposeOrder
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.steps.scenes import cut_part
from cytobench.datasets.decode import decode, drawn_png
from cytobench.datasets.imageset import read_table
from cytobench.datasets.phantom import SITES, draw
from cytobench.errors import DataFault, IntegrityFault, Interrupted, UsageFault
from cytobench.progress import Task
from cytobench.store import DONE, listing, read_json

SMALL = {"crops.drawn": "16", "crops.size": "64"}


def order(**changes: Any) -> ComposeOrder:
    fields: dict[str, Any] = {
        "data": (Data(name="phantom-a"),),
        "classes": ("lymphocyte", "monocyte"),
        "images": 3,
        "image_size": 48,
        "settings": SMALL | changes.pop("settings", {}),
    }
    return ComposeOrder(**{**fields, **changes})


def composed(asked: ComposeOrder, to: Path, out: Path) -> compose.Composition:
    composition = compose.prepare(asked, to=to, out=out)
    compose.compose(composition, command="cytobench compose (test)")
    return composition


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_distractors_are_cut_as_such(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, bool] = {}

    def told(*args: Any, distractors: bool, **rest: Any) -> Any:
        asked[args[2]] = distractors
        return cut_part(*args, distractors=distractors, **rest)

    monkeypatch.setattr(compose, "cut_part", told)
    composed(order(level="sparse", images=1), tmp_path / "scenes", tmp_path / "out")
    assert list(asked.values()) == [False, True]
    assert not asked["phantom-a"]


def test_the_folder_tells_everything(tmp_path: Path) -> None:
    to = tmp_path / "scenes"
    composed(order(), to, tmp_path / "out")
    table = read_table(to / scene_folder.MANIFEST)
    assert list(table["path"]) == [
        f"images/{label}/0000{k}.png" for label in ("lymphocyte", "monocyte") for k in range(3)
    ]
    for path, sha in zip(table["path"], table["pixel_sha256"], strict=True):
        found = decode((to / path).read_bytes(), 48)
        assert found.sha256 == sha
        assert found.drawn_by.startswith("composer/")
    coco = json.loads((to / scene_folder.ANNOTATIONS).read_text())
    assert {one["file_name"] for one in coco["images"]} == {path.removeprefix("images/") for path in table["path"]}
    names = {one["id"]: one["name"] for one in coco["categories"]}
    for image in coco["images"]:
        cells = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        assert [one["central"] for one in cells] == [True] + [False] * (len(cells) - 1)
        assert names[cells[0]["category_id"]] == image["file_name"].split("/")[0]
        mask = np.asarray(Image.open(to / scene_folder.MASKS / image["file_name"]))
        assert (mask == 1).sum() == cells[0]["area"]
        assert mask.max() <= len(cells)
    used = set(read_table(to / scene_folder.ORIGINS)["id"])
    assert {one["cell"] for one in coco["annotations"]} <= used
    assert listing(to) == read_json(to / DONE)["files"]
    assert np.asarray(Image.open(to / scene_folder.SHEET)).std() > 1


def test_parts_share_no_cell(tmp_path: Path) -> None:
    used = []
    for part in ("train", "test"):
        composed(order(part=part, images=1), tmp_path / part, tmp_path / "out")
        used.append(set(read_table(tmp_path / part / scene_folder.ORIGINS)["pixel_sha256"]))
    assert used[0]
    assert used[1]
    assert not used[0] & used[1]


def test_more_scenes_keep_the_first_ones(tmp_path: Path) -> None:
    composed(order(images=2), tmp_path / "two", tmp_path / "out")
    composed(order(images=4), tmp_path / "four", tmp_path / "out")
    for path in (tmp_path / "two/images").rglob("*.png"):
        other = tmp_path / "four/images" / path.relative_to(tmp_path / "two/images")
        assert np.array_equal(np.asarray(Image.open(path)), np.asarray(Image.open(other)))


def test_a_stop_anywhere_costs_no_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    composed(order(), tmp_path / "whole", tmp_path / "out")
    advance = Task.advance

    def stopping(self: Task, count: int = 1, note: str = "") -> None:
        advance(self, count, note)
        if self.title.startswith("write") and self.done == 4:
            raise Interrupted(2)

    monkeypatch.setattr(Task, "advance", stopping)
    to = tmp_path / "stopped" / "whole"
    with pytest.raises(Interrupted):
        composed(order(), to, tmp_path / "out")
    assert not (to / DONE).exists()
    monkeypatch.undo()
    (to / ".tmp-torn").write_text("{")
    composed(order(), to, tmp_path / "out")
    assert bytes_of(to) == bytes_of(tmp_path / "whole")
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    composed(order(), to, tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_a_damaged_scene_is_made_again(tmp_path: Path) -> None:
    composed(order(), tmp_path / "scenes", tmp_path / "out")
    one = tmp_path / "scenes/images/monocyte/00001.png"
    whole = one.read_bytes()
    one.write_bytes(whole[:50])
    composed(order(), tmp_path / "scenes", tmp_path / "out")
    assert one.read_bytes() == whole


def test_a_picture_that_is_there_is_kept_only_where_it_is_the_same(tmp_path: Path) -> None:
    path, picture = tmp_path / "0.png", np.full((4, 4, 3), 7, np.uint8)
    scene_folder._write_once(path, picture, "composer/x")
    whole, written = path.read_bytes(), path.stat().st_mtime_ns
    scene_folder._write_once(path, picture, "composer/x")
    assert path.stat().st_mtime_ns == written
    for other in (drawn_png(picture + 1, "composer/x"), drawn_png(picture, "composer/y"), whole[:50], b""):
        path.write_bytes(other)
        scene_folder._write_once(path, picture, "composer/x")
        assert path.read_bytes() == whole


def drawn_cells(
    root: Path,
    marked: int = 12,
    *,
    images: int = 6,
    seed: int = 1,
    labels: tuple[str, ...] = ("lymphocyte", "monocyte"),
) -> Path:
    """Write cells of some classes; the first ``marked`` say that a generator drew them, the others pass for photos."""
    written = 0
    for label in labels:
        (root / label).mkdir(parents=True)
        for k, picture in enumerate(draw(label, range(images), site=SITES["a"], size=64, seed=seed).images):
            if written < marked:
                (root / label / f"{k:02d}.png").write_bytes(drawn_png(picture, "ddpm, generator/x"))
            else:
                Image.fromarray(picture).save(root / label / f"{k:02d}.png")
            written += 1
    return root


def test_cells_that_a_generator_drew_are_welcome(tmp_path: Path) -> None:
    cells = drawn_cells(tmp_path / "drawn")
    data = (Data(name="mine", path=str(cells)), Data(name="phantom-red-a"))
    composed(order(data=data, classes=()), tmp_path / "scenes", tmp_path / "out")
    table = read_table(tmp_path / "scenes" / scene_folder.ORIGINS)
    assert set(table.loc[table["set"] == "mine", "origin"]) == {"synthetic"}


def test_the_card_says_that_cells_come_from_photographs(tmp_path: Path) -> None:
    photographs, drawn = (
        Data(name=name, path=str(drawn_cells(tmp_path / name, marked)))
        for name, marked in (("photos", 0), ("drawings", 12))
    )
    for cells, others, named in ((photographs, drawn, "photos"), (drawn, photographs, "photos"), (drawn, drawn, "")):
        data = (cells, others.model_copy(update={"name": "others"}) if others is cells else others)
        planned = compose.prepare(order(data=data, classes=()), to=tmp_path / "scenes", out=tmp_path / "out")
        card = scene_folder.card(planned, planned.split.classes, "cytobench compose")
        assert ("No photographs" in card) is (not named)
        assert (f"cut out of photographs** of {named} (licence: unknown)" in card) is bool(named)


def test_drawn_cells_among_photographs_are_refused(tmp_path: Path) -> None:
    cells = drawn_cells(tmp_path / "mixed", marked=5)
    with pytest.raises(IntegrityFault, match="drawn by a generator"):
        composed(order(data=(Data(name="mine", path=str(cells)),), classes=()), tmp_path / "scenes", tmp_path / "out")


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(UsageFault, match="holds something else"):
        compose.prepare(order(), to=tmp_path / "mine", out=tmp_path / "out")
    composed(order(), tmp_path / "scenes", tmp_path / "out")
    with pytest.raises(UsageFault, match="holds something else"):
        compose.prepare(order(level="base"), to=tmp_path / "scenes", out=tmp_path / "out")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"level": "complx"}, "complex"),
        ({"level": "9"}, "dial"),
        ({"settings": {"level.colour": "3"}}, "colour"),
        ({"settings": {"level.number": "[8,3]"}}, "larger end first"),
        ({"settings": {"number": "3"}}, "no such setting"),
        ({"settings": {"optics.field": "2"}}, "field"),
        ({"classes": ("lymphocyte", "monocite")}, "monocyte"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_done(changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageFault) as caught:
        compose.prepare(order(**changes), to=tmp_path / "scenes", out=tmp_path / "out")
    assert said in str(caught.value)
    assert not (tmp_path / "scenes").exists()


def test_the_door_plans_and_composes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from cytobench.cli import commands

    monkeypatch.chdir(tmp_path)
    words = ["compose", "--to", "scenes", "--images", "1", "--image-size", "48", "--level", "0.5", "--json"]
    words += ["--classes", "lymphocyte,monocyte"]
    words += [word for key, text in SMALL.items() for word in ("--set", f"{key}={text}")]
    plan = CliRunner().invoke(commands, [*words, "--dry-run"], catch_exceptions=False)
    assert json.loads(plan.stdout)["images"] == 2
    assert not (tmp_path / "scenes").exists()
    made = CliRunner().invoke(commands, words, catch_exceptions=False)
    assert json.loads(made.stdout)["images"] == 2
    assert (tmp_path / "scenes" / DONE).exists()


@pytest.mark.fault(19)
def test_choices_about_awkward_cells_are_taken_said_and_kept(tmp_path: Path) -> None:
    """What the faults advise can be done here, too; a class that is left out makes no scene and is not counted."""
    from click.testing import CliRunner

    from cytobench.cli import commands

    root = tmp_path / "cells"
    for label, count in (("lymphocyte", 12), ("monocyte", 12), ("basophil", 3)):
        (root / label).mkdir(parents=True)
        for number, image in enumerate(draw(label, list(range(count)), site=SITES["a"], size=64, seed=7).images):
            Image.fromarray(image).save(root / label / f"{number}.png")
    (root / "monocyte" / "again.png").write_bytes((root / "monocyte" / "0.png").read_bytes())
    words = ["compose", "--cells", f"mine={root}", "--to", str(tmp_path / "scenes"), "--images", "2", "--json"]
    words += ["--image-size", "48", "--level", "0.5", "--set", "crops.size=64", "--out", str(tmp_path / "out")]
    red = tmp_path / "red" / "neutrophil"
    red.mkdir(parents=True)
    for number, image in enumerate(draw("neutrophil", list(range(12)), site=SITES["a"], size=64, seed=7).images):
        Image.fromarray(image).save(red / f"{number}.png")
    (red / "again.png").write_bytes((red / "0.png").read_bytes())
    words += ["--distractors", f"red={red.parent}"]
    with pytest.raises(DataFault) as refused:
        CliRunner().invoke(commands, words, catch_exceptions=False)
    assert "--rare drop" in refused.value.fix
    made = CliRunner().invoke(commands, [*words, "--rare", "drop", "--duplicates", "first"], catch_exceptions=False)
    assert json.loads(made.stdout)["classes"] == ["lymphocyte", "monocyte"]
    assert json.loads(made.stdout)["images"] == len(list((tmp_path / "scenes" / "images").rglob("*.png"))) == 4
    kept = read_json(tmp_path / "scenes" / scene_folder.FACTS)["notes"]
    assert any("basophil (3); left out (--rare drop)" in note for note in kept)
    assert sum("1 copies of 1 pictures left out" in note for note in kept) == 2, "of the cells and of what lies around"
    card = (tmp_path / "scenes" / scene_folder.CARD).read_text(encoding="utf-8")
    assert card.count("4 scenes of 48") == 1
    assert "basophil" not in card
    assert all(note in made.stderr for note in kept)
    again = CliRunner().invoke(commands, [*words, "--rare", "drop", "--duplicates", "first"], catch_exceptions=False)
    assert json.loads(again.stdout) == json.loads(made.stdout)
