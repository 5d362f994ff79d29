from collections.abc import Callable

import pytest

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import Results
from cytobench.leaderboards.tables import (
    NOT_DEFINED,
    Table,
    networks,
    number,
    per_class,
    same_dataset,
    sets,
    source_by_target,
)

MakeRecord = Callable[..., Record]


def _texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


@pytest.mark.parametrize(
    ("value", "shown"), [(0.9996, "0.999"), (1.0, "1.000"), (0.0, "0.000"), (0.0001, "0.001"), (0.12349, "0.123")]
)
def test_numbers_never_round_to_perfect(value: float, shown: str) -> None:
    assert number(value) == shown


def test_the_same_set_tables_have_every_metric_with_n_and_interval(triple: Results) -> None:
    tables = same_dataset(triple)
    assert len(tables) == 4
    for table in tables:
        assert "n = " in table.caption
        assert len(table.head) == 3 + 8
        for row in table.rows:
            assert all(entry.interval or entry.text == NOT_DEFINED for entry in row[3:])


def test_the_best_stands_on_top_and_ties_share_a_rank(triple: Results) -> None:
    table = same_dataset(triple)[0]
    assert [row[0].text for row in table.rows] == ["swin", "resnet50", "vit"]
    assert [row[1].text for row in table.rows] == ["1", "1", "1"]


def test_an_absent_class_is_said_and_its_auc_is_not_a_number(triple: Results) -> None:
    table = same_dataset(triple)[1]
    assert "no basophil" in table.caption
    assert {row[-1].text for row in table.rows} == {NOT_DEFINED}


def test_one_seed_is_marked_preliminary(single: Results) -> None:
    table = same_dataset(single)[0]
    assert {(row[1].text, row[1].note) for row in table.rows} == {("–", "preliminary")}


def test_source_by_target_marks_the_diagonal_and_only_that(triple: Results) -> None:
    tables = source_by_target(triple, metric="accuracy")
    assert [table.title for table in tables] == ["resnet50: accuracy", "swin: accuracy", "vit: accuracy"]
    for table in tables:
        marked = [(r, c) for r, row in enumerate(table.rows) for c, one in enumerate(row[1:]) if one.mark == "diagonal"]
        assert marked == [(k, k) for k in range(4)]
        assert table.head[1:] == (
            "pbc, n = 300",
            "raabin, n = 250",
            "site-a (phantom), n = 200",
            "pbc-dcgan (synthetic), n = 200",
        )


def test_a_failed_trial_appears_with_its_step(single: Results, triple: Results) -> None:
    table = source_by_target(single, metric="f1_macro")[2]
    assert {entry.text for entry in table.rows[1][1:]} == {"failed(nan, step 123)"}
    assert {entry.mark for entry in table.rows[1][1:]} == {"failed"}
    partly = source_by_target(triple, metric="f1_macro")[2]
    assert "failed(nan, step 123)" in partly.rows[1][1].note


def test_what_was_not_run_is_a_dash(make_record: MakeRecord) -> None:
    results = evaluate([make_record("pbc", "raabin"), make_record("raabin", "pbc")])
    assert _texts(source_by_target(results, metric="accuracy")[0])[0][1] == "–"
    assert same_dataset(results) == []


def test_the_sets_table_says_what_every_set_is(triple: Results) -> None:
    rows = {row[0]: row for row in _texts(sets(triple))}
    assert rows["pbc"][1:5] == ["real", "900", "300", "300"]
    assert rows["raabin"][5] == "basophil"
    assert rows["pbc-dcgan"][6] == "dcgan, trained on pbc (real)"
    assert len(rows["site-a"][7]) == 12


def test_backbones_stand_once_with_their_resolved_names(triple: Results) -> None:
    assert [row[1] for row in _texts(networks(triple))] == [
        "timm: resnet50.a1_in1k",
        "timm: swin_t",
        "timm: vit_small_patch16_224",
    ]


def test_every_class_has_its_line_and_an_absent_one_no_number(triple: Results) -> None:
    tables = per_class(triple, "swin")
    assert len(tables) == 4
    assert len(tables[0].rows) == 4 * 5
    basophil = tables[1].rows[0]
    assert [entry.text for entry in basophil[1:]] == ["basophil", "0", *[NOT_DEFINED] * 4]


def test_a_set_made_from_drawings_says_so(make_record: MakeRecord) -> None:
    record = make_record(target="pbc-dcgan")
    assert record.facts.target.generator is not None
    maker = record.facts.target.generator.model_copy(update={"nature_of_training": "phantom"})
    target = record.facts.target.model_copy(update={"generator": maker})
    found = evaluate([record._replace(facts=record.facts.model_copy(update={"target": target}))])
    assert found.targets[0].shown == "pbc-dcgan (synthetic from phantom)"
