"""A board as one HTML page that needs nothing else but, if asked, the figures beside it: no script, light and dark."""

import base64
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

from jinja2 import Environment, StrictUndefined

from cytobench.leaderboards.canvas import Drawing
from cytobench.leaderboards.costs import cost_tables
from cytobench.leaderboards.fidelity import FidelityFacts, FidelityRecord
from cytobench.leaderboards.fidelity_dials import fidelity_dial_tables
from cytobench.leaderboards.fidelity_tables import HOW as FIDELITY_HOW
from cytobench.leaderboards.fidelity_tables import board_tables, makers
from cytobench.leaderboards.findings import HOW, findings, warnings
from cytobench.leaderboards.nearness import nearness_tables
from cytobench.leaderboards.record import RecordFacts
from cytobench.leaderboards.results import METRICS, Results
from cytobench.leaderboards.tables import (
    CROSS_METRICS,
    Table,
    networks,
    per_class,
    same_dataset,
    sets,
    source_by_target,
)


class Content(NamedTuple):
    """What is on a board, whatever it is written as."""

    title: str
    command: str
    """The command line that made it."""
    choices: tuple[str, ...]
    """What was decided about the data, as duplicates kept together or classes merged."""
    results: Results
    figures: tuple[Drawing, ...]
    """Made from records."""
    samples: tuple[Drawing, ...]
    """Of drawn sets."""
    measured: tuple[FidelityRecord, ...] = ()
    """What was measured of synthetic sets."""

    @property
    def cross(self) -> list[tuple[str, list[Table]]]:
        """SOURCE × TARGET tables by the name of their metric."""
        return [(METRICS[metric], source_by_target(self.results, metric=metric)) for metric in CROSS_METRICS]

    @property
    def fidelity(self) -> list[Table]:
        """What was measured of synthetic sets: which are nearer, what settings do, and every figure."""
        return [
            *nearness_tables(self.measured),
            *fidelity_dial_tables(self.measured),
            *board_tables(self.measured),
        ]

    @property
    def makers(self) -> list[Table]:
        """What drew the sets that were measured; what it was given, too, where no finding says so."""
        made = [(one.facts.synthetic, one.facts.generator) for one in self.measured]
        return [*makers(self.measured), *([] if self.results.records else cost_tables(made))]


def page(content: Content, *, linked: bool = False) -> str:
    """Return the page's HTML; every name in it is escaped.

    Args:
        content: What is on it.
        linked: Whether it shows ``figures/NAME.png`` beside it; otherwise it holds the figures.
    """
    shown = _linked if linked else _embedded
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("board.html").read_text(encoding="utf-8"))
    results = content.results
    return template.render(
        content=content,
        linked=linked,
        results=results,
        warnings=warnings(results, content.measured),
        findings=findings(results) if results.records else [],
        how=HOW if results.records else (),
        sets=sets(results),
        networks=networks(results),
        same_dataset=same_dataset(results),
        classes=[(backbone, per_class(results, backbone)) for backbone in results.backbones],
        versions=versions(results, content.measured),
        figures=shown(content.figures),
        samples=shown(content.samples),
        fidelity=content.fidelity,
        fidelity_how=FIDELITY_HOW,
        makers=content.makers,
        details=bool(content.figures[1:] or results.records),
    )


def versions(results: Results, measured: Sequence[FidelityRecord] = ()) -> list[tuple[str, str]]:
    """Return what the numbers were computed with: every package and device, with all values that occur."""
    found: dict[str, set[str]] = {}
    everything: list[RecordFacts | FidelityFacts] = [
        *(one.facts for one in results.records),
        *(one.facts for one in measured),
    ]
    for facts in everything:
        for kind, known in (("", facts.versions), ("device ", facts.device)):
            for name, value in known.items():
                found.setdefault(f"{kind}{name}", set()).add("not installed" if value is None else str(value))
    return [(name, ", ".join(sorted(values))) for name, values in sorted(found.items())]


class _Picture(NamedTuple):
    title: str
    uri: str


def _embedded(drawings: Sequence[Drawing]) -> list[_Picture]:
    return [_Picture(one.title, f"data:image/png;base64,{base64.b64encode(one.png).decode()}") for one in drawings]


def _linked(drawings: Sequence[Drawing]) -> list[_Picture]:
    return [_Picture(one.title, f"figures/{one.name}.png") for one in drawings]
