"""What a setting of the generators does: scores on sets that no generator made, over the values that were tried."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cytobench.leaderboards.canvas import COLOURS, Drawing, Frame, canvas, grid, label_inches, short, what
from cytobench.leaderboards.results import METRICS, PRIMARY, ImageSetSummary, Result, Results
from cytobench.leaderboards.tables import Entry, Table, interval, number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LOGARITHMIC = 8.0
"""Values that span more than this factor are drawn on a logarithmic axis."""


class Dial(NamedTuple):
    """A setting with several numbers, and the synthetic sets that were drawn at each."""

    setting: str
    lines: dict[str, dict[float, ImageSetSummary]]
    """By generator and its other varied settings: the set of each value, ascending."""
    real: tuple[ImageSetSummary, ...]
    """The sets that the generators learned from, where backbones were trained on them, too."""


def dials(results: Results) -> list[Dial]:
    """Return every setting that has two numbers or more in one line of sets."""
    made = [one for one in results.sources if one.facts.generator is not None and one.facts.generator.varied]
    settings = dict.fromkeys(name for one in made for name in _varied(one))
    found = []
    for setting in settings:
        lines: dict[str, dict[float, ImageSetSummary]] = {}
        for one in made:
            value = _varied(one).get(setting)
            if isinstance(value, int | float) and not isinstance(value, bool):
                lines.setdefault(_line(one, setting), {})[float(value)] = one
        lines = {name: dict(sorted(values.items())) for name, values in lines.items() if len(values) > 1}
        if lines:
            learned = {one.facts.generator.trained_on for one in made if one.facts.generator is not None}
            real = tuple(one for one in results.sources if one.facts.generator is None and one.name in learned)
            found.append(Dial(setting, lines, real))
    return found


def _varied(one: ImageSetSummary) -> dict[str, object]:
    return dict(one.facts.generator.varied) if one.facts.generator is not None else {}


def _line(one: ImageSetSummary, setting: str) -> str:
    assert one.facts.generator is not None  # only such sets have a line
    others = [f"{name} {value}" for name, value in _varied(one).items() if name != setting]
    return ", ".join([one.facts.generator.name, *others])


def _targets(results: Results) -> list[ImageSetSummary]:
    return [one for one in results.targets if one.facts.nature != "synthetic"]


def dial_tables(results: Results) -> list[Table]:
    """Return for each setting a table of the primary metric: a row for each value, a column for each test."""
    return [
        Table(
            f"{dial.setting}: {METRICS[PRIMARY]}",
            "Trained on what the generator drew at each value, tested on sets that no generator made.",
            (
                dial.setting,
                "trained on",
                *(f"{name} on {one.shown}" for one in _targets(results) for name in results.backbones),
            ),
            tuple(
                (Entry(text), Entry(short(source.shown, 60)), *_scores(results, source))
                for text, source in [
                    *((f"{value:g}", one) for values in dial.lines.values() for value, one in values.items()),
                    *(("–", one) for one in dial.real),
                ]
            ),
        )
        for dial in dials(results)
    ]


def _scores(results: Results, source: ImageSetSummary) -> list[Entry]:
    return [
        scored(results.entries.get((name, source.name, one.name)))
        for one in _targets(results)
        for name in results.backbones
    ]


def scored(result: Result | None) -> Entry:
    """Return the primary metric of a result with its interval, or why there is none."""
    found = result.estimates[PRIMARY] if result is not None and result.seeds else None
    if found is None:
        return Entry("; ".join(dict.fromkeys(result.failures)) if result is not None else "–", mark="failed")
    return Entry(number(found.value), interval(found))


def dial_figures(results: Results) -> list[Drawing]:
    """Return for each setting a figure: a panel for each test set and backbone, a line for each generator."""
    return [_figure(results, dial) for dial in dials(results)]


def _figure(results: Results, dial: Dial) -> Drawing:
    targets = _targets(results)
    title = f"{METRICS[PRIMARY][0].upper()}{METRICS[PRIMARY][1:]} by {dial.setting}, with 95 % intervals"
    frame = Frame(
        left=0.55, right=0.6 + label_inches([*dial.lines, *_labels(dial)]), top=0.6, bottom=0.5, across=0.3, down=0.75,
        above=0.3,
    )  # fmt: skip
    shape = (len(targets), len(results.backbones))
    with canvas() as (figure, png):
        panels = grid(figure, frame, shape, (2.9, 2.1), title=f"{title}\n{what(results)}")
        for place, axes in enumerate(panels):
            row, column = divmod(place, shape[1])
            _panel(axes, results, dial, results.backbones[column], targets[row])
            axes.set_title(f"{short(results.backbones[column], 16)} on {short(targets[row].name, 16)}", fontsize=8.5)
            axes.set_xlabel(dial.setting if row == shape[0] - 1 else "")
            axes.set_ylabel(METRICS[PRIMARY] if column == 0 else "")
        corner = (1 - (frame.right - 0.1) / figure.get_figwidth(), 1 - (frame.top + 0.2) / figure.get_figheight())
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=8)
        return Drawing(f"dial-{dial.setting.replace('_', '-')}", title, png())


def _labels(dial: Dial) -> list[str]:
    return [f"{one.name} itself" for one in dial.real]


def value_axis(axes: "Axes", tried: Sequence[float]) -> None:
    """Mark the values that were tried, on a logarithmic axis where they span much."""
    values = sorted(set(tried))
    if values[0] > 0 and values[-1] / values[0] >= LOGARITHMIC:
        axes.set_xscale("log")
    axes.set_xticks(values, [f"{value:g}" for value in values])
    axes.minorticks_off()


def _panel(axes: "Axes", results: Results, dial: Dial, backbone: str, target: ImageSetSummary) -> None:
    value_axis(axes, [value for line in dial.lines.values() for value in line])
    for number_of_line, (name, line) in enumerate(dial.lines.items()):
        found = [(value, results.entries.get((backbone, one.name, target.name))) for value, one in line.items()]
        points = [(value, one.estimates[PRIMARY]) for value, one in found if one is not None and one.seeds]
        known = [(value, estimate) for value, estimate in points if estimate is not None]
        x, y = [value for value, _ in known], [estimate.value for _, estimate in known]
        down = [max(estimate.value - estimate.low, 0) for _, estimate in known]
        up = [max(estimate.high - estimate.value, 0) for _, estimate in known]
        axes.errorbar(
            x, y, yerr=[down, up], color=COLOURS[number_of_line % len(COLOURS)], marker="o", markersize=4, capsize=3,
            linewidth=1.3, label=name,
        )  # fmt: skip
    for one, label in zip(dial.real, _labels(dial), strict=True):
        result = results.entries.get((backbone, one.name, target.name))
        estimate = result.estimates[PRIMARY] if result is not None and result.seeds else None
        if estimate is not None:
            axes.axhspan(estimate.low, estimate.high, color="#999999", alpha=0.25, linewidth=0)
            axes.axhline(estimate.value, color="#555555", linestyle="--", linewidth=1, label=label)
    axes.set_ylim(0, 1.02)
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
