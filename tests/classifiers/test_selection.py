import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss

from cytobench.classifiers.selection import Scores, is_better, macro_f1, score


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.append(rng.integers(0, 4, 46), np.arange(4))
    logits = rng.normal(0, 3, (50, 4)).astype(np.float32)
    said = logits.argmax(axis=1)
    p = np.exp(logits.astype(np.float64))
    found = score(logits, labels)
    assert found.macro_f1 == pytest.approx(f1_score(labels, said, average="macro"))
    assert found.accuracy == pytest.approx(accuracy_score(labels, said))
    assert found.loss == pytest.approx(log_loss(labels, p / p.sum(axis=1, keepdims=True)))


def test_large_logits_do_not_overflow() -> None:
    found = score(np.array([[1000.0, 0.0], [0.0, 1000.0]], dtype=np.float32), np.array([0, 0]))
    assert found.loss == pytest.approx(500.0)


def test_only_classes_that_occur_count() -> None:
    assert macro_f1(np.array([0, 0, 2]), np.array([0, 0, 0])) == pytest.approx(0.8)


def test_the_better_epoch_has_the_higher_f1_then_the_lower_loss_then_comes_first() -> None:
    base = Scores(0.5, 0.5, 1.0)
    assert is_better(base, None)
    assert is_better(Scores(0.6, 0.1, 9.0), base)
    assert not is_better(Scores(0.4, 0.9, 0.1), base)
    assert is_better(Scores(0.5, 0.1, 0.9), base)
    assert not is_better(base, base)
