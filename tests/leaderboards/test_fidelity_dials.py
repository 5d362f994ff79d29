"""Fidelity over a dial, and who is nearer: tables that say what the records say, and a board without any classifier."""

from pathlib import Path

import pytest
from scipy import stats

from cytobench.errors import UsageFault
from cytobench.leaderboards.board import write_board
from cytobench.leaderboards.fidelity import ALL, ExtractorFacts, FidelityFacts, FidelityRecord, Line, Metric, Reading
from cytobench.leaderboards.fidelity_dials import fidelity_dial_figures, fidelity_dial_tables, fidelity_dials
from cytobench.leaderboards.fidelity_tables import with_scatter
from cytobench.leaderboards.nearness import nearness_tables, welch
from cytobench.leaderboards.record import Generator
from cytobench.store import digest

LOOK = "thumbnails"
VALUES = {"flow": (9.0, 5.0, 2.0), "vae": (6.0, 5.5, 5.0)}
SECONDS = (30, 60, 120)


def record(generator: str, seconds: float, number: int, value: float, **changes: object) -> FidelityRecord:
    def line(metric: Metric, scale: float) -> Line:
        found = Reading(value=scale * value, low=scale * (value - 0.5), high=scale * (value + 0.5))
        floor = Reading(value=0.1 * scale, low=0.0, high=0.2 * scale)
        return Line(extractor=LOOK, scope=ALL, n=100, metric=metric, found=found, floor=floor)

    maker = Generator(
        name=generator, varied={"seconds": seconds}, config={"steps": 7, "batch": 8, "learning_rate": 0.1},
        trained_on="x", nature_of_training="phantom",
    )  # fmt: skip
    facts = FidelityFacts(
        protocol="p", profile="demo", synthetic=f"x-{generator}-seconds{seconds:g}", number=number, generator=maker,
        reference="the test part of x", floor="the training part of x", image_size=16, classes=("a", "b"),
        images={"reference": 100, "floor": 300, "synthetic": 100},
        extractors=(ExtractorFacts(name=LOOK, origin="none", sha256="ab" * 32, width=192),),
        lines=(line("frechet", 1.0), line("kid", 0.01)), copies=(), problems=(), seed=0,
        device={"kind": "cpu"}, versions={"numpy": "2"},
    ).model_copy(update=changes)  # fmt: skip
    return FidelityRecord(
        digest([facts.synthetic, number])[:24], facts, digest(facts.model_dump(mode="json", by_alias=True))
    )


@pytest.fixture(scope="module")
def curve() -> list[FidelityRecord]:
    """Return two generators at three budgets, three trainings each; flow is nearer at the largest budget alone."""
    return [
        record(name, seconds, number, value + 0.1 * number)
        for name, values in VALUES.items()
        for seconds, value in zip(SECONDS, values, strict=True)
        for number in range(3)
    ]


def test_a_line_has_its_values_in_order_whatever_the_order_of_the_records(curve: list[FidelityRecord]) -> None:
    [dial] = fidelity_dials(curve[::-1])
    assert (dial.setting, dial.extractor) == ("seconds", LOOK)
    assert {name: list(line) for name, line in dial.lines.items()} == {
        "vae": [30.0, 60.0, 120.0],
        "flow": [30.0, 60.0, 120.0],
    }
    found = dial.lines["flow"][120.0].found["frechet"]
    assert found is not None
    assert found.value == pytest.approx(2.1)
    assert found.high - found.low > 1.0, "the scatter between trainings widens the interval"


def test_what_was_seen_and_what_was_not_are_two_lines(curve: list[FidelityRecord]) -> None:
    again = [
        one._replace(
            facts=one.facts.model_copy(update={"synthetic": f"{one.facts.synthetic}-all", "reference_seen": 9})
        )
        for one in curve
    ]
    [dial] = fidelity_dials([*curve, *again])
    assert set(dial.lines) == {"flow, seen", "flow, held out", "vae, seen", "vae, held out"}


def test_the_table_says_what_the_records_say(curve: list[FidelityRecord]) -> None:
    [table] = fidelity_dial_tables(curve)
    assert table.head[:3] == ("seconds", "generator", "trainings")
    row = next(one for one in table.rows if (one[0].text, one[1].text) == ("120", "flow"))
    assert [entry.text for entry in row[2:]] == ["3", "2.100 ± 0.082", "0.100", "0.02100 ± 0.00082", "0.001"]


