"""In which order a training sees its images."""

import numpy as np
from numpy.typing import NDArray

from cytobench.seeds import seed_for

Rows = NDArray[np.int64]


def epoch_batches(
    labels: NDArray[np.int64],
    rows: Rows,
    *,
    images: int | None = None,
    batch: int,
    balanced: bool,
    seed: int,
    epoch: int,
) -> list[Rows]:
    """Return the batches of one epoch, a function of the arguments alone.

    Balanced, every class that occurs gives equally many, or one more. What is too small is shown whole again and
    again, what is too large a different part each time. A last batch of one image, on which batch normalisation can't
    train, joins the one before it.

    Args:
        labels: Of all images, (N,).
        rows: Which of them are trained on.
        images: How many an epoch shows; None: as many as there are rows.
        batch: Images per step.
        balanced: Whether classes are evened out.
        seed: Of the trial.
        epoch: Counted from 0.
    """
    rng = np.random.default_rng(seed_for(seed, "order", epoch))
    size = len(rows) if images is None else images
    order = _balanced(labels, rows, size, rng) if balanced else _shuffled(rows, size, rng)
    parts = [order[first : first + batch] for first in range(0, len(order), batch)]
    if len(parts) > 1 and len(parts[-1]) == 1:
        last = parts.pop()
        parts[-1] = np.concatenate([parts[-1], last])
    return parts


def _balanced(labels: NDArray[np.int64], rows: Rows, size: int, rng: np.random.Generator) -> Rows:
    classes = np.unique(labels[rows])
    each, over = divmod(size, len(classes))
    one_more = rng.permutation(classes)[:over]
    parts = [_shuffled(rows[labels[rows] == label], each + (label in one_more), rng) for label in classes]
    return rng.permutation(np.concatenate(parts))


def _shuffled(rows: Rows, size: int, rng: np.random.Generator) -> Rows:
    """Return so many rows: each once before any is repeated."""
    times = -(-size // len(rows))
    return np.concatenate([rows[:0], *(rng.permutation(rows) for _ in range(times))])[:size]
