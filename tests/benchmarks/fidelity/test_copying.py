"""Whether copies are found, and nothing else taken for them, by simulation."""

import numpy as np
import pytest

from cytobench.benchmarks.fidelity import copying, exchange
from cytobench.benchmarks.fidelity.selection import Shown, halves, matched
from cytobench.benchmarks.steps import near
from cytobench.leaderboards.fidelity import CopyTest

CLASSES = 2


def shown(features: np.ndarray, groups: list[str] | None = None) -> Shown:
    """Return a side whose pixels never matter, in two classes."""
    n = len(features)
    pixels = np.arange(n * 12, dtype=np.int64).reshape(n, 2, 2, 3).astype(np.uint8)
    named = None if groups is None else np.array(groups, dtype=np.str_)
    return Shown(pixels, np.arange(n) % CLASSES, {"x": features.astype(np.float32)}, named)


def normal(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, 6))


def of_patients(count: int, each: int, seed: int) -> np.ndarray:
    """Return images of patients, one after the other: those of one resemble one another."""
    rng = np.random.default_rng(seed)
    return np.repeat(rng.normal(size=(count, 6)), each, axis=0) + 0.3 * rng.normal(size=(count * each, 6))


def named(first: int, count: int, each: int) -> list[str]:
    return [f"p{number}" for number in range(first, first + count) for _ in range(each)]


def compared(seen: Shown, unseen: Shown, drawn: np.ndarray, seed: int = 0) -> CopyTest:
    found = copying.tests(seen, unseen, shown(drawn), classes=CLASSES, near=False, seed=seed)
    return next(one for one in found if one.test == copying.NEARER)


def nearer(seen: np.ndarray, unseen: np.ndarray, drawn: np.ndarray, seed: int = 0) -> CopyTest:
    return compared(shown(seen), shown(unseen), drawn, seed)


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


def accused_of_patients(a: int, b: int, *, known: bool) -> float:
    """Return how often new images accuse, at one in ten, where ``a`` patients were seen and ``b`` not."""
    found = []
    for k in range(150):
        seen = shown(of_patients(a, 6, 3 * k), named(0, a, 6) if known else None)
        unseen = shown(of_patients(b, 6, 3 * k + 1), named(a, b, 6) if known else None)
        found.append(compared(seen, unseen, of_patients(40, 1, 3 * k + 2), k).p < 0.1)
    return float(np.mean(found))


@pytest.mark.parametrize(("a", "b"), [(8, 8), (16, 8)])
def test_images_of_one_patient_accuse_as_seldom_as_promised(a: int, b: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "SHUFFLES", 200)
    assert 0.02 < accused_of_patients(a, b, known=True) < 0.16


def test_taken_for_images_of_nobody_they_would_accuse_far_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many images of twice as many patients lie nearer to everything: what the test of patients is for."""
    monkeypatch.setattr(copying, "SHUFFLES", 200)
    assert accused_of_patients(16, 8, known=False) > 0.25


def test_images_of_a_patient_who_is_partly_seen_accuse_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few images of most patients were seen, and many not; all of some others were not."""
    monkeypatch.setattr(copying, "SHUFFLES", 200)
    accused = []
    for k in range(150):
        images, names = of_patients(12, 10, 2 * k), np.array(named(0, 12, 10))
        was = (np.arange(120) % 10 < 3) & (np.arange(120) < 80)
        seen, unseen = (shown(images[rows], names[rows].tolist()) for rows in (was, ~was))
        accused.append(compared(seen, unseen, of_patients(40, 1, 2 * k + 1), k).p < 0.1)
    assert np.mean(accused) < 0.17


@pytest.mark.parametrize("partly", [True, False])
def test_copies_of_images_of_patients_are_found(partly: bool) -> None:
    images, names = of_patients(16, 6, 1), np.array(named(0, 16, 6))
    was = np.arange(96) % 6 < 3 if partly else np.arange(96) < 48
    seen, unseen = (shown(images[rows], names[rows].tolist()) for rows in (was, ~was))
    found = compared(seen, unseen, images[was][:40] + 0.1 * normal(40, 2))
    assert found.found > 35
    assert 0.4 < found.usual < 0.6
    assert found.p < 0.01


def test_as_many_whole_patients_are_taken_on_both_sides() -> None:
    """Of each kind: patients of one class, patients of both, images of nobody, of one patient seen in part."""
    side = {
        "seen": (["a"] * 3 + ["b"] * 5 + ["c"] * 2 + ["", "", ""] + ["half"] * 3, "0000101010" + "001" + "010"),
        "unseen": (["d"] * 4 + ["e"] * 2 + [""] * 2 + ["half"] * 2, "0101" + "00" + "11" + "00"),
    }
    seen, unseen = (
        shown(np.zeros((len(groups), 1)), groups)._replace(codes=np.array([int(code) for code in codes]))
        for groups, codes in side.values()
    )
    found = exchange.balanced(seen, unseen, CLASSES, seed=3)
    names = np.concatenate([np.asarray(one.groups) for one in (seen, unseen)])[found.rows]
    classes = np.concatenate([one.codes for one in (seen, unseen)])[found.rows]
    was_seen = found.was_seen[found.units]
    told = sorted((str(name), int(code), bool(was)) for name, code, was in zip(names, classes, was_seen, strict=True))
    of = {name: [one for one in told if one[0] == name] for name in set(names)}
    assert set(of) - {"b", "c"} == {"", "a", "d", "e", "half"}, "one of the two seen patients of both classes"
    assert len(of.get("b", [])) + len(of.get("c", [])) in (2, 5)
    assert (len(of["a"]), len(of["d"]), len(of["e"])) == (3, 4, 2), "patients are whole"
    assert of["half"] == [("half", 0, False), ("half", 0, False), ("half", 0, True), ("half", 0, True)]
    assert of[""] == [("", 1, False), ("", 1, True)]
    assert not np.bincount(found.kinds, weights=np.where(found.was_seen, 1, -1)).any()
    assert len(set(found.kinds)) == 4
    units = {(str(name), int(unit)) for name, unit in zip(names, found.units, strict=True)}
    assert sum(name in "abcde" and name != "" for name, _ in units) == 4


def test_equally_near_images_count_for_neither_side() -> None:
    """Every seen image has a twin among the unseen ones."""
    images = normal(60, 1)
    found = nearer(images, images, images + 0.1 * normal(60, 2))
    assert 15 < found.found < 45
    assert found.p > 0.01
    at_once = [nearer(images * 0, images * 0, images, seed).found for seed in range(30)]
    assert set(at_once) == {0, 60}, "all lie in one place: one image is the nearest, and each may be it"


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
