"""The tables of a board, as data: what stands where. :mod:`exports` turns them into text."""

from typing import Literal, NamedTuple

from cytobench.leaderboards.results import METRICS, ImageSetSummary, Result, Results
from cytobench.leaderboards.statistics import Estimate

Mark = Literal["", "words", "diagonal", "failed", "below"]
"""A sentence and no number; trained and tested on the same set; nothing was finished; less accurate than always saying
the commonest class."""

NOT_DEFINED = "n/a"
CROSS_METRICS = ("accuracy", "f1_macro")
UNIQUE_DIGITS = 12  # of a hash, as shown to people


class Entry(NamedTuple):
    """One field of a table."""

    text: str
    interval: str = ""
    note: str = ""
    mark: Mark = ""


class Table(NamedTuple):
    """A table for people; the first field of a row is its head."""

    title: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[Entry, ...], ...]


def number(value: float) -> str:
    """Return a score with three decimals that never rounds to a perfect 1 or to a total 0.

    >>> number(0.9996), number(1.0), number(0.0001)
    ('0.999', '1.000', '0.001')
    """
    if 0.0 < value < 1.0:
        value = min(max(value, 0.001), 0.999)
    return f"{value:.3f}"


def same_dataset(results: Results) -> list[Table]:
    """Return one table for each target that some backbone was also trained on: every metric of every backbone."""
    tables = []
    for target in results.targets:
        found = [results.entries.get((backbone, target.name, target.name)) for backbone in results.backbones]
        present = [one for one in found if one is not None]
        if not present:
            continue
        rows = sorted(present, key=lambda one: (_order(one), one.backbone))
        tables.append(
            Table(
                f"{target.shown}: trained and tested on it",
                f"n = {present[0].n} test images; mean over seeds and 95 % interval." + _absent(results, target),
                ("backbone", "rank", "seeds", *METRICS.values()),
                tuple(_same_dataset_row(results, one) for one in rows),
            )
        )
    return tables


def _order(result: Result) -> float:
    found = result.estimates["f1_macro"]
    return -found.value if found is not None else 1.0


def _same_dataset_row(results: Results, result: Result) -> tuple[Entry, ...]:
    rank = results.rank(result)
    place = Entry("–", note="preliminary" if len(result.seeds) == 1 else "") if rank is None else Entry(str(rank))
    seeds = Entry(str(len(result.seeds)), note="; ".join(dict.fromkeys(result.failures)))
    scores = [_entry(result, metric) if result.seeds else Entry("–") for metric in METRICS]
    return (Entry(result.backbone), place, seeds, *scores)


def source_by_target(results: Results, *, metric: str) -> list[Table]:
    """Return one SOURCE × TARGET table for each backbone."""
    return [
        Table(
            f"{backbone}: {METRICS[metric]}",
            "Rows: trained on. Columns: tested on. The diagonal is marked.",
            ("source \\ target", *(f"{target.shown}, n = {target.images['test']}" for target in results.targets)),
            tuple(
                (
                    Entry(source.shown),
                    *(_cross_entry(results, backbone, source, target, metric) for target in results.targets),
                )
                for source in results.sources
            ),
        )
        for backbone in results.backbones
    ]


def _cross_entry(
    results: Results, backbone: str, source: ImageSetSummary, target: ImageSetSummary, metric: str
) -> Entry:
    result = results.entries.get((backbone, source.name, target.name))
    if result is None:
        return Entry("–")
    entry = _entry(result, metric)
    if result.seeds and result.failures:
        entry = entry._replace(note="; ".join(filter(None, [entry.note, *dict.fromkeys(result.failures)])))
    return entry._replace(mark="diagonal") if source.name == target.name and not entry.mark else entry


def _entry(result: Result, metric: str) -> Entry:
    if not result.seeds:
        return Entry("; ".join(dict.fromkeys(result.failures)), mark="failed")
    found = result.estimates[metric]
    if found is None:
        return Entry(NOT_DEFINED, note="class absent")
    below = metric == "accuracy" and result.below_majority
    return Entry(
        number(found.value),
        interval(found),
        note=f"below the commonest class ({number(result.scores[0].majority)})" if below else "",
        mark="below" if below else "",
    )


def interval(found: Estimate) -> str:
    """Return an interval as people write it."""
    return f"[{number(found.low)}, {number(found.high)}]"


def _absent(results: Results, target: ImageSetSummary) -> str:
    gone = [name for name, count in zip(results.classes, target.support or (), strict=False) if not count]
    if not gone:
        return ""
    return f" It has no {', no '.join(gone)}: means run over the other classes, and AUC is not defined ({NOT_DEFINED})."


def per_class(results: Results, backbone: str) -> list[Table]:
    """Return for each target the precision, recall, F1 and AUC of every class, by source, as means over seeds."""
    tables = []
    for target in results.targets:
        rows = []
        for source in results.sources:
            result = results.entries.get((backbone, source.name, target.name))
            if result is None or not result.seeds:
                continue
            for k, name in enumerate(results.classes):
                scores = [one.per_class[k] for one in result.scores]
                means = [_mean([getattr(one, what) for one in scores]) for what in ("precision", "recall", "f1", "auc")]
                shown = [Entry(NOT_DEFINED) if one is None else Entry(number(one)) for one in means]
                rows.append((Entry(source.shown), Entry(name), Entry(str(scores[0].support)), *shown))
        if rows:
            head = ("source", "class", "n", "precision", "recall", "F1", "AUC")
            tables.append(Table(f"{backbone} on {target.shown}", "Means over seeds.", head, tuple(rows)))
    return tables


def _mean(values: list[float | None]) -> float | None:
    known = [one for one in values if one is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def sets(results: Results) -> Table:
    """Return what was trained and tested on."""
    once: dict[str, ImageSetSummary] = {one.name: one for one in (*results.sources, *results.targets)}
    rows = []
    for one in once.values():
        maker, counts = one.facts.generator, [one.images.get(part) for part in ("train", "val", "test")]
        made = "–"
        if maker is not None:
            started = f", beginning with {maker.base}" if maker.base else ""
            made = f"{maker.name}{started}, trained on {maker.trained_on} ({maker.nature_of_training})"
        if maker is None and one.facts.nature == "synthetic":
            made = "not stated"
        rows.append(
            (
                Entry(one.name),
                Entry(one.facts.nature),
                *(Entry("–" if count is None else f"{count:,}") for count in counts),
                Entry(", ".join(one.facts.absent_classes) or "–"),
                Entry(made),
                Entry(one.facts.split_sha256[:UNIQUE_DIGITS]),
                Entry(one.facts.key[:UNIQUE_DIGITS]),
            )
        )
    head = ("set", "nature", "train", "val", "test", "absent classes", "made by", "split hash", "key")
    return Table("Sets", "Images in each part; a hash names the exact split.", head, tuple(rows))


def networks(results: Results) -> Table:
    """Return which networks were trained, and from what."""
    rows: dict[tuple[str, ...], None] = {}
    for record in results.records:
        backbone, weights = record.facts.backbone, record.facts.weights
        size = f"{backbone.parameters / 1e6:.1f} M"
        hashed = weights.sha256[:UNIQUE_DIGITS] if weights.sha256 else "–"
        name = f"{backbone.library}: {backbone.model}"
        rows[backbone.asked, name, size, f"{backbone.input_size} px", weights.origin, hashed] = None
    head = ("backbone", "resolved name", "parameters", "input", "weights", "hash of weights")
    return Table("Backbones", "", head, tuple(tuple(Entry(one) for one in row) for row in rows))
