from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.admission import REQUIRED_CHECKS, admit, faults, place
from cytobench.leaderboards.record import Predictions, Record

MakeRecord = Callable[..., Record]


def _said(record: Record) -> Predictions:
    assert record.predictions is not None
    return record.predictions


def _changed(record: Record, part: str | None = None, **values: Any) -> Record:
    facts = record.facts
    if part is None:
        return record._replace(facts=facts.model_copy(update=values))
    inner = getattr(facts, part).model_copy(update=values)
    return record._replace(facts=facts.model_copy(update={part: inner}))


def test_clean_records_are_admitted_in_the_order_of_their_places(one_seed: list[Record]) -> None:
    assert admit(one_seed[::-1]) == sorted(one_seed, key=place)


def test_no_record_makes_no_board() -> None:
    with pytest.raises(UsageFault, match="no finished record"):
        admit([])


@pytest.mark.parametrize("check", REQUIRED_CHECKS)
def test_a_guard_that_skipped_a_check_is_refused(make_record: MakeRecord, check: str) -> None:
    rest = tuple(one for one in REQUIRED_CHECKS if one != check)
    with pytest.raises(IntegrityFault) as caught:
        admit([_changed(make_record(), "guard", checks=rest)])
    assert caught.value.exit_code == 5
    assert check in caught.value.problems[0]


def test_the_required_checks_are_those_of_the_guard() -> None:
    from cytobench.datasets.guard import CHECKS

    assert set(REQUIRED_CHECKS) <= set(CHECKS)


def test_exposed_test_images_are_refused(make_record: MakeRecord) -> None:
    with pytest.raises(IntegrityFault) as caught:
        admit([_changed(make_record(), "guard", exposed_images=3)])
    assert "3 test images were seen" in caught.value.problems[0]


def test_a_guard_that_saw_only_some_test_images_is_refused(make_record: MakeRecord) -> None:
    assert "checked 7 of 300" in faults(_changed(make_record(), "guard", test_images=7))[0]


def test_a_synthetic_image_in_a_real_target_is_refused(make_record: MakeRecord) -> None:
    record = make_record()
    ids = _said(record).ids.astype("U32")
    ids[5] = "synthetic:5"
    with pytest.raises(IntegrityFault) as caught:
        admit([record._replace(predictions=_said(record)._replace(ids=ids))])
    assert "1 test images of pbc, a real set, are synthetic" in caught.value.problems[0]


def test_synthetic_images_may_stand_in_a_synthetic_target(make_record: MakeRecord) -> None:
    record = make_record(target="pbc-dcgan")
    ids = np.array([f"synthetic:{one}" for one in _said(record).ids])
    assert admit([record._replace(predictions=_said(record)._replace(ids=ids))])


def test_one_record_twice_counts_once(make_record: MakeRecord) -> None:
    record = make_record()
    assert admit([record, record._replace(key="copy")]) == [
        min(record, record._replace(key="copy"), key=lambda r: r.key)
    ]


def test_two_records_with_different_content_cannot_claim_one_place(make_record: MakeRecord) -> None:
    record = make_record()
    other = record._replace(predictions=_said(record)._replace(logits=_said(record).logits + 1))
    for rival in (other, _changed(record, best_epoch=3), make_record(failed=True)):
        with pytest.raises(IntegrityFault, match="different content claim resnet50/pbc/pbc/0"):
            admit([record, rival._replace(key="other")])


@pytest.mark.parametrize("change", [{"protocol": "x"}, {"profile": "paper"}, {"classes": ("a", "b", "c", "d", "e")}])
def test_records_of_two_experiments_cannot_share_a_board(make_record: MakeRecord, change: dict[str, Any]) -> None:
    with pytest.raises(UsageFault, match="cannot share a board"):
        admit([make_record(), _changed(make_record(seed=1), **change)])


def test_records_of_two_splits_cannot_share_a_board(make_record: MakeRecord) -> None:
    with pytest.raises(IntegrityFault) as caught:
        admit([make_record(), _changed(make_record(seed=1), "target", split_sha256="0" * 64)])
    assert "target pbc split" in caught.value.problems[0]


def test_a_source_that_was_two_things_for_one_seed_is_refused(make_record: MakeRecord) -> None:
    with pytest.raises(IntegrityFault) as caught:
        admit([make_record(), _changed(make_record(backbone="vit"), "source", key="other")])
    assert "source pbc with seed 0" in caught.value.problems[0]


def test_a_label_that_changed_between_records_is_refused(make_record: MakeRecord) -> None:
    record = make_record(seed=1)
    labels = _said(record).labels.copy()
    labels[0] = 4
    with pytest.raises(IntegrityFault) as caught:
        admit([make_record(), record._replace(predictions=_said(record)._replace(labels=labels))])
    assert "test images and labels" in caught.value.problems[0]


def test_an_image_cannot_be_real_and_synthetic(make_record: MakeRecord) -> None:
    real, made = make_record(), make_record(target="pbc-dcgan")
    ids = _said(made).ids.copy()
    ids[0] = _said(real).ids[0]
    with pytest.raises(IntegrityFault) as caught:
        admit([real, made._replace(predictions=_said(made)._replace(ids=ids))])
    assert "1 test images are both in pbc (real) and in pbc-dcgan (synthetic)" in caught.value.problems[0]
