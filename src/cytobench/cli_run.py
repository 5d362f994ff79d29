"""The doors of ``cytobench run`` and ``cytobench resume``: generate, train, test and write the leaderboard."""

import json
from pathlib import Path
from typing import Any

import click

from cytobench import __version__
from cytobench.cli_options import (
    CHOICE_OPTIONS,
    EXTRACTOR_OPTION,
    GENERATOR_OPTIONS,
    JSON_OPTION,
    OUT_OPTION,
    SET_OPTIONS,
    as_typed,
    decorated,
    names,
    pairs,
    set_options,
)
from cytobench.errors import TrialFault, UsageFault


@click.command()
@click.option(
    "--generator",
    "generators",
    callback=names,
    metavar="A,B",
    help="What draws synthetic cells; without it, real sets only.",
)
@click.option(
    "--vary",
    multiple=True,
    callback=pairs,
    metavar="KEY=A,B,C",
    help="A synthetic set for each value, as generator.shots=1,4,16.",
)
@click.option(
    "--composer",
    "composers",
    callback=names,
    metavar="A,B",
    help="Put drawn cells, or those of a set, into scenes of these levels: names, or numbers on the dial.",
)
@click.option(
    "--distractors",
    default="",
    metavar="NAME=PATH",
    help="What lies around the central cells of scenes.  [default: red cells for drawn sets, else white cells alone]",
)
@click.option(
    "--backbones",
    callback=names,
    metavar="A,B,…",
    help="Aliases, timm or torchvision names.  [default: the protocol's, which may train none]",
)
@decorated(SET_OPTIONS)
@decorated(CHOICE_OPTIONS)
@click.option("--protocol", default="cross-dataset", show_default=True, help="Which experiment.")
@click.option("--profile", default="", help="demo, standard or paper.  [default: demo without --data, else standard]")
@click.option(
    "--generate-from", default="", metavar="NAME", help="The set that the generators learn from.  [default: the first]"
)
@click.option("--fold", default="", metavar="K/N", help="The K-th of N rotating splits, as 1/5.")
@click.option("--weights", multiple=True, callback=pairs, metavar="[BACKBONE=]hub|none|FILE", help="Starting weights.")
@decorated(GENERATOR_OPTIONS)
@EXTRACTOR_OPTION
@click.option(
    "--seeds",
    type=click.IntRange(0),
    default=0,
    help="Trainings of each backbone on each source.  [default: the profile's]",
)
@OUT_OPTION
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--executor", default="local", show_default=True, help="Where steps run.")
@click.option("--dry-run", is_flag=True, help="Show the plan, its time and its disk space; train nothing.")
@JSON_OPTION
def run(**options: Any) -> None:
    """Generate, train, test and write the leaderboard; repeat the command to go on after a stop."""
    from cytobench.benchmarks.order import Order
    from cytobench.benchmarks.spec import load_protocol
    from cytobench.progress import say

    say(f"cytobench {__version__}: looking at what was asked for")
    around = [options["distractors"]] if options["distractors"] else []
    sets = set_options({**options, "data": [*options["data"], *around]})
    distractors = sets["data"][-1] if around else None
    sets["data"] = sets["data"][: len(options["data"])]
    order = Order(
        generators=options["generators"],
        vary=options["vary"],
        composers=options["composers"],
        distractors=distractors,
        backbones=options["backbones"],
        **sets,
        fold=options["fold"],
        protocol=options["protocol"],
        profile=options["profile"],
        generate_from=options["generate_from"],
        weights=options["weights"],
        settings=options["settings"],
        shots_from=options["shots_from"],
        extractors=options["extractors"],
        seeds=options["seeds"],
        device=options["device"],
    )
    protocol = load_protocol(order.protocol)
    if not (order.backbones or protocol.backbones) and protocol.pairs != "none":
        raise UsageFault("--backbones names none", fix="--backbones resnet50,vit,swin")
    _carry_out(order, options["out"], options["executor"], options["dry_run"], options["as_json"], None)


@click.command()
@click.argument("folder", metavar="RUN", type=click.Path(path_type=Path))
@click.option("--executor", default="local", show_default=True, help="Where steps run.")
@JSON_OPTION
def resume(folder: Path, executor: str, as_json: bool) -> None:
    """Go on with a run that was stopped, if nothing that decides its numbers has changed."""
    from cytobench.benchmarks import run as runner

    folder = folder.absolute()
    order, out = runner.resume(folder)
    _carry_out(order, out, executor, False, as_json, folder)


def _carry_out(order: Any, out: Path, executor: str, dry_run: bool, as_json: bool, resumed: Path | None) -> None:
    from cytobench.benchmarks import run as runner

    prepared = runner.prepare(order, out)
    if resumed is not None:
        runner.unchanged(resumed, prepared)
    if dry_run:
        plan = runner.dry_run(prepared)
        click.echo(json.dumps(plan) if as_json else runner.summary(plan))
        return
    command = as_typed() if resumed is None else (resumed / runner.COMMAND).read_text(encoding="utf-8").strip()
    with runner.resumable(prepared):
        outcome = runner.run(prepared, command=command, executor=executor)
    name = prepared.resolved.spec.protocol.publishes
    frozen = _frozen(outcome.folder, name) if name and not outcome.lost and not outcome.failed else {}
    if as_json:
        facts = {"run": str(outcome.folder), "board": str(outcome.board.html), "failed": len(outcome.failed)}
        facts |= {"published": frozen} if frozen else {}
        click.echo(json.dumps(facts | {"results": json.loads(outcome.board.json.read_text(encoding="utf-8"))}))
    else:
        click.echo(outcome.board.markdown.read_text(encoding="utf-8"))
        click.echo(f"board: {outcome.board.html}")
        if frozen:
            click.echo(f"published and verified: {frozen['identity']}, {frozen['images']} images: {frozen['folder']}")
    if outcome.lost:
        raise TrialFault(f"a step failed: {outcome.lost[0]}", fix="the board shows what could be finished without it")
    if outcome.failed:
        raise TrialFault(f"{len(outcome.failed)} of {len(outcome.records)} records are of trials that failed")


def _frozen(folder: Path, name: str) -> dict[str, Any]:
    from cytobench.benchmarks.release import freeze

    return freeze(folder.absolute(), name)
