"""The commands ``publish`` and ``verify``: freeze what was drawn; prove that a frozen set is untouched."""

import json
from pathlib import Path

import click

from cytobench.cli_options import JSON_OPTION, names, pairs
from cytobench.progress import size


@click.command()
@click.argument("places", metavar="RUN|FOLDER…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--name", required=True, help="What the set is called.")
@click.option("--version", "number", required=True, type=click.IntRange(1), help="Which version of it, from 1.")
@click.option("--sets", callback=names, metavar="A,B", help="Drawn sets to take.  [default: every synthetic one]")
@click.option("--supersedes", default="", metavar="NAME@vN#HASH", help="The version that this one replaces.")
@click.option("--title", default="", help="One line for people.  [default: the name]")
@click.option("--licence", default="CC-BY-4.0", show_default=True, help="SPDX name; see what the sources allow.")
@click.option("--creator", "creators", multiple=True, metavar="NAME", help="Who publishes it; may be given often.")
@click.option("--date", default="", metavar="YYYY-MM-DD", help="Of publication.  [default: none is stated]")
@click.option("--annotations", multiple=True, callback=pairs, metavar="[SET=]FILE", help="COCO JSON of a set's scenes.")
@click.option(
    "--to", type=click.Path(path_type=Path), help="Where published sets lie.  [default: published beside runs, folders]"
)
@click.option("--archive", type=click.Choice(["zip", "tar", "none"]), default="zip", show_default=True)
@click.option(
    "--upload", default="", metavar="OWNER/NAME", help="Also put it into this data set repository of the hub."
)
@click.option("--private", is_flag=True, help="A repository that --upload makes is seen by its owner alone.")
@click.option("--dry-run", is_flag=True, help="Show what would be published; write nothing.")
@JSON_OPTION
def publish(
    places: tuple[Path, ...], name: str, number: int, sets: tuple[str, ...], supersedes: str, title: str, licence: str,
    creators: tuple[str, ...], date: str, annotations: dict[str, str], to: Path | None, archive: str,
    upload: str, private: bool, dry_run: bool, as_json: bool,
) -> None:  # fmt: skip
    """Freeze what a run drew, or folders of `generate` and `compose`, as a benchmark set that is never edited, only
    superseded."""
    from cytobench.benchmarks import release
    from cytobench.benchmarks.spec import fitted
    from cytobench.datasets.frozen.edition import Edition
    from cytobench.datasets.frozen.hub import upload as put
    from cytobench.datasets.frozen.identity import named

    facts = {
        "identity": named(name, number), "supersedes": supersedes, "title": title or name, "licence": licence,
        "creators": creators, "date": date, "command": "",
    }  # fmt: skip
    edition = fitted(Edition, facts, "what is told of the set")
    files = {one: Path(file) for one, file in annotations.items()}
    ready = release.prepare(
        [one.absolute() for one in places], edition, sets=sets, annotations=files, shelf=to and to.absolute()
    )
    if dry_run:
        plan = release.plan_of(ready)
        click.echo(json.dumps(plan) if as_json else "\n".join(f"{what}: {value}" for what, value in plan.items()))
        return
    told = release.release(ready, archive=None if archive == "none" else archive)  # type: ignore[arg-type]  # a choice
    hub = put(Path(told["folder"]), upload, private=private) if upload else ""
    if as_json:
        click.echo(json.dumps(told | ({"hub": hub} if hub else {})))
        return
    state = "published" if told["new"] else "was published already, byte for byte"
    click.echo(f"{told['identity']} {state}: {told['images']} images, {told['files']} files, {size(told['bytes'])}")
    click.echo(f"folder: {told['folder']}")
    if "archive" in told:
        click.echo(f"archive: {told['archive']}\nsha256: {told['archive_sha256']}")
    if hub:
        click.echo(f"hub: {hub}")


@click.command()
@click.argument("path", metavar="PATH", type=click.Path(path_type=Path))
@click.option("--expect", default="", metavar="NAME@vN#HASH", help="What it must be, from where it was cited.")
@JSON_OPTION
def verify(path: Path, expect: str, as_json: bool) -> None:
    """Prove that a frozen set, as folder, zip or tar, is what was published; name every file that is not.

    A published board is made again from its records instead, and compared file by file.
    """
    from cytobench.benchmarks.board_folder import is_board

    if is_board(path):
        _verify_board(path, expect, as_json)
        return
    from cytobench.datasets.frozen.identity import parse
    from cytobench.datasets.frozen.verify import verify as prove

    found = prove(path, expected=parse(expect) if expect else None)
    told = {"identity": str(found.identity), "files": found.files, "bytes": found.bytes, "images": found.images}
    if as_json:
        click.echo(json.dumps(told | {"supersedes": found.manifest.supersedes}))
    else:
        click.echo(f"untouched: {found.identity}, {found.files} files, {found.images} images, {size(found.bytes)}")


def _verify_board(path: Path, expect: str, as_json: bool) -> None:
    from cytobench.benchmarks.board_again import prove
    from cytobench.errors import UsageFault

    if expect:
        raise UsageFault("a board has no identity to expect", fix="leave --expect out")
    made = prove(path)
    if as_json:
        click.echo(json.dumps({"title": made.title, "records": len(made.records), "measurements": len(made.measured)}))
    else:
        click.echo(
            f"untouched: every file of {path} comes from what lies beside it "
            f"(records: {len(made.records)}, measurements of drawn sets: {len(made.measured)})"
        )
