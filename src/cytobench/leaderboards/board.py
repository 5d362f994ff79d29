"""Write a board: Markdown, CSV, JSON, one HTML page and its figures. The same arguments give the same bytes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cytobench.errors import IntegrityFault
from cytobench.leaderboards import fidelity_text
from cytobench.leaderboards.canvas import Drawing
from cytobench.leaderboards.evaluation import evaluate, untested
from cytobench.leaderboards.exports import plain, to_csv, to_json, to_markdown
from cytobench.leaderboards.fidelity import FidelityRecord, in_order
from cytobench.leaderboards.fidelity_dials import fidelity_dial_figures
from cytobench.leaderboards.fidelity_tables import HOW as FIDELITY_HOW
from cytobench.leaderboards.figures import figures
from cytobench.leaderboards.findings import HOW, findings, warnings
from cytobench.leaderboards.page import Content, page, versions
from cytobench.leaderboards.record import FACTS, Record, read
from cytobench.leaderboards.tables import Table, networks, same_dataset, sets
from cytobench.store import DONE, write_bytes, write_json


class BoardFiles(NamedTuple):
    """Where a board was written to."""

    markdown: Path
    csv: Path
    json: Path
    html: Path
    figures: tuple[Path, ...]
    fidelity: Path | None = None
    """Table of what was measured of synthetic sets, where anything was."""


def load_records(place: Path) -> list[Record]:
    """Return all finished records at or below a folder: a store, a run, a published board, or one record.

    Records without ``done.json`` are unfinished and left out, as are those that the store has set aside.

    Raises:
        IntegrityFault: Some are torn or were edited; all of them are named.
    """
    folders = sorted(path.parent for path in place.rglob(FACTS) if (path.parent / DONE).exists())
    records, problems = [], []
    for folder in folders:
        if ".rejected-" in folder.name:
            continue
        try:
            records.append(read(folder))
        except IntegrityFault as fault:
            problems.append("; ".join([fault.message, *fault.problems]))
    if problems:
        raise IntegrityFault(
            f"{len(problems)} of {len(folders)} records cannot be trusted",
            problems=problems,
            fix="delete these folders and repeat the run; only these trials are computed again",
        )
    return sorted(records, key=lambda one: one.key)


def write_board(
    records: Sequence[Record],
    out: Path,
    *,
    title: str,
    command: str,
    choices: Sequence[str],
    samples: Sequence[Drawing] = (),
    measured: Sequence[FidelityRecord] = (),
    linked: bool = False,
) -> BoardFiles:
    """Write a board and return where its files are.

    Args:
        records: What it is made from, in any order; none where no classifier was trained, and fidelity alone is shown.
        out: The folder; files of an earlier board are replaced one by one, others stay.
        title: Its headline.
        command: The command line that made it.
        choices: What was decided about the data, in sentences.
        samples: Pictures of sets that were drawn.
        measured: Records of fidelity, in any order.
        linked: Whether the page shows the figures that lie beside it; otherwise it holds them and needs nothing else.

    Raises:
        UsageFault: The records cannot share a board.
        IntegrityFault: One of them must not be shown.
    """
    known = in_order(measured)
    results = evaluate(records) if records else untested(known)
    drawn = (*figures(results), *fidelity_dial_figures(known))
    content = Content(title, command, tuple(choices), results, drawn, tuple(samples), known)
    files = BoardFiles(
        out / "README.md",
        out / "board.csv",
        out / "board.json",
        out / "index.html",
        tuple(out / "figures" / f"{one.name}.png" for one in (*content.figures, *content.samples)),
        out / "fidelity.csv" if known else None,
    )
    for path, drawing in zip(files.figures, (*content.figures, *content.samples), strict=True):
        write_bytes(path, drawing.png)
    write_bytes(files.csv, to_csv(results).encode())
    if files.fidelity is not None:
        write_bytes(files.fidelity, fidelity_text.to_csv([one.facts for one in known]).encode())
    header = {"title": title, "command": command, "choices": list(choices), "warnings": warnings(results, known)}
    figured = {"fidelity": [fidelity_text.to_json(one) for one in known]} if known else {}
    write_json(files.json, {**header, **to_json(results), **figured})
    write_bytes(files.html, page(content, linked=linked).encode())
    write_bytes(files.markdown, readme(content).encode())
    return files


def readme(content: Content) -> str:
    """Return the board as Markdown, its figures by relative links."""
    results = content.results
    lines = [
        f"# {plain(content.title)}",
        f"Protocol {plain(results.protocol)}, profile {plain(results.profile)}. "
        "Made from records alone; `index.html` is the same board as a page.",
        _fenced(content.command),
    ]
    said = warnings(results, content.measured)
    if said:
        lines.append("\n".join(["> **Before you read a number**", ">", *(f"> - {plain(line)}" for line in said)]))
    lines += _pictures(content.figures[:1])
    if results.records:
        lines += _tested(content)
    if content.measured:
        lines.append(f"## Fidelity\n\n{plain(FIDELITY_HOW)}")
        lines += [to_markdown(table) for table in content.fidelity]
    lines.append("## What was run on what")
    lines += [to_markdown(table) for table in (*_used(content), *content.makers)]
    if content.choices:
        lines.append("### Choices\n\n" + _bullets(content.choices))
    if content.samples:
        lines += ["## Samples", *_pictures(content.samples)]
    if content.figures[1:]:
        lines += ["## Details", *_pictures(content.figures[1:])]
    if results.records:
        lines.append("## How it was computed\n\n" + _bullets(HOW))
    computed = versions(results, content.measured)
    lines.append("### Versions and devices\n\n" + _bullets([f"{name}: {value}" for name, value in computed]))
    return "\n\n".join(line.strip("\n") for line in lines) + "\n"


def _tested(content: Content) -> list[str]:
    """Return what classifiers did."""
    results = content.results
    return [
        "## What can be said",
        *(to_markdown(table) for table in findings(results)),
        "## Trained and tested on the same set",
        *(
            [to_markdown(table) for table in same_dataset(results)]
            or ["No backbone was tested on the set that it was trained on."]
        ),
        "## Every source on every target\n\nIn bold: trained and tested on the same set.",
        *(to_markdown(table) for _, tables in content.cross for table in tables),
    ]


def _used(content: Content) -> list[Table]:
    """Return what was trained and tested on, where anything was."""
    return [sets(content.results), networks(content.results)] if content.results.records else []


def _fenced(command: str) -> str:
    """Return a code block that its content cannot end."""
    fence = "```"
    while fence in command:
        fence += "`"
    return f"{fence}console\n{command}\n{fence}"


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {plain(line)}" for line in lines)


def _pictures(drawings: Sequence[Drawing]) -> list[str]:
    return [f"![{plain(one.title)}](figures/{one.name}.png)" for one in drawings]
