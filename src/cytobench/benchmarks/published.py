"""A published board as a folder: what it was made from lies beside it, so that anyone can make it again and compare."""

import csv
import io
import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from cytobench.errors import IntegrityFault
from cytobench.leaderboards import fidelity, record
from cytobench.leaderboards.canvas import Drawing
from cytobench.store import DONE, read_json

BOARD_JSON = "board.json"
RECORDS, FIDELITY, RUNS, FIGURES = "records", "fidelity", "runs", "figures"
NEAR = 1e-9
"""Relative difference of two numbers that another processor may make."""
PICTURE = re.compile(r"samples-[\w.+-]+", re.ASCII)
PNG = b"\x89PNG\r\n\x1a\n"
REMEDY = "take the board from where it was published, whole"


class Material(NamedTuple):
    """What a board is written from."""

    title: str
    command: str
    choices: tuple[str, ...]
    samples: tuple[Drawing, ...]
    """Pictures of drawn sets."""
    records: tuple[Path, ...]
    """Folders of what classifiers did."""
    measured: tuple[Path, ...]
    """Folders of what was measured of drawn sets."""
    runs: Mapping[str, Mapping[str, bytes]]
    """Texts of each run by the name of their file."""


class _Entry(BaseModel):
    """A record as a board names it."""

    key: str
    sha256: str

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Told(BaseModel):
    """What ``board.json`` says of its own making."""

    title: str
    command: str
    choices: tuple[str, ...]
    samples: dict[str, str]
    records: tuple[_Entry, ...]
    fidelity: tuple[_Entry, ...] = ()

    model_config = ConfigDict(extra="ignore")


def is_board(place: Path) -> bool:
    """Return whether a folder is a published board; that of a run has its records in the store instead."""
    return (place / BOARD_JSON).is_file() and ((place / RECORDS).is_dir() or (place / FIDELITY).is_dir())


def reopen(place: Path) -> Material:
    """Return what a published board was made from, proven to be what it names.

    Raises:
        IntegrityFault: A part of it is missing, was added or edited.
    """
    from cytobench.benchmarks.run import COMMAND, SPEC

    try:
        told = _Told.model_validate(read_json(place / BOARD_JSON))
        records, measured = _folders(place / RECORDS), _folders(place / FIDELITY)
        problems = [
            *_strange(told.records, {one.key: one.sha256 for one in map(record.read, records)}, RECORDS),
            *_strange(told.fidelity, {one.key: one.sha256 for one in map(fidelity.read, measured)}, FIDELITY),
        ]
        if problems:
            raise IntegrityFault(f"{place} is not as it was published", problems=problems, fix=REMEDY)
        return Material(
            title=told.title,
            command=told.command,
            choices=told.choices,
            samples=tuple(_picture(place, name, title) for name, title in told.samples.items()),
            records=records,
            measured=measured,
            runs={
                run.name: {file: (run / file).read_bytes() for file in (COMMAND, SPEC)}
                for run in sorted((place / RUNS).iterdir())
            },
        )
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise IntegrityFault(f"{place / BOARD_JSON} is no board's", problems=found, fix=REMEDY) from error
    except (OSError, ValueError) as error:
        raise IntegrityFault(f"{place} was edited or is torn: {error}", fix=REMEDY) from error


def differences(published: Path, again: Path) -> list[str]:
    """Return which files of a published board are not those of the same board made again.

    Numbers may differ by what another processor rounds otherwise (1e-9 of their size), everything else by nothing.
    """
    found = []
    for name in sorted({*_files(published), *_files(again)}):
        one, other = (folder / name for folder in (published, again))
        if not other.is_file():
            found.append(f"{name} does not come from its records")
        elif not one.is_file():
            found.append(f"{name} is missing")
        elif one.read_bytes() != other.read_bytes() and not _near(_numbers(one), _numbers(other)):
            found.append(f"{name} differs")
    return found


def _folders(place: Path) -> tuple[Path, ...]:
    return tuple(sorted(path.parent for path in place.glob(f"*/{DONE}")))


def _strange(told: tuple[_Entry, ...], there: dict[str, str], what: str) -> list[str]:
    """Return how what lies there differs from what the board names."""
    named = {one.key: one.sha256 for one in told}
    return [
        *(f"{what}/{key} is missing" for key in sorted(named.keys() - there.keys())),
        *(f"{what}/{key} was added" for key in sorted(there.keys() - named.keys())),
        *(f"{what}/{key} is another one" for key in sorted(named.keys() & there.keys()) if named[key] != there[key]),
    ]


def _picture(place: Path, name: str, title: str) -> Drawing:
    if not PICTURE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a picture")
    png = (place / FIGURES / f"{name}.png").read_bytes()
    if not png.startswith(PNG):
        raise ValueError(f"{FIGURES}/{name}.png is no PNG")
    return Drawing(name, title, png)


def _files(folder: Path) -> list[str]:
    """Return the files of a board that are made from its records, by their path in it."""
    made = [*folder.glob("*"), *(folder / FIGURES).glob("*")]
    return [path.relative_to(folder).as_posix() for path in made if path.is_file()]


def _numbers(path: Path) -> Any:
    """Return the content of a table or a JSON file as values, that of others as bytes."""
    content = path.read_bytes()
    try:
        if path.suffix == ".json":
            return json.loads(content)
        if path.suffix == ".csv":
            return [[_value(text) for text in row] for row in csv.reader(io.StringIO(content.decode()))]
    except (ValueError, RecursionError, csv.Error):
        pass
    return content


def _value(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _near(one: Any, other: Any) -> bool:
    """Return whether two values are the same but for the rounding of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_near(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_near, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=NEAR, abs_tol=NEAR) or (math.isnan(one) and math.isnan(other))
    return bool(type(one) is type(other) and one == other)
