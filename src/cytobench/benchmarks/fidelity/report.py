"""From features and pixels to figures and problems: pure functions, nothing read and nothing written."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity import coverage, frechet, infinite, kernel, problems
from cytobench.benchmarks.fidelity.intervals import Interval, interval
from cytobench.benchmarks.fidelity.selection import Shown, matched
from cytobench.leaderboards.fidelity import ALL, METRICS, POSSIBLE, Line, Metric, Problem, Reading
from cytobench.progress import Tick, unheard
from cytobench.seeds import seed_for

FEWEST = coverage.K + 2  # images on each side, for anything
TOO_SMALL = "n too small: "  # how the note of a Fréchet distance of few images begins
REFERENCE, FLOOR, SYNTHETIC = "reference", "floor", "synthetic"


class Sides(NamedTuple):
    """What is compared."""

    reference: Shown
    """Real images."""
    floor: Shown
    """Other real images of the same origin."""
    synthetic: Shown
    """What is measured."""


class Measured(NamedTuple):
    """What was found."""

    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]


class _Figure(NamedTuple):
    """One figure, or why there is none."""

    found: Interval | None
    note: str = ""


def steps(classes: tuple[str, ...], extractors: int) -> int:
    """Return how many steps :func:`measure` tells of."""
    return len(_scopes(classes)) * extractors


def measure(
    sides: Sides,
    classes: tuple[str, ...],
    *,
    few: bool,
    smaller_floor: bool = False,
    seed: int,
    tick: Tick = unheard,
) -> Measured:
    """Return every figure of every class and of all together, each beside its floor at the same n, and the problems.

    Args:
        sides: What is compared, with the features of every extractor.
        classes: Names of the codes.
        few: Give Fréchet distances of fewer images than features, too, and mark them.
        smaller_floor: Where the floor's side has fewer images, compare it at its own n, and leave the others theirs.
        seed: Decides which images of a larger side are taken.
        tick: Told after each class and extractor.
    """
    named = {REFERENCE: sides.reference, FLOOR: sides.floor, SYNTHETIC: sides.synthetic}
    apart = [{REFERENCE, SYNTHETIC}, {REFERENCE, FLOOR}] if smaller_floor else [set(named), set(named)]
    equal = [
        {name: named[name].taken(rows) for name, rows in matched(some, len(classes), seed=seed).items()}
        for some in ({name: side for name, side in named.items() if name in both} for both in apart)
    ]
    lines: list[Line] = []
    found = _of_all_pixels(sides, classes)
    for extractor in sides.synthetic.features:
        for code, scope in _scopes(classes):
            chosen, beside = (
                {
                    name: side.features[extractor][_rows(side.codes, code)].astype(np.float64)
                    for name, side in some.items()
                }
                for some in equal
            )
            found += problems.of_features(chosen[REFERENCE], chosen[SYNTHETIC], extractor, scope)
            lines += _lines(chosen, beside, extractor, scope, few=few, seed=seed)
            tick(1, f"{extractor}, {scope}")
    found += problems.of_lines(lines)
    found += _too_few(lines)
    return Measured(tuple(lines), tuple(found))


def _scopes(classes: tuple[str, ...]) -> list[tuple[int | None, str]]:
    """Return code and name of everything that is measured by itself: all classes, then each if there are several."""
    return [(None, ALL), *(enumerate(classes) if len(classes) > 1 else ())]


def _rows(codes: NDArray[np.int64], code: int | None) -> NDArray[np.int64]:
    return np.flatnonzero(codes >= 0 if code is None else codes == code)


def _of_all_pixels(sides: Sides, classes: tuple[str, ...]) -> list[Problem]:
    found = []
    for code, scope in _scopes(classes):
        real = np.concatenate([one.pixels[_rows(one.codes, code)] for one in (sides.reference, sides.floor)])
        drawn = sides.synthetic.pixels[_rows(sides.synthetic.codes, code)]
        if len(real) and len(drawn):
            found += problems.of_pixels(real, drawn, scope)
    return found


def _lines(
    features: dict[str, NDArray[np.float64]],
    beside: dict[str, NDArray[np.float64]],
    extractor: str,
    scope: str,
    *,
    few: bool,
    seed: int,
) -> Iterator[Line]:
    """Yield every figure; ``beside`` holds what the floor is of."""
    n, floor_n = len(features[REFERENCE]), len(beside[REFERENCE])
    drawing = seed_for(seed, "pieces", extractor, scope)
    found = _figures(features[REFERENCE], features[SYNTHETIC], few=few, seed=drawing)
    floor = _figures(beside[REFERENCE], beside[FLOOR], few=few, seed=drawing)
    own = "" if floor_n == n else "floor: "
    for metric in METRICS:
        yield Line(
            extractor=extractor,
            scope=scope,
            n=n,
            metric=metric,
            found=_reading(found[metric]),
            floor=_reading(floor[metric]),
            note=found[metric].note or (floor[metric].note and f"{own}{floor[metric].note}"),
            floor_n=None if floor_n == n else floor_n,
        )


def _reading(figure: _Figure) -> Reading | None:
    return None if figure.found is None else Reading(**figure.found._asdict())


def _figures(first: NDArray[np.float64], second: NDArray[np.float64], *, few: bool, seed: int) -> dict[Metric, _Figure]:
    """Return all figures of two samples of one size (n, d), real ones first."""
    n = len(first)
    if n < FEWEST:
        return dict.fromkeys(METRICS, _Figure(None, f"{n} images; at least {FEWEST} are needed"))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        return dict.fromkeys(METRICS, _Figure(None, "features are no numbers"))
    shares = coverage.statistics(first, second)
    return {
        "frechet": _frechet(first, second, few=few),
        "frechet_infinite": _frechet_infinite(first, second, seed=seed),
        "kid": _Figure(interval(kernel.statistic(first, second))),
        "precision": _Figure(interval(shares.precision, possible=POSSIBLE["precision"], shares_of=n)),
        "recall": _Figure(interval(shares.recall, possible=POSSIBLE["recall"], shares_of=n)),
        "density": _Figure(interval(shares.density, possible=POSSIBLE["density"])),
        "coverage": _Figure(interval(shares.coverage, possible=POSSIBLE["coverage"], shares_of=n)),
    }


def _frechet(first: NDArray[np.float64], second: NDArray[np.float64], *, few: bool) -> _Figure:
    n, width = first.shape
    note = "" if n >= width else f"{TOO_SMALL}{n:,} images for {width:,} features"
    if note and not few:
        return _Figure(None, note)
    return _Figure(interval(frechet.statistic(first, second), possible=POSSIBLE["frechet"]), note)


def _frechet_infinite(first: NDArray[np.float64], second: NDArray[np.float64], *, seed: int) -> _Figure:
    n, width = first.shape
    if n < infinite.least_images(width):
        return _Figure(None, f"{TOO_SMALL}{n:,} images, {infinite.least_images(width):,} are needed")
    return _Figure(interval(infinite.statistic(first, second, seed=seed)))


def _too_few(lines: list[Line]) -> list[Problem]:
    """Return one problem for each extractor whose Fréchet distances are refused for too few images, or are marked."""
    found: dict[tuple[str, bool], list[Line]] = {}
    for line in lines:
        if line.metric == "frechet" and line.note.startswith(TOO_SMALL):
            found.setdefault((line.extractor, line.found is None), []).append(line)
    return [
        Problem(
            name="too few",
            scope=", ".join(line.scope for line in few),
            text=f"{extractor}: Fréchet distances of fewer images than features ({few[0].note}) measure n before all "
            + ("and are refused; KID does not depend on n" if refused else "and are marked"),
        )
        for (extractor, refused), few in found.items()
    ]
