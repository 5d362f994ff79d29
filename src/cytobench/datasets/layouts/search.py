"""Find folders below one that the user named, a bounded way down, and pass over what a set says to skip."""

import os
from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

DEPTH = 4  # levels below the named folder; official downloads nest their class folders no deeper
MOST = 20_000  # folders looked at, so that a wrong path near the root of a disk ends soon


def levels(root: Path, skip: Collection[str]) -> Iterator[list[Path]]:
    """Yield the folders at depth 0, 1, … ``DEPTH`` below ``root``, sorted; skipped and hidden ones are not entered."""
    here, seen = [root], 1
    for _ in range(DEPTH + 1):
        yield here
        here = [child for folder in here for child in children(folder) if not matches(child.name, skip)]
        seen += len(here)
        if not here or seen > MOST:
            return


def children(folder: Path) -> list[Path]:
    """Return the visible folders in a folder, sorted; none where it can't be read."""
    try:
        with os.scandir(folder) as places:
            return sorted(Path(one.path) for one in places if _visible(one.name) and one.is_dir())
    except OSError:
        return []


def find(root: Path, name: str, skip: Collection[str] = ()) -> Path | None:
    """Return the shallowest file or folder of that name, in any case, at or below ``root``."""
    for level in levels(root, skip):
        for folder in level:
            if (place := within(folder, name)) is not None:
                return place
    return None


def within(folder: Path, name: str) -> Path | None:
    """Return what lies in a folder under a name, in any case; the exact spelling wins."""
    try:
        found = sorted(one for one in os.listdir(folder) if one.casefold() == name.casefold())  # noqa: PTH208
    except OSError:
        return None
    return folder / (name if name in found else found[0]) if found else None


def matches(name: str, patterns: Collection[str]) -> bool:
    """Tell whether a name fits one of the patterns, in any case."""
    return any(fnmatchcase(name.casefold(), pattern.casefold()) for pattern in patterns)


def glance(folder: Path, most: int = 8) -> str:
    """Return the names of what lies in a folder, shortened, for a message."""
    try:
        names = sorted(one for one in os.listdir(folder) if _visible(one))  # noqa: PTH208
    except OSError as error:
        return f"a folder that can't be read ({error.strerror})"
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "") or "nothing"


def _visible(name: str) -> bool:
    return not name.startswith(".") and name != "__MACOSX"
