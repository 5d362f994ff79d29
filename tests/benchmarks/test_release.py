"""From a run to a frozen set and back: what is published, what is refused, and that the guard reaches through it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cytobench.benchmarks import release
from cytobench.benchmarks.fidelity.evaluate import Asking, evaluate
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.offer import story_of
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import SPEC, prepare
from cytobench.datasets.frozen.edition import Edition
from cytobench.datasets.frozen.identity import Identity
from cytobench.datasets.frozen.thaw import thaw
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.record import read
from cytobench.store import read_json, write_json
from tests.benchmarks.conftest import carry_out

Orders = Callable[..., Order]


def edition(version: int = 1, **changes: Any) -> Edition:
    facts = {"identity": Identity("cells", version), "title": "Cells", "licence": "CC0-1.0", "command": ""}
    return Edition.model_validate(facts | changes)


def published(run: Path, **choices: Any) -> Path:
    told = release.release(release.prepare([run], choices.pop("edition", edition()), **choices), archive=None)
    return Path(told["folder"])


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the first test that needs a finished run leaves it for the others."""
    return tmp_path_factory.mktemp("kept") / "out"


@pytest.fixture
def run(order: Orders, tmp_path: Path, kept: Path) -> Path:
    """Return a finished run that drew x-vae from photographs of the set x."""
    if not kept.exists():
        carry_out(order(), kept)
    shutil.copytree(kept, tmp_path / "out")
    [folder] = (tmp_path / "out/runs").iterdir()
    return folder


def real_only(order: Orders, *sets: Data, **changes: Any) -> Order:
    one = order(generators=(), data=sets, **changes)
    kept = {name: text for name, text in one.settings.items() if not name.startswith("generator.")}
    return one.model_copy(update={"settings": kept})


def test_a_run_becomes_a_frozen_set_with_its_board(run: Path, tmp_path: Path) -> None:
    folder = published(run)
    assert folder == tmp_path / "out/published/cells-v1"
    found = verify(folder)
    assert found.images == 2 * (6 + 2 + 3)
    rows = [row for row in found.manifest.rows if row.pixel_sha256]
    assert {(row.split, row.partition) for row in rows} == {("train", "a"), ("val", "a"), ("test", "b")}
    assert {row.set for row in rows} == {"x-vae"}
    assert (folder / "board/index.html").is_file()
    assert len(list((folder / "board/records").glob("*/record.json"))) == 9
    card = (folder / "README.md").read_text()
    assert "learned from 18 photographs of the training part of x alone" in card
    assert "cytobench run (test)" in card


def test_no_photograph_and_no_patient_is_in_it(run: Path, tmp_path: Path) -> None:
    folder = published(run)
    photographs = {np.asarray(Image.open(path)).tobytes() for path in (tmp_path / "x").rglob("*.png")}
    drawn = {np.asarray(Image.open(path)).tobytes() for path in (folder / "images").rglob("*.png")}
    assert drawn
    assert not drawn & photographs
    assert list(pd.read_csv(folder / "ancestry/x-vae.csv").columns) == ["generator_run", "set", "label", "pixel_sha256"]


def test_publishing_twice_is_one_version(run: Path, tmp_path: Path) -> None:
    ready = release.prepare([run], edition())
    first, again = release.release(ready, archive="zip"), release.release(ready, archive="zip")
    elsewhere = release.release(release.prepare([run], edition(), shelf=tmp_path / "other"), archive="zip")
    assert (first["new"], again["new"]) == (True, False)
    assert first["identity"] == again["identity"] == elsewhere["identity"]
    assert first["archive_sha256"] == elsewhere["archive_sha256"]


def test_a_later_version_names_the_one_that_it_supersedes(run: Path) -> None:
    old = verify(published(run)).identity
    with pytest.raises(UsageFault, match="version 2 supersedes another"):
        release.prepare([run], edition(2))
    with pytest.raises(UsageFault, match="can't supersede"):
        release.prepare([run], edition(2, supersedes="other@v1"))
    with pytest.raises(UsageFault, match="write its whole hash"):
        release.prepare([run], edition(9, supersedes="cells@v8#00000000"))
    with pytest.raises(IntegrityFault, match="is not what was published"):
        release.prepare([run], edition(2, supersedes="cells@v1#00000000"))
    folder = published(run, edition=edition(2, supersedes="cells@v1"))
    assert verify(folder).manifest.supersedes == str(old)


