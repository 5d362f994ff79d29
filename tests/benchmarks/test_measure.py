"""Inside a run: every synthetic set is measured beside its floor, each training by itself, and the board shows it."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytobench.benchmarks import publish
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.report import BOARD
from cytobench.benchmarks.run import PLAN, Prepared, prepare
from cytobench.benchmarks.steps.features import ExtractFeatures, read_features
from cytobench.benchmarks.steps.fidelity import MeasureFidelity
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import UsageFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.fidelity import ALL, FidelityFacts
from cytobench.store import read_json, write_json
from tests.benchmarks.conftest import carry_out, contents

Orders = Callable[..., Order]


def measured(done: Prepared) -> list[FidelityFacts]:
    return [fidelity.read(done.context.store.folder(step)).facts for step in done.plan.fidelity]


def test_a_network_of_the_run_looks_where_none_is_named(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(settings={"synthetic.fits": "2"}), tmp_path / "out")
    found = measured(done)
    assert [(one.synthetic, one.number) for one in found] == [("x-vae", 0), ("x-vae", 1)]
    for one in found:
        assert (one.reference, one.floor) == ("the test part of x", "the training part of x")
        assert [extractor.name for extractor in one.extractors] == ["classifier/two-layers"]
        assert one.extractors[0].origin == done.plan.trials[0].reference
        assert done.plan.trials[0].source.name == "x"
        assert one.images == {"reference": 6, "floor": 18, "synthetic": 12}
        assert {line.n for line in one.lines if line.scope == ALL} == {6}
        assert {test.test for test in one.copies} >= {"equal pixels", "one picture"}
        assert set(one.ancestry) >= {step.reference for step in done.plan.trials[:1]}
    assert done.plan.count(ExtractFeatures) == 3, "the real set is looked at once, each drawing once"
    page = (done.folder / BOARD / "README.md").read_text()
    assert "## Fidelity" in page
    assert "| floor |" in page
    assert len((done.folder / BOARD / "fidelity.csv").read_text().splitlines()) == 1 + sum(
        len(one.lines) for one in found
    )
    again = carry_out(order(settings={"synthetic.fits": "2"}), tmp_path / "out")
    assert (again.folder / BOARD / "README.md").read_text() == page


def test_what_is_named_looks_instead(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(extractors=("thumbnails",)), tmp_path / "out")
    [found] = measured(done)
    assert [one.name for one in found.extractors] == ["thumbnails"]
    assert prepare(order(), tmp_path / "out").folder != done.folder


def test_only_images_that_take_part_are_looked_at(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(extractors=("thumbnails",), settings={"train_per_class": "4"}), tmp_path / "out")
    [step] = [one for one in done.plan.steps if isinstance(one, ExtractFeatures) and one.name == "x"]
    found = read_features(done.context.store.folder(step))
    rows = read_table(done.context.folder(step.inputs["split"]) / TABLE)["row"].astype(int)
    looked_at = np.isfinite(found).all(axis=1)
    assert sorted(rows) == np.flatnonzero(looked_at).tolist()
    assert not looked_at.all()
    [facts] = measured(done)
    assert facts.images["floor"] == 4 * len(facts.classes)


def test_the_runs_own_network_looks_beside_others(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(extractors=("thumbnails", "own")), tmp_path / "out")
    [found] = measured(done)
    assert [one.name for one in found.extractors] == ["thumbnails", "classifier/two-layers"]
    assert {line.extractor for line in found.lines} == {one.name for one in found.extractors}


def test_the_network_that_looks_learned_from_what_the_generator_did(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(generate_from="y", protocol="same-dataset"), tmp_path / "out")
    [found] = measured(done)
    assert found.reference == "the test part of y"
    assert [one.origin for one in found.extractors] == [
        one.reference for one in done.plan.trials if one.source.name == "y"
    ]


def test_repeating_changes_no_byte(order: Orders, tmp_path: Path) -> None:
    for out in ("one", "two"):
        carry_out(order(), tmp_path / out)
    kinds = ("fidelity", "features")
    assert contents(tmp_path / "one", kinds) == contents(tmp_path / "two", kinds)
    assert len([name for name in contents(tmp_path / "one", kinds) if name.endswith("fidelity.json")]) == 1


def test_a_published_board_carries_its_records(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(), tmp_path / "out")
    publish.board([done.folder], tmp_path / "board", "t")
    [place] = (tmp_path / "board/fidelity").iterdir()
    assert fidelity.read(place).facts == measured(done)[0]
    assert "## Fidelity" in (tmp_path / "board/README.md").read_text()


def test_a_run_of_before_fidelity_is_still_published(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(), tmp_path / "out")
    plan = read_json(done.folder / PLAN)
    del plan["fidelity"]
    write_json(done.folder / PLAN, plan)
    publish.board([done.folder], tmp_path / "board", "t")
    assert "## Fidelity" not in (tmp_path / "board/README.md").read_text()
    assert not (tmp_path / "board/fidelity").exists()


def test_real_sets_alone_are_not_measured(order: Orders, tmp_path: Path) -> None:
    assert not prepare(order(generators=()), tmp_path / "out").plan.count(MeasureFidelity)


@pytest.mark.parametrize("extractor", ["inceptoin", "timm"])
def test_a_wrong_extractor_is_told_before_any_work(extractor: str, order: Orders, tmp_path: Path) -> None:

    with pytest.raises(UsageFault):
        prepare(order(extractors=(extractor,)), tmp_path / "out")
    assert not (tmp_path / "out/store/trial").exists()
