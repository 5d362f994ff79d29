"""Scores over the dial of levels, and when a fall is called one."""

from collections.abc import Callable

import numpy as np
import pytest

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.ladders import falls, ladder_figures, ladder_tables, ladders
from cytobench.leaderboards.record import Record, Scenes
from cytobench.leaderboards.results import PRIMARY, Results
from cytobench.store import digest

MakeRecord = Callable[..., Record]
DIALS = {"base": 0.0, "0.5": 0.5, "complex": 1.0}


def on_level(record: Record, level: str, *, harder: float) -> Record:
    """Return a record as if it had been tested on scenes of a level, its right answers worth less there."""
    assert record.predictions is not None
    labels, logits = record.predictions.labels, record.predictions.logits.copy()
    logits[np.arange(len(labels)), labels] -= np.float32(harder * DIALS[level])
    scenes = Scenes(
        level=level, dial=DIALS[level], cells="pbc-dcgan", config={"number": [0, 0]}, optics={"field": 32.0}
    )
    name = f"pbc-dcgan-{level}"
    target = record.facts.target.model_copy(
        update={"name": name, "scenes": scenes, "split_sha256": digest(["split", name]), "key": digest(name)[:24]}
    )
    ids = np.array([f"{name}-{one}" for one in record.predictions.ids])
    return record._replace(
        key=digest([record.key, level])[:24],
        facts=record.facts.model_copy(update={"target": target}),
        predictions=record.predictions._replace(ids=ids, logits=logits),
    )


def results_of(make_record: MakeRecord, harder: float) -> Results:
    return evaluate(
        [
            on_level(make_record(source, "pbc-dcgan", "resnet50", seed), level, harder=harder)
            for source in ("pbc", "pbc-dcgan")
            for level in DIALS
            for seed in (0, 1, 2)
        ]
    )


def test_rungs_are_in_the_order_of_the_dial_and_say_what_the_entries_say(make_record: MakeRecord) -> None:
    results = results_of(make_record, 3.0)
    [ladder] = ladders(results)
    assert list(ladder.rungs) == [0.0, 0.5, 1.0]
    [table] = ladder_tables(results)
    assert table.head[2:5] == ("dial 0 (base)", "dial 0.5 (0.5)", "dial 1 (complex)")
    row = next(row for row in table.rows if row[1].text.startswith("pbc-dcgan"))
    found = results.entries["resnet50", "pbc-dcgan", "pbc-dcgan-complex"].estimates[PRIMARY]
    assert found is not None
    assert row[4].text == f"{found.value:.3f}"
    [figure] = ladder_figures(results)
    assert figure.name == "levels-pbc-dcgan"
    assert len(figure.png) > 10_000


def test_a_score_that_falls_is_said_to_and_one_that_does_not_is_not(make_record: MakeRecord) -> None:
    falling, level = results_of(make_record, 3.0), results_of(make_record, 0.0)
    for results, said in ((falling, "falls"), (level, "no difference was shown")):
        [ladder] = ladders(results)
        assert len(falls(results, ladder)) == 2
        [table] = ladder_tables(results)
        assert all(row[-1].text.startswith(said) for row in table.rows)
    ends = [
        falling.entries["resnet50", "pbc", f"pbc-dcgan-{level}"].estimates[PRIMARY] for level in ("base", "complex")
    ]
    change = next(one.change for one in falls(falling, ladders(falling)[0]) if one.source == "pbc")
    assert ends[0] is not None and ends[1] is not None  # noqa: PT018
    assert change.value == pytest.approx(ends[1].value - ends[0].value)
    assert change.low < change.value < change.high < 0


def test_without_scenes_there_is_nothing(single: Results) -> None:
    assert ladders(single) == []
    assert ladder_tables(single) == []
    assert ladder_figures(single) == []
