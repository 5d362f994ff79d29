"""Folders that cytobench drew, given to a run again: whole or not at all, and never tested on what they show."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cytobench.benchmarks import compose, generate
from cytobench.benchmarks.compose import ComposeOrder
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import Prepared, prepare
from cytobench.datasets import made
from cytobench.datasets.imageset import read_table
from cytobench.errors import DataFault, IntegrityFault, UsageFault
from cytobench.leaderboards.record import RecordFacts, read
from cytobench.store import DONE, listing, read_json, write_json
from tests.benchmarks.conftest import carry_out
from tests.benchmarks.test_compose import drawn_cells

Orders = Callable[..., Order]
Photographs = Callable[[str, int], Data]


@pytest.fixture
def photographs(tmp_path: Path) -> Photographs:
    """Return a maker of folders of cells that pass for photographs, each seed another picture of every class."""
    return lambda name, seed: Data(name=name, path=str(drawn_cells(tmp_path / name, marked=0, images=20, seed=seed)))


def scenes(cells: Data, to: Path, part: str = "train", **changes: Any) -> Path:
    fields: dict[str, Any] = {
        "data": (cells,), "level": "base", "images": 6, "image_size": 32, "part": part,
        "settings": {"crops.size": "64"},
    }  # fmt: skip
    planned = compose.prepare(ComposeOrder(**fields | changes), to=to, out=to.parent / ".composing")
    compose.compose(planned, command="cytobench compose (test)")
    return to


def both_parts(cells: Data, to: Path) -> Data:
    for part in ("train", "test"):
        scenes(cells, to / part, part)
    return Data(name=to.name, path=str(to))


def drawn(order: Orders, cells: Data, to: Path, images: int = 12) -> Data:
    asked = order(backbones=(), data=(cells,), settings={"image_size": "64"})
    generate.generate(generate.prepare(asked, images=images, to=to, out=to.parent / "drawing"), command="test")
    return Data(name=to.name, path=str(to))


def trained(order: Orders, *sets: Data, out: Path, **changes: Any) -> Prepared:
    one = order(generators=(), data=sets, **changes)
    kept = {name: text for name, text in one.settings.items() if not name.startswith("generator.")}
    return carry_out(one.model_copy(update={"settings": kept}), out)


def records(done: Prepared) -> dict[tuple[str, str], RecordFacts]:
    found = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    return {(one.source.name, one.target.name): one for one in found}


def as_part(folder: Path, part: str) -> None:
    """Let a folder claim to be of another part than it is."""
    read_table(folder / made.MANIFEST).assign(part=part).to_csv(folder / made.MANIFEST, index=False)
    write_json(folder / made.SCENES, {**read_json(folder / made.SCENES), "part": part})
    write_json(folder / DONE, {**read_json(folder / DONE), "files": listing(folder)})


def test_scenes_are_a_set_with_the_parts_of_their_cells(
    order: Orders, photographs: Photographs, tmp_path: Path
) -> None:
    """Neither the photographs of the test part nor another lab's were cut out: everything is tested on everything."""
    lab, other = photographs("lab", 1), photographs("other", 2)
    done = trained(order, both_parts(lab, tmp_path / "scenes"), lab, other, out=tmp_path / "out")
    found = records(done)
    names = ("scenes", "lab", "other")
    assert set(found) == {(one, two) for one in names for two in names}
    assert found["scenes", "lab"].source.nature == "synthetic"
    assert (found["scenes", "lab"].source.told, found["lab", "scenes"].source.told) == (True, False)
    assert found["lab", "scenes"].target.images_test == 12
    assert any("/fits/cut-" in one for one in found["scenes", "lab"].ancestry)
    assert "cells" in found["scenes", "lab"].guard.checks


