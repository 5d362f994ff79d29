from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from cytobench.leaderboards.metrics import score
from cytobench.leaderboards.statistics import Difference, Estimate, difference, draw, estimate, holm

CLASSES = 5


def _trial(
    rng: np.random.Generator, labels: NDArray[np.int64], skill: float, *, shared: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    noise = rng.normal(size=(len(labels), CLASSES))
    if shared is not None:
        noise = 0.7 * shared + np.sqrt(1 - 0.49) * noise
    return noise + skill * np.eye(CLASSES)[labels]


def _interval(
    labels: NDArray[np.int64],
    logits: NDArray[np.float64],
    metric: str = "accuracy",
    *,
    seed: int = 0,
    resamples: Any = 1000,
) -> Estimate:
    draws = draw(labels, [[logits]], image_seed=seed, group_seeds=[seed], resamples=resamples)[0][0]
    return estimate([getattr(score(labels, logits), metric)], [draws[metric]], n=len(labels), seed=seed)


def _labels(per_class: int | list[int]) -> NDArray[np.int64]:
    return np.repeat(np.arange(CLASSES), per_class)


def test_many_images_give_the_normal_interval_of_the_accuracy() -> None:
    labels = _labels(400)
    logits = _trial(np.random.default_rng(0), labels, 2.0)
    found = _interval(labels, logits, resamples=4000)
    share = np.array([(logits[labels == k].argmax(axis=1) == k).mean() for k in range(CLASSES)])
    error = np.sqrt((share * (1 - share)).sum() / 400) / CLASSES  # stratified
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.06)


@pytest.mark.parametrize("n", [10, 50])
def test_a_perfect_score_on_few_images_is_no_certainty(n: int) -> None:
    """The lower limit of n right out of n is Wilson's or lower, for every metric."""
    labels = np.arange(n) % CLASSES
    logits = 9.0 * np.eye(CLASSES)[labels]
    wilson = stats.binomtest(n, n).proportion_ci(method="wilson").low
    for metric in ("accuracy", "f1_macro", "auc_macro"):
        found = _interval(labels, logits, metric)
        assert found.value == found.high == 1.0
        assert 0.9 * wilson < found.low <= wilson + 1e-12


def test_nothing_right_is_no_certainty_either() -> None:
    labels = _labels(4)
    logits = 9.0 * np.eye(CLASSES)[(labels + 1) % CLASSES]
    found = _interval(labels, logits)
    assert found.value == found.low == 0.0
    assert found.high >= stats.binomtest(0, 20).proportion_ci(method="wilson").high - 1e-12


def test_few_images_of_a_class_scatter_by_their_unbiased_variance() -> None:
    """Two right of four in each class: the variance of the accuracy is 1/3 / 4 / 5, not three fifths of it."""
    labels = _labels(4)
    said = np.where(np.arange(20) % 2, labels, (labels + 1) % CLASSES)
    draws = draw(labels, [[np.eye(CLASSES)[said]]], image_seed=0, group_seeds=[0], resamples=4000)[0][0]["accuracy"]
    assert np.var(draws) == pytest.approx(1 / 3 / 4 / CLASSES, rel=0.2)


def test_one_image_in_the_whole_set_gives_a_wide_interval() -> None:
    found = _interval(np.array([0, 1]), np.eye(2))
    assert found.low < 0.5


def test_an_absent_class_gives_intervals_but_no_auc() -> None:
    labels = np.repeat([0, 1, 2], 30)
    draws = draw(labels, [[np.random.default_rng(0).normal(size=(90, 4))]], image_seed=0, group_seeds=[0], resamples=50)
    assert "auc_macro" not in draws[0][0]
    assert np.isfinite(draws[0][0]["f1_macro"]).all()


def test_the_same_seeds_give_the_same_draws_and_others_do_not() -> None:
    labels = _labels(20)
    logits = _trial(np.random.default_rng(0), labels, 2.0)

    def drawn(image_seed: Any, group_seed: Any) -> NDArray[np.float64]:
        return draw(labels, [[logits]], image_seed=image_seed, group_seeds=[group_seed], resamples=20)[0][0]["f1_macro"]

    np.testing.assert_array_equal(drawn(1, 2), drawn(1, 2))
    assert not np.array_equal(drawn(1, 2), drawn(2, 2))
    assert not np.array_equal(drawn(1, 2), drawn(1, 3))


def test_what_else_is_on_the_board_does_not_change_an_interval() -> None:
    labels = _labels(20)
    rng = np.random.default_rng(0)
    first, second = _trial(rng, labels, 2.0), _trial(rng, labels, 1.0)
    alone = draw(labels, [[first]], image_seed=1, group_seeds=[5], resamples=300)
    beside = draw(labels, [[second], [first]], image_seed=1, group_seeds=[6, 5], resamples=300)
    np.testing.assert_array_equal(alone[0][0]["f1_macro"], beside[1][0]["f1_macro"])


