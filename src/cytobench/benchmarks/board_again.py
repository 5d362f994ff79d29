"""A published board, made again from what lies beside it and compared with what was published."""

import hashlib
import math
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from cytobench.benchmarks.board_folder import FIDELITY, FIGURES, MATERIAL, RECORDS, RUNS, Contents, Material, write
from cytobench.errors import IntegrityFault
from cytobench.leaderboards import fidelity, record
from cytobench.leaderboards.canvas import Drawing
from cytobench.store import DONE, file_sha256, read_json

NEAR = 1e-9
"""Relative difference of two numbers that another processor may make; below 1e-15 none counts."""
NUMBER = re.compile(r"(?<=[\s,:\[])-?\d+(?:\.\d+(?:e[+-]?\d+)?|e[+-]?\d+)(?=[\s,\]}])", re.ASCII)
"""A number that is not whole, in JSON or CSV."""
PICTURE = re.compile(r"samples-[\w.+-]+", re.ASCII)
PNG = b"\x89PNG\r\n\x1a\n"
R = TypeVar("R")
REMEDY = "take the board from where it was published, whole"


def prove(place: Path) -> Material:
    """Make a published board again from its records and return what it was made from.

    Raises:
        IntegrityFault: A record was edited, added or is missing, or a file is not what the records give.
    """
    material = reopen(place)
    with tempfile.TemporaryDirectory() as folder:
        again = Path(folder) / "board"
        write(material, again)
        found = differences(place, again)
    if found:
        raise IntegrityFault(
            f"{place} is not what its records give",
            problems=found,
            fix=f"`cytobench leaderboard {place} --to NEW` writes what they give. Another version of cytobench or of "
            f"matplotlib may say or draw the same otherwise",
        )
    return material


def reopen(place: Path) -> Material:
    """Return what a published board was made from, proven to be what it names.

    Raises:
        IntegrityFault: A part of it is missing, was added or edited, or is a link; all are named.
    """
    try:
        problems = [f"{name} is a link or no plain file" for name, plain in _everything(place).items() if not plain]
        if not problems and not (place / MATERIAL).exists():
            problems = [f"{MATERIAL} is missing"]
        if problems:
            raise IntegrityFault(f"{place} is not as it was published", problems=problems, fix=REMEDY)
        told = Contents.model_validate(read_json(place / MATERIAL))
        records = _read(place / RECORDS, told.records, record.read, problems)
        measured = _read(place / FIDELITY, told.fidelity, fidelity.read, problems)
        samples = tuple(
            Drawing(name, one.title, _bytes(place, f"{FIGURES}/{_picture(name)}.png", one.sha256, problems))
            for name, one in told.samples.items()
        )
        runs = {
            name: {file: _bytes(place, f"{RUNS}/{name}/{file}", sha256, problems) for file, sha256 in texts.items()}
            for name, texts in told.runs.items()
        }
    except ValidationError as error:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise IntegrityFault(f"{place / MATERIAL} names no board's parts", problems=found, fix=REMEDY) from error
    except (OSError, ValueError) as error:
        raise IntegrityFault(f"{place} was edited or is torn: {error}", fix=REMEDY) from error
    if problems:
        raise IntegrityFault(f"{place} is not as it was published", problems=problems, fix=REMEDY)
    return Material(told.title, told.command, told.choices, samples, records, measured, runs)


def differences(published: Path, again: Path) -> list[str]:
    """Return which files of a published board are not those of the same board made again.

    Numbers in tables and JSON may differ by what another processor rounds otherwise, everything else by nothing.
    """
    found, there, expected = [], _everything(published), _everything(again)
    for name in sorted({*there, *expected}):
        if name not in expected:
            found.append(f"{name} does not come from its records")
        elif name not in there:
            found.append(f"{name} is missing")
        else:
            one, other = ((folder / name).read_bytes() for folder in (published, again))
            if one != other and not (name.endswith((".json", ".csv")) and _near(one, other)):
                found.append(f"{name} differs")
    return found


def _everything(folder: Path) -> dict[str, bool]:
    """Return every entry of a folder but its folders, and whether it is a plain file; links are not followed."""
    return {path.relative_to(folder).as_posix(): path.is_file() and not path.is_symlink() for path in _walk(folder)}


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def _read(place: Path, told: Mapping[str, str], read: Callable[[Path], R], problems: list[str]) -> dict[Path, R]:
    """Return the artefacts that a board names, by their folders; what is wrong with them is added to the problems."""
    found = {}
    there = {path.name for path in place.iterdir() if path.is_dir()} if place.exists() else set()
    problems += [f"{place.name}/{key} was added" for key in sorted(there - told.keys())]
    for key, sha256 in told.items():
        if not (place / key / DONE).is_file() or key not in there:
            problems.append(f"{place.name}/{key} is missing")
        elif file_sha256(place / key / DONE) != sha256:
            problems.append(f"{place.name}/{key} is another one")
        else:
            try:
                found[place / key] = read(place / key)
            except IntegrityFault as fault:
                problems.append("; ".join([fault.message, *fault.problems]))
    return found


def _picture(name: str) -> str:
    if not PICTURE.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a picture")
    return name


def _bytes(place: Path, name: str, sha256: str, problems: list[str]) -> bytes:
    """Return the content of a file that a board names; what is wrong with it is added to the problems."""
    path = place / name
    if not path.resolve().is_relative_to(place.resolve()):
        raise ValueError(f"{name!r} lies outside of it")
    if not path.is_file():
        problems.append(f"{name} is missing")
        return b""
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        problems.append(f"{name} is another one")
    elif path.suffix == ".png" and not content.startswith(PNG):
        problems.append(f"{name} is no PNG")
    return content


def _near(one: bytes, other: bytes) -> bool:
    """Return whether two texts are the same but for the rounding of numbers."""
    try:
        texts = [content.decode() for content in (one, other)]
    except UnicodeDecodeError:
        return False
    if NUMBER.sub("0.", texts[0]) != NUMBER.sub("0.", texts[1]):
        return False
    pairs = zip(*([float(found) for found in NUMBER.findall(text)] for text in texts), strict=True)
    return all(math.isclose(a, b, rel_tol=NEAR, abs_tol=1e-15) for a, b in pairs)
