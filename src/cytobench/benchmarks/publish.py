"""One board from runs, or from a board that was published, with everything that it was made from beside it."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from cytobench.benchmarks.board_again import reopen
from cytobench.benchmarks.board_folder import Material, is_board, write
from cytobench.benchmarks.report import BOARD, CHOICES, GALLERIES
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.board import BoardFiles
from cytobench.leaderboards.record import Nature, read
from cytobench.leaderboards.sample_grid import Gallery, sample_grids
from cytobench.store import DONE, read_json

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
        UsageFault: A place that is neither or is not finished, or a folder that holds something else.
        IntegrityFault: A run or a record that was edited, or two records that contradict each other.
        EnvironmentFault: The disk is full or cannot be written.
    """
    for place in places:
        if place.resolve() in to.resolve().parents:
            raise UsageFault(f"{to} lies in {place}", fix="choose a folder of its own with --to")
    if any(map(is_board, places)):
        if len(places) > 1:
            raise UsageFault(
                "a published board is made again alone", fix="name the runs to put several of them on one board"
            )
        material = reopen(places[0])
    else:
        material = _gather(places)
    return write(material._replace(title=title or material.title), to)


def _gather(runs: Sequence[Path]) -> Material:
    """Return what a board of some runs is made from."""
    taken = [_read(run) for run in runs]
    measured = dict.fromkeys(folder for run in taken for folder in run.measured)
    return Material(
        title=TITLE,
        command="; ".join(run.command.decode("utf-8", "replace").strip() for run in taken),
        choices=tuple(dict.fromkeys(choice for run in taken for choice in run.choices)),
        samples=sample_grids({name: one for run in taken for name, one in run.galleries.items()}),
        records={folder: read(folder) for run in taken for folder in run.records},
        measured={
            one: fidelity.read(one) for one in measured if (one / DONE).exists()
        },  # others are of steps that failed
        runs={run.folder.name: {COMMAND: run.command, SPEC: run.specification} for run in taken},
    )


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
