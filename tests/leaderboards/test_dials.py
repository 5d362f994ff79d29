"""Settings that were varied: lines, tables and figures over their values."""

from collections.abc import Callable

import pytest
from pydantic import JsonValue

from cytobench.leaderboards.dials import dial_figures, dial_tables, dials
from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import PRIMARY, Results

MakeRecord = Callable[..., Record]
VARIED: dict[str, dict[str, JsonValue]] = {
    "pbc-lora-sd-shots16": {"shots": 16, "sampler": "ddim"},
    "pbc-lora-sd-shots1": {"shots": 1, "sampler": "ddim"},
    "pbc-lora-sd-shots4": {"shots": 4, "sampler": "ddim"},
    "pbc-lora-sd-other": {"shots": 4, "sampler": "dpm"},
}


def drawn(record: Record, name: str) -> Record:
    """Return a record of a synthetic source as if it were another one with varied settings."""
    source = record.facts.source
    assert source.generator is not None
    maker = source.generator.model_copy(update={"name": "lora-sd", "varied": VARIED[name], "base": "mini-sd (smears)"})
    changed = source.model_copy(update={"name": name, "generator": maker})
    return record._replace(
        key=f"{record.key[:12]}{name[-12:]:x>12}", facts=record.facts.model_copy(update={"source": changed})
    )


@pytest.fixture(scope="module")
def varied(make_record: MakeRecord) -> Results:
    records = [make_record("pbc", target, "resnet50", seed) for target in ("pbc", "raabin") for seed in (0, 1)]
    for name in VARIED:
        for target in ("pbc", "raabin"):
            records += [drawn(make_record("pbc-dcgan", target, "resnet50", seed), name) for seed in (0, 1)]
    return evaluate(records)


def test_a_line_has_its_values_in_order_and_lone_points_are_none(varied: Results) -> None:
    [dial] = dials(varied)
    assert dial.setting == "shots"
    assert {name: list(line) for name, line in dial.lines.items()} == {"lora-sd, sampler ddim": [1.0, 4.0, 16.0]}
    assert [one.name for one in dial.real] == ["pbc"]


def test_the_table_says_what_the_entries_say(varied: Results) -> None:
    [table] = dial_tables(varied)
    assert table.head == ("shots", "trained on", "resnet50 on pbc", "resnet50 on raabin")
    assert [row[0].text for row in table.rows] == ["1", "4", "16", "–"]
    found = varied.entries["resnet50", "pbc-lora-sd-shots4", "raabin"].estimates[PRIMARY]
    assert found is not None
    assert table.rows[1][3].text == f"{found.value:.3f}"
    assert table.rows[1][3].interval.startswith(f"[{found.low:.3f}")


def test_the_figure_is_drawn(varied: Results) -> None:
    [figure] = dial_figures(varied)
    assert figure.name == "dial-shots"
    assert len(figure.png) > 10_000


def test_without_varied_settings_there_is_nothing(single: Results) -> None:
    assert dials(single) == []
    assert dial_tables(single) == []
    assert dial_figures(single) == []
