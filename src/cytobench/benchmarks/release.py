"""A frozen set from a finished run: what it drew, what that was drawn from, and the board that it was born with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cytobench.benchmarks import publish
from cytobench.benchmarks.lookup import SHELF
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.benchmarks.steps.ancestry import ancestors
from cytobench.benchmarks.steps.brought import FITS, is_brought
from cytobench.benchmarks.steps.brought import SEEN as SEEN_FILE
from cytobench.benchmarks.steps.sets import FreezeSplit
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.datasets.frozen.archive import Kind, pack, zenodo
from cytobench.datasets.frozen.coco import adopt
from cytobench.datasets.frozen.edition import SEEN, Edition, Published
from cytobench.datasets.frozen.identity import WHOLE_HASH, parse
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import write
from cytobench.datasets.imageset import TABLE, ImageSet, read_pixels, read_table
from cytobench.datasets.known_set import is_known, known
from cytobench.datasets.splits import PARTITIONS
from cytobench.device import Device
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.registry import unknown
from cytobench.store import DONE, Store, digest, file_sha256, listing, read_json, write_json

BOARD = "board"  # below the set's folder


class Release(NamedTuple):
    """A set that is ready to be written."""

    run: Path
    edition: Edition
    sets: tuple[Published, ...]
    annotations: Mapping[str, bytes]
    shelf: Path


def prepare(
    run: Path,
    edition: Edition,
    *,
    sets: Sequence[str] = (),
    annotations: Mapping[str, Path] | None = None,
    shelf: Path | None = None,
) -> Release:
    """Find what a run drew, undamaged; nothing is written.

    Args:
        run: The folder of a finished run.
        edition: Name, version and what else is known.
        sets: Which sets; empty takes every synthetic one. Drawn ones, as the phantom, are taken where they are named.
        annotations: COCO files by set.
        shelf: Where published sets lie; by default ``published`` beside the runs.

    Raises:
        UsageFault: No finished run, no such set, photographs that are asked for.
        IntegrityFault: The run or its artefacts were edited.
    """
    if not (run / PLAN).is_file():
        raise UsageFault(f"{run} is no run", fix="`cytobench status` lists the runs of a folder")
    store = run.parent.parent / "store"
    try:
        spec = read_json(run / SPEC)["run"]
        steps = [str(step["step"]) for step in read_json(run / PLAN)["steps"]]
        command = (run / COMMAND).read_text(encoding="utf-8").strip()
        photographs = {one["name"] for one in spec["sets"] if one["nature"] == "real"}
        offered = {**_synthetic(store, steps, spec), **_drawn(store, steps)}
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise IntegrityFault(f"{run} was edited or is torn: {error!r}", fix="repeat the command of the run") from error
    chosen = _chosen(run, sets, offered, photographs)
    place = shelf or run.parent.parent / SHELF
    told = edition.model_copy(update={"command": command, "supersedes": _superseded(edition, place)})
    return Release(run, told, tuple(chosen), _annotated(annotations or {}, chosen), place)


def plan_of(release: Release) -> dict[str, Any]:
    """Return what would be published."""
    pixels = sum(len(one.images.table) * one.images.pixels[0].size for one in release.sets)
    return {
        "identity": f"{release.edition.identity.name}@v{release.edition.identity.version}",
        "folder": str(release.shelf / release.edition.identity.folder),
        "sets": {one.name: {split: one.images.counts(split) for split in one.parts} for one in release.sets},
        "images": sum(len(one.images.table) for one in release.sets),
        "licence": release.edition.licence,
        "estimated_bytes": 3 * pixels,
    }


def release(ready: Release, *, archive: Kind | None) -> dict[str, Any]:
    """Write the set, and its archive where one is wanted; return what it is called and where it lies.

    Raises:
        IntegrityFault: This version is there with other content; or a record of the run was edited.
        UsageFault: The run is not finished.
        EnvironmentFault: No room.
    """
    edition = ready.edition

    def born(folder: Path) -> None:
        publish.board([ready.run], folder / BOARD, edition.title)

    made = write(ready.shelf, edition, ready.sets, extras=born, annotations=ready.annotations)
    told = {"identity": str(made.identity), "new": made.new, "folder": str(made.folder), "files": made.files}
    told |= {"bytes": made.bytes, "images": made.images}
    if archive:
        packed = pack(made.folder, made.folder.with_name(f"{made.folder.name}.{archive}"), archive)
        write_json(made.folder.with_name(f"{made.folder.name}.zenodo.json"), zenodo(edition, str(made.identity)))
        told |= {"archive": str(packed), "archive_sha256": file_sha256(packed)}
    return told


def _synthetic(store: Path, steps: Sequence[str], spec: Mapping[str, Any]) -> dict[str, Published]:
    """Return every set that a generator of the run drew."""
    found = {}
    for reference in steps:
        if not reference.startswith(f"{DrawSynthetic.kind}/"):
            continue
        folder, done = _artefact(store, reference)
        facts = done["specification"]
        recipe = next(one for one in spec["generators"] if one["set_name"] == facts["name"])
        name = facts["name"] + (f"-training-{facts['number'] + 1}" if facts["number"] else "")
        partition = {split: half for split, half, _ in facts["parts"] if half in PARTITIONS}
        table = read_table(folder / TABLE)
        table["partition"] = table["split"].map(partition).fillna("")
        images = ImageSet(name, "synthetic", tuple(facts["classes"]), table, read_pixels(folder))
        fits = sorted(done["inputs"].values())
        seen = _seen(store, fits)
        story = tuple(_story(recipe, seen, spec))
        found[name] = Published(images, story, pd.concat([seen, _seen_before(store, fits)], ignore_index=True))
    return found


def _story(recipe: Mapping[str, Any], seen: pd.DataFrame, spec: Mapping[str, Any]) -> list[str]:
    learned = recipe["trained_on"]
    nature = next(one["nature"] for one in spec["sets"] if one["name"] == learned)
    began = f" and began with {_without_place(recipe['base'])}" if recipe["base"] else ""
    what = {"real": "photographs", "phantom": "drawings of the embedded source", "synthetic": "synthetic images"}[
        nature
    ]
    lines = [
        f"Drawn by the generator {recipe['name']}, which learned from {seen['pixel_sha256'].nunique():,} {what} of the "
        f"training part of {learned} alone{began}.",
        "Settings: "
        + ", ".join(f"{name} {_without_place(value)}" for name, value in sorted(recipe["config"].items()))
        + ".",
    ]
    if is_known(learned):
        facts = known(learned)
        cited = f" Cite {facts.citation}." if facts.citation else ""
        lines.append(f"{learned} is {facts.title}; its licence: {facts.licence}.{cited}")
    elif nature == "real":
        lines.append(f"{learned} is a set of its owner's; its licence is not known to cytobench.")
    return lines


def _without_place(value: object) -> object:
    """Return a setting as a card tells it: of a path on a machine its last part, else the value itself."""
    if isinstance(value, str) and (value.startswith("~") or Path(value).is_absolute()):
        return Path(value).name
    return value


def _seen(store: Path, fits: Sequence[str]) -> pd.DataFrame:
    """Return what some fits learned from, columns ``SEEN``; patients and slides are left out."""
    tables = []
    for fit in fits:
        if not fit.startswith(f"{FitGenerator.kind}/"):
            raise IntegrityFault(f"{fit} is no fit of a generator", fix="repeat the command of the run")
        folder, _ = _artefact(store, fit)
        tables.append(read_table(folder / SEEN_FILE).assign(generator_run=fit)[list(SEEN)])
    return pd.concat(tables, ignore_index=True)


def _seen_before(store: Path, fits: Sequence[str]) -> pd.DataFrame:
    """Return what the generators had learned from whose images some fits learned from, at any depth; columns ``SEEN``.

    Each row counts as seen by the fit of this run: whoever uses its images must not test on any of these.
    """
    context = Context(Store(store), Device("cpu", "", 1))  # nothing is computed
    tables = [pd.DataFrame(columns=list(SEEN), dtype=str)]
    for fit in fits:
        for one in ancestors(context, fit):
            if one != fit and (one.startswith(f"{FitGenerator.kind}/") or is_brought(one)):
                tables.append(read_table(_proven(store, one) / SEEN_FILE).assign(generator_run=fit)[list(SEEN)])
    return pd.concat(tables, ignore_index=True).drop_duplicates()


def _proven(store: Path, reference: str) -> Path:
    """Return the folder of a fit of this store, or of one that a frozen set brought along, after proving it."""
    _artefact(store, reference.split(f"/{FITS}/")[0])
    return store / reference


def _drawn(store: Path, steps: Sequence[str]) -> dict[str, Published]:
    """Return every set of the run that is drawn without a generator."""
    found = {}
    for reference in steps:
        if not reference.startswith(f"{FreezeSplit.kind}/"):
            continue
        folder, done = _artefact(store, reference)
        facts = done["specification"]
        if facts["nature"] != "phantom":
            continue
        pixels, _ = _artefact(store, done["inputs"]["images"])
        table = read_table(folder / TABLE)
        images = ImageSet(facts["name"], "phantom", tuple(facts["classes"]), table, read_pixels(pixels))
        story = (f"{known(facts['name']).title}; drawn by cytobench's embedded source, which learned from nothing.",)
        found[facts["name"]] = Published(images, story, pd.DataFrame(columns=list(SEEN), dtype=str))
    return found


def _artefact(store: Path, reference: str) -> tuple[Path, dict[str, Any]]:
    """Return an artefact's folder and its ``done.json``, after comparing every byte with what that states.

    This finds what was damaged or edited by hand. Whoever edits an artefact on purpose can write its ``done.json``
    anew: a run proves nothing against its owner.

    Raises:
        IntegrityFault: It is not what was computed under this key.
    """
    folder = store / reference
    done: dict[str, Any] = read_json(folder / DONE)
    described = {name: done[name] for name in ("kind", "specification", "inputs", "code")}
    if f"{done['kind']}/{digest(described)[:24]}" != reference or listing(folder) != done["files"]:
        raise IntegrityFault(f"{folder} was edited since it was computed", fix="repeat the command of the run")
    return folder, done


def _superseded(edition: Edition, shelf: Path) -> str:
    """Return the whole identity of the version that an edition replaces; it is proven where it lies on the shelf."""
    version = edition.identity.version
    if not edition.supersedes:
        if version > 1:
            raise UsageFault(
                f"version {version} supersedes another", fix=f"--supersedes {edition.identity.name}@v{version - 1}#HASH"
            )
        return ""
    old = parse(edition.supersedes)
    if old.name != edition.identity.name or old.version >= version:
        raise UsageFault(
            f"{edition.identity} can't supersede {old}", fix="--supersedes names an earlier version of the same set"
        )
    if (shelf / old.folder).exists():
        return str(verify(shelf / old.folder, expected=old).identity)
    if len(old.root) != WHOLE_HASH:
        raise UsageFault(f"{old} is not in {shelf}", fix="write its whole hash: --supersedes NAME@vN#HASH")
    return str(old)


def _annotated(files: Mapping[str, Path], sets: Sequence[Published]) -> dict[str, bytes]:
    """Return COCO files by their path below the set's folder."""
    found: dict[str, bytes] = {}
    for name, file in files.items():
        fitting = [one for one in sets if one.name == name or (not name and len(sets) == 1)]
        if not fitting:
            raise unknown("data set", name, [one.name for one in sets])
        if not file.is_file():
            raise UsageFault(f"there is no file {file}", fix="--annotations SET=FILE")
        found |= adopt(file.read_bytes(), fitting[0], file.name)
    return found


def _chosen(
    run: Path, asked: Sequence[str], offered: Mapping[str, Published], photographs: set[str]
) -> list[Published]:
    if not asked:
        found = [one for one in offered.values() if one.images.nature == "synthetic"]
        if not found:
            raise UsageFault(f"{run} drew no synthetic set", fix="run with --generator, or name drawn sets with --sets")
        return found
    for name in asked:
        if name in photographs:
            raise UsageFault(
                f"{name} holds photographs; only what was drawn is published",
                fix=f"--sets takes {', '.join(sorted(offered)) or 'nothing of this run'}",
            )
        if name not in offered:
            raise unknown("data set", name, sorted(offered))
    return [offered[name] for name in dict.fromkeys(asked)]
