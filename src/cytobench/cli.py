"""The door: options in, exit codes out. Everything heavy is imported when a command needs it."""

import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cytobench import __version__, cli_frozen
from cytobench.cli_compose import compose
from cytobench.cli_options import (
    CHOICE_OPTIONS,
    EVALUATE_OPTIONS,
    GENERATOR_OPTIONS,
    JSON_OPTION,
    OUT_OPTION,
    SET_OPTIONS,
    as_typed,
    decorated,
    pairs,
    set_options,
)
from cytobench.cli_run import resume, run
from cytobench.errors import CytobenchError, EnvironmentFault, shown

PLURALS = {
    f"{kind}s": kind
    for kind in ("generator", "backbone", "dataset", "protocol", "profile", "executor", "extractor", "level")
} | {"composers": "level"}  # what --composer takes


def main() -> None:
    """Run the command line; every fault of ours ends with its message and its exit code, never with a traceback."""
    try:
        with commands.make_context("cytobench", sys.argv[1:]) as context:  # click's main makes exit 1 of a closed pipe
            commands.invoke(context)
        sys.stdout.flush()
        code = 0
    except CytobenchError as fault:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # on the way out already: a second Ctrl-C changes nothing
        _complain(fault)
        code = fault.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = 130
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        _complain(EnvironmentFault(f"{error.filename or 'a file'}: {error.strerror}", fix="check path and disk"))
        code = EnvironmentFault.exit_code
    sys.exit(code)


def _complain(fault: CytobenchError) -> None:
    from cytobench.progress import say

    if "--json" in sys.argv:
        facts = {"error": fault.message, "fix": fault.fix, "problems": fault.problems, "exit_code": fault.exit_code}
        click.echo(json.dumps(facts, ensure_ascii=True))
    say(f"Error: {fault}")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="cytobench")
def commands() -> None:
    """Synthetic blood-cell image sets, and honest numbers on what they are worth.

    \b
    cytobench run --generator lora-sd --backbones resnet50,vit,swin
    cytobench run --generator dcgan --backbones resnet50,swin --data pbc=PATH --data raabin=PATH --classes common

    Without --data a run uses drawn smears in the demo profile: no network, no GPU and no data are needed.
    """


@commands.command()
@click.argument("generator")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The folder of the pictures.")
@click.option("--images", type=click.IntRange(1), default=200, show_default=True, help="Of each class.")
@decorated(SET_OPTIONS)
@decorated(CHOICE_OPTIONS)
@click.option("--profile", default="", help="The size of it all.  [default: demo without --data, else standard]")
@decorated(GENERATOR_OPTIONS)
@OUT_OPTION
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@click.option("--dry-run", is_flag=True, help="Show what would be trained and drawn.")
@JSON_OPTION
def generate(generator: str, to: Path, images: int, out: Path, **options: Any) -> None:
    """Train a generator on the training part of a set, or reuse it, and draw pictures into a folder."""
    from cytobench.benchmarks import generate as making
    from cytobench.benchmarks.order import Order

    order = Order(
        generators=(generator,), backbones=(), **set_options(options), profile=options["profile"],
        settings=options["settings"], shots_from=options["shots_from"], device=options["device"],
    )  # fmt: skip
    drawing = making.prepare(order, images=images, to=to.absolute(), out=out)
    facts = making.plan_of(drawing) if options["dry_run"] else making.generate(drawing, command=as_typed())
    if options["as_json"]:
        click.echo(json.dumps(facts))
    elif options["dry_run"]:
        click.echo("\n".join(f"{name}: {value}" for name, value in facts.items() if name != "waiting"))
        click.echo("\n".join(["waiting:", *(f"  {title}" for title in facts["waiting"])]))
    else:
        click.echo(f"{facts['images']} images of {len(facts['classes'])} classes: {facts['folder']}")


@commands.command()
@decorated(EVALUATE_OPTIONS)
@OUT_OPTION
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True)
@JSON_OPTION
def evaluate(to: Path | None, out: Path, as_json: bool, **options: Any) -> None:
    """Measure synthetic images against real ones: how near they come, whether they collapsed or were copied."""
    from cytobench.benchmarks.fidelity import evaluate as measuring
    from cytobench.leaderboards.fidelity_text import markdown

    found = measuring.evaluate(measuring.Asking(**options), out)
    if to is not None:
        measuring.write(found, to.absolute())
    click.echo(json.dumps(found.facts.model_dump(mode="json", by_alias=True)) if as_json else markdown(found.facts))


@commands.command(name="list")
@click.argument("kind", type=click.Choice(list(PLURALS)))
@JSON_OPTION
def list_(kind: str, as_json: bool) -> None:
    """Show what there is of a kind; plug-ins are found without running them."""
    from cytobench import registry

    found = registry.found(PLURALS[kind])
    if as_json:
        click.echo(
            json.dumps([{"name": one.name, "summary": one.summary, "from": one.origin} for one in found.values()])
        )
        return
    width = max((len(name) for name in found), default=0)
    for name in sorted(found):
        click.echo(f"{name:<{width}}  {found[name].summary}")
    if kind == "backbones":
        click.echo("and every timm name, and every torchvision name as torchvision/NAME")


