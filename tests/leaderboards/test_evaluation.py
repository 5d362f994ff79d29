from collections.abc import Callable

import numpy as np
import pytest

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.metrics import score
from cytobench.leaderboards.record import Predictions, Record
from cytobench.leaderboards.results import METRICS, PRIMARY, Result, Results

MakeRecord = Callable[..., Record]


def _value(result: Result, metric: str) -> float:
    found = result.estimates[metric]
    assert found is not None
    return found.value


def _said(record: Record) -> Predictions:
    assert record.predictions is not None
    return record.predictions


def test_every_backbone_source_and_target_has_its_entry(triple: Results) -> None:
    assert len(triple.entries) == 3 * 4 * 4
    assert [one.name for one in triple.sources] == ["pbc", "raabin", "site-a", "pbc-dcgan"]
    assert [one.shown for one in triple.targets] == ["pbc", "raabin", "site-a (phantom)", "pbc-dcgan (synthetic)"]


def test_values_are_means_over_seeds(triple: Results, make_record: MakeRecord) -> None:
    found = triple.entries["swin", "pbc", "site-a"]
    trials = [_said(make_record("pbc", "site-a", "swin", seed)) for seed in range(3)]
    expected = np.mean([score(one.labels, one.logits).f1_macro for one in trials])
    assert _value(found, "f1_macro") == pytest.approx(expected)
    assert found.counts.sum() == 3 * found.n == 600


def test_every_interval_holds_its_value_within_0_and_1(triple: Results) -> None:
    for entry in triple.entries.values():
        for found in filter(None, entry.estimates.values()):
            assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_failed_trial_is_named_and_the_others_count(single: Results, triple: Results) -> None:
    lost = single.entries["vit", "raabin", "pbc"]
    assert lost.failures == ("failed(nan, step 123)",)
    assert lost.seeds == ()
    assert set(lost.estimates.values()) == {None}
    assert triple.entries["vit", "raabin", "pbc"].seeds == (0, 2)


def test_an_absent_class_leaves_no_macro_auc(triple: Results) -> None:
    for entry in triple.entries.values():
        assert (entry.estimates["auc_macro"] is None) == (entry.target == "raabin")


def test_one_seed_is_preliminary_and_not_ranked(single: Results) -> None:
    assert single.preliminary
    assert {single.rank(one) for one in single.entries.values()} == {None}


def test_ranks_differ_only_where_a_test_separates(triple: Results) -> None:
    assert not triple.preliminary
    ranks = {name: triple.rank(triple.entries[name, "site-a", "pbc"]) for name in triple.backbones}
    assert ranks == {"swin": 1, "resnet50": 2, "vit": 3}
    assert {triple.rank(triple.entries[name, "raabin", "raabin"]) for name in triple.backbones} == {1}


def test_the_corrected_p_is_never_below_the_plain_one(triple: Results) -> None:
    assert len(triple.comparisons) == 4 * (4 * 3 + 3 * 6)
    for one in triple.comparisons:
        assert one.p_holm >= one.difference.p
        first, second = ((one.first, one.fixed), (one.second, one.fixed))
        if one.question == "sources":
            first, second = first[::-1], second[::-1]
        values = [_value(triple.entries[*pair, one.target], PRIMARY) for pair in (first, second)]
        assert one.difference.value == pytest.approx(values[0] - values[1])


def test_the_order_of_records_and_images_changes_nothing(one_seed: list[Record], single: Results) -> None:
    rng = np.random.default_rng(0)

    def shuffled(record: Record) -> Record:
        if record.predictions is None:
            return record
        ids, labels, logits = _said(record)
        order = rng.permutation(len(ids))
        return record._replace(predictions=Predictions(ids[order], labels[order], logits[order]))

    again = evaluate([shuffled(one) for one in one_seed[::-1]])
    for key, entry in again.entries.items():
        assert entry.estimates == single.entries[key].estimates
    assert again.comparisons == single.comparisons


def test_worse_than_the_commonest_class_is_flagged(make_record: MakeRecord) -> None:
    record = make_record("pbc", "raabin")
    silly = np.zeros_like(_said(record).logits)
    silly[:, 0] = 1  # the class that raabin does not even have
    results = evaluate([record._replace(predictions=_said(record)._replace(logits=silly))])
    entry = results.entries["resnet50", "pbc", "raabin"]
    assert _value(entry, "accuracy") == 0.0
    assert entry.below_majority
    assert set(METRICS) == set(entry.estimates)


def test_a_run_in_which_everything_failed_still_makes_results(make_record: MakeRecord) -> None:
    results = evaluate([make_record(failed=True)])
    assert results.entries["resnet50", "pbc", "pbc"].n == 300
    assert results.comparisons == ()
