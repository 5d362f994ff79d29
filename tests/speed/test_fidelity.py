"""Fréchet distances beside SciPy's square root of a matrix; run by hand: `pytest tests/speed/test_fidelity.py -s`."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import linalg
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from cytobench.benchmarks.fidelity import frechet
from cytobench.progress import say

WIDTH, BATCH = 2048, 16
Features = NDArray[np.float64]


class Blank(FeatureExtractorInceptionV3):  # type: ignore[misc]  # untyped
    """An Inception of random weights."""

    def load_state_dict(self, *_arguments: Any, **_named: Any) -> None:
        """Keep what is random."""


def empty() -> io.BytesIO:
    content = io.BytesIO()
    torch.save({}, content)
    content.seek(0)
    return content


def sample(n: int, seed: int) -> Features:
    return np.random.default_rng(seed).normal(size=(n, WIDTH)) * (1.0 + np.arange(WIDTH)) ** -0.5


def square_root(a: Features, b: Features) -> float:
    """Return the distance as most code computes it."""
    S, T = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = linalg.sqrtm(S @ T)
    return float(np.square(a.mean(0) - b.mean(0)).sum() + np.trace(S) + np.trace(T) - 2 * np.trace(root).real)


def seconds(work: Callable[[], float], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best


@pytest.mark.parametrize(("n", "rounds"), [(200, 1), (4000, 1)])
def test_distance_of_2048_features(n: int, rounds: int) -> None:
    a, b = sample(n, 1), sample(n, 2)
    theirs = seconds(lambda: square_root(a, b), 1)
    ours = seconds(lambda: frechet.distance(a, b), 3 * rounds)
    whole = seconds(lambda: frechet.statistic(a, b).value, rounds)
    say(f"\nn = {n}: square root {theirs:.2f} s, here {ours:.3f} s: {theirs / ours:.0f}×; contributions {whole:.2f} s")


def test_inception_with_channels_last() -> None:
    """The network is torch-fidelity's; only its memory format is ours."""
    torch.manual_seed(0)
    images = torch.randint(0, 256, (BATCH, 3, 64, 64), dtype=torch.uint8)
    network = Blank("x", ["2048"], feature_extractor_weights_path=empty())
    with torch.inference_mode():
        network(images)
        theirs = seconds(lambda: float(network(images)[0].sum()), 2)
        network.to(memory_format=torch.channels_last)
        ours = seconds(lambda: float(network(images)[0].sum()), 2)
    say(
        f"\nInception: {BATCH / theirs:.1f} images/s plain, {BATCH / ours:.1f} with channels last: {theirs / ours:.2f}×"
    )
