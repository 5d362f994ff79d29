"""Which epoch of a training is kept: model selection as an object with a name."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SELECTION = "validation macro-F1, ties by validation loss"
"""Written into every record. No test image takes part."""


class Scores(NamedTuple):
    """What an epoch is worth on the validation images."""

    macro_f1: float
    """Unweighted mean of F1 over the classes that occur."""
    accuracy: float
    """Share of images named rightly."""
    loss: float
    """Mean cross-entropy, nats."""


def score(logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Scores:
    """Return the scores of logits (n, classes) against labels (n,)."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    log_p = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    said = logits.argmax(axis=1)
    return Scores(
        macro_f1(said, labels),
        float((said == labels).mean()),
        float(-log_p[np.arange(len(labels)), labels].mean()),
    )


def macro_f1(said: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the unweighted mean over the classes in ``labels`` of 2 TP / (2 TP + FP + FN)."""
    each = []
    for label in np.unique(labels):
        hits = np.sum((said == label) & (labels == label))
        each.append(2 * hits / (np.sum(said == label) + np.sum(labels == label)))
    return float(np.mean(each))


def is_better(one: Scores, other: Scores | None) -> bool:
    """Tell whether an epoch replaces the best one so far; of two equal ones the earlier stays."""
    return other is None or (one.macro_f1, -one.loss) > (other.macro_f1, -other.loss)
