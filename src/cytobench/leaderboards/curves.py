"""Training curves."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cytobench.leaderboards.canvas import COLOURS, DASHES, Drawing, Frame, canvas, grid, short, what
from cytobench.leaderboards.record import RecordFacts
from cytobench.leaderboards.results import ImageSetSummary, Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D


def curves(results: Results) -> Drawing:
    """Return for each backbone what training lost and gained by epoch, one line for each source and seed."""
    trials = _trials(results)
    measured = sorted({name for one in trials for entry in one.history for name in entry if name != "epoch"})
    losses = [name for name in measured if "loss" in name]
    scores = [name for name in measured if any(word in name for word in ("f1", "accuracy", "auc"))]
    shown = {title: names[: len(DASHES)] for title, names in (("loss", losses), ("score", scores)) if names}
    title = "Training curves"
    frame = Frame(left=0.55, right=2.75, top=0.45, bottom=0.5, across=0.45, down=0.45, above=0.25)
    with canvas() as (figure, png):
        panels = grid(
            figure,
            frame,
            (len(results.backbones), len(shown)),
            (3.4, 1.7),
            title=f"{title}: {what(results)}; one line for each seed; dot: the epoch that was tested",
        )
        for axes, (backbone, (panel, names)) in zip(
            panels, itertools.product(results.backbones, shown.items()), strict=True
        ):
            _curves(axes, results.sources, [one for one in trials if one.backbone.asked == backbone], names)
            axes.set_title(f"{short(backbone, 24)}: {panel}")
            axes.set_xlabel("epoch" if backbone == results.backbones[-1] else "")
            axes.set_ylim(0, 1.02 if panel == "score" else None)
        corner = (1 - (frame.right - 0.1) / figure.get_figwidth(), 1 - (frame.top + 0.1) / figure.get_figheight())
        handles = _legend(results.sources, shown)
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=corner, frameon=False, fontsize=8)
        return Drawing("training-curves", title, png())


def _trials(results: Results) -> list[RecordFacts]:
    """Return one record's facts for each trial; its other records, on other targets, have the same history."""
    facts = [one.facts for one in results.records]
    return list({(one.backbone.asked, one.source.name, one.seed): one for one in facts}.values())


def _curves(
    axes: "Axes", sources: Sequence[ImageSetSummary], trials: Sequence[RecordFacts], names: Sequence[str]
) -> None:
    for colour, source in zip(itertools.cycle(COLOURS), sources, strict=False):
        for trial, (dash, name) in itertools.product(trials, zip(DASHES, names, strict=False)):
            if trial.source.name != source.name:
                continue
            epochs = _numbers([entry["epoch"] for entry in trial.history])
            values = _numbers([entry.get(name) for entry in trial.history])
            axes.plot(epochs, values, linestyle=dash, color=colour, linewidth=1.1, alpha=0.85)
            if trial.best_epoch is not None and "val" in name:
                best = epochs == trial.best_epoch
                axes.plot(epochs[best], values[best], "o", color=colour, markersize=3.5)
    from matplotlib.ticker import MaxNLocator

    axes.grid(color="#e4e4e4", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def _numbers(values: Sequence[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if one is None else one for one in values], dtype=np.float64)


def _legend(sources: Sequence[ImageSetSummary], panels: dict[str, list[str]]) -> list["Line2D"]:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [], [], color=colour, label=f"trained on {short(source.name, 16)}{source.shown.removeprefix(source.name)}"
        )
        for colour, source in zip(itertools.cycle(COLOURS), sources, strict=False)
    ]
    for names in panels.values():
        for dash, name in zip(DASHES, names, strict=False):
            handles.append(Line2D([], [], color="#555555", linestyle=dash, label=name.replace("_", " ")))
    return handles