def test_what_some_training_lacks_has_no_point(curve: list[FidelityRecord]) -> None:
    first = curve[0].facts
    less = first.model_copy(update={"lines": tuple(line for line in first.lines if line.metric == "kid")})
    [dial] = fidelity_dials([curve[0]._replace(facts=less), *curve[1:]])
    assert dial.lines["flow"][30.0].found["frechet"] is None
    assert dial.lines["flow"][30.0].found["kid"] is not None


def test_the_figure_is_drawn_once_for_a_setting(curve: list[FidelityRecord]) -> None:
    [figure] = fidelity_dial_figures(curve)
    assert figure.name == "dial-seconds-fidelity"
    assert len(figure.png) > 10_000
    assert fidelity_dial_figures([one for one in curve if one.facts.generator and one.facts.number > 5]) == []


def test_every_budget_has_its_answer(curve: list[FidelityRecord]) -> None:
    [table] = nearness_tables(curve)
    assert {row[0].text: row[1].text for row in table.rows} == {
        "seconds 30": "x-vae-seconds30 < x-flow-seconds30",
        "seconds 60": "x-flow-seconds60 < x-vae-seconds60",
        "seconds 120": "x-flow-seconds120 < x-vae-seconds120",
    }


def test_nothing_is_concluded_from_what_scatters_as_much_or_comes_from_one_training() -> None:
    close = [record(name, 30, number, 5.0 + number + shift) for name, shift in (("vae", 0.0), ("flow", 0.2))
             for number in range(3)]  # fmt: skip
    [table] = nearness_tables(close)
    assert table.rows[0][1].text == "no difference was shown"
    [table] = nearness_tables([one for one in close if one.facts.number == 0])
    assert table.rows[0][1].text == "one training: not ranked"
    assert nearness_tables(close[:3]) == []


def test_what_is_compared_with_other_images_is_not_compared() -> None:
    one, other = record("vae", 30, 0, 5.0), record("flow", 30, 0, 9.0, reference="all of x")
    assert nearness_tables([one, other]) == []


def test_p_values_are_welchs_and_corrected(curve: list[FidelityRecord]) -> None:
    one, other = [1.0, 1.4, 1.1], [1.5, 1.6, 1.9, 1.4]
    assert welch(one, other) == pytest.approx(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert (welch([1.0, 1.0], [1.0, 1.0]), welch([1.0, 1.0], [2.0, 2.0])) == (1.0, 0.0)
    alone = [record(name, 30, k, value) for name, values in (("vae", one), ("flow", other)) for k, value in
             enumerate(values)]  # fmt: skip
    assert 0.05 / 3 < welch(one, other) < 0.05
    [table] = nearness_tables(alone)
    assert "<" in table.rows[0][1].text
    [table] = nearness_tables([*alone, *(record("ddpm", 30, k, value) for k, value in enumerate([1.3, 1.5, 1.4]))])
    assert table.rows[0][1].text == "no difference was shown", "three comparisons ask for more than one"


def test_a_board_without_classifiers_shows_fidelity_alone(curve: list[FidelityRecord], tmp_path: Path) -> None:
    seen = [one._replace(facts=one.facts.model_copy(update={"reference_seen": 77})) for one in curve]
    files = write_board([], tmp_path, title="t", command="c", choices=["a choice"], measured=seen)
    for text in (files.markdown.read_text(), files.html.read_text()):
        assert "Fidelity" in text
        assert "learned from 77 of the very real images" in text
        assert "Phantom images are drawn" in text
        assert "Which generator is nearer" in text
        assert "What can be said" not in text
        assert "0 backbones" not in text
    assert "Protocol p, profile demo" in files.markdown.read_text()
    assert [one.name for one in files.figures] == ["dial-seconds-fidelity.png"]
    with pytest.raises(UsageFault, match="no records"):
        write_board([], tmp_path, title="t", command="c", choices=[])


@pytest.mark.parametrize(
    ("value", "scatter", "shown"),
    [(201.7312, 0.2345, "201.73 ± 0.23"), (1234.5, 21.0, "1,234 ± 21"), (0.5, 0.0, "0.500 ± 0")],
)
def test_a_scatter_has_two_digits_that_count(value: float, scatter: float, shown: str) -> None:
    assert with_scatter(value, scatter) == shown
