"""What the report calls a problem, and what it does not."""

from collections.abc import Callable

import numpy as np
import pytest

from cytobench.benchmarks.fidelity import report
from cytobench.benchmarks.fidelity.report import Sides
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.leaderboards.fidelity import ALL, Line, Reading

Maker = Callable[..., Line]


@pytest.fixture
def frechet() -> Maker:
    """Return a maker of lines of Fréchet distances."""

    def make(scope: str, note: str, *, given: bool = False) -> Line:
        reading = Reading(value=1.0, low=0.5, high=1.5) if given else None
        return Line(extractor="x", scope=scope, n=9, metric="frechet", found=reading, floor=reading, note=note)

    return make


def test_features_that_are_no_numbers_are_not_called_too_few() -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (30, 4, 4, 3), dtype=np.uint8)
    codes = np.zeros(30, dtype=np.int64)
    real = Shown(images, codes, {"x": rng.normal(size=(30, 2)).astype(np.float32)})
    broken = Shown(images, codes, {"x": np.full((30, 2), np.nan, dtype=np.float32)})
    found = report.measure(Sides(real, real, broken), ("a",), few=False, seed=0)
    assert {one.name for one in found.problems} == {"exploded"}


def test_what_is_refused_and_what_is_marked_are_told_apart(frechet: Maker) -> None:
    note = f"{report.TOO_SMALL}9 images for 20 features"
    told = report._too_few([frechet(ALL, note, given=True), frechet("a", note), frechet("b", "12 images are needed")])
    assert [(one.scope, "refused" in one.text) for one in told] == [(ALL, False), ("a", True)]
