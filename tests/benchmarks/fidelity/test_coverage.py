"""Precision, recall, density and coverage against torch-fidelity and the definitions, written out."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch_fidelity.metric_prc import KEY_METRIC_PRECISION, KEY_METRIC_RECALL, prc_features_to_metric

from cytobench.benchmarks.fidelity import coverage, distances
from cytobench.benchmarks.fidelity.intervals import interval

Features = NDArray[np.float64]
NAMES = coverage.Coverage._fields


def sample(n: int, d: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Features:
    return scale * np.random.default_rng(seed).normal(size=(n, d)) + shift


def written_out(real: Features, synthetic: Features, k: int) -> dict[str, float]:
    """Naeem et al. 2020, equations 1 to 4, with SciPy's distances."""
    real_radius, synthetic_radius = (np.sort(cdist(x, x), axis=1)[:, k] for x in (real, synthetic))
    D = cdist(real, synthetic)
    return {
        "precision": float((real_radius[:, None] >= D).any(axis=0).mean()),
        "recall": float((synthetic_radius >= D).any(axis=1).mean()),
        "density": float((real_radius[:, None] >= D).sum(axis=0).mean() / k),
        "coverage": float((D.min(axis=1) <= real_radius).mean()),
    }


def values(found: coverage.Coverage) -> dict[str, float]:
    return {name: one.value for name, one in found._asdict().items()}


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize(("n", "m"), [(80, 80), (30, 90), (120, 40)])
def test_agrees_with_the_definitions_and_torch_fidelity(n: int, m: int, k: int) -> None:
    real, synthetic = sample(n, 6, 1), sample(m, 6, 2, 0.6, 0.8)
    found = values(coverage.statistics(real, synthetic, k=k))
    assert found == pytest.approx(written_out(real, synthetic, k), rel=1e-6)
    theirs = prc_features_to_metric(
        torch.from_numpy(synthetic), torch.from_numpy(real), prc_neighborhood=k, prc_batch_size=25,
        save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    assert found["precision"] == pytest.approx(theirs[KEY_METRIC_PRECISION], rel=1e-6)
    assert found["recall"] == pytest.approx(theirs[KEY_METRIC_RECALL], rel=1e-6)


def test_the_block_size_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real, synthetic = sample(50, 4, 1), sample(60, 4, 2, 0.5)
    whole = coverage.statistics(real, synthetic)
    monkeypatch.setattr(distances, "CELLS", 400)
    for one, other in zip(coverage.statistics(real, synthetic), whole, strict=True):
        for mine, theirs in ((one.first, other.first), (one.second, other.second)):
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-12)
        assert one.value == pytest.approx(other.value, rel=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("k", "shift"), [(1, 0.5), (3, 1.0), (3, 2.5)])
def test_contributions_are_what_is_lost_without_an_image(name: str, k: int, shift: float) -> None:
    real, synthetic = sample(25, 3, 1), sample(18, 3, 2, shift)
    found = getattr(coverage.statistics(real, synthetic, k=k), name)
    for row in range(25):
        without = written_out(np.delete(real, row, 0), synthetic, k)[name]
        assert found.first[row] == pytest.approx(24 * (found.value - without), abs=1e-9)
    for row in range(18):
        without = written_out(real, np.delete(synthetic, row, 0), k)[name]
        assert found.second[row] == pytest.approx(17 * (found.value - without), abs=1e-9)


def test_far_sets_share_nothing_and_a_set_covers_itself() -> None:
    real = sample(40, 5, 1)
    assert values(coverage.statistics(real, real + 1e3)) == dict.fromkeys(NAMES, 0.0)
    same = values(coverage.statistics(real, real))
    assert same["precision"] == same["recall"] == same["coverage"] == 1.0


def test_none_and_all_are_no_certainty() -> None:
    real = sample(40, 5, 1)
    far = interval(coverage.statistics(real, real + 1e3).precision, possible=(0, 1), shares_of=40)
    assert far.low == 0.0
    assert far.high == pytest.approx(3.8415 / 43.8415, rel=1e-3)
    same = interval(coverage.statistics(real, real).precision, possible=(0, 1), shares_of=40)
    assert same.high == 1.0
    assert same.low == pytest.approx(40 / 43.8415, rel=1e-3)


def share_covered(name: str, n: int, d: int, shift: float, rounds: int) -> float:
    found = [
        interval(getattr(coverage.statistics(sample(n, d, 2 * k), sample(n, d, 2 * k + 1, shift)), name))
        for k in range(rounds)
    ]
    truth = np.mean([one.value for one in found])
    return float(np.mean([one.low <= truth <= one.high for one in found]))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_intervals_hold_the_mean(name: str, shift: float) -> None:
    assert share_covered(name, 60, 4, shift, 60) > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("n", "d"), [(50, 2), (100, 16), (300, 8)])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_intervals_hold_the_mean_of_many_rounds(name: str, n: int, d: int, shift: float) -> None:
    assert share_covered(name, n, d, shift, 600) > 0.93