def test_photographs_are_refused_with_what_may_be_taken(run: Path) -> None:
    with pytest.raises(UsageFault, match="x holds photographs") as caught:
        release.prepare([run], edition(), sets=["x"])
    assert "x-vae" in caught.value.fix
    with pytest.raises(UsageFault, match="no data set 'x-vea'; did you mean"):
        release.prepare([run], edition(), sets=["x-vea"])


def test_a_run_that_drew_nothing_has_nothing_to_publish(order: Orders, tmp_path: Path) -> None:
    done = carry_out(real_only(order, *order().data), tmp_path / "out")
    with pytest.raises(UsageFault, match="drew no synthetic set"):
        release.prepare([done.folder], edition())
    with pytest.raises(UsageFault, match="is no run"):
        release.prepare([tmp_path], edition())


def test_an_edited_artefact_is_not_published(run: Path, tmp_path: Path) -> None:
    [table] = (tmp_path / "out/store/synthetic").glob(f"*/{TABLE}")
    table.write_text(table.read_text().replace(",train,", ",test,", 1))
    with pytest.raises(IntegrityFault, match="was edited since it was computed"):
        release.prepare([run], edition())


@pytest.mark.parametrize("lost", ["sets", "generators"])
@pytest.mark.parametrize("left", ["nothing", "an empty list"])
def test_a_run_whose_specification_was_edited_is_not_published(run: Path, lost: str, left: str) -> None:
    spec = read_json(run / SPEC)
    if left == "nothing":
        del spec["run"][lost]
    else:
        spec["run"][lost] = []
    write_json(run / SPEC, spec)
    with pytest.raises(IntegrityFault, match="was edited or is torn"):
        release.prepare([run], edition())


def test_a_drawn_set_is_published_where_it_is_named(order: Orders, tmp_path: Path) -> None:
    sets = (Data(name="phantom-a"), Data(name="phantom-b"))
    small = order(data=sets, settings={"drawn_per_class": "40", "image_size": "16"})
    done = carry_out(small, tmp_path / "out")
    found = verify(published(done.folder, sets=["phantom-a-vae", "phantom-b"]))
    origins = {row.set: row.origin for row in found.manifest.rows if row.pixel_sha256}
    assert origins == {"phantom-a-vae": "synthetic", "phantom-b": "phantom"}


def test_it_is_a_source_and_a_target_of_another_run(run: Path, order: Orders, tmp_path: Path) -> None:
    folder = published(run)
    data = (Data(name="cells", path="cells@v1"), Data(name="y", path=str(tmp_path / "y")))
    done = carry_out(real_only(order, *data), tmp_path / "out")
    records = {(one.facts.source.name, one.facts.target.name): one.facts for one in (
        read(done.context.store.folder(step)) for step in done.plan.records
    )}  # fmt: skip
    assert set(records) == {("cells", "cells"), ("cells", "y"), ("y", "cells"), ("y", "y")}
    assert records["cells", "y"].source.nature == "synthetic"
    assert records["y", "cells"].target.images_test == 6
    table = read_table(
        done.context.folder(next(side.split for side in done.plan.sides if side.name == "cells")) / TABLE
    )
    images = pd.read_csv(folder / "images.csv")
    assert dict(zip(table["pixel_sha256"], table["split"], strict=True)) == dict(
        zip(images["pixel_sha256"], images["split"], strict=True)
    )


@pytest.mark.fault(26)
def test_the_guard_knows_what_the_generators_of_a_frozen_set_saw(run: Path, order: Orders, tmp_path: Path) -> None:
    """Another split of x tests on photographs that the generator has learned from: nothing is trained for that."""
    folder = published(run)
    data = (Data(name="cells", path=str(folder)), Data(name="x", path=str(tmp_path / "x")))
    with pytest.raises(IntegrityFault, match="seen by a generator"):
        carry_out(real_only(order, *data, seed=77), tmp_path / "later")
    assert not (tmp_path / "later/store/trial").exists()


