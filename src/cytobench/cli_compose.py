"""The door of ``cytobench compose``."""

import json
from pathlib import Path
from typing import Any

import click

from cytobench.cli_options import (
    AWKWARD_OPTIONS,
    JSON_OPTION,
    OUT_OPTION,
    SET_OPTIONS,
    as_typed,
    decorated,
    names,
    pairs,
    set_options,
)


@click.command()
@click.option("--cells", metavar="NAME=PATH", default="phantom-a", show_default=True, help="The white cells.")
@click.option(
    "--distractors",
    metavar="NAME=PATH",
    default="",
    help="What lies around them beside white cells.  [default: phantom-red-a for drawn cells, else nothing]",
)
@click.option("--level", default="complex", show_default=True, help="A name, or a number on the dial from 0 to 2.")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The folder of the scenes.")
@click.option("--images", type=click.IntRange(1), default=200, show_default=True, help="Of each class.")
@click.option("--image-size", type=click.IntRange(16, 1024), default=64, show_default=True, help="Pixels.")
@click.option(
    "--part", type=click.Choice(["train", "val", "test"]), default="train", show_default=True, help="Whose cells."
)
@click.option("--classes", callback=names, metavar="A,B", help="Classes of the central cells.")
@decorated(SET_OPTIONS[1:])
@decorated(AWKWARD_OPTIONS)
@click.option("--set", "settings", multiple=True, callback=pairs, metavar="KEY=VALUE", help="As level.number=[3,8].")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Root of all seeds.")
@OUT_OPTION
@click.option("--dry-run", is_flag=True, help="Show what would be made.")
@JSON_OPTION
def compose(cells: str, distractors: str, to: Path, out: Path, dry_run: bool, as_json: bool, **options: Any) -> None:
    """Put cells of a set into scenes, with masks, boxes and occlusion of every cell."""
    from cytobench.benchmarks import compose as making

    sets = set_options({**options, "data": [text for text in (cells, distractors) if text]})
    order = making.ComposeOrder(
        **sets, level=options["level"], images=options["images"], image_size=options["image_size"],
        part=options["part"], settings=options["settings"],
    )  # fmt: skip
    composition = making.prepare(order, to=to.absolute(), out=out)
    facts = making.plan_of(composition) if dry_run else making.compose(composition, command=as_typed())
    if as_json:
        click.echo(json.dumps(facts))
    elif dry_run:
        click.echo("\n".join(f"{name}: {value}" for name, value in facts.items()))
    else:
        click.echo(f"{facts['images']} scenes of {len(facts['classes'])} classes: {facts['folder']}")
