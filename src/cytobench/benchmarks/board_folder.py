"""The folder of a published board: written whole or not at all, with everything that it was made from beside it."""

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pydantic import BaseModel, ConfigDict

from cytobench.errors import IntegrityFault, UsageFault
from cytobench.leaderboards.board import BoardFiles, write_board
from cytobench.leaderboards.canvas import Drawing
from cytobench.leaderboards.fidelity import FidelityRecord
from cytobench.leaderboards.record import Record
from cytobench.store import DONE, disk_faults, file_sha256, listing, write_bytes, write_json

MATERIAL = "material.json"
"""Names everything that the board was made from; the rest is made from that."""
RECORDS, FIDELITY, RUNS, FIGURES = "records", "fidelity", "runs", "figures"


class Material(NamedTuple):
    """What a board is made from."""

    title: str
    command: str
    choices: tuple[str, ...]
    samples: tuple[Drawing, ...]
    """Pictures of drawn sets."""
    records: Mapping[Path, Record]
    """What classifiers did, by its folder."""
    measured: Mapping[Path, FidelityRecord]
    """What was measured of drawn sets, by its folder."""
    runs: Mapping[str, Mapping[str, bytes]]
    """Texts of each run by the name of their file: its command and its specification."""


class Sample(BaseModel):
    """A picture of a drawn set as ``material.json`` names it."""

    title: str
    sha256: str
    """Of the PNG."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Contents(BaseModel):
    """What ``material.json`` says."""

    title: str
    """The board's headline."""
    command: str
    """The command line that made its runs."""
    choices: tuple[str, ...]
    """What was decided about the data."""
    samples: dict[str, Sample]
    """By the name of the picture, without its ending."""
    records: dict[str, str]
    """SHA-256 of ``done.json`` by key; that file names all others of a record with their hashes."""
    fidelity: dict[str, str]
    """Likewise."""
    runs: dict[str, dict[str, str]]
    """SHA-256 of each text of each run."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_board(place: Path) -> bool:
    """Return whether a folder is a published board, or what is left of one; that of a run holds no records."""
    kept = any((place / name).is_dir() for name in (RECORDS, FIDELITY))
    return (place / MATERIAL).is_file() or (kept and (place / "board.json").is_file())


def write(material: Material, to: Path) -> BoardFiles:
    """Write a board; an earlier one in its place is replaced when the new one is whole.

    Raises:
        UsageFault: The folder holds something else, or the records cannot share a board.
        IntegrityFault: Two records contradict each other, or one must not be shown.
        EnvironmentFault: The disk is full or cannot be written.
    """
    records: dict[str, Record] = {}
    for record in material.records.values():
        if records.setdefault(record.key, record).sha256 != record.sha256:
            raise IntegrityFault(f"two runs hold different records {record.key}", fix="leave one of the runs out")
    to = to.resolve()
    if to.exists() and not is_board(to) and not (to.is_dir() and not any(to.iterdir())):
        raise UsageFault(f"{to} holds something else", fix="choose a folder of its own with --to")
    new, old = (to.with_name(f".tmp-{uuid4().hex}") for _ in range(2))
    try:
        with disk_faults(to):
            made = write_board(
                list(records.values()),
                new,
                title=material.title,
                command=material.command,
                choices=material.choices,
                samples=material.samples,
                measured=list(material.measured.values()),
                linked=True,
            )
            for name, texts in material.runs.items():
                for file, text in texts.items():
                    write_bytes(new / RUNS / name / file, text)
            for kind, folders in ((RECORDS, material.records), (FIDELITY, material.measured)):
                for folder in folders:
                    _copy(folder, new / kind / folder.name)
            write_json(new / MATERIAL, _contents(material).model_dump(mode="json"))
            if to.exists():
                to.rename(old)
            new.rename(to)
    finally:
        if old.exists() and not to.exists():  # the new one could not take its place
            old.rename(to)
        for place in (new, old):
            shutil.rmtree(place, ignore_errors=True)
    return BoardFiles(
        markdown=to / made.markdown.name,
        csv=to / made.csv.name,
        json=to / made.json.name,
        html=to / made.html.name,
        figures=tuple(to / FIGURES / path.name for path in made.figures),
        fidelity=made.fidelity and to / made.fidelity.name,
    )


def _copy(artefact: Path, to: Path) -> None:
    """Copy the files that an artefact's ``done.json`` names, and that file."""
    for name in (*listing(artefact), DONE):
        write_bytes(to / name, (artefact / name).read_bytes())


def _contents(material: Material) -> Contents:
    return Contents(
        title=material.title,
        command=material.command,
        choices=material.choices,
        samples={one.name: Sample(title=one.title, sha256=_sha256(one.png)) for one in material.samples},
        records={record.key: file_sha256(folder / DONE) for folder, record in material.records.items()},
        fidelity={record.key: file_sha256(folder / DONE) for folder, record in material.measured.items()},
        runs={name: {file: _sha256(text) for file, text in texts.items()} for name, texts in material.runs.items()},
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
