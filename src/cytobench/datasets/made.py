"""Folders that cytobench filled with drawn images, as a data set again: proven, with what the images were made from.

``cytobench generate`` and ``cytobench compose`` write such folders. A folder that holds nothing but such folders is
one set of them all, as the train and the test part of one level.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cytobench.datasets.imageset import read_table
from cytobench.datasets.readers.listing import COMPOSED, Ancestry, Listing, Seen, of_the_system
from cytobench.datasets.readers.manifest import read_manifest
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.progress import task
from cytobench.store import DONE, file_sha256, read_json

GENERATED, SCENES = "generated.json", "composed.json"
"""What tells every setting of a folder, and thereby what made it."""
MANIFEST = "manifest.csv"
SEEN = "seen.csv"
"""What the generators behind the images learned from: columns ``TOLD``."""
CELLS = "cells.csv"
"""Of scenes: the cells that were cut out."""
TABLES = frozenset({GENERATED, SCENES, MANIFEST, SEEN, CELLS})
TOLD = ("generator_run", "set", "label", "group", "pixel_sha256")
AGAIN = "repeat the command that made it (README.md there has it), or get the whole folder again"


class Made(NamedTuple):
    """One folder."""

    folder: Path
    facts: Mapping[str, Any]
    """Every setting."""
    scenes: bool
    """Whether its images were composed; else a generator drew them."""
    listing: Listing
    cells: pd.DataFrame
    """Of scenes: the cells that were cut out, columns ``TOLD`` and ``origin``; else empty."""
    learned: pd.DataFrame
    """What the generators behind it learned from: columns ``TOLD``."""

    @property
    def title(self) -> str:
        """One line for people."""
        return str(self.facts["title"])

    @property
    def set_name(self) -> str:
        """What boards call the set that it belongs to."""
        return str(self.facts["set"])


def folders_at(place: Path) -> tuple[Path, ...]:
    """Return the folders of drawn images at a place: itself, or all that is in it; none for anything else."""
    if _is_made(place):
        return (place,)
    below = sorted(one for one in place.iterdir() if not of_the_system(one.name)) if place.is_dir() else []
    return tuple(below) if all(map(_is_made, below)) else ()


def refuse_part(path: Path) -> None:
    """Refuse a file or folder within a folder of drawn images: alone it does not say what it was made from.

    Raises:
        UsageFault: With the folder.
    """
    for folder in path.resolve().parents:
        if _is_made(folder) and (folder / MANIFEST).is_file():
            raise UsageFault(f"{path} is a part of what cytobench drew", fix=f"name the whole folder: NAME={folder}")


def read_made(folder: Path, *, verified: bool) -> Made:
    """Return a folder of drawn images.

    Args:
        folder: What ``generate`` or ``compose`` wrote.
        verified: Whether every file is compared first. The tables always are, and pixels when they are decoded.

    Raises:
        IntegrityFault: It is not finished or was altered, and the files are named; or nobody says what an image was
            made from.
    """
    _prove(folder, verified=verified)
    scenes = (folder / SCENES).is_file()
    try:
        facts = read_json(folder / (SCENES if scenes else GENERATED))
        facts = {**facts, **{name: str(facts[name]) for name in ("title", "set", "command")}}
        rows, learned = read_table(folder / MANIFEST), read_table(folder / SEEN)[list(TOLD)]
        cells = read_table(folder / CELLS)[[*TOLD, "origin"]] if scenes else learned.iloc[:0].assign(origin="")
        runs = tuple(rows["generator_run"])
        columns = {"split": "part"} if scenes else {}
        found = read_manifest(folder / MANIFEST, root=folder, columns=columns)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityFault(f"{folder} is not what cytobench writes: {error!r}", fix=AGAIN) from error
    if scenes and ({entry.split for entry in found.entries} != {facts.get("part")} or not facts["part"]):
        raise IntegrityFault(f"{folder / MANIFEST} and {SCENES} name different parts", fix=AGAIN)
    if len(runs) != len(found.entries) or any(entry.origin != "synthetic" for entry in found.entries):
        raise IntegrityFault(f"{folder / MANIFEST} holds images that nothing drew", fix=AGAIN)
    _refuse_untold(folder, runs, cells, learned)
    used = [Seen(runs[0], *row) for row in _columns(cells)]
    ancestry = Ancestry(runs, (*used, *(Seen(*row) for row in _columns(learned, "generator_run"))))
    return Made(folder, facts, scenes, found._replace(ancestry=ancestry), cells, learned)


def joined(found: Sequence[Made]) -> Listing:
    """Return folders as one listing; files are named from the folder above where there are several."""
    if len(found) == 1:
        return found[0].listing
    root = found[0].folder.parent
    ancestry = [one.listing.ancestry for one in found]
    return Listing(
        root,
        tuple(e._replace(file=f"{one.folder.name}/{e.file}") for one in found for e in one.listing.entries),
        sum(one.listing.ignored for one in found),
        tuple(note for one in found for note in one.listing.notes),
        ancestry=Ancestry(
            tuple(run for one in ancestry if one for run in one.runs),
            tuple(dict.fromkeys(row for one in ancestry if one for row in one.seen)),
        ),
    )


def _is_made(folder: Path) -> bool:
    return (folder / GENERATED).is_file() or (folder / SCENES).is_file()


def _columns(rows: pd.DataFrame, *first: str) -> list[tuple[str, ...]]:
    return list(rows[[*first, "set", "label", "pixel_sha256", "group"]].itertuples(index=False, name=None))


def _prove(folder: Path, *, verified: bool) -> None:
    """Compare the files with those that were written; all that differ are named."""
    try:
        stated = {str(name): str(fact["sha256"]) for name, fact in read_json(folder / DONE)["files"].items()}
    except FileNotFoundError:
        raise IntegrityFault(f"{folder} is not finished: it has no {DONE}", fix="repeat the command") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityFault(f"{folder / DONE} can't be read: {error!r}", fix=AGAIN) from error
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    wanted = stated.keys() if verified else stated.keys() & TABLES
    problems = [f"{name}: missing" for name in sorted(wanted - there)]
    problems += [f"{name}: not of this folder" for name in sorted((there & TABLES) - stated.keys())]
    with task(f"verify {folder.name}", len(wanted)) as work:
        for name in sorted(wanted & there):  # what a list names is never opened, only what lies here
            work.advance()
            if file_sha256(folder / name) != stated[name]:
                problems.append(f"{name}: other bytes than were written")
    if problems:
        raise IntegrityFault(f"{folder} was altered since it was made", problems=problems, fix=AGAIN)


def _refuse_untold(folder: Path, runs: Sequence[str], cells: pd.DataFrame, learned: pd.DataFrame) -> None:
    """Refuse images of which it is not known what they were made from, at any depth."""
    drawn = cells[cells["origin"] == "synthetic"]
    untold = sorted((set(drawn["generator_run"]) if len(cells) else set(runs)) - set(learned["generator_run"]))
    if len(cells) and (len({*runs}) != 1 or not runs[0].startswith(COMPOSED)):
        raise IntegrityFault(f"{folder / MANIFEST} does not name the composition of its images", fix=AGAIN)
    if untold:
        where = f"cells of {', '.join(sorted(set(drawn['set'])))} were drawn" if len(drawn) else "images were drawn"
        raise IntegrityFault(
            f"{folder}: {where}, and nobody says what their generator had seen",
            fix="name the folder that `cytobench generate` wrote, not a copy of its images, as their source",
        )
