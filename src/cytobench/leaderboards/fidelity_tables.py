"""What was measured of synthetic sets, as tables."""

import math
from collections.abc import Sequence

from scipy import special

from cytobench.leaderboards.fidelity import (
    METRICS,
    POSSIBLE,
    CopyTest,
    ExtractorFacts,
    FidelityFacts,
    FidelityRecord,
    Line,
    Metric,
    Problem,
    Reading,
)
from cytobench.leaderboards.statistics import LEVEL
from cytobench.leaderboards.tables import UNIQUE_DIGITS, Entry, Table

HOW = (
    "Of each class, as many images are taken on every side. Synthetic ones are compared with the reference; the floor "
    "is the same figure of other images of the reference's own set, real or drawn as they are, against the same "
    "reference, at the same n: in a run, of those that the generator may learn from. It is what a perfect generator "
    "reaches. Intervals are 95 %, from what every single image contributes (jackknife), about the value that sets of "
    "this size have on average. Over several trainings the value is their mean, ± their standard deviation as "
    "publications state it (of these trainings alone), and their scatter widens the interval."
)


def board_tables(records: Sequence[FidelityRecord]) -> list[Table]:
    """Return what is wrong, one table for each extractor and what was copied; nothing when nothing was measured."""
    if not records:
        return []
    facts = [one.facts for one in records]
    names = {one.synthetic: None for one in facts}
    looks = {(one.name, one.origin, one.sha256): one for each in facts for one in each.extractors}
    return [
        problem_table([(_shown(one), problem) for one in facts for problem in one.problems]),
        *(
            _of_extractor([one for one in facts if extractor in one.extractors], extractor, names)
            for extractor in looks.values()
        ),
        copy_table([(_shown(one), test) for one in facts for test in one.copies]),
    ]


def _shown(facts: FidelityFacts) -> str:
    return facts.synthetic + (f", training {facts.number + 1}" if facts.number else "")


def _of_extractor(facts: Sequence[FidelityFacts], extractor: ExtractorFacts, names: dict[str, None]) -> Table:
    """Return the figures of every set seen through one extractor, each with its floor below."""
    against = "; ".join(dict.fromkeys(f"{one.reference}; floor: {one.floor}" for one in facts))
    rows = []
    for name in names:
        mine = [one for one in facts if one.synthetic == name]
        for scope in dict.fromkeys(line.scope for one in mine for line in one.lines):
            lines = [_lines(one, extractor.name, scope) for one in mine]
            rows += _rows(name, scope, [one for one in lines if one])
    return Table(
        f"Seen by {extractor.name}",
        f"Against {against}. {extractor.width:,} features, weights {extractor.origin}, SHA-256 "
        f"{extractor.sha256[:UNIQUE_DIGITS]}.",
        ("set", "images", "n", "trainings", *METRICS.values()),
        tuple(rows),
    )


def _lines(facts: FidelityFacts, extractor: str, scope: str) -> dict[Metric, Line]:
    return {line.metric: line for line in facts.lines if (line.extractor, line.scope) == (extractor, scope)}


def _rows(name: str, scope: str, trainings: Sequence[dict[Metric, Line]]) -> list[tuple[Entry, ...]]:
    if not trainings:
        return []
    first = [next(iter(one.values())) for one in trainings]
    n = " / ".join(dict.fromkeys(str(line.n) for line in first))
    floor_n = " / ".join(dict.fromkeys(str(line.n if line.floor_n is None else line.floor_n) for line in first))
    head = (Entry(scope), Entry(n), Entry(str(len(trainings))))
    drawn = {metric: [one[metric] for one in trainings if metric in one] for metric in METRICS}
    found = tuple(
        trained([line.found for line in some], metric)._replace(
            note="; ".join(dict.fromkeys(line.note for line in some))
        )
        for metric, some in drawn.items()
    )
    floor = tuple(reading(mean([line.floor for line in some], metric)) for metric, some in drawn.items())
    return [(Entry(name), *head, *found), (Entry("floor"), head[0], Entry(floor_n), Entry("–"), *floor)]


