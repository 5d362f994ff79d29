"""What records say together, as data: scores with intervals, and which differences are differences."""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.leaderboards.metrics import Scores
from cytobench.leaderboards.record import Nature, Record, SetFacts
from cytobench.leaderboards.statistics import LEVEL, Difference, Estimate

METRICS = {
    "accuracy": "accuracy",
    "precision_macro": "macro precision",
    "recall_macro": "macro recall",
    "f1_macro": "macro F1",
    "precision_weighted": "weighted precision",
    "recall_weighted": "weighted recall",
    "f1_weighted": "weighted F1",
    "auc_macro": "macro AUC",
}
"""Every metric of a board and what people call it."""

PRIMARY = "f1_macro"
"""What differences are tested in: every class counts the same, however rare."""

Question = Literal["backbones", "sources"]
"""What is compared: backbones on one source, or sources of one backbone."""

NATURES: tuple[Nature, ...] = ("real", "phantom", "synthetic")
"""The order in which boards list sets."""


class ImageSetSummary(NamedTuple):
    """A set of images on the board."""

    name: str
    shown: str
    """The name with its mark, as ``pbc-dcgan (synthetic)``."""
    facts: SetFacts
    images: dict[str, int]
    """Images of its train, val and test part, as far as any record speaks of them."""
    support: tuple[int, ...] | None
    """Test images of each class; None when it was not tested on."""


class Result(NamedTuple):
    """One backbone, trained on one source, tested on one target."""

    backbone: str
    source: str
    target: str
    n: int
    """Test images."""
    seeds: tuple[int, ...]
    """Of the trials that were finished."""
    failures: tuple[str, ...]
    """Of the others, as ``failed(nan, step 123)``."""
    estimates: dict[str, Estimate | None]
    """By metric; None when it is not defined on this target or nothing was finished."""
    scores: tuple[Scores, ...]
    """One for each seed."""
    counts: NDArray[np.int64]
    """(C, C) confusion counts, summed over seeds."""
    keys: tuple[str, ...]
    """Of the records, failed ones too."""

    @property
    def below_majority(self) -> bool:
        """Whether always saying the commonest class would be more accurate."""
        found = self.estimates["accuracy"]
        return found is not None and found.value < self.scores[0].majority


class Comparison(NamedTuple):
    """Two backbones on one source, or two sources of one backbone, tested on the same images."""

    question: Question
    target: str
    fixed: str
    """The source, or the backbone, that both share."""
    first: str
    second: str
    difference: Difference
    """First minus second, in the primary metric."""
    p_holm: float
    """Corrected for the number of comparisons of this question on this target."""
    seeds: int
    """Of the side with fewer; 1: the two trained networks are compared, not the recipes."""

    @property
    def better(self) -> str:
        """The one with the larger value."""
        return self.first if self.difference.value > 0 else self.second

    @property
    def worse(self) -> str:
        """The other one."""
        return self.second if self.difference.value > 0 else self.first

    @property
    def differs(self) -> bool:
        """Whether the test says that it is a difference."""
        return self.p_holm < 1 - LEVEL


class Results(NamedTuple):
    """All that a board shows, in numbers."""

    protocol: str
    profile: str
    classes: tuple[str, ...]
    backbones: tuple[str, ...]
    sources: tuple[ImageSetSummary, ...]
    targets: tuple[ImageSetSummary, ...]
    entries: dict[tuple[str, str, str], Result]
    """By backbone, source and target."""
    comparisons: tuple[Comparison, ...]
    records: tuple[Record, ...]
    """Those it was made from, in the order of their places."""

    @property
    def preliminary(self) -> bool:
        """Whether some numbers come from one seed only."""
        return any(len(one.seeds) == 1 for one in self.entries.values())

    def rank(self, result: Result) -> int | None:
        """Return 1 + the number of backbones that are better on the same source and target, as far as a test says so.

        None when the result or all others come from fewer than two seeds: those are preliminary and not ranked.
        """
        rivals = [
            one
            for one in self.entries.values()
            if (one.source, one.target) == (result.source, result.target) and len(one.seeds) > 1
        ]
        if len(rivals) < 2 or len(result.seeds) < 2:
            return None
        names = {one.backbone for one in rivals}
        return 1 + sum(
            (one.question, one.fixed, one.target) == ("backbones", result.source, result.target)
            and one.differs
            and one.worse == result.backbone
            and one.better in names
            for one in self.comparisons
        )


def failed(record: Record) -> str:
    """Return how a failed trial is shown, as ``failed(nan, step 123)``."""
    failure = record.facts.failure
    if failure is None:
        return ""
    return f"failed({failure.reason}{'' if failure.step is None else f', step {failure.step}'})"


def shown_name(facts: SetFacts) -> str:
    """Return a set's name with the mark of what is not real."""
    if facts.nature == "real":
        return facts.name
    origin = ""
    if facts.generator is not None and facts.generator.nature_of_training != "real":
        origin = f" from {facts.generator.nature_of_training}"
    return f"{facts.name} ({facts.nature}{origin})"
