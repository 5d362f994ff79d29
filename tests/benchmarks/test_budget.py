"""Generators at equal compute: seconds become steps."""

from pathlib import Path

import pytest

from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import prepare
from cytobench.benchmarks.steps.pace import TimeStep
from cytobench.benchmarks.steps.synthesis import FitGenerator
from cytobench.errors import UsageFault
from cytobench.generators import flops


@pytest.fixture
def a_step_of_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimeStep, "outcome", lambda _self, _context: 0.5)
    monkeypatch.setattr(flops, "flops", lambda *_, **__: flops.Flops(step=3, image=7))  # tests of their own


def fits(
    tmp_path: Path, *generators: str, settings: dict[str, str] | None = None, vary: dict[str, str] | None = None
) -> list[FitGenerator]:
    asked = Order(
        generators=generators, backbones=(), protocol="generator-league", settings=settings or {}, vary=vary or {}
    )
    return [step for step in prepare(asked, tmp_path).plan.steps if isinstance(step, FitGenerator)]


@pytest.mark.usefixtures("a_step_of_half_a_second")
class TestSteps:
    def test_fits_share_the_seconds(self, tmp_path: Path) -> None:
        planned = fits(tmp_path, "vae", "flow", settings={"generator.seconds": "100"})
        assert {(step.generator, step.config["steps"]) for step in planned} == {("vae", 40), ("flow", 200)}
        assert len(planned) == 5 + 1
        assert {step.partition for step in planned} == {"train"}

    def test_what_the_steps_cost_stands_in_the_specification(self, tmp_path: Path) -> None:
        asked = Order(
            generators=("vae",), backbones=(), protocol="generator-league", settings={"generator.seconds": "100"}
        )
        [spec] = prepare(asked, tmp_path).resolved.spec.generators
        assert (spec.fits, spec.training_flops, spec.image_flops) == (5, 40 * 5 * 3, 7)

    def test_seconds_can_be_varied(self, tmp_path: Path) -> None:
        planned = fits(tmp_path, "flow", vary={"generator.seconds": "10,20"})
        assert sorted(step.config["steps"] for step in planned) == [20, 40]

    def test_too_few_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(UsageFault, match=r"a step takes 0.50 s and 1 s are for 5 fit"):
            fits(tmp_path, "vae", settings={"generator.seconds": "1"})

    @pytest.mark.parametrize("text", ["soon", "-1", "true", "inf"])
    def test_only_seconds_are_seconds(self, text: str, tmp_path: Path) -> None:
        with pytest.raises(UsageFault, match="no time"):
            fits(tmp_path, "vae", settings={"generator.seconds": text})


def test_a_step_is_timed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [step.config["steps"] for step in fits(tmp_path, "vae", settings={"generator.seconds": "60"})]

    def never(*_: object) -> None:
        raise AssertionError("it is known already")

    monkeypatch.setattr(TimeStep, "run", never)
    again = [step.config["steps"] for step in fits(tmp_path, "vae", settings={"generator.seconds": "60"})]
    assert again == first
    assert min(first) > 1
