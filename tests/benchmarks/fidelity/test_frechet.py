"""The Fréchet distance against torch-fidelity, SciPy's square root and what it must be."""

import numpy as np
import pytest
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from cytobench.benchmarks.fidelity import frechet, infinite
from cytobench.benchmarks.fidelity.intervals import interval

Features = NDArray[np.float64]


def features(n: int, d: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Features:
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(d).normal(size=(d, d)) / np.sqrt(d)
    rows: Features = (scale * rng.normal(size=(n, d)) + shift) @ mixed
    return rows


def theirs(first: Features, second: Features) -> float:
    one, other = (fid_features_to_statistics(torch.from_numpy(rows)) for rows in (first, second))
    return float(fid_statistics_to_metric(one, other, False)[KEY_METRIC_FID])


@pytest.mark.parametrize(("n", "m", "d"), [(60, 80, 8), (300, 200, 64), (65, 64, 63)])
def test_agrees_with_torch_fidelity(n: int, m: int, d: int) -> None:
    a, b = features(n, d, 1), features(m, d, 2, shift=0.2, scale=1.3)
    assert frechet.distance(a, b) == pytest.approx(theirs(a, b), rel=1e-6)
    assert frechet.statistic(a, b).value == pytest.approx(theirs(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(20, 20), (15, 40), (40, 15), (100, 20), (64, 64)])
def test_agrees_with_the_square_root_of_the_definition_where_images_are_few(n: int, m: int) -> None:
    a, b = features(n, 64, 3), features(m, 64, 4, shift=0.1)
    S, T = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    half = scipy.linalg.sqrtm(S + 1e-14 * np.eye(64)).real
    root = np.sqrt(np.linalg.eigvalsh(half @ T @ half).clip(0.0)).sum()
    expected = np.square(a.mean(0) - b.mean(0)).sum() + np.trace(S) + np.trace(T) - 2 * root
    assert frechet.distance(a, b) == pytest.approx(expected, rel=1e-4)  # every eigenvalue 0 of theirs is off by 1e-8
    assert frechet.statistic(a, b).value == pytest.approx(frechet.distance(a, b), rel=1e-7)


@pytest.mark.parametrize("n", [10, 200])
def test_is_symmetric_and_nothing_from_a_set_to_itself(n: int) -> None:
    a, b = features(n, 32, 5), features(n + 3, 32, 6)
    assert frechet.distance(a, b) == frechet.distance(b, a)
    assert 0.0 <= frechet.distance(a, a) < 1e-6 * frechet.distance(a, b)


def test_of_two_gaussians_in_one_dimension_is_the_hand_made_value() -> None:
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [11.0]])  # means 1 and 8, deviations √2 and 3√2
    assert frechet.distance(a, b) == pytest.approx(7.0**2 + (3 * np.sqrt(2) - np.sqrt(2)) ** 2)


def test_features_that_never_vary_change_nothing() -> None:
    a, b = features(50, 8, 7), features(60, 8, 8)
    dead = [np.hstack([one, np.full((len(one), 4), 3.0)]) for one in (a, b)]
    assert frechet.distance(*dead) == pytest.approx(frechet.distance(a, b), rel=1e-6)


@pytest.mark.parametrize(("n", "d"), [(40, 6), (12, 30)])
def test_contributions_are_what_weights_change(n: int, d: int) -> None:
    a, b = features(n, d, 9, shift=0.3), features(n + 5, d, 10)
    found = frechet.statistic(a, b)

    def weighted(row: int, more: float) -> float:
        w = np.full(n, 1.0)
        w[row] += more
        w /= w.sum()
        mean = w @ a
        centred = (a - mean) * np.sqrt(w * n / (n - 1))[:, None]
        other = frechet.moments(b)
        return frechet.between(frechet.Moments(mean, centred, centred), other)

    for row in (0, 3):
        slope = (weighted(row, 1e-4) - weighted(row, -1e-4)) / 2e-4
        assert n * slope == pytest.approx(found.first[row], abs=0.03 * found.first.std())


def share_covered(n: int, d: int, shift: float, *, rounds: int) -> float:
    """Return how often the interval holds the mean of all rounds."""
    found = []
    for number in range(rounds):
        a, b = features(n, d, 1000 + 2 * number), features(n, d, 1001 + 2 * number, shift=shift)
        found.append(interval(frechet.statistic(a, b), possible=(0, np.inf)))
    truth = np.mean([one.value for one in found])
    return float(np.mean([one.low <= truth <= one.high for one in found]))


@pytest.mark.parametrize(("n", "d", "shift"), [(60, 8, 0.0), (60, 8, 0.5), (30, 48, 0.0), (30, 48, 0.3)])
def test_intervals_hold_the_mean(n: int, d: int, shift: float) -> None:
    assert share_covered(n, d, shift, rounds=100) > 0.9


@pytest.mark.slow
@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
@pytest.mark.parametrize(("n", "d"), [(30, 4), (60, 24), (60, 256), (400, 64), (100, 512)])
def test_intervals_hold_the_mean_of_many_rounds(n: int, d: int, shift: float) -> None:
    assert share_covered(n, d, shift, rounds=1000) > 0.935


class TestInfinite:
    def test_finds_nothing_between_sets_of_one_distribution_where_the_distance_does(self) -> None:
        d = 12
        n = infinite.least_images(d)
        found, plain = [], []
        for seed in range(80):
            a, b = features(n, d, 2 * seed), features(n, d, 2 * seed + 1)
            found.append(interval(infinite.statistic(a, b, seed=seed)))
            plain.append(frechet.distance(a, b))
        assert abs(np.mean([one.value for one in found])) < 0.1 * np.mean(plain)
        assert np.mean([one.low <= 0.0 <= one.high for one in found]) > 0.9

    def test_finds_the_distance_of_the_distributions(self) -> None:
        n, d, shift, scale = 400, 6, 0.4, 1.2
        mixed = np.random.default_rng(d).normal(size=(d, d)) / np.sqrt(d)
        S = mixed.T @ mixed
        truth = np.square(np.full(d, shift) @ mixed).sum() + (scale - 1.0) ** 2 * np.trace(S)
        found = [
            interval(
                infinite.statistic(
                    features(n, d, 2 * seed), features(n, d, 2 * seed + 1, shift=shift, scale=scale), seed=seed
                )
            )
            for seed in range(100)
        ]
        assert np.mean([one.value for one in found]) == pytest.approx(truth, rel=0.05)
        assert np.mean([one.low <= truth <= one.high for one in found]) >= 0.88

    def test_the_seed_decides_the_pieces_alone(self) -> None:
        a, b = features(60, 4, 1), features(70, 4, 2)
        assert infinite.statistic(a, b, seed=3).value == infinite.statistic(a, b, seed=3).value
        assert infinite.statistic(a, b, seed=3).value != infinite.statistic(a, b, seed=4).value
