"""What a board may say in words: warnings, and differences that a test has shown."""

from collections.abc import Sequence

from cytobench.leaderboards.costs import cost_tables
from cytobench.leaderboards.dials import dial_tables
from cytobench.leaderboards.fidelity import FidelityRecord
from cytobench.leaderboards.fidelity_findings import of_fidelity
from cytobench.leaderboards.ladders import ladder_tables
from cytobench.leaderboards.lengths import uneven
from cytobench.leaderboards.results import METRICS, PRIMARY, Question, Results, failed
from cytobench.leaderboards.statistics import RESAMPLES
from cytobench.leaderboards.tables import Entry, Table

HOW = (
    f"Intervals are 95 %, from {RESAMPLES:,} weighted resamples of the test images (Bayesian bootstrap), stratified by "
    "true class because the class counts of a frozen split are chosen, not drawn. Every resample also holds about one "
    "image that is right and one that is wrong, so that 10 right out of 10 is no certainty.",
    "With several seeds the value is their mean, and the scatter between seeds widens the interval (Student's t). With "
    "one seed the interval is about these trained weights, not about the recipe.",
    f"Differences are tested in {METRICS[PRIMARY]}, paired on the same test images, and corrected after Holm for all "
    "comparisons of one question on one target. A rank is 1 + the number of backbones shown to be better; equal ranks "
    "mean that no difference was shown. Numbers from one seed are not ranked.",
    "Macro means run over the classes that the test set has; a class that is present and never predicted counts with "
    "precision 0. AUC is one-vs-rest from the softmax, ties count half.",
)
"""How the numbers were made, for readers."""


def warnings(results: Results, measured: Sequence[FidelityRecord] = ()) -> list[str]:
    """Return what a reader must know before any number.

    Args:
        results: What was tested.
        measured: What was measured of synthetic sets.
    """
    found = of_fidelity(measured, alone=not results.records)
    if results.preliminary:
        found.append("Preliminary: some results come from one seed only. They are not ranked.")
    drawn = sorted({one.shown for one in (*results.sources, *results.targets) if one.facts.nature == "phantom"})
    if drawn:
        found.append(f"Phantom images are drawn, not photographs of patients: {', '.join(drawn)}.")
    begun = {one.shown: one.facts.generator.base for one in results.sources if one.facts.generator is not None}
    for base in sorted(set(begun.values()) - {""}):
        named = _some([name for name, other in begun.items() if other == base])
        found.append(f"The generator of these sets began with {base}: {named}.")
    made = sorted({one.shown for one in results.targets if one.facts.nature == "synthetic"})
    if made:
        found.append(f"Tested on synthetic images, which says nothing about patients by itself: {', '.join(made)}.")
    for one in {one.name: one for one in (*results.sources, *results.targets)}.values():
        if one.facts.absent_classes:
            found.append(f"{one.shown} has no {', no '.join(one.facts.absent_classes)}.")
        told = one.facts.generator is not None or one.facts.scenes is not None or one.facts.told
        if one.facts.nature == "synthetic" and not told:
            found.append(f"{one.shown}: nobody says what generated it, so its ancestry cannot be checked.")
    for one in results.targets:
        shared = {
            record.facts.source.name: record.facts.guard.shared_ancestors
            for record in results.records
            if record.facts.target.name == one.name and record.facts.guard.shared_ancestors
        }
        if shared:
            named = _some([f"{source} ({count:,} images)" for source, count in shared.items()])
            found.append(
                f"{one.shown} is no independent test of {named}: its generator learned from images that belong to "
                "the training of that source, too."
            )
    if lengths := uneven(results):
        named = _some([f"{source} ({steps:,})" for source, steps in lengths.items()])
        found.append(
            f"Sources that are compared were trained for different numbers of steps, at most: {named}. A difference "
            "between them may be one of length; --set training.epoch_images=N shows as many images of each per epoch."
        )
    below = [one for one in results.entries.values() if one.below_majority]
    if below:
        named = _some([f"{one.backbone} from {one.source} on {one.target}" for one in below])
        found.append(f"Less accurate than always saying the commonest class: {named}.")
    lost = [record for record in results.records if record.facts.status == "failed"]
    if lost:
        trials = [
            f"{one.facts.backbone.asked} trained on {one.facts.source.name} with seed {one.facts.seed}, {failed(one)}"
            for one in lost
        ]
        found.append(f"Missing because the trial failed: {_some(list(dict.fromkeys(trials)))}.")
    return found


def findings(results: Results) -> list[Table]:
    """Return for each target which backbones and which sources differ, as far as a test says so, and what settings
    do."""
    return [
        _differences(results, "backbones", "Which backbones differ", "trained on"),
        _differences(results, "sources", "Which sources differ", "backbone"),
        *dial_tables(results),
        *ladder_tables(results),
        *cost_tables((one.shown, one.facts.generator) for one in results.sources),
    ]


def _differences(results: Results, question: Question, title: str, rows: str) -> Table:
    names = {one.name: one.shown for one in (*results.sources, *results.targets)}
    lines = [one.name for one in results.sources] if question == "backbones" else list(results.backbones)

    def said(line: str) -> list[Entry]:
        return [_said(results, question, line, one.name, names) for one in results.targets]

    return Table(
        title,
        f"a > b: a has the better {METRICS[PRIMARY]} on these test images, p < 0.05 after Holm. "
        "For pairs that are not named no difference was shown. From one seed, the difference is between these trained "
        "weights and not between the recipes.",
        (rows, *(f"tested on {one.shown}" for one in results.targets)),
        tuple(
            (
                Entry(names.get(line, line)),
                *(_said(results, question, line, one.name, names) for one in results.targets),
            )
            for line in lines
        ),
    )


def _said(results: Results, question: Question, fixed: str, target: str, names: dict[str, str]) -> Entry:
    """Return who beats whom among what shares a source (or a backbone) on a target, the best first."""
    compared = [
        one for one in results.comparisons if (one.question, one.fixed, one.target) == (question, fixed, target)
    ]
    if not compared:
        return Entry("nothing to compare")
    beaten: dict[str, list[str]] = {}
    for one in compared:
        if one.differs:
            beaten.setdefault(one.better, []).append(one.worse)
    wins = sorted(beaten.items(), key=lambda item: (-len(item[1]), item[0]))
    said = ";\n".join(
        f"{names.get(better, better)} > {', '.join(names.get(one, one) for one in worse)}" for better, worse in wins
    )
    single = min(one.seeds for one in compared) == 1
    note = "one seed" if single and said else ""
    return Entry(said or "no difference was shown", note=note, mark="words")


def _some(names: Sequence[str], most: int = 6) -> str:
    more = f"; and {len(names) - most} more" if len(names) > most else ""
    return "; ".join(names[:most]) + more