def mean(readings: Sequence[Reading | None], metric: Metric) -> Reading | None:
    """Return the mean over trainings; None where one of them has none.

    Its interval joins what each training's own is wide, on average, with the scatter between trainings (Student's t).
    """
    known = [one for one in readings if one is not None]
    if not known or len(known) < len(readings):
        return None
    if len(known) == 1:
        return known[0]
    values = [one.value for one in known]
    value = sum(values) / len(values)
    error = math.sqrt(sum((one - value) ** 2 for one in values) / (len(values) - 1) / len(values))
    scatter = float(special.stdtrit(len(values) - 1, (1 + LEVEL) / 2)) * error
    down = sum(one.value - one.low for one in known) / len(known)
    up = sum(one.high - one.value for one in known) / len(known)
    least, most = POSSIBLE[metric]
    low, high = value - math.hypot(down, scatter), value + math.hypot(up, scatter)
    return Reading(value=value, low=max(least, low), high=min(most, high))


def trained(readings: Sequence[Reading | None], metric: Metric) -> Entry:
    """Return the mean over trainings as a field; of two or more with its ± and as many digits as that has."""
    found = mean(readings, metric)
    if found is None or len(readings) < 2:
        return reading(found)
    scatter = math.sqrt(sum((one.value - found.value) ** 2 for one in readings if one) / len(readings))
    return reading(found)._replace(text=with_scatter(found.value, scatter))


def with_scatter(value: float, scatter: float) -> str:
    """Return a mean and its standard deviation, which has two digits that count.

    >>> with_scatter(201.7312, 0.2345), with_scatter(0.05123, 0.0004), with_scatter(3.0, 0.0)
    ('201.73 ± 0.23', '0.05123 ± 0.00040', '3.000 ± 0')
    """
    if scatter <= 1e-9 * abs(value):
        return f"{number(value)} ± 0"
    decimals = max(0, 1 - math.floor(math.log10(scatter)))
    return f"{value:,.{decimals}f} ± {scatter:,.{decimals}f}"


def reading(found: Reading | None) -> Entry:
    """Return a value with its interval as a field."""
    if found is None:
        return Entry("–")
    return Entry(number(found.value), f"[{number(found.low)}, {number(found.high)}]")


def number(value: float) -> str:
    """Return a figure with three digits that count, or three decimals where that is less.

    >>> number(123.456), number(12.3456), number(0.0123), number(0.00001234), number(0.0)
    ('123', '12.3', '0.012', '1.2e-05', '0.000')
    """
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.3f}" if size >= 0.001 or size == 0.0 else f"{value:.1e}"


def problem_table(problems: Sequence[tuple[str, Problem]]) -> Table:
    """Return what is wrong, by name; the first of each pair is the set."""
    rows = tuple(
        (Entry(shown), Entry(one.name, mark="words"), Entry(one.scope, mark="words"), Entry(one.text, mark="words"))
        for shown, one in problems
    )
    said = "" if rows else "None of what is looked for was found: collapsed, exploded, copied, too few images."
    return Table("Problems", said, ("set", "problem", "images", "what was seen"), rows)


def makers(records: Sequence[FidelityRecord]) -> list[Table]:
    """Return what drew the sets that were measured, and from what; nothing where nobody says."""
    rows: dict[tuple[str, ...], None] = {}
    for facts in (one.facts for one in records if one.facts.generator is not None):
        maker = facts.generator
        assert maker is not None
        started = f", beginning with {maker.base}" if maker.base else ""
        learned = f"{maker.trained_on} ({maker.nature_of_training})"
        settings = [str(maker.config.get(name, "–")) for name in ("steps", "batch", "learning_rate")]
        rows[facts.synthetic, f"{maker.name}{started}", learned, *settings, f"{facts.images['synthetic']:,}"] = None
    if not rows:
        return []
    head = ("set", "generator", "learned from", "steps of a fit", "batch", "learning rate", "images")
    return [Table("Generators", "", head, tuple(tuple(Entry(one) for one in row) for row in rows))]


def copy_table(tests: Sequence[tuple[str, CopyTest]]) -> Table:
    """Return what was looked for among the images that the generator saw; the first of each pair is the set."""
    rows = tuple(
        (
            Entry(shown),
            Entry(f"{one.test}{f', {one.extractor}' if one.extractor else ''}", mark="words"),
            Entry(f"{one.found:,} of {one.of:,}"),
            Entry(f"{one.usual:.1%}"),
            Entry(f"{one.p:.2g}"),
        )
        for shown, one in tests
    )
    return Table(
        "Copies",
        "Synthetic images beside the real ones that their generator saw, or beside all where that is said, and how "
        "often it happens by chance.",
        ("set", "what is counted", "images", "by chance", "p"),
        rows,
    )