def _coverage(simulations: int, per_class: list[int], metric: str, *, skill: float = 2.5) -> float:
    rng = np.random.default_rng(7)
    big = np.repeat(np.arange(CLASSES), np.array(per_class) * (100_000 // sum(per_class)))
    truth = getattr(score(big, _trial(rng, big, skill)), metric)
    labels = _labels(per_class)
    inside = []
    for seed in range(simulations):
        found = _interval(labels, _trial(rng, labels, skill), metric, seed=seed, resamples=300)
        inside.append(found.low <= truth <= found.high)
    return float(np.mean(inside))


@pytest.mark.parametrize("metric", ["accuracy", "f1_macro"])
def test_95_percent_intervals_hold_the_truth_about_95_times_in_100(metric: str) -> None:
    assert 0.90 <= _coverage(300, [12, 30, 30, 20, 60], metric) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize(
    "metric", ["accuracy", "f1_macro", "precision_macro", "recall_macro", "f1_weighted", "auc_macro"]
)
@pytest.mark.parametrize("per_class", [[20] * 5, [100] * 5, [200, 60, 30, 20, 15]], ids=str)
def test_coverage_over_many_simulations(metric: str, per_class: list[int]) -> None:
    assert 0.90 <= _coverage(2000, per_class, metric) <= 0.985


def test_intervals_over_seeds_hold_the_mean_of_all_seeds() -> None:
    """With three seeds whose skill scatters, 95 % intervals hold the recipe's true score at least 90 times in 100."""
    rng = np.random.default_rng(3)
    big, labels = _labels(4000), _labels(60)
    truth = np.mean([score(big, _trial(rng, big, 2.0 + 0.2 * rng.normal())).f1_macro for _ in range(25)])
    inside = []
    for seed in range(100):
        trials = [_trial(rng, labels, 2.0 + 0.2 * rng.normal()) for _ in range(3)]
        draws = draw(labels, [trials], image_seed=seed, group_seeds=[seed], resamples=200)[0]
        values = [score(labels, one).f1_macro for one in trials]
        found = estimate(values, [one["f1_macro"] for one in draws], n=len(labels), seed=seed)
        inside.append(found.low <= truth <= found.high)
    assert np.mean(inside) >= 0.90


def test_seeds_that_scatter_widen_the_interval() -> None:
    steady = [np.full(2000, 0.8)] * 3
    assert estimate([0.8, 0.8, 0.8], steady, n=50, seed=0) == pytest.approx(Estimate(0.8, 0.8, 0.8))
    found = estimate([0.7, 0.8, 0.9], steady, n=50, seed=0)
    expected = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert found.high - found.low == pytest.approx(min(1.0, 0.8 + expected) - (0.8 - expected), rel=0.15)


def _difference(
    labels: NDArray[np.int64], first: Any, second: Any, metric: str = "accuracy", *, seed: int = 0, resamples: Any = 600
) -> Difference:
    groups = [first, second]
    drawn = draw(labels, groups, image_seed=seed, group_seeds=[2 * seed, 2 * seed + 1], resamples=resamples)
    values = [[getattr(score(labels, one), metric) for one in group] for group in groups]
    return difference(
        values[0],
        [one[metric] for one in drawn[0]],
        values[1],
        [one[metric] for one in drawn[1]],
        freedom=len(labels) - CLASSES,
    )


def test_differences_agree_with_mcnemars_mid_p() -> None:
    rng = np.random.default_rng(2)
    labels = _labels(60)
    shared = rng.normal(size=(len(labels), CLASSES))
    for skill in (2.4, 2.6, 2.9, 3.5):
        first, second = _trial(rng, labels, skill, shared=shared), _trial(rng, labels, 2.4, shared=shared)
        right = [one.argmax(axis=1) == labels for one in (first, second)]
        only = [int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())]
        exact = stats.binomtest(only[0], sum(only)).pvalue - stats.binom.pmf(only[0], sum(only), 0.5)
        found = _difference(labels, [first], [second])
        assert found.value == pytest.approx((only[0] - only[1]) / len(labels))
        assert found.p == pytest.approx(exact, abs=0.12)
        assert (found.p < 0.05) == (exact < 0.05)


def test_three_images_out_of_ten_are_no_difference() -> None:
    """The plain bootstrap would call it one; exact McNemar gives p = .25."""
    labels = np.arange(10) % CLASSES
    better, worse = np.eye(CLASSES)[labels], np.eye(CLASSES)[np.where(np.arange(10) < 3, (labels + 1) % 5, labels)]
    assert _difference(labels, [better], [worse]).p > 0.08


def test_a_trial_does_not_differ_from_itself() -> None:
    labels = _labels(20)
    logits = _trial(np.random.default_rng(0), labels, 2.0)
    found = _difference(labels, [logits], [logits])
    assert found.value == 0.0
    assert found.p == 1.0
    assert difference([0.5], [np.full(9, 0.5)], [0.5], [np.full(9, 0.5)], freedom=9).p == 1.0


@pytest.mark.parametrize("seeds", [1, 3])
def test_equals_are_rarely_called_different(seeds: int) -> None:
    rng = np.random.default_rng(4)
    labels = _labels(20)
    called = []
    for seed in range(100):
        shared = rng.normal(size=(len(labels), CLASSES))
        groups = [[_trial(rng, labels, 2.0, shared=shared) for _ in range(seeds)] for _ in range(2)]
        called.append(_difference(labels, groups[0], groups[1], metric="f1_macro", seed=seed, resamples=200).p < 0.05)
    assert np.mean(called) <= 0.09


def test_holm_by_hand() -> None:
    """Holm 1979: the smallest p times 4, the next times 3, never falling, never above 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_two_thousand_resamples_of_three_thousand_images_are_drawn() -> None:
    """The full size runs through in chunks, the last one smaller, without losing a resample."""
    labels = _labels(600)
    drawn = draw(
        labels, [[_trial(np.random.default_rng(0), labels, 2.0)]], image_seed=0, group_seeds=[0], resamples=2100
    )
    assert {one.shape for one in drawn[0][0].values()} == {(2100,)}
