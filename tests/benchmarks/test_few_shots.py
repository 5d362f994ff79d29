"""A generator that is told in words what to draw, and takes few images, in a whole run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import Prepared, prepare
from cytobench.benchmarks.steps.ancestry import generated_from
from cytobench.benchmarks.steps.synthesis import SEEN, FitGenerator
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import EnvironmentFault, UsageFault
from cytobench.leaderboards.record import read
from tests.benchmarks.conftest import carry_out
from tests.benchmarks.test_kill import kill_and_restart
from tests.generators.stable_diffusion.tiny import write_base

Orders = Callable[..., Order]

PROMPTS = '{a = "a round cell", b = "a lobed cell"}'
SMALL = {
    "generator.steps": "2", "generator.batch": "2", "generator.chunk": "8", "generator.evaluations": "2",
    "generator.rank": "2", "generator.texts": PROMPTS, "generator.turns": "false", "generator.shots": "2",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    from cytobench.generators.stable_diffusion import base

    monkeypatch.setattr(base, "EMBEDDED", write_base(tmp_path_factory.mktemp("base") / "tiny"))


def lora(order: Orders, **changes: str) -> Order:
    return order(
        generators=("lora-sd",), settings=SMALL | {f"generator.{name}": text for name, text in changes.items()}
    )


def fits(done: Prepared) -> list[FitGenerator]:
    return [step for step in done.plan.steps if isinstance(step, FitGenerator)]


def seen(done: Prepared, step: FitGenerator) -> pd.DataFrame:
    return read_table(done.context.store.folder(step) / SEEN)


def test_the_guard_knows_every_shot_and_nothing_else(order: Orders, tmp_path: Path) -> None:
    done = carry_out(lora(order), tmp_path / "out")
    assert sorted((step.partition, step.classes) for step in fits(done)) == [(p, (c,)) for p in "ab" for c in "ab"]
    drawn = read_table(done.context.folder(done.plan.sides[2].split) / TABLE)
    frozen = read_table(done.context.folder(done.plan.sides[0].split) / TABLE)
    for step in fits(done):
        shots = seen(done, step)
        assert len(set(shots["pixel_sha256"])) == len(shots) == 2
        mine = frozen[(frozen["partition"] == step.partition) & (frozen["label"] == step.classes[0])]
        assert set(shots["pixel_sha256"]) < set(mine["pixel_sha256"])
        assert generated_from(done.context, drawn[drawn["generator_run"] == step.reference]).pixels == set(
            shots["pixel_sha256"]
        )
    records = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    assert {("x", "x-lora-sd"), ("x-lora-sd", "x")} < {(one.source.name, one.target.name) for one in records}
    spec: dict[str, Any] = done.resolved.spec.model_dump()["generators"][0]["config"]
    assert len(spec["base_sha256"]) == 64
    assert spec["texts"] == {"a": "a round cell", "b": "a lobed cell"}


def test_one_adapter_for_all_classes_is_fitted_once_per_partition(order: Orders, tmp_path: Path) -> None:
    done = carry_out(lora(order, adapters="shared"), tmp_path / "out")
    assert [(step.partition, step.classes) for step in fits(done)] == [("a", ("a", "b")), ("b", ("a", "b"))]
    assert all(seen(done, step)["label"].value_counts().to_dict() == {"a": 2, "b": 2} for step in fits(done))


def test_another_prompt_is_another_run(order: Orders, tmp_path: Path) -> None:
    keys = {
        fits(prepare(lora(order, **change), tmp_path / "out"))[0].key
        for change in ({}, {"texts": PROMPTS.replace("round", "flat")})
    }
    assert len(keys) == 2


@pytest.mark.fault(64)
def test_what_is_missing_is_said_before_anything_is_trained(order: Orders, tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no base model"):
        prepare(lora(order, base="/no/such/folder"), tmp_path / "out")
    with pytest.raises(UsageFault, match="'a' has no prompt"):
        prepare(lora(order, texts="{}"), tmp_path / "out")


def test_a_run_with_adapters_killed_at_random_moments_ends_with_the_same_bytes(order: Orders, tmp_path: Path) -> None:
    kill_and_restart(lora(order), tmp_path, 3)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_with_adapters_killed_a_hundred_times_ends_with_the_same_bytes(order: Orders, tmp_path: Path) -> None:
    kill_and_restart(lora(order), tmp_path, 100)


def test_a_base_that_is_not_adapted_has_seen_nothing(order: Orders, tmp_path: Path) -> None:
    settings = SMALL | {"synthetic.fits": "1"}
    settings.pop("generator.steps")
    asked = order(generators=("lora-sd",), settings=settings, vary={"generator.steps": "0,2"}, protocol="utility")
    done = carry_out(asked, tmp_path / "out")
    assert {len(seen(done, step)) for step in fits(done) if step.config["steps"] == 0} == {0}
    assert {len(seen(done, step)) for step in fits(done) if step.config["steps"] == 2} == {2}
    facts = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    assert {one.source.generator.base for one in facts if one.source.generator} == {
        "mini-sd (trained on phantom smears)"
    }
    board = (done.folder / "board/README.md").read_text()
    assert "beginning with mini-sd (trained on phantom smears)" in board