@pytest.mark.fault(26)
def test_photographs_that_were_cut_out_are_not_tested_on(
    order: Orders, photographs: Photographs, tmp_path: Path
) -> None:
    """Another split of the lab tests on photographs whose cells are in the scenes: nothing is trained for that."""
    lab = photographs("lab", 1)
    data = both_parts(lab, tmp_path / "scenes")
    with pytest.raises(IntegrityFault, match="lab can't be tested on what was trained on scenes") as caught:
        trained(order, data, lab, out=tmp_path / "out", seed=77)
    assert "cut out for a scene" in caught.value.message
    cut = set(read_table(tmp_path / "scenes/train" / made.CELLS)["id"])
    assert caught.value.problems
    assert cut
    assert all(line.startswith("shots: ") for line in caught.value.problems)
    assert not (tmp_path / "out/store/trial").exists()


@pytest.mark.fault(26)
def test_scenes_are_not_a_test_of_what_learned_from_their_cells(
    order: Orders, photographs: Photographs, tmp_path: Path
) -> None:
    lab = photographs("lab", 1)
    for part, at in (("train", "test"), ("test", "train")):  # the wrong way round
        to = scenes(lab, tmp_path / "scenes" / part, part)
        as_part(to, at)
    with pytest.raises(IntegrityFault, match="composed of cells that were learned from"):
        trained(order, lab, Data(name="scenes", path=str(tmp_path / "scenes")), out=tmp_path / "out")


@pytest.mark.fault(26)
def test_two_parts_that_share_cells_are_no_split(order: Orders, photographs: Photographs, tmp_path: Path) -> None:
    lab, other = photographs("lab", 1), photographs("other", 2)
    for seed in (0, 1):  # two splits of the same photographs
        scenes(lab, tmp_path / f"scenes/{seed}", ("train", "test")[seed], seed=seed)
    data = Data(name="scenes", path=str(tmp_path / "scenes"))
    with pytest.raises(IntegrityFault, match="scenes can't be tested on what was trained on scenes"):
        trained(order, data, other, out=tmp_path / "out")


@pytest.mark.fault(26)
def test_a_patient_whose_cell_was_cut_out_is_not_tested_on(
    order: Orders, photographs: Photographs, tmp_path: Path
) -> None:
    """All of a patient's pictures count, not the one that was cut out alone."""
    folder = Path(photographs("lab", 1).path)
    rows = [f"{path.relative_to(folder)},{path.parent.name},{number}" for label in sorted(folder.iterdir())
            for number, path in enumerate(sorted(label.iterdir()))]  # fmt: skip
    (folder / "all.csv").write_text("\n".join(["path,label,group", *rows]))
    whole = Data(name="lab", path=str(folder), manifest=str(folder / "all.csv"))
    data = both_parts(whole, tmp_path / "scenes")
    seen = read_table(tmp_path / "scenes/train" / made.CELLS)
    assert (seen["group"] != "").all()
    fresh = drawn_cells(tmp_path / "fresh", marked=0, images=20, seed=9)  # other pictures of the same patients
    shutil.copy(folder / "all.csv", fresh / "all.csv")
    again = Data(name="lab", path=str(fresh), manifest=str(fresh / "all.csv"))
    with pytest.raises(IntegrityFault, match="of a patient or slide that was trained on"):
        trained(order, data, again, out=tmp_path / "out", seed=77)


def test_a_generated_folder_is_a_set_of_its_own(order: Orders, photographs: Photographs, tmp_path: Path) -> None:
    lab = photographs("lab", 1)
    cells = drawn(order, lab, tmp_path / "cells")
    found = records(trained(order, cells, lab, out=tmp_path / "out"))
    assert set(found) == {(one, two) for one in ("cells", "lab") for two in ("cells", "lab")}
    assert found["cells", "lab"].source.nature == "synthetic"
    assert found["lab", "cells"].guard.shared_ancestors > 0


@pytest.mark.fault(26)
def test_what_a_generated_folder_learned_from_is_not_tested_on(
    order: Orders, photographs: Photographs, tmp_path: Path
) -> None:
    lab = photographs("lab", 1)
    cells = drawn(order, lab, tmp_path / "cells")
    with pytest.raises(IntegrityFault, match="seen by a generator") as caught:
        trained(order, cells, lab, out=tmp_path / "out", seed=77)
    assert any("/" in line and line.endswith(".png") for line in caught.value.problems)
    assert not (tmp_path / "out/store/trial").exists()


