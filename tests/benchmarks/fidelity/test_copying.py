"""Whether copies are found, and nothing else taken for them, by simulation."""

import numpy as np
import pytest

from cytobench.benchmarks.fidelity import copying
from cytobench.benchmarks.fidelity.selection import Shown, halves, matched
from cytobench.benchmarks.steps import near
from cytobench.leaderboards.fidelity import CopyTest

CLASSES = 2


def shown(features: np.ndarray) -> Shown:
    """Return a side whose pixels never matter, in two classes."""
    n = len(features)
    pixels = np.arange(n * 12, dtype=np.int64).reshape(n, 2, 2, 3).astype(np.uint8)
    return Shown(pixels, np.arange(n) % CLASSES, {"x": features.astype(np.float32)})


def normal(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def nearer(seen: np.ndarray, unseen: np.ndarray, drawn: np.ndarray, seed: int = 0) -> CopyTest:
    found = copying.tests(shown(seen), shown(unseen), shown(drawn), classes=CLASSES, near=False, seed=seed)
    return next(one for one in found if one.test == copying.NEARER)


def test_noisy_copies_are_found() -> None:
    seen = normal(40, 1)
    drawn = seen[:30] + 0.3 * normal(30, 2)
    found = nearer(seen, normal(60, 3), drawn)
    assert found.found > 25
    assert found.p < 0.001


@pytest.mark.parametrize("kind", ["same", "modes", "one point"])
def test_a_generator_that_never_looked_is_accused_as_seldom_as_promised(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However poor it is: near the mean, or all in one place."""
    monkeypatch.setattr(copying, "SHUFFLES", 200)
    scale = {"same": 1.0, "modes": 0.2, "one point": 0.0}[kind]
    accused = [
        nearer(
            normal(30, 3 * k),
            normal(30, 3 * k + 1),
            scale * normal(40, 3 * k + 2) + (kind == "one point") * normal(1, k),
            k,
        ).p
        < 0.1
        for k in range(200)
    ]
    assert np.mean(accused) < 0.16


def test_equal_pixels_are_a_problem_whatever_chance_says() -> None:
    real = shown(normal(10, 1))
    found = copying.tests(real, None, real.taken(np.array([3, 4])), classes=CLASSES, near=False, seed=0)
    assert [one.found for one in found] == [2]
    assert [one.name for one in copying.problems(found)] == ["copied"]
    other = shown(normal(10, 1))._replace(pixels=real.pixels + 1)
    assert not copying.problems(copying.tests(real, None, other, classes=CLASSES, near=False, seed=0))


def test_what_saw_nothing_copied_nothing() -> None:
    """A base model that was not adapted: whatever lies near, equal or alike."""
    real = shown(normal(10, 1))
    nothing = real.taken(np.array([], dtype=np.int64))
    [found] = copying.tests(nothing, real, real, classes=CLASSES, near=True, seed=0)
    assert (found.test, found.found, found.of) == (copying.NOTHING, 0, 10)
    assert copying.sentence(found) == copying.NOTHING
    assert not copying.problems((found,))


def test_every_image_is_one_trial_where_nobody_says_what_was_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first image of each side is one picture with the first of the half that is searched."""
    monkeypatch.setattr(near, "between", lambda _one, _other, *, title: [(0, 0)])  # as it is called
    tried: list[tuple[int, ...]] = []

    def more_than(*counts: int) -> float:
        tried.append(counts)
        return 1.0

    monkeypatch.setattr(copying, "more_than", more_than)
    real, drawn = shown(normal(20, 1)), shown(normal(7, 2))
    found = next(
        one for one in copying.tests(real, None, drawn, classes=CLASSES, near=True, seed=0) if one.test == copying.NEAR
    )
    assert tried == [(1, 7, 1, 10)]
    assert (found.found, found.of, found.usual) == (1, 7, 0.1)


def test_several_tests_share_one_error() -> None:
    one = CopyTest(test=copying.NEARER, extractor="x", found=9, of=10, usual=0.5, p=0.006)
    assert copying.problems((one,))
    assert not copying.problems((one, one.model_copy(update={"p": 0.5})))


def test_as_many_of_each_class_are_taken_on_every_side() -> None:
    side = {"a": shown(normal(9, 1)), "b": shown(normal(20, 2))}
    rows = matched(side, CLASSES, seed=1)
    for name, chosen in rows.items():
        assert np.bincount(side[name].codes[chosen]).tolist() == [5, 4]
        assert len(set(chosen)) == 9
    assert not np.array_equal(matched(side, CLASSES, seed=2)["b"], rows["b"])
    one, other = halves(side["b"], CLASSES, seed=0)
    assert not set(one) & set(other)
    assert len(one) == len(other) == 10
