"""KID against torch-fidelity, and its jackknife against leaving images out one by one."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from cytobench.benchmarks.fidelity import kernel
from cytobench.benchmarks.fidelity.intervals import interval


def sample(n: int, d: int, seed: int, shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


class BySubsets(NamedTuple):
    """KID as publications state it."""

    mean: float
    deviation: float
    """Over the subsets; no standard error of the mean, as they share images."""


def by_subsets(first: np.ndarray, second: np.ndarray, *, subsets: int, size: int, seed: int = 2020) -> BySubsets:
    """Return KID over random subsets, drawn as torch-fidelity draws them with NumPy's old generator."""
    rng = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        rows = rng.choice(len(first), size, replace=False)
        values.append(kernel.statistic(first[rows], second[rng.choice(len(second), size, replace=False)]).value)
    return BySubsets(float(np.mean(values)), float(np.std(values)))


def test_subsets_are_those_of_torch_fidelity() -> None:
    a, b = sample(90, 16, 1), sample(70, 16, 2, 0.2)
    theirs = kid_features_to_metric(
        torch.from_numpy(a), torch.from_numpy(b), kid_subsets=9, kid_subset_size=40, rng_seed=5, verbose=False,
        kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1,
    )  # fmt: skip
    ours = by_subsets(a, b, subsets=9, size=40, seed=5)
    assert ours.mean == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-6)
    assert ours.deviation == pytest.approx(theirs[KEY_METRIC_KID_STD], rel=1e-6)


def test_one_subset_of_everything_is_the_whole_estimator() -> None:
    a, b = sample(50, 8, 1), sample(50, 8, 2, 0.3)
    assert kernel.statistic(a, b).value == pytest.approx(by_subsets(a, b, subsets=1, size=50).mean, rel=1e-9)


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = sample(50, 8, 1), sample(40, 8, 2, 0.3)
    whole = kernel.statistic(a, b)
    monkeypatch.setattr(kernel, "BLOCK", 7)
    parts = kernel.statistic(a, b)
    assert parts.value == pytest.approx(whole.value, rel=1e-9)
    np.testing.assert_allclose(parts.second, whole.second, rtol=1e-9)


def test_contributions_are_what_is_lost_without_an_image() -> None:
    a, b = sample(12, 5, 1), sample(9, 5, 2, 0.5)
    found = kernel.statistic(a, b)
    for row in (0, 5):
        without = kernel.statistic(np.delete(a, row, 0), b).value
        assert found.first[row] == pytest.approx(11 * (found.value - without), rel=1e-6)
        without = kernel.statistic(a, np.delete(b, row, 0)).value
        assert found.second[row] == pytest.approx(8 * (found.value - without), rel=1e-6)


def between_gaussians(d: int, shift: float) -> float:
    """Return the squared discrepancy of N(0, I) and N(shift, I) from the moments of an inner product."""

    def mean_kernel(a: np.ndarray, b: np.ndarray) -> float:
        ab, aa, bb = a @ b, a @ a, b @ b
        moments = (ab, d + aa + bb + ab**2, ab**3 + 3 * ab * (aa + bb + d + 2))
        return float(1 + 3 * moments[0] / d + 3 * moments[1] / d**2 + moments[2] / d**3)

    zero, one = np.zeros(d), np.full(d, shift)
    return mean_kernel(zero, zero) + mean_kernel(one, one) - 2 * mean_kernel(zero, one)


@pytest.mark.parametrize(("shift", "least"), [(0.0, 0.95), (0.3, 0.9)])
def test_is_right_on_average_and_its_intervals_hold_the_truth(shift: float, least: float) -> None:
    d = 6
    truth = between_gaussians(d, shift)
    found = [
        interval(kernel.statistic(sample(40, d, 10 + 2 * k), sample(60, d, 11 + 2 * k, shift))) for k in range(300)
    ]
    assert np.mean([one.low <= truth <= one.high for one in found]) >= least
    spread = np.std([one.value for one in found]) / np.sqrt(len(found))
    assert abs(np.mean([one.value for one in found]) - truth) < 3 * spread