class TestTwoGenerations:
    """Photographs, cells that a generator drew after them, scenes of these, a run."""

    @pytest.fixture
    def lab(self, photographs: Photographs) -> Data:
        return photographs("lab", 1)

    @pytest.fixture
    def data(self, order: Orders, lab: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
        """Return scenes of generated cells, whose outlines are found as if they were good ones."""
        cells = drawn(order, lab, tmp_path / "cells", images=20)
        for label in ("lymphocyte", "monocyte"):  # three steps of a VAE draw no cell that could be cut out
            better = drawn_cells(tmp_path / "better", marked=99, images=20, seed=5, labels=(label,))
            for number, path in enumerate(sorted((Path(cells.path) / "images" / label).iterdir())):
                shutil.copy(better / label / f"{number:02d}.png", path)
        _told_anew(Path(cells.path))
        return both_parts(cells, tmp_path / "scenes")

    @pytest.mark.fault(26)
    def test_the_photographs_are_still_known(self, order: Orders, lab: Data, data: Data, tmp_path: Path) -> None:
        seen = read_table(tmp_path / "scenes/train" / made.SEEN)
        photographed = read_table(tmp_path / "cells" / made.SEEN)
        assert set(seen["pixel_sha256"]) == set(photographed["pixel_sha256"])
        with pytest.raises(IntegrityFault, match="lab can't be tested on what was trained on scenes"):
            trained(order, data, lab, out=tmp_path / "out", seed=77)

    def test_those_that_no_generator_saw_are_tested_on(
        self, order: Orders, lab: Data, data: Data, tmp_path: Path
    ) -> None:
        found = records(trained(order, data, lab, out=tmp_path / "out"))
        assert found["scenes", "lab"].guard.exposed_images == 0
        assert found["lab", "scenes"].guard.shared_ancestors > 0


def _told_anew(folder: Path) -> None:
    """Let a folder's tables tell of other pictures than were drawn."""
    from cytobench.datasets.decode import decode

    table = read_table(folder / made.MANIFEST)
    table["pixel_sha256"] = [decode((folder / path).read_bytes(), 64).sha256 for path in table["path"]]
    table.to_csv(folder / made.MANIFEST, index=False, lineterminator="\n")
    write_json(folder / DONE, {**read_json(folder / DONE), "files": listing(folder)})


class TestAFolderThatIsNotWhole:
    @pytest.fixture
    def folder(self, photographs: Photographs, tmp_path: Path) -> Path:
        return scenes(photographs("lab", 1), tmp_path / "scenes")

    @pytest.mark.fault(37, 39)
    @pytest.mark.parametrize("verified", [True, False])
    @pytest.mark.parametrize("name", [made.MANIFEST, made.CELLS, made.SEEN, made.SCENES])
    def test_a_table_that_was_edited_is_named(self, folder: Path, name: str, *, verified: bool) -> None:
        (folder / name).write_text((folder / name).read_text() + "\n")
        with pytest.raises(IntegrityFault, match="was altered since it was made") as caught:
            made.read_made(folder, verified=verified)
        assert caught.value.problems == (f"{name}: other bytes than were written",)

    @pytest.mark.fault(37, 39)
    def test_pictures_that_are_gone_or_others_are_named(self, folder: Path) -> None:
        one, other, third = sorted(folder.glob("images/lymphocyte/*.png"))[:3]
        one.unlink()
        shutil.copy(third, other)
        with pytest.raises(IntegrityFault) as caught:
            made.read_made(folder, verified=True)
        assert caught.value.problems == (
            "images/lymphocyte/00000.png: missing",
            "images/lymphocyte/00001.png: other bytes than were written",
        )

    @pytest.mark.fault(37)
    def test_a_changed_picture_is_found_unverified_too(self, order: Orders, folder: Path, tmp_path: Path) -> None:
        one, other = sorted(folder.glob("images/lymphocyte/*.png"))[:2]
        shutil.copy(one, other)
        data = (Data(name="scenes", path=str(folder)), Data(name="lab", path=str(tmp_path / "lab")))
        with pytest.raises(IntegrityFault, match="not those that the manifest was frozen with"):
            trained(order, *data, out=tmp_path / "out", verify=False)

    @pytest.mark.parametrize("content", [None, "", "[]", '{"files": 3}', '{"files": {"a": {}}}'])
    def test_one_that_is_not_finished_is_refused(self, folder: Path, content: str | None) -> None:
        (folder / DONE).unlink()
        if content is not None:
            (folder / DONE).write_text(content)
        with pytest.raises(IntegrityFault, match=DONE):
            made.read_made(folder, verified=True)

    def test_cells_of_which_nobody_knows_the_origin_are_refused(self, folder: Path) -> None:
        table = read_table(folder / made.CELLS).assign(origin="synthetic")
        table.to_csv(folder / made.CELLS, index=False)
        write_json(folder / DONE, {**read_json(folder / DONE), "files": listing(folder)})
        with pytest.raises(IntegrityFault, match="nobody says what their generator had seen"):
            made.read_made(folder, verified=True)

    @pytest.mark.parametrize("change", [{"origin": "real"}, {"generator_run": "generator/x"}, {"part": "test"}])
    def test_what_its_tables_cannot_say_is_refused(self, folder: Path, change: dict[str, str]) -> None:
        read_table(folder / made.MANIFEST).assign(**change).to_csv(folder / made.MANIFEST, index=False)
        write_json(folder / DONE, {**read_json(folder / DONE), "files": listing(folder)})
        with pytest.raises(IntegrityFault):
            made.read_made(folder, verified=True)

    def test_a_part_of_it_is_not_taken_for_a_set(self, order: Orders, folder: Path, tmp_path: Path) -> None:
        lab = Data(name="lab", path=str(tmp_path / "lab"))
        for part in ("images", "images/lymphocyte", made.MANIFEST):
            asked = order(data=(Data(name="scenes", path=str(folder / part)), lab))
            with pytest.raises(UsageFault, match="a part of what cytobench drew") as caught:
                prepare(asked, tmp_path / "out")
            assert str(folder) in caught.value.fix

    def test_another_manifest_is_not_laid_over_it(self, order: Orders, folder: Path, tmp_path: Path) -> None:
        over = Data(name="scenes", path=str(folder), manifest=str(folder / made.MANIFEST))
        with pytest.raises(UsageFault, match="leave --manifest out"):
            prepare(order(data=(over, Data(name="lab", path=str(tmp_path / "lab")))), tmp_path / "out")

    def test_one_part_alone_can_not_be_tested_on(self, order: Orders, folder: Path, tmp_path: Path) -> None:
        data = (Data(name="scenes", path=str(folder)), Data(name="lab", path=str(tmp_path / "lab")))
        with pytest.raises(DataFault, match="no test part"):
            trained(order, *data, out=tmp_path / "out")

    def test_a_folder_beside_them_makes_them_no_set(self, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "above").mkdir()
        folder.rename(tmp_path / "above/train")
        assert made.folders_at(tmp_path / "above") == (tmp_path / "above/train",)
        (tmp_path / "above/.DS_Store").write_text("")
        assert made.folders_at(tmp_path / "above") == (tmp_path / "above/train",)
        (tmp_path / "above/more").mkdir()
        assert made.folders_at(tmp_path / "above") == ()
        assert made.folders_at(tmp_path / "nowhere") == ()


def test_scenes_are_no_cells_to_cut_out(photographs: Photographs, tmp_path: Path) -> None:
    to = scenes(photographs("lab", 1), tmp_path / "scenes")
    with pytest.raises(UsageFault, match="scenes holds scenes"):
        scenes(Data(name="scenes", path=str(to)), tmp_path / "again")


def test_the_facts_name_the_set(photographs: Photographs, tmp_path: Path) -> None:
    to = scenes(photographs("lab", 1), tmp_path / "scenes")
    assert json.loads((to / made.SCENES).read_text())["set"] == "lab-base"
    assert made.read_made(to, verified=True).title == "scenes of lab, level base"
