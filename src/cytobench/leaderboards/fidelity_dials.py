"""What a setting of the generators does to what they draw: Fréchet and kernel distance over the values tried."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cytobench.leaderboards.canvas import COLOURS, Drawing, Frame, canvas, grid, label_inches, short
from cytobench.leaderboards.dials import value_axis
from cytobench.leaderboards.fidelity import ALL, METRICS, FidelityFacts, FidelityRecord, Line, Metric, Reading
from cytobench.leaderboards.fidelity_tables import mean, reading, trained
from cytobench.leaderboards.tables import Entry, Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN: tuple[Metric, ...] = ("frechet", "kid")
"""The distances that are followed: 0 is best."""


class Point(NamedTuple):
    """What was measured at one value."""

    found: dict[Metric, Reading | None]
    """Mean over trainings; None where some training has none."""
    floor: dict[Metric, Reading | None]
    """Of other real images against the same reference."""
    each: dict[Metric, list[Reading | None]]
    """Of every training."""


class FidelityDial(NamedTuple):
    """A setting with several numbers, seen through one extractor."""

    setting: str
    extractor: str
    lines: dict[str, dict[float, Point]]
    """By generator, its other varied settings and whether it saw the reference: the point of each value, ascending."""


def fidelity_dials(measured: Sequence[FidelityRecord]) -> list[FidelityDial]:
    """Return every setting that has two numbers or more in one line, through every extractor that looked."""
    facts = [one.facts for one in measured if one.facts.generator is not None and one.facts.generator.varied]
    settings = dict.fromkeys(name for one in facts for name in _varied(one))
    looks = dict.fromkeys(extractor.name for one in facts for extractor in one.extractors)
    found = []
    for setting in settings:
        groups: dict[str, dict[float, list[FidelityFacts]]] = {}
        for one in facts:
            value = _varied(one).get(setting)
            if isinstance(value, int | float) and not isinstance(value, bool):
                groups.setdefault(_line(one, setting, facts), {}).setdefault(float(value), []).append(one)
        groups = {name: dict(sorted(values.items())) for name, values in groups.items() if len(values) > 1}
        for look in looks if groups else ():
            lines = {
                name: {value: _point(some, look) for value, some in values.items()} for name, values in groups.items()
            }
            found.append(FidelityDial(setting, look, lines))
    return found


def _varied(facts: FidelityFacts) -> dict[str, object]:
    return dict(facts.generator.varied) if facts.generator is not None else {}


def _line(facts: FidelityFacts, setting: str, everyone: Sequence[FidelityFacts]) -> str:
    """Return what a line is called; the set, and whether the generator saw it, where that differs among all."""
    assert facts.generator is not None  # only such records have a line
    others = [f"{name} {value}" for name, value in _varied(facts).items() if name != setting]
    sets = {one.generator.trained_on for one in everyone if one.generator is not None}
    both = len({bool(one.reference_seen) for one in everyone}) > 1
    seen = ["seen" if facts.reference_seen else "held out"] if both else []
    return ", ".join([facts.generator.name, *others, *([facts.generator.trained_on] if len(sets) > 1 else []), *seen])


def _point(trainings: Sequence[FidelityFacts], extractor: str) -> Point:
    lines: dict[Metric, list[Line]] = {
        metric: [
            line
            for one in trainings
            for line in one.lines
            if (line.extractor, line.scope, line.metric) == (extractor, ALL, metric)
        ]
        for metric in SHOWN
    }
    whole = {metric: some if len(some) == len(trainings) else [] for metric, some in lines.items()}
    return Point(
        {metric: mean([line.found for line in some], metric) for metric, some in whole.items()},
        {metric: mean([line.floor for line in some], metric) for metric, some in whole.items()},
        {metric: [line.found for line in some] for metric, some in whole.items()},
    )


def fidelity_dial_tables(measured: Sequence[FidelityRecord]) -> list[Table]:
    """Return for each setting and extractor a table: a row for each value of each line, its floor beside it."""
    return [
        Table(
            f"{dial.setting}: distance from real cells, seen by {dial.extractor}",
            "What each generator drew at each value, all classes together; smaller is nearer. The floor is the same of "
            "other real images.",
            (
                dial.setting,
                "generator",
                "trainings",
                *(name for metric in SHOWN for name in (METRICS[metric], f"{METRICS[metric]}, floor")),
            ),
            tuple(
                (
                    Entry(f"{value:g}"),
                    Entry(short(name, 60)),
                    Entry(str(max(map(len, point.each.values())))),
                    *(one for m in SHOWN for one in (trained(point.each[m], m), reading(point.floor[m]))),
                )
                for name, line in dial.lines.items()
                for value, point in line.items()
            ),
        )
        for dial in fidelity_dials(measured)
    ]


def fidelity_dial_figures(measured: Sequence[FidelityRecord]) -> list[Drawing]:
    """Return for each setting a figure: a row of panels for each extractor, a panel for each distance that has values,
    a line for each generator."""
    by_setting: dict[str, list[FidelityDial]] = {}
    for dial in fidelity_dials(measured):
        by_setting.setdefault(dial.setting, []).append(dial)
    return [_figure(setting, some) for setting, some in by_setting.items() if any(map(_panels, some))]


def _panels(dial: FidelityDial) -> list[Metric]:
    return [m for m in SHOWN if any(point.found[m] for line in dial.lines.values() for point in line.values())]


def _figure(setting: str, found: Sequence[FidelityDial]) -> Drawing:
    shown = [(dial, metric) for dial in found for metric in _panels(dial)]
    title = f"Distance from real cells by {setting}, with 95 % intervals"
    names = list(dict.fromkeys(name for dial in found for name in dial.lines))
    frame = Frame(
        left=0.65, right=0.7 + label_inches([*names, "floor: real"]) * 1.6, top=0.6, bottom=0.5, across=0.7, down=0.75,
        above=0.3,
    )  # fmt: skip
    shape = (math.ceil(len(shown) / 2), min(2, len(shown)))
    with canvas() as (figure, png):
        panels = grid(figure, frame, shape, (2.9, 2.1), title=title, count=len(shown))
        for axes, (dial, metric) in zip(panels, shown, strict=True):
            _panel(axes, dial, metric, names)
            axes.set_title(short(f"{METRICS[metric]}, {dial.extractor}", 40), fontsize=8.5)
            axes.set_xlabel(setting)
        corner = (1 - (frame.right - 0.1) / figure.get_figwidth(), 1 - (frame.top + 0.2) / figure.get_figheight())
        handles = {label: one for axes in panels for one, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(
            list(handles.values()), [short(name, 28) for name in handles], loc="upper left", bbox_to_anchor=corner,
            frameon=False, fontsize=8,
        )  # fmt: skip
        return Drawing(f"dial-{setting.replace('_', '-')}-fidelity", title, png())


def _panel(axes: "Axes", dial: FidelityDial, metric: Metric, names: Sequence[str]) -> None:
    value_axis(axes, [value for line in dial.lines.values() for value in line])
    for name, line in dial.lines.items():
        points = [(value, one) for value, point in line.items() if (one := point.found[metric]) is not None]
        if not points:
            continue
        x, y = [value for value, _ in points], [one.value for _, one in points]
        down, up = [one.value - one.low for _, one in points], [one.high - one.value for _, one in points]
        axes.errorbar(
            x, y, yerr=[down, up], color=COLOURS[names.index(name) % len(COLOURS)], marker="o", markersize=4,
            capsize=3, linewidth=1.3, label=name,
        )  # fmt: skip
    floors = [one for line in dial.lines.values() for point in line.values() if (one := point.floor[metric])]
    if floors:
        axes.axhspan(
            min(one.low for one in floors), max(one.high for one in floors), color="#999999", alpha=0.25, linewidth=0
        )
        middle = sum(one.value for one in floors) / len(floors)
        axes.axhline(middle, color="#555555", linestyle="--", linewidth=1, label="floor: real images")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
