"""The dial: stops, what lies between, and what is refused."""

from itertools import pairwise
from pathlib import Path

import pytest

from cytobench import registry
from cytobench.composers.levels import Level, level_of, named
from cytobench.errors import UsageFault


def test_the_stops_get_harder() -> None:
    stops = sorted((named(name) for name in registry.names("level")), key=lambda one: one.dial or 0)
    assert [one.dial for one in stops][:1] == [0.0]
    assert len(stops) >= 5
    for easier, harder in pairwise(stops):
        assert easier.number[0] <= harder.number[0]
        assert easier.number[1] <= harder.number[1]
        assert easier.overlap <= harder.overlap
        assert easier.visible >= harder.visible
        assert easier.title


def test_base_and_complex_are_what_the_paper_says() -> None:
    base, full = named("base"), named("complex")
    assert base.number == (0, 0)
    assert (full.distance, full.spread, full.overlap) == (0.3, 0.1, 0.85)
    assert full.defocus == full.drift == 0, "Complex contains the same Base image"


def test_a_number_between_two_stops_is_their_mixture() -> None:
    low, high = named("complex"), named("crowded")
    between = level_of("1.25")
    assert between.visible == pytest.approx((low.visible + high.visible) / 2)
    assert low.number[1] < between.number[1] < high.number[1]
    assert level_of("1") == level_of("complex")


@pytest.mark.parametrize("text", ["7", "-1", "complx"])
def test_what_is_not_on_the_dial_is_refused(text: str) -> None:
    with pytest.raises(UsageFault) as caught:
        level_of(text)
    assert "complex" in str(caught.value)


@pytest.mark.parametrize(
    "content", ["number = [3, 1]", "number = [1, 3]\ncolour = 2", "number = [0, 400]", "overlap = 0.2"]
)
def test_a_level_that_makes_no_sense_is_refused(content: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "composers/levels").mkdir(parents=True)
    (tmp_path / "composers/levels/mine.toml").write_text(content)
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path))
    with pytest.raises(UsageFault, match="mine"):
        named("mine")


def test_a_level_of_ones_own_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "composers/levels").mkdir(parents=True)
    (tmp_path / "composers/levels/mine.toml").write_text('title = "Two"\nnumber = [2, 2]\n')
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path))
    assert level_of("mine") == Level(title="Two", number=(2, 2))
