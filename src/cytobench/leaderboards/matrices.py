"""SOURCE × TARGET heat maps and confusion matrices."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytobench.leaderboards.canvas import (
    ALARM,
    FRAME,
    MISSING,
    SCALE,
    Drawing,
    Frame,
    canvas,
    file_name,
    folded,
    grid,
    ink,
    label_inches,
    short,
    what,
)
from cytobench.leaderboards.results import METRICS, PRIMARY, Results
from cytobench.leaderboards.tables import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_LABELLED = 10  # classes whose counts still fit into a confusion matrix


def source_by_target(results: Results) -> Drawing:
    """Return one heat map for each backbone: how well what was trained on a row does on a column."""
    wide, high = len(results.targets), len(results.sources)
    across = min(len(results.backbones), max(1, 8 // wide))
    down = -(-len(results.backbones) // across)
    title = f"{METRICS[PRIMARY][0].upper()}{METRICS[PRIMARY][1:]} of every source on every target, with 95 % intervals"
    left = 0.5 + label_inches([one.shown for one in results.sources])
    frame = Frame(left=left, right=0.95, top=0.6, bottom=0.1, across=0.15, down=0.9, below=0.55, above=0.3)
    with canvas() as (figure, png):
        panels = grid(
            figure,
            frame,
            (down, across),
            (wide * 0.92, high * 0.58),
            count=len(results.backbones),
            title=f"{title}\n{what(results)}; framed: trained and tested on the same set",
        )
        for position, backbone in enumerate(results.backbones):
            axes = panels[position]
            _heat_map(axes, results, backbone)
            axes.set_xticks(range(wide), [folded(one) for one in results.targets])
            axes.set_xlabel("tested on")
            if position % across == 0:
                axes.set_yticks(range(high), [folded(one) for one in results.sources])
                axes.set_ylabel("trained on")
        _colour_bar(figure, panels, METRICS[PRIMARY])
        return Drawing("source-target", title, png())


def _heat_map(axes: "Axes", results: Results, backbone: str) -> None:
    values = np.full((len(results.sources), len(results.targets)), np.nan)
    for (row, source), (column, target) in itertools.product(enumerate(results.sources), enumerate(results.targets)):
        result = results.entries.get((backbone, source.name, target.name))
        found = None if result is None else result.estimates[PRIMARY]
        if found is None:
            said = "–" if result is None or not result.failures else result.failures[0].replace("(", "\n(", 1)
            axes.text(column, row, said, ha="center", va="center", color=ALARM, size=6.3)
            continue
        values[row, column] = found.value
        colour = ink(found.value)
        axes.text(column, row - 0.12, number(found.value), ha="center", va="center", color=colour, size=9.5)
        limits = f"[{number(found.low)}, {number(found.high)}]"
        axes.text(column, row + 0.22, limits, ha="center", va="center", color=colour, size=6.3)
    _tiles(axes, values)
    for row, column in _same_sets(results):
        _framed(axes, row, column)
    axes.set_title(short(backbone, max(8, len(results.targets) * 9)))


def confusions(results: Results, backbone: str) -> Drawing:
    """Return a backbone's confusion matrices, sources down and targets across, seeds together."""
    wide, high, classes = len(results.targets), len(results.sources), len(results.classes)
    side = max(1.35, 0.3 * classes) if classes <= MOST_LABELLED else 2.2
    title = f"{short(backbone, 24)}: confusion matrices"
    names = [short(name) for name in results.classes]
    margin = label_inches(names)
    frame = Frame(left=margin + 0.75, right=0.15, top=0.55, bottom=margin + 0.3, across=0.14, down=0.14, above=0.55)
    with canvas() as (figure, png):
        panels = grid(
            figure,
            frame,
            (high, wide),
            (side, side),
            title=f"{title}, % of each true class\nrows: trained on; columns: tested on; {what(results)}",
        )
        for (row, source), (column, target) in itertools.product(
            enumerate(results.sources), enumerate(results.targets)
        ):
            result = results.entries.get((backbone, source.name, target.name))
            counts = np.zeros((classes, classes), dtype=np.int64) if result is None else result.counts
            missing = "not run" if result is None else "" if result.seeds else result.failures[0]
            axes = panels[row * wide + column]
            _confusion(axes, counts, missing)
            if source.name == target.name:
                for spine in axes.spines.values():
                    spine.set(visible=True, edgecolor=FRAME, linewidth=2)
            if not row:
                axes.set_title(f"{folded(target)}\nn = {target.images.get('test', 0):,}", fontsize=8.5)
            if row == high - 1:
                axes.set_xticks(range(classes), names, rotation=90, fontsize=7)
                axes.set_xlabel("predicted class", fontsize=8)
            if not column:
                axes.set_yticks(range(classes), names, fontsize=7)
                axes.set_ylabel(f"{folded(source)}\ntrue class", fontsize=8)
        return Drawing(f"confusion-{file_name(backbone, results.backbones)}", title, png())


def _confusion(axes: "Axes", counts: NDArray[np.int64], missing: str) -> None:
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    _tiles(axes, shares)
    if missing:
        axes.text(0.5, 0.5, missing, transform=axes.transAxes, ha="center", va="center", color=ALARM, size=7)
        return
    for true, said in np.argwhere(shares >= 0.005) if len(shares) <= MOST_LABELLED else []:
        share = float(shares[true, said])
        axes.text(said, true, f"{100 * share:.0f}", ha="center", va="center", color=ink(share), size=6.5)


def _tiles(axes: "Axes", values: NDArray[np.float64]) -> None:
    """Draw values 0 … 1 as tiles, row 0 on top, what is missing in grey."""
    rows, columns = values.shape
    edges = [np.arange(count + 1) - 0.5 for count in (columns, rows)]
    axes.set_facecolor(MISSING)
    masked = np.ma.masked_invalid(values)
    axes.pcolormesh(*edges, masked, cmap=SCALE, vmin=0, vmax=1, edgecolors="white", linewidth=1.2)
    axes.set(xlim=(-0.5, columns - 0.5), ylim=(rows - 0.5, -0.5), xticks=[], yticks=[])
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _same_sets(results: Results) -> list[tuple[int, int]]:
    return [
        (row, column)
        for row, source in enumerate(results.sources)
        for column, target in enumerate(results.targets)
        if source.name == target.name
    ]


def _framed(axes: "Axes", row: int, column: int) -> None:
    from matplotlib.patches import Rectangle

    corner = (column - 0.475, row - 0.465)
    axes.add_patch(Rectangle(corner, 0.95, 0.93, fill=False, edgecolor=FRAME, linewidth=2))


def _colour_bar(figure: "Figure", panels: Sequence["Axes"], label: str) -> None:
    from matplotlib.cm import ScalarMappable

    width, height = figure.get_size_inches()
    box = panels[0].get_position()
    right = max(one.get_position().x1 for one in panels)
    tall = min(2.0 / height, box.height)
    axes = figure.add_axes((right + 0.15 / width, box.y1 - tall, 0.14 / width, tall))
    bar = figure.colorbar(ScalarMappable(cmap=SCALE), cax=axes, label=label, ticks=[0, 0.5, 1])
    bar.outline.set_visible(False)
