"""Drawing into a folder: what lies there, that more images keep the first ones, that none passes for a photograph."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cytobench.benchmarks import generate
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.steps.synthesis import SEEN
from cytobench.datasets.decode import decode
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import DataFault, IntegrityFault, Interrupted, UsageFault
from cytobench.store import DONE, listing, read_json
from tests.benchmarks.conftest import carry_out

Orders = Callable[..., Order]


def drawn(order: Order, to: Path, out: Path, images: int = 3) -> generate.Drawing:
    drawing = generate.prepare(order, images=images, to=to, out=out)
    generate.generate(drawing, command="cytobench generate (test)")
    return drawing


def pictures(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.glob("images/*/*.png"))}


@pytest.fixture
def asked(order: Orders) -> Order:
    both = order(backbones=())
    return both.model_copy(update={"data": both.data[:1]})


def test_the_folder_tells_everything(asked: Order, tmp_path: Path) -> None:
    to = tmp_path / "cells"
    drawing = drawn(asked, to, tmp_path / "out")
    assert list(pictures(to)) == [f"images/{label}/0000{k}.png" for label in "ab" for k in range(3)]
    table = read_table(to / generate.MANIFEST)
    for path, sha in zip(table["path"], table["pixel_sha256"], strict=True):
        found = decode((to / path).read_bytes(), 16)
        assert found.sha256 == sha
        assert found.drawn_by.startswith("vae, generator/")
    assert set(table["origin"]) == {"synthetic"}
    frozen = read_table(drawing.context.folder(drawing.plan.sides[0].split) / TABLE)
    seen = read_table(to / SEEN)
    assert set(seen["pixel_sha256"]) == set(frozen["pixel_sha256"][frozen["split"] == "train"])
    done = read_json(to / DONE)
    assert listing(to) == done["files"]
    assert np.asarray(Image.open(to / generate.SHEET)).std() > 1
    assert {path.name for path in (to / generate.FITS).iterdir()} == {"a", "b"}


def test_more_images_keep_the_first_ones(asked: Order, tmp_path: Path) -> None:
    drawn(asked, tmp_path / "three", tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store/generator").rglob("*.safetensors")}
    drawn(asked, tmp_path / "six", tmp_path / "out", images=6)
    three, six = pictures(tmp_path / "three"), pictures(tmp_path / "six")
    assert len(six) == 12
    assert all(six[name] == content for name, content in three.items())
    assert before == {path: path.stat().st_mtime_ns for path in before}, "fits are reused"
    assert len(list((tmp_path / "out/store/generator").iterdir())) == 2


def test_a_stop_while_drawing_costs_one_block_and_no_byte(
    asked: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cytobench.generators.vae import Vae

    drawn(asked, tmp_path / "whole", tmp_path / "one", images=40)
    calls: list[range] = []
    sample = Vae.sample

    def counted(self: Vae, label: int, indices: range, *, seed: int) -> np.ndarray:
        if len(calls) == 1:
            calls.append(indices)
            raise Interrupted(2)
        calls.append(indices)
        return sample(self, label, indices, seed=seed)

    monkeypatch.setattr(Vae, "sample", counted)
    small = asked.model_copy(update={"settings": asked.settings | {"generator.chunk": "4"}})
    with pytest.raises(Interrupted):
        drawn(small, tmp_path / "stopped", tmp_path / "two", images=40)
    assert len(calls) == 2
    drawn(small, tmp_path / "stopped", tmp_path / "two", images=40)
    assert calls[2] == calls[1], "the first block is not drawn again"
    monkeypatch.undo()
    drawn(small, tmp_path / "straight", tmp_path / "three", images=40)
    assert pictures(tmp_path / "stopped") == pictures(tmp_path / "straight")


def test_what_was_drawn_never_passes_for_photographs(asked: Order, tmp_path: Path) -> None:
    drawn(asked, tmp_path / "cells", tmp_path / "out", images=8)
    shutil.copytree(tmp_path / "cells/images", tmp_path / "copied")  # away from what tells of them
    data = (Data(name="lab", path=str(tmp_path / "copied")),)
    as_set = asked.model_copy(update={"data": data, "generators": (), "settings": {
        name: text for name, text in asked.settings.items() if not name.startswith("generator.")
    }, "backbones": ("two-layers",)})  # fmt: skip
    with pytest.raises(IntegrityFault, match="drawn by a generator"):
        carry_out(as_set, tmp_path / "other")


def test_a_folder_of_something_else_is_left_alone(asked: Order, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageFault, match="holds something else"):
        drawn(asked, tmp_path / "mine", tmp_path / "out")
    drawn(asked, tmp_path / "cells", tmp_path / "out")
    with pytest.raises(UsageFault, match="holds something else"):
        drawn(asked, tmp_path / "cells", tmp_path / "out", images=4)


class TestListedShots:
    """``--shots-from``: a choice made by hand."""

    def test_only_listed_images_are_seen(self, asked: Order, tmp_path: Path) -> None:
        out = tmp_path / "out"
        free = generate.prepare(asked, images=2, to=tmp_path / "free", out=out)
        generate.generate(free, command="test")
        seen = read_table(tmp_path / "free" / SEEN)
        frozen = read_table(free.context.folder(free.plan.sides[0].split) / TABLE).set_index("pixel_sha256")
        files = [str(frozen.loc[sha, "file"]) for sha in seen["pixel_sha256"]]
        chosen = [next(file for file in files if file.startswith(f"{label}/")) for label in "ab"]
        (tmp_path / "shots.txt").write_text(f"# by hand\n{chosen[0]}  # sharp\n\n{Path(chosen[1]).name}\n{chosen[1]}\n")
        listed = asked.model_copy(update={"shots_from": str(tmp_path / "shots.txt")})
        drawn(listed, tmp_path / "listed", out, images=2)
        table = read_table(tmp_path / "listed" / SEEN)
        assert sorted(frozen.loc[list(table["pixel_sha256"]), "file"]) == sorted(
            {file for file in files if file in chosen or Path(file).name == Path(chosen[1]).name}
        )

    def test_a_list_without_an_image_of_a_class_is_refused(self, asked: Order, tmp_path: Path) -> None:
        (tmp_path / "shots.txt").write_text("a/nowhere.png\n")
        listed = asked.model_copy(update={"shots_from": str(tmp_path / "shots.txt")})
        with pytest.raises(DataFault, match="none of which is listed"):
            drawn(listed, tmp_path / "listed", tmp_path / "out")

    @pytest.mark.parametrize("content", [None, "", "# nothing\n"])
    def test_a_list_that_names_nothing_is_refused(self, asked: Order, tmp_path: Path, content: str | None) -> None:
        if content is not None:
            (tmp_path / "shots.txt").write_text(content)
        listed = asked.model_copy(update={"shots_from": str(tmp_path / "shots.txt")})
        with pytest.raises(UsageFault, match="--shots-from"):
            generate.prepare(listed, images=1, to=tmp_path / "listed", out=tmp_path / "out")


def test_a_kill_while_the_first_file_is_written_is_not_in_the_way(asked: Order, tmp_path: Path) -> None:
    to = tmp_path / "cells"
    to.mkdir()
    (to / ".tmp-torn").write_text("{")
    drawn(asked, to, tmp_path / "out")
    assert not list(to.rglob(".tmp-*"))
    assert listing(to) == read_json(to / DONE)["files"]


def test_what_is_done_is_not_written_again_and_what_is_damaged_is(asked: Order, tmp_path: Path) -> None:
    to = tmp_path / "cells"
    drawn(asked, to, tmp_path / "out")
    before = {path: path.stat().st_mtime_ns for path in to.rglob("*") if path.is_file()}
    drawn(asked, to, tmp_path / "out")
    assert before == {path: path.stat().st_mtime_ns for path in before}
    one = to / next(iter(pictures(to)))
    whole = one.read_bytes()
    one.write_bytes(whole[:40])
    drawn(asked, to, tmp_path / "out")
    assert one.read_bytes() == whole


def test_every_file_is_hashed_the_fitted_generators_too(asked: Order, tmp_path: Path) -> None:
    drawn(asked, tmp_path / "cells", tmp_path / "out")
    files = {
        path.relative_to(tmp_path / "cells").as_posix() for path in (tmp_path / "cells").rglob("*") if path.is_file()
    }
    assert files - {DONE} == set(read_json(tmp_path / "cells" / DONE)["files"])
