"""One board from runs, or from a board that was published, with everything that it was made from beside it."""

import re
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from cytobench.benchmarks import published
from cytobench.benchmarks.published import FIDELITY, RECORDS, RUNS, Material
from cytobench.benchmarks.report import BOARD, CHOICES, GALLERIES
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.board import BoardFiles, write_board
from cytobench.leaderboards.record import Nature, Record, read
from cytobench.leaderboards.sample_grid import Gallery, sample_grids
from cytobench.store import DONE, SECONDS, read_json, write_bytes

RECORD = re.compile(r"record/[0-9a-f]{24}")
MEASURED = re.compile(r"fidelity/[0-9a-f]{24}")
TITLE = "Leaderboard"
_TEXTS = TypeAdapter(tuple[str, ...])


class _Run(NamedTuple):
    """What a board takes from a finished run."""

    folder: Path
    records: tuple[Path, ...]
    measured: tuple[Path, ...]
    """Of fidelity; none in runs of earlier versions."""
    choices: tuple[str, ...]
    galleries: dict[str, Gallery]
    command: bytes
    specification: bytes


def board(places: Sequence[Path], to: Path, title: str | None = None) -> BoardFiles:
    """Write a board with its commands, specifications, records and predictions; nothing is written before all is read.

    Args:
        places: Folders of finished runs; or one published board, which is made again from what lies beside it.
        to: The folder of the board; a published board may be its own.
        title: Its headline; None: the published board's own, or "Leaderboard".

    Raises:
        UsageFault: A place that is neither or is not finished.
        IntegrityFault: A run or a record that was edited, or two records that contradict each other.
    """
    if any(map(published.is_board, places)):
        if len(places) > 1:
            raise UsageFault(
                "a published board is made again alone", fix="name the runs to put several of them on one board"
            )
        material = published.reopen(places[0])
    else:
        material = _gather(places)
    records: dict[str, Record] = {}
    for folder in material.records:
        record = read(folder)
        if records.setdefault(record.key, record).sha256 != record.sha256:
            raise IntegrityFault(f"two runs hold different records {record.key}", fix="leave one of the runs out")
    measured = [fidelity.read(folder) for folder in material.measured]
    for name, texts in material.runs.items():
        for file, text in texts.items():
            write_bytes(to / RUNS / name / file, text)
    _carry(material.records, to / RECORDS)
    _carry(material.measured, to / FIDELITY)
    return write_board(
        list(records.values()),
        to,
        title=title or material.title,
        command=material.command,
        choices=material.choices,
        samples=material.samples,
        measured=measured,
        linked=True,
    )


def prove(place: Path) -> Material:
    """Make a published board again from its records and return what it was made from.

    Raises:
        IntegrityFault: A record was edited, added or is missing, or a file is not what the records give.
    """
    material = published.reopen(place)
    with tempfile.TemporaryDirectory() as again:
        board([place], Path(again))
        found = published.differences(place, Path(again))
    if found:
        raise IntegrityFault(
            f"{place} is not what its records give",
            problems=found,
            fix="`cytobench leaderboard BOARD --to NEW` writes what they give; another version of cytobench may say "
            "the same in other words",
        )
    return material


def _gather(runs: Sequence[Path]) -> Material:
    """Return what a board of some runs is made from."""
    taken = [_read(run) for run in runs]
    measured = dict.fromkeys(folder for run in taken for folder in run.measured)
    return Material(
        title=TITLE,
        command="; ".join(run.command.decode("utf-8", "replace").strip() for run in taken),
        choices=tuple(dict.fromkeys(choice for run in taken for choice in run.choices)),
        samples=sample_grids({name: one for run in taken for name, one in run.galleries.items()}),
        records=tuple(dict.fromkeys(folder for run in taken for folder in run.records)),
        measured=tuple(one for one in measured if (one / DONE).exists()),  # the plan names a step that failed
        runs={run.folder.name: {COMMAND: run.command, SPEC: run.specification} for run in taken},
    )


def _carry(folders: Sequence[Path], to: Path) -> None:
    """Put copies of some folders, and nothing else, into a folder; they may lie there already."""
    if folders and all(folder.parent.resolve() == to.resolve() for folder in folders):
        return
    shutil.rmtree(to, ignore_errors=True)
    for folder in folders:
        shutil.copytree(folder, to / folder.name, ignore=shutil.ignore_patterns(SECONDS))


def _read(run: Path) -> _Run:
    """Return what a run's folder holds, every part of it proven to be of the kind it should be."""
    if not (run / BOARD / CHOICES).is_file():
        raise UsageFault(
            f"{run} is no finished run and no published board",
            fix="`cytobench status` lists runs; resume this one first",
        )
    try:
        references = _TEXTS.validate_python(read_json(run / PLAN)["records"])
        measured = _TEXTS.validate_python(read_json(run / PLAN).get("fidelity", ()))
        strange = [one for one in references if not RECORD.fullmatch(one)]
        strange += [one for one in measured if not MEASURED.fullmatch(one)]
        if strange:
            raise ValueError(f"{strange[0]!r} is no record")
        return _Run(
            run,
            tuple(run.parent.parent / "store" / one for one in references),
            tuple(run.parent.parent / "store" / one for one in measured),
            _TEXTS.validate_python(read_json(run / BOARD / CHOICES)),
            read_galleries(run / BOARD),
            (run / COMMAND).read_bytes(),
            (run / SPEC).read_bytes(),
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise IntegrityFault(f"{run} was edited or is torn: {error}", fix="repeat the command of the run") from error


def read_galleries(folder: Path) -> dict[str, Gallery]:
    """Return the pictures of drawn sets that a run's board was made with."""
    found: dict[str, Gallery] = {}
    path = folder / GALLERIES
    if path.is_file():
        natures: dict[str, Nature] = read_json(path.with_suffix(".json"))
        with np.load(path, allow_pickle=False) as arrays:
            for name, nature in natures.items():
                classes = tuple(str(label) for label in arrays[f"{name}/classes"])
                found[name] = Gallery(arrays[f"{name}/images"], classes, nature)
    return found
