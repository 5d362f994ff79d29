"""One board from one or more runs, with everything that it was made from beside it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cytobench.benchmarks.report import BOARD, CHOICES, GALLERIES
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.board import BoardFiles, write_board
from cytobench.leaderboards.sample_grid import Gallery
from cytobench.leaderboards.record import Nature, Record, read
from cytobench.store import read_json, write_bytes


def board(runs: Sequence[Path], to: Path, title: str) -> BoardFiles:
    """Write a board with its commands, specifications, records and predictions.

    Raises:
        UsageFault: A run that is none or is not finished.
        IntegrityFault: A record that was edited, or two that contradict each other.
    """
    folders: list[Path] = []
    galleries: dict[str, Gallery] = {}
    choices: list[str] = []
    for run in runs:
        if not (run / BOARD / CHOICES).is_file():
            raise UsageFault(f"{run} is no finished run", fix="`cytobench status` lists runs; resume this one first")
        store = run.parent.parent / "store"
        folders += [store / reference for reference in read_json(run / PLAN)["records"]]
        choices += [choice for choice in read_json(run / BOARD / CHOICES) if choice not in choices]
        galleries |= read_galleries(run / BOARD)
        for name in (COMMAND, SPEC):
            write_bytes(to / "runs" / run.name / name, (run / name).read_bytes())
    records: dict[str, Record] = {}
    for folder in folders:
        record = read(folder)
        if records.setdefault(record.key, record).sha256 != record.sha256:
            raise IntegrityFault(f"two runs hold different records {record.key}", fix="leave one of the runs out")
    command = "; ".join((run / COMMAND).read_text(encoding="utf-8").strip() for run in runs)
    made = write_board(list(records.values()), to, title=title, command=command, choices=choices, galleries=galleries)
    shutil.rmtree(to / "records", ignore_errors=True)
    for folder in dict.fromkeys(folders):
        shutil.copytree(folder, to / "records" / folder.name, dirs_exist_ok=True)
    return made


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