@commands.command()
@click.argument("folder", metavar="[RUN]", required=False, type=click.Path(path_type=Path))
@OUT_OPTION
@JSON_OPTION
def status(folder: Path | None, out: Path, as_json: bool) -> None:
    """Tell how far a run is, or all runs of the output folder."""
    from cytobench.benchmarks import status as states

    found = [states.status(folder.absolute())] if folder else states.runs(out)
    if as_json:
        click.echo(json.dumps(found))
    for one in [] if as_json else found:
        then = f"next: {one['next']}" if one["next"] else "board written" if one["board"] else "all steps done"
        held = f", process {one['held_by']['pid']} on {one['held_by']['host']} is at it" if one["held_by"] else ""
        click.echo(f"{one['run']}: {one['done']}/{one['steps']} steps, {then}{held}")


@commands.command()
@OUT_OPTION
@JSON_OPTION
def doctor(out: Path, as_json: bool) -> None:
    """Look at this machine: packages, device, disk, weights, plug-ins."""
    from cytobench.benchmarks import doctor as looks
    from cytobench.errors import EnvironmentFault

    found = looks.examine(out)
    if as_json:
        click.echo(json.dumps(looks.as_json(found)))
    for one in [] if as_json else found:
        click.echo(f"{'ok ' if one.ok else 'BAD'} {one.name}: {one.detail}")
    bad = [one.name for one in found if not one.ok]
    if bad:
        raise EnvironmentFault(f"not in order: {', '.join(bad)}", fix="see the lines marked BAD")


@commands.group()
def data() -> None:
    """Look at images, freeze a split."""


@data.command()
@decorated(SET_OPTIONS)
@click.option("--image-size", type=click.IntRange(8, 1024), default=64, show_default=True, help="Pixels.")
@OUT_OPTION
@JSON_OPTION
def scan(image_size: int, out: Path, as_json: bool, **options: Any) -> None:
    """Open every file once and tell what is there, what it looks like and what is wrong with it."""
    from cytobench.benchmarks import data as sets
    from cytobench.benchmarks.lookup import SetOptions
    from cytobench.benchmarks.scan_text import described

    reports = sets.scan_all(SetOptions(**set_options(options)), image_size, out)
    if as_json:
        click.echo(json.dumps(reports))
    else:
        text = "\n\n".join(described(name, report) for name, report in reports.items())
        click.echo(shown(text, most=len(text)))


@data.command()
@decorated(SET_OPTIONS)
@decorated(CHOICE_OPTIONS)
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The manifest to write, one set only.")
@click.option("--ratios", default="0.6,0.2,0.2", show_default=True, help="Shares of train, val and test.")
@click.option("--folds", type=click.IntRange(0), default=0, help="Write so many rotating splits, TO-1, TO-2 and so on.")
@click.option(
    "--train-per-class",
    multiple=True,
    callback=pairs,
    metavar="[CLASS=]N",
    help="Train on at most N images of a class.",
)
@OUT_OPTION
def split(to: Path, ratios: str, folds: int, train_per_class: dict[str, str], out: Path, **options: Any) -> None:
    """Freeze the split of one set as a sealed manifest, to be used with --manifest."""
    from cytobench.benchmarks import data as sets
    from cytobench.benchmarks.lookup import SetOptions

    asked, shares = SetOptions(**set_options(options)), sets.shares(ratios, folds)
    for file, frozen in sets.freeze(asked, shares, starve=train_per_class, to=to, out=out).items():
        click.echo("\n".join([*frozen.notes, f"{len(frozen.table)} images, split {frozen.sha256}: {file}"]))


@data.command()
@click.argument("name")
@click.option(
    "--to", type=click.Path(path_type=Path), default=Path("cytobench-data"), show_default=True, help="Folder."
)
@JSON_OPTION
def fetch(name: str, to: Path, as_json: bool) -> None:
    """Download a public set, resumably, and prove it by its checksum where the publisher states one."""
    from cytobench.benchmarks import data as sets

    found = sets.fetch_set(name, to)
    if as_json:
        click.echo(json.dumps(found))
    else:
        lines = [*found["files"], f"licence: {found['licence']}", f"use it with --data {name}={found['path']}"]
        click.echo("\n".join(lines))


@commands.command()
@click.argument("runs", metavar="RUN…|BOARD", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The folder of the board.")
@click.option("--title", default=None, help="Its headline.  [default: Leaderboard, or the published board's own]")
def leaderboard(runs: Sequence[Path], to: Path, title: str | None) -> None:
    """Write one board, with its records, from one or more runs.

    A published board can stand for its runs: it is made again from its records by today's code, in its own folder, too.
    """
    from cytobench.benchmarks import publish

    click.echo(publish.board([run.absolute() for run in runs], to, title).html)


commands.add_command(compose)
commands.add_command(run)
commands.add_command(resume)
commands.add_command(cli_frozen.publish)
commands.add_command(cli_frozen.verify)
