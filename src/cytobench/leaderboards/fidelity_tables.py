"""What was measured of synthetic sets, as tables."""

from collections.abc import Sequence

from cytobench.leaderboards.fidelity import METRICS, CopyTest, ExtractorFacts, FidelityFacts, Line, Problem, Reading
from cytobench.leaderboards.tables import UNIQUE_DIGITS, Entry, Table

HOW = (
    "Of each class, as many images are taken on every side. Synthetic ones are compared with the reference; the floor is "
    "the same figure of other real images against the same reference, at the same n: what a perfect generator reaches. "
    "Intervals are 95 %, from what every single image contributes (jackknife), about the value that sets of this size "
    "have on average."
)


def figure_tables(facts: FidelityFacts) -> list[Table]:
    """Return one table for each extractor: a row for all classes and each class, a column for each figure."""
    return [
        Table(
            f"{one.name}: {facts.synthetic}{_training(facts)}",
            f"Against {facts.reference}; floor: {facts.floor}. Features: {one.width:,}, weights {one.origin}, "
            f"SHA-256 {one.sha256[:UNIQUE_DIGITS]}.",
            ("images", "n", *METRICS.values()),
            tuple(row for scope in _scopes(facts) for row in _rows(facts, one, scope)),
        )
        for one in facts.extractors
    ]


def _training(facts: FidelityFacts) -> str:
    return f", training {facts.number + 1}" if facts.number else ""


def _scopes(facts: FidelityFacts) -> list[str]:
    return list(dict.fromkeys(line.scope for line in facts.lines))


def _rows(facts: FidelityFacts, extractor: ExtractorFacts, scope: str) -> list[tuple[Entry, ...]]:
    lines = {line.metric: line for line in facts.lines if (line.extractor, line.scope) == (extractor.name, scope)}
    if not lines:
        return []
    n = str(next(iter(lines.values())).n)
    drawn = tuple(entry(lines[metric]) if metric in lines else Entry("–") for metric in METRICS)
    floor = tuple(reading(lines[metric].floor) if metric in lines else Entry("–") for metric in METRICS)
    return [(Entry(scope), Entry(n), *drawn), (Entry(f"{scope}, floor"), Entry(n), *floor)]


def entry(line: Line) -> Entry:
    """Return a figure as a field; what is refused says why."""
    return reading(line.found)._replace(note=line.note)


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
        "Synthetic images beside the real ones that their generator saw, and how often it happens by chance.",
        ("set", "what is counted", "images", "by chance", "p"),
        rows,
    )
