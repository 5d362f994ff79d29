from collections.abc import Callable, Sequence

from pydantic import JsonValue

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.findings import findings, warnings
from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import Results
from cytobench.leaderboards.tables import Table

MakeRecord = Callable[..., Record]


def _row(table: Table, head: str) -> list[str]:
    return next([one.text for one in row[1:]] for row in table.rows if row[0].text == head)


def test_differences_are_said_only_where_a_test_says_so(triple: Results) -> None:
    backbones, sources = findings(triple)
    assert _row(backbones, "site-a (phantom)")[0] == "swin > resnet50, vit;\nresnet50 > vit"
    assert _row(backbones, "raabin")[1] == "no difference was shown"
    assert _row(sources, "swin")[0].startswith("pbc > ")


def test_one_seed_speaks_of_weights_and_not_of_recipes(single: Results, triple: Results) -> None:
    notes = {entry.note for table in findings(single) for row in table.rows for entry in row if ">" in entry.text}
    assert notes == {"one seed"}
    assert {entry.note for table in findings(triple) for row in table.rows for entry in row} == {""}


def test_a_single_entry_has_nothing_to_compare(make_record: MakeRecord) -> None:
    assert findings(evaluate([make_record()]))[0].rows[0][1].text == "nothing to compare"


def test_warnings_name_what_is_not_real_what_is_missing_and_what_failed(single: Results) -> None:
    text = "\n".join(warnings(single))
    for expected in (
        "Preliminary",
        "drawn, not photographs of patients: site-a (phantom)",
        "pbc-dcgan (synthetic)",
        "raabin has no basophil",
        "vit trained on raabin with seed 0, failed(nan, step 123)",
    ):
        assert expected in text


def _trained(record: Record, **changes: JsonValue) -> Record:
    return record._replace(facts=record.facts.model_copy(update={"training": record.facts.training | changes}))


def _unlike(records: Sequence[Record]) -> list[str]:
    return [line for line in warnings(evaluate(records)) if "different numbers of steps" in line]


def test_compared_sources_of_different_length_are_said_and_equal_ones_are_not(make_record: MakeRecord) -> None:
    records = [
        make_record(source=source, target="pbc", seed=seed) for source in ("pbc", "pbc-dcgan") for seed in range(2)
    ]
    assert "pbc (348); pbc-dcgan (synthetic) (228)" in _unlike(records)[0]  # 12 epochs of 900 and 600 images by 32
    assert _unlike([_trained(one, epoch_images=640) for one in records]) == []
    for strange in (None, 0, -1, True, "32"):  # nothing is claimed of records that do not say
        assert _unlike([_trained(one, batch=strange) for one in records]) == []


def test_sources_that_are_not_compared_may_be_of_any_length(make_record: MakeRecord) -> None:
    own = [make_record(source=name, target=name, seed=seed) for name in ("pbc", "raabin") for seed in range(2)]
    assert own[0].facts.source.images_train != own[2].facts.source.images_train
    assert _unlike(own) == []


def test_a_clean_real_board_needs_no_warning(make_record: MakeRecord) -> None:
    assert warnings(evaluate([make_record(seed=seed) for seed in range(2)])) == []


def test_a_synthetic_target_that_shares_ancestors_with_a_source_is_said(make_record: MakeRecord) -> None:
    record = make_record(target="pbc-dcgan")
    guard = record.facts.guard.model_copy(update={"shared_ancestors": 120})
    shared = record._replace(facts=record.facts.model_copy(update={"guard": guard}))
    assert any("no independent test of pbc (120 images)" in line for line in warnings(evaluate([shared])))


def test_a_synthetic_set_without_a_known_generator_is_said(make_record: MakeRecord) -> None:
    record = make_record(target="pbc-dcgan")
    for told in (False, True):  # a folder that brought its ancestry along needs no warning
        target = record.facts.target.model_copy(update={"generator": None, "told": told})
        unknown = record._replace(facts=record.facts.model_copy(update={"target": target}))
        assert any("nobody says what generated it" in line for line in warnings(evaluate([unknown]))) is not told
