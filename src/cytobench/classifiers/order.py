"""In which order a training sees its images."""

import numpy as np
from numpy.typing import NDArray

from cytobench.seeds import seed_for

Rows = NDArray[np.int64]


def epoch_batches(
    labels: NDArray[np.int64], rows: Rows, *, batch: int, balanced: bool, seed: int, epoch: int
) -> list[Rows]:
    """Return the batches of one epoch, a function of the arguments alone.

    An epoch has as many images as there are rows, but for rounding. Balanced, every class that occurs gives equally
    many: a small class is shown whole again and again, a large one a different part each time. A last batch of one
    image, on which batch normalisation can't train, joins the one before it.

    Args:
        labels: Of all images, (N,).
        rows: Which of them are trained on.
        batch: Images per step.
        balanced: Whether classes are evened out.
        seed: Of the trial.
        epoch: Counted from 0.
    """
    rng = np.random.default_rng(seed_for(seed, "order", epoch))
    order = _balanced(labels, rows, rng) if balanced else rng.permutation(rows)
    parts = [order[first : first + batch] for first in range(0, len(order), batch)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        last = parts.pop()
        parts[-1] = np.concatenate([parts[-1], last])
    return parts


def _balanced(labels: NDArray[np.int64], rows: Rows, rng: np.random.Generator) -> Rows:
    classes = np.unique(labels[rows])
    each = max(1, round(len(rows) / len(classes)))
    drawn = []
    for label in classes:
        own = rows[labels[rows] == label]
        times = -(-each // len(own))
        drawn.append(np.concatenate([rng.permutation(own) for _ in range(times)])[:each])
    return rng.permutation(np.concatenate(drawn))
