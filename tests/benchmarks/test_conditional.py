"""A generator that is told the class is fitted once per partition, and draws every class of it."""

from collections.abc import Callable
from pathlib import Path

from cytobench.benchmarks.order import Order
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.datasets.imageset import TABLE, read_table
from tests.benchmarks.conftest import carry_out


def test_one_fit_per_partition_draws_all_classes(order: Callable[..., Order], tmp_path: Path) -> None:
    settings = {
        **{"generator.steps": "2", "generator.batch": "4", "generator.channels": "[8, 8]", "generator.chunk": "4"},
        **{"generator.components": "0", "generator.evaluations": "2"},
    }
    done = carry_out(order(generators=("ddpm-class",), settings=settings), tmp_path / "out")
    fits = [step for step in done.plan.steps if isinstance(step, FitGenerator)]
    assert [(fit.partition, fit.classes) for fit in fits] == [("a", ("a", "b")), ("b", ("a", "b"))]
    [drawn] = (step for step in done.plan.steps if isinstance(step, DrawSynthetic))
    table = read_table(done.context.folder(drawn.reference) / TABLE)
    assert table.groupby(["split", "label"]).size().to_dict() == {
        (split, label): count for split, count in (("train", 6), ("val", 2), ("test", 3)) for label in "ab"
    }
    assert table["pixel_sha256"].is_unique
    by_fit = table.groupby("split")["generator_run"].unique().map(list).to_dict()
    assert by_fit == {"train": [fits[0].reference], "val": [fits[0].reference], "test": [fits[1].reference]}
