from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from scipy.special import softmax
from scipy.stats import rankdata
from sklearn import metrics as sk

from cytobench.leaderboards.metrics import area, averages, confusion, margins, midranks, predicted, rates, score


@st.composite
def _trials(draw: Any) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Labels (every class present) and logits with ties."""
    classes = draw(st.integers(2, 6))
    extra = draw(st.lists(st.integers(0, classes - 1), max_size=40))
    labels = np.array([*range(classes), *extra], dtype=np.int64)
    shape = (len(labels), classes)
    logits = draw(hnp.arrays(np.float32, shape, elements=st.integers(-8, 8).map(lambda one: one / 4)))
    return labels, logits


@settings(max_examples=40, deadline=None)
@given(_trials())
def test_every_score_is_that_of_scikit_learn(trial: tuple[NDArray[np.int64], NDArray[np.float32]]) -> None:
    labels, logits = trial
    said, found = predicted(logits), score(labels, logits)
    known = list(range(logits.shape[1]))
    assert found.accuracy == pytest.approx(sk.accuracy_score(labels, said))
    for average in ("macro", "weighted"):
        expected = sk.precision_recall_fscore_support(labels, said, labels=known, average=average, zero_division=0)
        actual = [getattr(found, f"{name}_{average}") for name in ("precision", "recall", "f1")]
        assert actual == pytest.approx(expected[:3])
    each = sk.precision_recall_fscore_support(labels, said, labels=known, average=None, zero_division=0)
    for k, scores in enumerate(found.per_class):
        assert (scores.precision, scores.recall, scores.f1, scores.support) == pytest.approx([row[k] for row in each])
        assert scores.auc == pytest.approx(sk.roc_auc_score(labels == k, margins(logits)[:, k]))


def test_the_macro_auc_is_scikit_learns_one_vs_rest() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    logits = rng.normal(size=(300, 4)) + np.eye(4)[labels]
    expected = sk.roc_auc_score(labels, softmax(logits, axis=1), multi_class="ovr", average="macro")
    assert score(labels, logits).auc_macro == pytest.approx(expected, abs=1e-12)


def test_confident_logits_are_still_ranked_where_the_softmax_rounds_to_one() -> None:
    logits = np.array([[60.0, 0, 0], [50, 0, 0], [40, 0, 0], [45, 0, 0]], dtype=np.float32)
    labels = np.array([0, 0, 1, 2])
    assert softmax(logits.astype(np.float64), axis=1)[:2, 0].tolist() == [1.0, 1.0]
    assert score(labels, logits).per_class[0].auc == 1.0


def test_hand_counted_example() -> None:
    labels = np.array([0, 0, 0, 1, 1, 2])
    logits = np.eye(3)[[0, 0, 1, 1, 2, 2]]
    found = score(labels, logits)
    assert confusion(labels, predicted(logits), classes=3).tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 1]]
    assert found.accuracy == pytest.approx(4 / 6)
    assert found.recall_macro == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert found.precision_macro == pytest.approx((1 + 1 / 2 + 1 / 2) / 3)
    assert found.f1_macro == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert found.f1_weighted == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 2 / 3) / 6)
    assert found.majority == pytest.approx(0.5)


def test_an_absent_class_is_none_and_named_and_never_zero() -> None:
    labels = np.array([0, 0, 1, 1])
    logits = np.array([[2.0, 0, 1], [1, 0, 2], [0, 2, 1], [0, 3, 1]])
    found = score(labels, logits)
    assert found.absent == (2,)
    assert found.per_class[2] == (0, None, None, None, None)
    assert found.auc_macro is None
    assert found.auc_macro_present == 1.0
    assert found.recall_macro == pytest.approx(0.75)
    expected = sk.f1_score(labels, predicted(logits), labels=[0, 1], average="macro", zero_division=0)
    assert found.f1_macro == pytest.approx(expected)


def test_a_test_set_of_one_class_has_no_auc_at_all() -> None:
    found = score(np.array([1, 1]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert found.auc_macro is None
    assert found.auc_macro_present is None
    assert found.recall_macro == 0.5


def test_a_class_that_is_never_predicted_counts_with_zero() -> None:
    found = score(np.array([0, 1]), np.array([[1.0, 0.0], [1.0, 0.0]]))
    assert found.per_class[1].precision == 0.0
    assert found.per_class[1].f1 == 0.0


def test_equal_logits_say_the_lowest_class_and_an_area_of_half() -> None:
    logits = np.zeros((4, 2))
    assert predicted(logits).tolist() == [0, 0, 0, 0]
    assert area(logits[:, 0], np.array([True, False, True, False])) == 0.5


@given(hnp.arrays(np.float64, st.integers(1, 40), elements=st.integers(-3, 3).map(float)))
def test_ranks_are_scipys(values: NDArray[np.float64]) -> None:
    np.testing.assert_array_equal(midranks(values), rankdata(values))


def test_averages_of_many_matrices_are_those_of_each() -> None:
    counts = np.random.default_rng(1).integers(0, 9, (7, 3, 3)).astype(float) + np.eye(3)
    together = averages(counts)
    for position, one in enumerate(counts):
        assert {name: value[position] for name, value in together.items()} == pytest.approx(averages(one))
    assert rates(counts).f1.shape == (7, 3)


@pytest.mark.parametrize("logits", [np.full((2, 2), np.nan), np.full((2, 2), np.inf)])
def test_logits_that_are_no_numbers_are_refused(logits: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="finite"):
        score(np.array([0, 1]), logits)


def test_no_image_has_no_score() -> None:
    with pytest.raises(ValueError, match="at least one"):
        score(np.array([], dtype=np.int64), np.zeros((0, 2)))
