"""What a classifier's predictions are worth: pure functions of labels and logits.

Conventions. The predicted class is the largest logit, the lowest index among equals. A class that the test set has no
image of is absent: nothing is known about it, so its scores are None and means run over the classes present; the macro
AUC is then None too, and ``auc_macro_present`` says what it is over the others. A class that is present but never
predicted has precision 0 and F1 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class ClassScores(NamedTuple):
    """Scores of one class against the rest; all None when the test set has no image of it."""

    support: int
    """Test images of the class."""
    precision: float | None
    recall: float | None
    f1: float | None
    auc: float | None
    """Area under the one-vs-rest ROC curve; None also when the test set has no other class."""


class Scores(NamedTuple):
    """Scores of one trial on one target, all in 0 … 1."""

    n: int
    """Test images."""
    accuracy: float
    precision_macro: float
    recall_macro: float
    f1_macro: float
    precision_weighted: float
    recall_weighted: float
    f1_weighted: float
    auc_macro: float | None
    auc_macro_present: float | None
    """The mean over the classes that have an AUC."""
    per_class: tuple[ClassScores, ...]
    absent: tuple[int, ...]
    """Classes that the test set has no image of."""
    majority: float
    """Accuracy of always saying the commonest class of the test set: below this nothing was learned."""


def predicted(logits: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the class of the largest logit (n,) of logits (n, C); the lowest index among equals."""
    largest: NDArray[np.int64] = logits.argmax(axis=1).astype(np.int64)
    return largest


def confusion(labels: NDArray[np.int64], said: NDArray[np.int64], *, classes: int) -> NDArray[np.int64]:
    """Return counts (C, C): row true class, column predicted class."""
    counts: NDArray[np.int64] = np.bincount(labels * classes + said, minlength=classes**2).reshape(classes, classes)
    return counts


def margins(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the log-odds (n, C) of every class against all others.

    They rank images as the softmax probabilities do, but do not run into ties where those round to 1.
    """
    z = logits.astype(np.float64)
    others = np.empty_like(z)
    for k in range(z.shape[1]):
        rest = np.delete(z, k, axis=1)
        top = rest.max(axis=1)
        others[:, k] = top + np.log(np.exp(rest - top[:, None]).sum(axis=1))
    return z - others


def midranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ranks 1 … n of values (n,); equal values share the mean of their ranks."""
    _, group, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[group]


def area(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve: how often a positive outranks a negative, ties counting half.

    Args:
        scores: (n,) larger for more positive.
        positive: (n,).

    Source: the Mann-Whitney form, Hanley & McNeil 1982, doi:10.1148/radiology.143.1.7063747.
    """
    n_pos = int(positive.sum())
    n_neg = len(positive) - n_pos
    if not n_pos or not n_neg:
        return None
    return float((midranks(scores)[positive].sum() - n_pos * (n_pos + 1) / 2) / (n_pos * n_neg))


def score(labels: NDArray[np.int64], logits: NDArray[np.floating]) -> Scores:
    """Return all scores of one trial.

    Args:
        labels: (n,) true classes, n ≥ 1.
        logits: (n, C), finite.

    Raises:
        ValueError: There is no image, or a logit is not finite.
    """
    if not len(labels) or not np.isfinite(logits).all():
        raise ValueError("scores need at least one image and finite logits")
    counts = confusion(labels, predicted(logits), classes=logits.shape[1])
    support = counts.sum(axis=1)
    present = support > 0
    ratios = rates(counts.astype(np.float64))
    odds = margins(logits)
    areas = [area(odds[:, k], labels == k) for k in range(len(support))]
    known = [one for one in areas if one is not None]
    per_class = tuple(
        ClassScores(int(support[k]), float(ratios.precision[k]), float(ratios.recall[k]), float(ratios.f1[k]), areas[k])
        if present[k]
        else ClassScores(0, None, None, None, None)
        for k in range(len(support))
    )
    return Scores(
        n=len(labels),
        **{name: float(value) for name, value in averages(counts.astype(np.float64)).items()},
        auc_macro=float(np.mean(known)) if len(known) == len(areas) else None,
        auc_macro_present=float(np.mean(known)) if known else None,
        per_class=per_class,
        absent=tuple(int(k) for k in np.flatnonzero(~present)),
        majority=float(support.max() / len(labels)),
    )


class Rates(NamedTuple):
    """Precision, recall and F1 of every class (..., C); 0 where nothing is divided by nothing."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]


def rates(counts: NDArray[np.float64]) -> Rates:
    """Return the scores of every class from confusion matrices (..., C, C), whole or fractional."""
    hits = np.diagonal(counts, axis1=-2, axis2=-1)
    true, said = counts.sum(axis=-1), counts.sum(axis=-2)
    return Rates(_over(hits, said), _over(hits, true), _over(2 * hits, true + said))


def averages(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Return accuracy and the macro and support-weighted means (...) of confusion matrices (..., C, C), by name.

    Means run over the classes present in the first matrix; all matrices are of one test set.
    """
    true = counts.sum(axis=-1)  # (..., C)
    present = true.reshape(-1, true.shape[-1])[0] > 0
    share = true / true.sum(axis=-1, keepdims=True)
    found = {"accuracy": np.diagonal(counts, axis1=-2, axis2=-1).sum(axis=-1) / true.sum(axis=-1)}
    for name, value in rates(counts)._asdict().items():
        found[f"{name}_macro"] = value[..., present].mean(axis=-1)
        found[f"{name}_weighted"] = (value * share).sum(axis=-1)
    return found


def _over(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(part, whole, out=np.zeros_like(part, dtype=np.float64), where=whole > 0)
