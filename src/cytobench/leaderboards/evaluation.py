"""From records to results: group, score, resample, compare."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.errors import UsageFault
from cytobench.leaderboards.admission import admit
from cytobench.leaderboards.fidelity import FidelityRecord
from cytobench.leaderboards.metrics import confusion, predicted, score
from cytobench.leaderboards.record import Record, SetFacts
from cytobench.leaderboards.results import (
    METRICS,
    NATURES,
    PRIMARY,
    Comparison,
    ImageSetSummary,
    Question,
    Result,
    Results,
    failed,
    shown_name,
)
from cytobench.leaderboards.statistics import Draws, Estimate, difference, draw, estimate, holm
from cytobench.seeds import seed_for


def evaluate(records: Sequence[Record]) -> Results:
    """Return everything that a board shows. The order of the records does not matter.

    Raises:
        UsageFault: They cannot share a board.
        IntegrityFault: One of them must not be shown.
    """
    admitted = admit(records)
    facts = admitted[0].facts
    entries: dict[tuple[str, str, str], Result] = {}
    comparisons: list[Comparison] = []
    for _, on_target in sorted(_by_target(admitted).items()):
        groups = _Groups(on_target)
        for result in groups.entries():
            entries[result.backbone, result.source, result.target] = result
        comparisons += [*groups.compared("backbones"), *groups.compared("sources")]
    return Results(
        facts.protocol,
        facts.profile,
        facts.classes,
        tuple(sorted({one.facts.backbone.asked for one in admitted})),
        _sets([one.facts.source for one in admitted], admitted),
        _sets([one.facts.target for one in admitted], admitted),
        entries,
        tuple(comparisons),
        tuple(admitted),
    )


def untested(measured: Sequence[FidelityRecord]) -> Results:
    """Return what a board shows where no classifier was trained: which experiment it was, and nothing tested.

    Raises:
        UsageFault: Nothing was measured either.
    """
    if not measured:
        raise UsageFault("there are no records", fix="a board is made from at least one")
    facts = [one.facts for one in measured]
    classes = dict.fromkeys(label for one in facts for label in one.classes)
    return Results(
        ", ".join(dict.fromkeys(one.protocol for one in facts)),
        ", ".join(dict.fromkeys(one.profile for one in facts)),
        tuple(classes),
        backbones=(),
        sources=(),
        targets=(),
        entries={},
        comparisons=(),
        records=(),
    )


class _Groups:
    """All records on one target, by backbone and source, with the resampled scores of each."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.target = records[0].facts.target
        self.classes = len(records[0].facts.classes)
        self.all: dict[tuple[str, str], list[Record]] = defaultdict(list)
        for one in records:
            self.all[one.facts.backbone.asked, one.facts.source.name].append(one)
        sided = {pair: [_by_image(one) for one in group if one.predictions] for pair, group in self.all.items()}
        self.sided = {pair: tests for pair, tests in sided.items() if tests}
        self.scores = {pair: [score(*one) for one in tests] for pair, tests in self.sided.items()}
        self.draws = dict(zip(self.sided, self._draws(), strict=True))

    def _draws(self) -> list[list[Draws]]:
        if not self.sided:
            return []
        labels = next(iter(self.sided.values()))[0].labels
        return draw(
            labels,
            [[one.logits for one in tests] for tests in self.sided.values()],
            image_seed=seed_for("images of", self.target.name, self.target.split_sha256),
            group_seeds=[seed_for("images not seen", *pair, *self._keys(pair)) for pair in self.sided],
        )

    def _keys(self, pair: tuple[str, str]) -> list[str]:
        return sorted(one.key for one in self.all[pair])

    def values(self, pair: tuple[str, str], metric: str) -> list[float] | None:
        """Return the value of each seed, or None when it is not defined."""
        found = [getattr(one, metric) for one in self.scores.get(pair, [])]
        return found if found and None not in found else None

    def drawn(self, pair: tuple[str, str], metric: str) -> list[NDArray[np.float64]]:
        return [one[metric] for one in self.draws[pair]]

    def entries(self) -> list[Result]:
        return [self._entry(*pair) for pair in sorted(self.all)]

    def _entry(self, backbone: str, source: str) -> Result:
        pair, n = (backbone, source), self.target.images_test
        estimates: dict[str, Estimate | None] = {}
        for metric in METRICS:
            values = self.values(pair, metric)
            seed = seed_for("seeds", metric, *self._keys(pair))
            estimates[metric] = None if values is None else estimate(values, self.drawn(pair, metric), n=n, seed=seed)
        counts = np.zeros((self.classes, self.classes), dtype=np.int64)
        for labels, logits in self.sided.get(pair, []):
            counts += confusion(labels, predicted(logits), classes=self.classes)
        return Result(
            backbone,
            source,
            self.target.name,
            n,
            tuple(one.facts.seed for one in self.all[pair] if one.predictions),
            tuple(failed(one) for one in self.all[pair] if not one.predictions),
            estimates,
            tuple(self.scores.get(pair, [])),
            counts,
            tuple(one.key for one in self.all[pair]),
        )

    def compared(self, question: Question) -> list[Comparison]:
        """Return all pairs of one question, corrected for their number."""
        varies = 0 if question == "backbones" else 1
        pairs = [
            (first, second)
            for first, second in itertools.combinations(sorted(self.sided), 2)
            if first[1 - varies] == second[1 - varies]
        ]
        found = [
            difference(
                self.values(first, PRIMARY) or [],
                self.drawn(first, PRIMARY),
                self.values(second, PRIMARY) or [],
                self.drawn(second, PRIMARY),
                freedom=max(1, self.target.images_test - self.classes),
            )
            for first, second in pairs
        ]
        return [
            Comparison(
                question,
                self.target.name,
                first[1 - varies],
                first[varies],
                second[varies],
                one,
                p,
                min(len(self.sided[first]), len(self.sided[second])),
            )
            for (first, second), one, p in zip(pairs, found, holm([one.p for one in found]), strict=True)
        ]


class _Test(NamedTuple):
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]


def _by_image(record: Record) -> _Test:
    """Return labels and logits in the order of the images' ids, the same for all records on one target."""
    predictions = record.predictions
    assert predictions is not None
    order = np.argsort(predictions.ids)
    return _Test(predictions.labels[order], predictions.logits[order])


def _by_target(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for one in records:
        found[one.facts.target.name].append(one)
    return found


def _sets(used: Sequence[SetFacts], records: Sequence[Record]) -> tuple[ImageSetSummary, ...]:
    """Return the sets once each: real ones first, then drawn ones, then synthetic ones."""
    once = {one.name: one for one in used}
    ordered = sorted(once.values(), key=lambda one: (NATURES.index(one.nature), one.name))
    return tuple(_summary(one, records) for one in ordered)


def _summary(facts: SetFacts, records: Sequence[Record]) -> ImageSetSummary:
    images: dict[str, int] = {}
    support: tuple[int, ...] | None = None
    for record in records:
        source, target = record.facts.source, record.facts.target
        if source.name == facts.name:
            images |= {"train": source.images_train, "val": source.images_val}
        if target.name == facts.name:
            images["test"] = target.images_test
            if record.predictions is not None:
                counted = np.bincount(record.predictions.labels, minlength=len(record.facts.classes))
                support = tuple(int(count) for count in counted)
    return ImageSetSummary(facts.name, shown_name(facts), facts, images, support)
