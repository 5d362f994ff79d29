"""Several synthetic sets in one run: generators side by side, a setting that is varied, trainings that are repeated."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cytobench.benchmarks.order import Order
from cytobench.benchmarks.recipes import value_of
from cytobench.benchmarks.run import prepare
from cytobench.benchmarks.steps.ancestry import ancestors
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import UsageFault
from cytobench.leaderboards.record import read
from tests.benchmarks.conftest import VAE, carry_out

Orders = Callable[..., Order]


def test_a_varied_setting_is_a_curve_on_photographs_alone(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(vary={"generator.steps": "1,4"}, protocol="utility"), tmp_path / "out")
    assert [side.name for side in done.plan.sides] == ["x", "y", "x-vae-steps1", "x-vae-steps4"]
    fits = [step for step in done.plan.steps if isinstance(step, FitGenerator)]
    assert {(step.partition, step.config["steps"]) for step in fits} == {("a", 1), ("a", 4)}, "b is for tests alone"
    facts = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    assert {one.target.name for one in facts} == {"x", "y"}
    assert {one.source.generator.varied["steps"] for one in facts if one.source.generator} == {1, 4}
    board = done.folder / "board"
    table = json.loads((board / "board.json").read_text())
    assert table["warnings"]
    said = (board / "README.md").read_text()
    assert "### steps: macro F1" in said
    assert "| 4 | x-vae-steps4 (synthetic) |" in said
    assert (board / "figures" / "dial-steps.png").stat().st_size > 5_000
    drawn = read_table(done.context.folder(done.plan.sides[2].split) / TABLE)
    assert set(drawn["split"]) == {"train", "val"}


def test_what_matters_for_drawing_alone_is_varied_on_one_fit(order: Orders, tmp_path: Path) -> None:
    small = {"flow.steps": "2", "flow.batch": "4", "flow.channels": "[8,8]"}
    asked = order(
        generators=("flow",), settings=small, vary={"generator.evaluations": "2,3"}, protocol="utility", backbones=()
    )
    prepared = prepare(asked, tmp_path / "out")
    assert len([step for step in prepared.plan.steps if isinstance(step, FitGenerator)]) == 1
    drawn = [step for step in prepared.plan.steps if isinstance(step, DrawSynthetic)]
    assert [step.drawing["evaluations"] for step in drawn] == [2, 3]
    assert len({step.inputs["a"] for step in drawn}) == 1


@pytest.mark.parametrize(("text", "value"), [("null", None), ('"null"', "null"), ("1e-3", 0.001), ("[8,8]", [8, 8])])
def test_a_setting_is_read_as_toml_and_null_is_nothing(text: str, value: object) -> None:
    assert value_of(text) == value


def test_generators_stand_side_by_side_each_with_its_own_settings(order: Orders, tmp_path: Path) -> None:
    asked = order(generators=("vae", "eigencells"), settings={f"vae.{k[10:]}": v for k, v in VAE.items()})
    prepared = prepare(asked, tmp_path / "out")
    assert [side.name for side in prepared.plan.sides] == ["x", "y", "x-vae", "x-eigencells"]
    assert {one.name: one.config["steps"] for one in prepared.resolved.spec.generators}["vae"] == 3


def test_trials_of_another_seed_learn_from_another_training(order: Orders, tmp_path: Path) -> None:
    asked = order(settings={"synthetic.fits": "2"}, seeds=3)
    done = carry_out(asked, tmp_path / "out")
    drawn = {step.number: step for step in done.plan.steps if isinstance(step, DrawSynthetic)}
    assert [drawn[number].images("test") for number in (0, 1)] == [6, 0]
    sources = {one.seed: one.source.split for one in done.plan.trials if one.source.name == "x-vae"}
    assert sources == {0: drawn[0].reference, 1: drawn[1].reference, 2: drawn[0].reference}
    tested = {step.target.split for step in done.plan.records if step.target.name == "x-vae"}
    assert tested == {drawn[0].reference}, "all are tested on the same images"
    one, other = (read_table(done.context.folder(drawn[number].reference) / TABLE) for number in (0, 1))
    assert not set(one["pixel_sha256"]) & set(other["pixel_sha256"])
    assert sum(name.startswith("generator/") for name in ancestors(done.context, drawn[1].reference)) == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vary": {"training.epochs": "1,2"}}, "only settings of a generator"),
        ({"vary": {"generator.steps": " , "}}, "names no values"),
        ({"vary": {"generator.steps": "1,1"}}, "two synthetic sets would be called x-vae-steps1"),
        ({"vary": {"generator.stepz": "1,2"}}, "stepz"),
        ({"generators": (), "vary": {"generator.steps": "1,2"}}, "no generator"),
        ({"generators": ("vae", "vae"), "settings": VAE}, "two synthetic sets"),
    ],
)
def test_what_cannot_be_varied_is_refused(order: Orders, tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(UsageFault) as caught:
        prepare(order(**changes), tmp_path / "out")
    assert said in "\n".join([caught.value.message, *caught.value.problems])
