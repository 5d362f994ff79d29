"""What is called seen: what somebody says was seen, and nothing else."""

import numpy as np
import pytest

from cytobench.benchmarks.fidelity import copying, exposed
from cytobench.benchmarks.fidelity.exposed import Known
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.benchmarks.steps import near

CLASSES, EACH = 2, 20
N = CLASSES * EACH


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """Return images of which no two are one picture."""
    monkeypatch.setattr(near, "between", lambda _one, _other, *, title: [])
    return shown(1)


def shown(seed: int) -> Shown:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (N, 4, 4, 3), dtype=np.uint8)
    return Shown(pixels, np.arange(N) % CLASSES, {"x": rng.normal(size=(N, 3)).astype(np.float32)})


def known(*rows: int) -> Known:
    return Known(anything=True, was_seen=np.isin(np.arange(N), rows))


def told(real: Shown, what: Known | None) -> tuple[str, ...]:
    """Return every word about a synthetic set that holds a real image, pixel by pixel."""
    drawn = shown(2)
    drawn.pixels[0] = real.pixels[-1]
    words = exposed.compared(real, drawn, what, CLASSES, seed=0)[1]
    found = exposed.copies(real, drawn, what, CLASSES, seed=0)
    problems = [one.text for one in copying.problems(found)]
    return (*words, *(one.test for one in found), *map(copying.sentence, found), *problems)


def test_where_nobody_says_it_is_unknown_and_never_called_seen(real: Shown) -> None:
    words = told(real, None)
    assert not [one for one in words if "seen" in one or "that the generator saw" in one]
    reference, _, equal, alike, *sentences = words
    assert all("unknown" in one for one in (reference, equal, alike, *sentences))
    assert len(sentences) == 3, "equal pixels are a problem all the same"


def test_what_was_seen_is_the_floor_and_the_rest_the_reference(real: Shown) -> None:
    seen = range(0, 16)
    sides, words = exposed.compared(real, shown(2), known(*seen), CLASSES, seed=0)
    assert (len(sides.floor.codes), len(sides.reference.codes)) == (16, N - 16)
    assert words == ("images that the generator did not see", "images that it saw")
    assert {one.test for one in exposed.copies(real, shown(2), known(*seen), CLASSES, seed=0)} == {
        copying.EQUAL,
        copying.NEAR,
        copying.NEARER,
    }


def test_a_class_that_was_seen_whole_is_told_with_the_numbers(real: Shown) -> None:
    """The floor is a half then, and the copies are still looked for among what was seen alone."""
    first = known(*range(0, N, 2), 1)
    words = told(real, first)
    assert words[:2] == ("one half (the generator lists 21 of all 40 as seen)", "the other half")
    found = exposed.copies(real, real, first, CLASSES, seed=0)
    assert next(one for one in found if one.test == copying.EQUAL).found == 21


def test_images_of_another_set_were_not_seen_and_are_not_called_so(real: Shown) -> None:
    words = told(real, known())
    assert words[0] == "one half (the generator lists 0 of all 40 as seen)"
    assert not [one for one in words if "that the generator saw" in one]
    assert [one for one in words if one.endswith(copying.UNLISTED)]


def test_a_generator_that_saw_nothing_copied_nothing(real: Shown) -> None:
    nothing = Known(anything=False, was_seen=np.zeros(N, dtype=bool))
    [found] = exposed.copies(real, real, nothing, CLASSES, seed=0)
    assert found.test == copying.NOTHING


def test_a_generator_that_saw_everything_leaves_no_others(real: Shown) -> None:
    found = exposed.copies(real, real, known(*range(N)), CLASSES, seed=0)
    assert [(one.test, one.of) for one in found] == [(copying.EQUAL, N), (copying.NEAR, N)]
