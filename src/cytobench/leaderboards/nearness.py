"""Which synthetic sets lie nearer to real cells than others, as far as independent trainings show it.

Compared are sets that were measured against the same real images and share the values of what was varied, so that a
curve over a budget has an answer at every budget. The samples are the values of the trainings (Welch's t-test, 1947,
doi:10.1093/biomet/34.1-2.28); from one training nothing is concluded.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from scipy import stats

from cytobench.leaderboards.fidelity import ALL, METRICS, FidelityRecord, Metric
from cytobench.leaderboards.fidelity_dials import SHOWN
from cytobench.leaderboards.statistics import LEVEL, holm
from cytobench.leaderboards.tables import Entry, Table


class _Group(NamedTuple):
    """Sets that may be compared."""

    reference: str
    varied: tuple[tuple[str, str], ...]
    """What their generators have in common of what was varied."""


Values = dict[_Group, dict[str, list[float]]]
"""The value of every training, by group and set."""


def nearness_tables(measured: Sequence[FidelityRecord]) -> list[Table]:
    """Return for each extractor which sets are nearer than which; nothing where there are no two to compare."""
    looks = dict.fromkeys(extractor.name for one in measured for extractor in one.facts.extractors)
    return [table for look in looks for table in _table(measured, look)]


def _table(measured: Sequence[FidelityRecord], extractor: str) -> list[Table]:
    columns = {metric: _values(measured, extractor, metric) for metric in SHOWN}
    groups = list(dict.fromkeys(group for found in columns.values() for group, sets in found.items() if len(sets) > 1))
    if not groups:
        return []
    told = {metric: _told(found) for metric, found in columns.items()}
    rows = tuple(
        (Entry(_shown(group, groups)), *(told[metric].get(group, Entry("–")) for metric in SHOWN)) for group in groups
    )
    return [
        Table(
            f"Which generator is nearer to real cells, seen by {extractor}",
            "a < b: a has the smaller distance over its independent trainings, all classes together, p < 0.05 after "
            "Welch and Holm. For pairs that are not named no difference was shown.",
            ("compared", *(METRICS[metric] for metric in SHOWN)),
            rows,
        )
    ]


def _values(measured: Sequence[FidelityRecord], extractor: str, metric: Metric) -> Values:
    found: Values = {}
    for record in measured:
        one = record.facts
        varied = one.generator.varied if one.generator is not None else {}
        group = _Group(one.reference, tuple((name, str(value)) for name, value in varied.items()))
        for line in one.lines:
            if (line.extractor, line.scope, line.metric) == (extractor, ALL, metric) and line.found is not None:
                found.setdefault(group, {}).setdefault(one.synthetic, []).append(line.found.value)
    return found


def _told(found: Values) -> dict[_Group, Entry]:
    """Return what can be said of each group; p-values are corrected for all comparisons of the column."""
    compared = [
        (group, one, other)
        for group, sets in found.items()
        for one, other in itertools.combinations(sorted(sets), 2)
        if min(len(sets[one]), len(sets[other])) > 1
    ]
    p = holm([welch(found[group][one], found[group][other]) for group, one, other in compared])
    beaten: dict[_Group, dict[str, list[str]]] = {}
    for (group, one, other), chance in zip(compared, p, strict=True):
        if chance < 1 - LEVEL:
            near, far = sorted((one, other), key=lambda name, sets=found[group]: sum(sets[name]) / len(sets[name]))  # type: ignore[misc]
            beaten.setdefault(group, {}).setdefault(near, []).append(far)
    several = {group for group, _, _ in compared}
    return {
        group: _entry(beaten.get(group, {}), tested=group in several) for group, sets in found.items() if len(sets) > 1
    }


def _entry(beaten: dict[str, list[str]], *, tested: bool) -> Entry:
    if not tested:
        return Entry("one training: not ranked", mark="words")
    wins = sorted(beaten.items(), key=lambda item: (-len(item[1]), item[0]))
    said = ";\n".join(f"{near} < {', '.join(sorted(far))}" for near, far in wins)
    return Entry(said or "no difference was shown", mark="words")


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the two-sided p-value of equal means, each of two values or more; 1 where nothing scatters or differs."""
    if len({*one, *other}) == 1:
        return 1.0
    if len(set(one)) == len(set(other)) == 1:  # two constants that differ: the test's limit
        return 0.0
    return float(stats.ttest_ind(one, other, equal_var=False).pvalue)


def _shown(group: _Group, groups: Sequence[_Group]) -> str:
    """Return what a group is called: its varied values, and what it is compared with where that differs."""
    varied = ", ".join(f"{name} {value}" for name, value in group.varied)
    several = len({one.reference for one in groups}) > 1
    return "; ".join(filter(None, [varied, group.reference if several or not varied else ""]))
