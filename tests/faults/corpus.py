"""Hostile inputs, each made on the spot by a small function: what cytobench is called with, and its exit code.

Payloads that could run would make the folder ``ran`` beside the input; the test looks for it. Nothing here is larger
on the disk than some megabytes: what claims to be large is sparse, compressed or only says so.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.conftest import picture

RAN = "ran"
"""What an executed payload makes."""


class Hostile(NamedTuple):
    """One input."""

    name: str
    rows: tuple[int, ...]
    """Rows of the table of faults that it stands for; none where only the promise of no harm is meant."""
    code: int
    """Exit code expected."""
    make: Callable[[Path], tuple[str, ...]]
    """Put it into an empty folder; returns the words after ``cytobench``."""
    group: str
    """Inputs of one group share a process."""


CORPUS: dict[str, Hostile] = {}
Maker = Callable[[Path], Path | tuple[str, ...]]


def hostile(group: str, code: int, *rows: int) -> Callable[[Maker], Maker]:
    """Register a maker under its name; one that returns a path is called with ``data scan --data x=PATH``."""

    def register(make: Maker) -> Maker:
        def words(place: Path) -> tuple[str, ...]:
            made = make(place)
            return ("data", "scan", "--data", f"x={made}", "--image-size", "16") if isinstance(made, Path) else made

        name = make.__name__
        assert name not in CORPUS, name
        CORPUS[name] = Hostile(name, rows, code, words, group)
        return make

    return register


def image(name: str, code: int, content: Callable[[Path], bytes], *rows: int, ending: str = "png") -> None:
    """Register bytes that lie as an image among good ones."""

    def make(place: Path) -> Path:
        (few(place) / "a" / f"hostile.{ending}").write_bytes(content(place))
        return place / "set"

    make.__name__ = name
    hostile("images", code, *rows)(make)


def manifest(name: str, code: int, content: Callable[[Path], bytes], *rows: int, ending: str = "csv") -> None:
    """Register bytes that lie as a manifest beside good images."""

    def make(place: Path) -> Path:
        (few(place) / f"list.{ending}").write_bytes(content(place))
        return place / "set" / f"list.{ending}"

    make.__name__ = name
    hostile("tables", code, *rows)(make)


def few(place: Path) -> Path:
    """Return a folder with two classes of two small pictures each."""
    for label in "ab":
        (place / "set" / label).mkdir(parents=True)
        for number in range(2):
            picture(label, number, size=16).save(place / "set" / label / f"{number}.png")
    return place / "set"
