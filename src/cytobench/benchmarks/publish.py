"""One board from one or more runs, with everything that it was made from beside it."""

import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from pydantic import TypeAdapter

from cytobench.benchmarks.report import BOARD, CHOICES, GALLERIES
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.board import BoardFiles, write_board
from cytobench.leaderboards.record import Nature, Record, read
from cytobench.leaderboards.sample_grid import Gallery
from cytobench.store import DONE, SECONDS, read_json, write_bytes

RECORD = re.compile(r"record/[0-9a-f]{24}")
MEASURED = re.compile(r"fidelity/[0-9a-f]{24}")
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


def board(runs: Sequence[Path], to: Path, title: str) -> BoardFiles:
    """Write a board with its commands, specifications, records and predictions; nothing is written before all is read.

    Raises:
        UsageFault: A run that is none or is not finished.
        IntegrityFault: A run or a record that was edited, or two records that contradict each other.
    """
    taken = [_read(run) for run in runs]
    folders = list(dict.fromkeys(folder for run in taken for folder in run.records))
    records: dict[str, Record] = {}
    for folder in folders:
        record = read(folder)
        if records.setdefault(record.key, record).sha256 != record.sha256:
            raise IntegrityFault(f"two runs hold different records {record.key}", fix="leave one of the runs out")
    everything = dict.fromkeys(folder for run in taken for folder in run.measured)
    measured = [
        folder for folder in everything if (folder / DONE).exists()
    ]  # the run's choices name a step that failed
    for run in taken:
        write_bytes(to / "runs" / run.folder.name / COMMAND, run.command)
        write_bytes(to / "runs" / run.folder.name / SPEC, run.specification)
    made = write_board(
        list(records.values()),
        to,
        title=title,
        command="; ".join(run.command.decode("utf-8", "replace").strip() for run in taken),
        choices=list(dict.fromkeys(choice for run in taken for choice in run.choices)),
        galleries={name: one for run in taken for name, one in run.galleries.items()},
        measured=[fidelity.read(folder) for folder in measured],
    )
    shutil.rmtree(to / "records", ignore_errors=True)
    for folder in folders:
        shutil.copytree(folder, to / "records" / folder.name, ignore=shutil.ignore_patterns(SECONDS))
    shutil.rmtree(to / "fidelity", ignore_errors=True)
    for folder in measured:
        shutil.copytree(folder, to / "fidelity" / folder.name, ignore=shutil.ignore_patterns(SECONDS))
    return made


def _read(run: Path) -> _Run:
    """Return what a run's folder holds, every part of it proven to be of the kind it should be."""
    if not (run / BOARD / CHOICES).is_file():
        raise UsageFault(f"{run} is no finished run", fix="`cytobench status` lists runs; resume this one first")
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
