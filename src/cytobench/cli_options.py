"""Options that several commands of the door share, and what is made of them."""

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from cytobench.errors import UsageFault

OUT = Path("cytobench-runs")


def pairs(_context: click.Context, _option: click.Parameter, given: Sequence[str]) -> dict[str, str]:
    """Return NAME=VALUE options as a mapping; a bare VALUE has the empty name."""
    found: dict[str, str] = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            name, value = "", text
        if name in found:
            raise click.BadParameter(f"{name or 'the choice for all'} is given twice")
        found[name.strip()] = value.strip()
    return found


def names(_context: click.Context, _option: click.Parameter, given: str | None) -> tuple[str, ...]:
    """Return names that were given with commas between them."""
    return tuple(name.strip() for name in (given or "").split(",") if name.strip())


SET_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--data",
        multiple=True,
        metavar="NAME=PATH",
        help="A set: folder, .csv, .parquet, .npz, .zip or .tar; a frozen set also as NAME@vN.",
    ),
    click.option("--manifest", multiple=True, callback=pairs, metavar="NAME=FILE", help="A manifest laid over a set."),
    click.option(
        "--column", multiple=True, callback=pairs, metavar="WHAT=NAME", help="A manifest's column, as path=img."
    ),
    click.option(
        "--label-map",
        multiple=True,
        callback=pairs,
        metavar="NAME=MAP",
        help="old:new,old:new or a file or a known set's merge, as aml=five.",
    ),
    click.option("--no-verify", is_flag=True, help="Don't compare the files of frozen sets with their manifests."),
    click.option("--frame", type=click.IntRange(0), help="Which frame of files with several, from 0."),
)
GENERATOR_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--shots-from",
        default="",
        callback=lambda _context, _option, given: str(_place(given)) if given else "",
        metavar="FILE",
        help="Lists the only images, one a line, that generators may see.",
    ),
    click.option(
        "--set", "settings", multiple=True, callback=pairs, metavar="KEY=VALUE", help="As training.epochs=20."
    ),
)
AWKWARD_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--duplicates", multiple=True, callback=pairs, metavar="[NAME=]together|first", help="Copies of a picture."
    ),
    click.option(
        "--contradictions",
        multiple=True,
        callback=pairs,
        metavar="[NAME=]refuse|drop",
        help="Two labels, one picture.",
    ),
    click.option(
        "--rare",
        multiple=True,
        callback=pairs,
        metavar="[NAME=]refuse|drop|train|test",
        help="Classes too small to split.",
    ),
    click.option(
        "--near",
        multiple=True,
        callback=pairs,
        metavar="[NAME=]warn|together|refuse",
        help="Near-copies of a picture in two parts.",
    ),
    click.option("--strict", is_flag=True, help="Refuse near-copies in two parts: --near refuse."),
)
CHOICE_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--classes", callback=names, metavar="A,B|common", help="Classes to keep; common: those of every set."
    ),
    *AWKWARD_OPTIONS,
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Root of all seeds."),
)
EXTRACTOR_OPTION = click.option(
    "--extractor",
    "extractors",
    callback=lambda context, option, given: _with_places(names(context, option, given)),
    metavar="NAME[=PLACE],…",
    help="What looks at synthetic images (`cytobench list extractors`); `own` is a network of the run.  [default: own]",
)
EVALUATE_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--real", required=True, metavar="[NAME=]PATH", help="Real images as of `run --data`, or a drawn set's name."
    ),
    click.option(
        "--synthetic", required=True, metavar="[NAME=]PATH", help="What `generate` wrote, a frozen set, or any set."
    ),
    click.option(
        "--extractor",
        "extractors",
        default="inception",
        show_default=True,
        callback=lambda context, option, given: _with_places(names(context, option, given)),
        metavar="NAME[=PLACE],…",
        help="What looks at the images; `cytobench list extractors`.",
    ),
    click.option("--classes", callback=names, metavar="A,B|common", help="Classes to compare."),
    click.option("--label-map", multiple=True, callback=pairs, metavar="NAME=MAP", help="As of `run`."),
    click.option("--image-size", type=click.IntRange(8, 1024), help="Pixels.  [default: the synthetic images' own]"),
    click.option("--few", is_flag=True, help="Give Fréchet distances of fewer images than features, marked."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of every choice."),
    click.option("--to", type=click.Path(path_type=Path), help="Write the report and a picture into this folder."),
)
OUT_OPTION = click.option(
    "--out", type=click.Path(path_type=Path), default=OUT, show_default=True, help="Where results go."
)
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout.")


def decorated(options: Iterable[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return a decorator that gives a command several options, in this order."""

    def decorate(function: Any) -> Any:
        for option in reversed(list(options)):
            function = option(function)
        return function

    return decorate


def _place(text: str) -> Path:
    """Return an absolute path, so that a run can be resumed from any folder."""
    from cytobench.benchmarks.lookup import absolute

    return absolute(text)


def _with_places(texts: Sequence[str]) -> tuple[str, ...]:
    """Return extractors with the places of their weights made absolute, as :func:`_place` does."""
    parts = [text.partition("=") for text in texts]
    return tuple(f"{name}{sign}{_place(place) if place else ''}" for name, sign, place in parts)


def set_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options about sets as :class:`cytobench.benchmarks.lookup.SetOptions` names them."""
    from cytobench.benchmarks.lookup import Data, frozen_or_place, name_and_path

    manifest, near = options["manifest"], options.get("near", {})
    sets = [
        Data(
            name=name,
            path=frozen_or_place(path),
            manifest=str(_place(manifest[name])) if name in manifest else "",
        )
        for name, path in map(name_and_path, options["data"])
    ]
    strangers = [name for name in manifest if name not in {one.name for one in sets}]
    if strangers:
        raise UsageFault(f"--manifest names {strangers[0]!r}, which no --data does", fix="give --data NAME=FOLDER too")
    if options.get("strict"):
        if near.get("", "refuse") != "refuse":
            raise UsageFault(f"--strict and --near {near['']} contradict each other", fix="leave one of them out")
        near = {**near, "": "refuse"}
    same = {
        name: options[name] for name in ("classes", "duplicates", "contradictions", "rare", "seed") if name in options
    }
    maps = {name: _map_place(text) for name, text in options["label_map"].items()}
    return same | {
        "data": tuple(sets),
        "columns": options["column"],
        "label_map": maps,
        "frame": options["frame"],
        "verify": not options["no_verify"],
        "near": near,
    }


def _map_place(text: str) -> str:
    """Return a label map as typed, with the place of a file made absolute."""
    return str(_place(text)) if text.endswith((".toml", ".csv")) else text


def as_typed() -> str:
    """Return the command as typed, with paths cut to their last part: boards name no place of a machine."""
    return shlex.join(["cytobench", *map(_without_places, sys.argv[1:])])


def _without_places(text: str) -> str:
    """Return a word with every path in it cut to its last part, those of ``a=PATH,b=PATH`` each by itself.

    What does not exist yet, as a new folder of ``--to``, is known by being absolute; names of a hub stay.
    """
    if os.sep in text and Path(text).exists():
        return Path(text).name
    for sign in "=,":
        if sign in text:
            head, _, tail = text.partition(sign)
            return f"{_without_places(head)}{sign}{_without_places(tail)}"
    return Path(text).name if text.startswith("~") or Path(text).is_absolute() else text
