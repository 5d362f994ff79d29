"""What harder scenes do: scores over the dial of levels, and whether a test says that they fall."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cytobench.leaderboards.canvas import COLOURS, Drawing, Frame, canvas, grid, label_inches, short, what
from cytobench.leaderboards.dials import scored
from cytobench.leaderboards.metrics import score
from cytobench.leaderboards.results import METRICS, PRIMARY, ImageSetSummary, Results
from cytobench.leaderboards.statistics import LEVEL, Difference, difference, draw, holm
from cytobench.leaderboards.tables import Entry, Table, number
from cytobench.seeds import seed_for

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Ladder(NamedTuple):
    """Scenes of the same cells at several places of the dial."""

    cells: str
    """The set of the central cells."""
    rungs: dict[float, ImageSetSummary]
    """The scenes that were tested on, by their place on the dial, ascending."""
    sources: tuple[ImageSetSummary, ...]
    """What was trained on and tested on every rung."""


class Fall(NamedTuple):
    """How much a score changes from the easiest to the hardest scenes."""

    backbone: str
    source: str
    change: Difference
    p_holm: float
    """Corrected for the number of backbones and sources."""


def ladders(results: Results) -> list[Ladder]:
    """Return every set of cells whose scenes were tested on at two places of the dial or more."""
    rungs: dict[str, dict[float, ImageSetSummary]] = {}
    for one in results.targets:
        if one.facts.scenes is not None and one.facts.scenes.dial is not None:
            rungs.setdefault(one.facts.scenes.cells, {})[one.facts.scenes.dial] = one
    return [
        Ladder(cells, dict(sorted(found.items())), results.sources) for cells, found in rungs.items() if len(found) > 1
    ]


def falls(results: Results, ladder: Ladder) -> list[Fall]:
    """Return for each backbone and source how much the primary metric changes from the first rung to the last.

    Scenes of two rungs show the same central cells; that, and that the same networks are tested on both, is left out of
    the error, which makes it too large rather than too small.
    """
    ends = [list(ladder.rungs.values())[end] for end in (0, -1)]
    found = []
    for backbone in results.backbones:
        for source in ladder.sources:
            sides = [_tests(results, backbone, source.name, end) for end in ends]
            if not all(sides):
                continue
            values, draws = [], []
            for end, trials in zip(ends, sides, strict=True):
                labels = trials[0][0]
                values.append([float(getattr(score(*one), PRIMARY)) for one in trials])
                seeds = [seed_for("scenes of", end.name, backbone, source.name)]
                drawn = draw(labels, [[logits for _, logits in trials]], image_seed=seeds[0], group_seeds=seeds)
                draws.append([one[PRIMARY] for one in drawn[0]])
            classes = len(np.unique(sides[0][0][0]))
            freedom = max(min(len(side[0][0]) for side in sides) - classes, 1)
            found.append((backbone, source.name, difference(values[1], draws[1], values[0], draws[0], freedom=freedom)))
    corrected = holm([change.p for _, _, change in found])
    return [Fall(*one, p_holm) for one, p_holm in zip(found, corrected, strict=True)]


def _tests(
    results: Results, backbone: str, source: str, target: ImageSetSummary
) -> list[tuple[np.ndarray[tuple[int, ...], np.dtype[np.int64]], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]]:
    """Return labels and logits of every finished trial of a backbone and a source on a target."""
    wanted = (backbone, source, target.name)
    return [
        (one.predictions.labels, one.predictions.logits)
        for one in results.records
        if (one.facts.backbone.asked, one.facts.source.name, one.facts.target.name) == wanted and one.predictions
    ]


def ladder_tables(results: Results) -> list[Table]:
    """Return for each ladder a table: a row for each backbone and source, a column for each rung, and the fall."""
    return [_table(results, one) for one in ladders(results)]


def _table(results: Results, ladder: Ladder) -> Table:
    known = {(one.backbone, one.source): one for one in falls(results, ladder)}
    rows = []
    for backbone in results.backbones:
        for source in ladder.sources:
            scores = [scored(results.entries.get((backbone, source.name, rung.name))) for rung in ladder.rungs.values()]
            rows.append(
                (Entry(backbone), Entry(short(source.shown, 60)), *scores, _said(known.get((backbone, source.name))))
            )
    first, *_, last = ladder.rungs
    return Table(
        f"Harder scenes: {METRICS[PRIMARY]} over the dial, cells of {ladder.cells}",
        "Tested on scenes of the same central cells with more and more around them. The last column says whether the "
        "score differs between the two ends, after Holm for all rows.",
        (
            "backbone",
            "trained on",
            *(
                f"dial {place:g} ({rung.facts.scenes.level})"
                for place, rung in ladder.rungs.items()
                if rung.facts.scenes
            ),
            f"from {first:g} to {last:g}",
        ),
        tuple(rows),
    )


def _said(fall: Fall | None) -> Entry:
    if fall is None:
        return Entry("–", mark="failed")
    change = fall.change
    word = "no difference was shown" if fall.p_holm >= 1 - LEVEL else "falls" if change.value < 0 else "rises"
    return Entry(f"{word}: {change.value:+.3f}", f"[{change.low:+.3f}, {change.high:+.3f}], p {number(fall.p_holm)}")


def ladder_figures(results: Results) -> list[Drawing]:
    """Return for each ladder a figure: a panel for each backbone, a line for each source."""
    return [_figure(results, one) for one in ladders(results)]


def _figure(results: Results, ladder: Ladder) -> Drawing:
    title = f"Harder scenes: {METRICS[PRIMARY]} over the dial of levels, with 95 % intervals"
    names = [short(one.shown, 40) for one in ladder.sources]
    frame = Frame(
        left=0.55, right=0.95 + label_inches(names), top=0.6, bottom=0.5, across=0.35, down=0.6, above=0.3
    )  # fmt: skip
    with canvas() as (figure, png):
        panels = grid(
            figure,
            frame,
            (1, len(results.backbones)),
            (2.9, 2.3),
            title=f"{title}\n{what(results)}; cells of {ladder.cells}",
        )
        for axes, backbone in zip(panels, results.backbones, strict=True):
            _panel(axes, results, ladder, backbone, names)
            axes.set_title(short(backbone, 24), fontsize=8.5)
            axes.set_xlabel("tested on: place on the dial")
            axes.set_ylabel(METRICS[PRIMARY] if backbone == results.backbones[0] else "")
        corner = (1 - (frame.right - 0.1) / figure.get_figwidth(), 1 - (frame.top + 0.2) / figure.get_figheight())
        handles, shown = panels[0].get_legend_handles_labels()
        figure.legend(
            handles, shown, title="trained on", loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=8
        )
        return Drawing(f"levels-{ladder.cells}", title, png())


def _panel(axes: "Axes", results: Results, ladder: Ladder, backbone: str, names: list[str]) -> None:
    step = (max(ladder.rungs) - min(ladder.rungs)) * 0.008
    for rank, (source, name) in enumerate(zip(ladder.sources, names, strict=True)):
        found = [
            (place, results.entries.get((backbone, source.name, rung.name))) for place, rung in ladder.rungs.items()
        ]
        known = [
            (place, one.estimates[PRIMARY])
            for place, one in found
            if one is not None and one.seeds and one.estimates[PRIMARY] is not None
        ]
        x = [place + step * (rank - (len(names) - 1) / 2) for place, _ in known]  # beside one another
        y = [estimate.value for _, estimate in known if estimate]
        down = [max(estimate.value - estimate.low, 0) for _, estimate in known if estimate]
        up = [max(estimate.high - estimate.value, 0) for _, estimate in known if estimate]
        axes.errorbar(
            x, y, yerr=[down, up], color=COLOURS[rank % len(COLOURS)], marker="o", markersize=3.5, capsize=2.5,
            linewidth=1.2, label=name,
        )  # fmt: skip
    axes.set_xticks(list(ladder.rungs), [f"{place:g}" for place in ladder.rungs])
    axes.set_ylim(0, 1.02)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