@pytest.mark.fault(26)
def test_photographs_two_generators_back_are_still_known(run: Path, order: Orders, tmp_path: Path) -> None:
    first = published(run)
    data = (Data(name="cells", path="cells@v1"), Data(name="y", path=str(tmp_path / "y")))
    again = carry_out(order(data=data), tmp_path / "out")
    folder = published(again.folder, edition=edition(identity=Identity("again", 1)), sets=["cells-vae"])
    before, seen = pd.read_csv(first / "ancestry/x-vae.csv"), pd.read_csv(folder / "ancestry/cells-vae.csv")
    assert set(seen["set"]) == {"cells", "x"}
    for _, rows in seen.groupby("generator_run"):
        assert set(rows["pixel_sha256"][rows["set"] == "x"]) == set(before["pixel_sha256"])
    drawn = pd.read_csv(first / "images.csv")
    assert set(seen["pixel_sha256"][seen["set"] == "cells"]) <= set(drawn["pixel_sha256"])
    data = (Data(name="again", path=str(folder)), Data(name="x", path=str(tmp_path / "x")))
    with pytest.raises(IntegrityFault, match="seen by a generator"):
        carry_out(real_only(order, *data, seed=77), tmp_path / "later")


@pytest.mark.fault(37, 39)
def test_a_changed_set_is_not_run_on_and_the_file_is_named(run: Path, order: Orders, tmp_path: Path) -> None:
    folder = published(run)
    picture = next((folder / "images").rglob("*.png"))
    picture.write_bytes(next(p for p in (folder / "images").rglob("*.png") if p != picture).read_bytes())
    asked = real_only(order, Data(name="cells", path=str(folder)), Data(name="y", path=str(tmp_path / "y")))
    with pytest.raises(IntegrityFault) as caught:
        prepare(asked, tmp_path / "out")
    name = picture.relative_to(folder).as_posix()
    assert any(line.startswith(name) for line in caught.value.problems)
    with pytest.raises(IntegrityFault, match="not those that the manifest was frozen with"):
        carry_out(asked.model_copy(update={"verify": False}), tmp_path / "out")


def test_measured_it_tells_what_its_generators_saw(run: Path, tmp_path: Path) -> None:
    """By its identity or its folder, as `run --data` takes it."""
    folder = published(run)
    ancestry = thaw(folder, "cells", expected=None, verified=False).listing.ancestry
    assert ancestry is not None
    seen = {row.pixel_sha256 for row in ancestry.seen}
    for synthetic in ("cells@v1", f"mine={folder}"):
        facts = evaluate(Asking(f"x={tmp_path / 'x'}", synthetic, ("thumbnails",)), tmp_path / "out").facts
        assert facts.synthetic in ("cells", "mine")
        assert facts.reference == "x, images that the generator did not see"
        assert facts.images["floor"] == len(seen)
        assert "equal pixels" in {one.test for one in facts.copies}
    facts = evaluate(Asking(f"y={tmp_path / 'y'}", "cells@v1", ("thumbnails",)), tmp_path / "out").facts
    assert "lists 0 of all" in facts.reference
    with pytest.raises(UsageFault, match="there is no cells@v2"):
        evaluate(Asking(f"x={tmp_path / 'x'}", "cells@v2", ("thumbnails",)), tmp_path / "out")
    with pytest.raises(IntegrityFault, match="synthetic"):
        evaluate(Asking("cells@v1", f"mine={folder}", ("thumbnails",)), tmp_path / "out")


def test_its_split_is_not_replaced(run: Path, order: Orders, tmp_path: Path) -> None:
    folder = published(run)
    manifest = tmp_path / "other.csv"
    manifest.write_text("path,label\n")
    asked = real_only(order, Data(name="cells", path=str(folder), manifest=str(manifest)), order().data[1])
    with pytest.raises(UsageFault, match="its split is never replaced"):
        prepare(asked, tmp_path / "out")


def test_a_card_names_no_place_of_a_machine() -> None:
    recipe = {
        "name": "lora-sd", "trained_on": "x", "base": "/home/me/bases/mine",
        "config": {"base": "/home/me/bases/mine", "vae.features": "~/weights/vgg.pth", "hub": "owner/name", "steps": 3},
    }  # fmt: skip
    seen = pd.DataFrame({"set": ["x"], "pixel_sha256": ["a"]})
    told = "\n".join(story_of(recipe, seen, "real"))
    assert "home" not in told
    assert "weights" not in told
    assert "began with mine" in told
    assert "base mine, hub owner/name, steps 3, vae.features vgg.pth." in told
