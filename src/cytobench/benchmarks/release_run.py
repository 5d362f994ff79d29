"""What a finished run drew, as sets that can be published: each with its images, its story and what was seen for it."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cytobench.benchmarks import publish
from cytobench.benchmarks.offer import Offer, story_of
from cytobench.benchmarks.run import COMMAND, PLAN, SPEC
from cytobench.benchmarks.steps.ancestry import ancestors, tells, told_of
from cytobench.benchmarks.steps.brought import FITS
from cytobench.benchmarks.steps.scenes import ComposeScenes
from cytobench.benchmarks.steps.scenes import annotations as annotations_of
from cytobench.benchmarks.steps.sets import FreezeSplit
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import DrawSynthetic
from cytobench.datasets.frozen.coco import adopt, instances
from cytobench.datasets.frozen.edition import SEEN, Published
from cytobench.datasets.imageset import TABLE, ImageSet, read_pixels, read_table
from cytobench.datasets.known_set import known
from cytobench.datasets.splits import PARTITIONS
from cytobench.device import Device
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.registry import unknown
from cytobench.store import DONE, Store, digest, listing, read_json

Artefact = tuple[Path, dict[str, Any]]
"""A folder of the store and its ``done.json``."""

BOARD = "board"  # below the set's folder


def of_run(run: Path, *, sets: Sequence[str], title: str) -> Offer:
    """Find what a run drew, undamaged.

    Args:
        run: The folder of a finished run.
        sets: Which sets; empty takes all scenes, or every synthetic one where there are none. Drawn ones, as the
            phantom, are taken where they are named.
        title: Of the board that is published with them.

    Raises:
        UsageFault: No finished run, no such set, photographs that are asked for.
        IntegrityFault: The run or its artefacts were edited.
    """
    if not (run / PLAN).is_file():
        raise UsageFault(
            f"{run} is no run, and no folder that cytobench drew",
            fix="`cytobench status` lists the runs of a folder; `generate` and `compose` write folders",
        )
    store = run.parent.parent / "store"
    try:
        spec = read_json(run / SPEC)["run"]
        steps = [str(step["step"]) for step in read_json(run / PLAN)["steps"]]
        command = (run / COMMAND).read_text(encoding="utf-8").strip()
        photographs = {one["name"] for one in spec["sets"] if one["nature"] == "real"}
        scenes = [_artefact(store, step) for step in steps if step.startswith(f"{ComposeScenes.kind}/")]
        photographs |= {done["specification"]["name"] for _, done in scenes if done["specification"]["photographs"]}
        composed = _composed(store, scenes, spec)
        offered = {**_synthetic(store, steps, spec), **composed, **_drawn(store, steps)}
    except (OSError, ValueError, LookupError, TypeError, StopIteration) as error:
        raise IntegrityFault(f"{run} was edited or is torn: {error!r}", fix="repeat the command of the run") from error
    chosen = _chosen(run, sets or tuple(composed), offered, photographs)
    places = {_titled(done["specification"]): folder for folder, done in scenes}
    annotations = {
        path: file for one in chosen if one.name in places for path, file in _annotated(places[one.name], one)
    }

    def born(folder: Path) -> None:
        publish.board([run], folder / BOARD, title)

    return Offer(tuple(chosen), command, born, annotations)


def _synthetic(store: Path, steps: Sequence[str], spec: Mapping[str, Any]) -> dict[str, Published]:
    """Return every set that a generator of the run drew."""
    recipes = {one["set_name"]: one for one in spec["generators"]}
    around = {one["set_name"] for one in (spec.get("scenery") or {}).get("generators", ())}
    found = {}
    for reference in steps:
        if not reference.startswith(f"{DrawSynthetic.kind}/"):
            continue
        folder, done = _artefact(store, reference)
        facts = done["specification"]
        if facts["name"] in around:  # what lies around the central cells of scenes is no set by itself
            continue
        recipe = recipes[facts["name"]]
        name = _titled(facts)
        partition = {split: half for split, half, _ in facts["parts"] if half in PARTITIONS}
        table = read_table(folder / TABLE)
        table["partition"] = table["split"].map(partition).fillna("")
        images = ImageSet(name, "synthetic", tuple(facts["classes"]), table, read_pixels(folder))
        seen = _seen(store, done)
        nature = next(one["nature"] for one in spec["sets"] if one["name"] == recipe["trained_on"])
        found[name] = Published(images, story_of(recipe, seen, nature), seen)
    return found


def _composed(store: Path, scenes: Sequence[Artefact], spec: Mapping[str, Any]) -> dict[str, Published]:
    """Return every set of scenes that the run composed of drawn cells."""
    found = {}
    drawn = {one["set_name"]: one for one in spec["generators"]}
    for folder, done in scenes:
        facts = done["specification"]
        if facts["photographs"]:
            continue
        table = read_table(folder / TABLE)
        seen = _seen(store, done)
        story = [
            f"Scenes of level {facts['asked']}: {facts['level']['title']}. In the middle of each is a cell of "
            f"{facts['cells']}, whose class is the label; around it are other cells of it"
            + (f" and cells of {facts['around']}." if facts["around"] else ".")
        ]
        if recipe := drawn.get(facts["cells"]):
            nature = next(one["nature"] for one in spec["sets"] if one["name"] == recipe["trained_on"])
            story += story_of(recipe, seen, nature)
            halves = dict(zip(("train", "val", "test"), "aab", strict=True))
            table["partition"] = table["split"].map(halves) if spec["protocol"]["learned_from"] == "half" else ""
        name = _titled(facts)
        images = ImageSet(name, "synthetic", tuple(facts["classes"]), table, read_pixels(folder))
        found[name] = Published(images, tuple(story), seen)
    return found


def _titled(facts: Mapping[str, Any]) -> str:
    """Return the name of a set as it is published; those of further trainings of a generator are numbered."""
    return str(facts["name"]) + (f"-training-{facts['number'] + 1}" if facts["number"] else "")


def _annotated(folder: Path, one: Published) -> Iterator[tuple[str, bytes]]:
    """Yield the COCO file of each part of a set of scenes, by its path below the published folder."""
    for split in one.parts:
        name = annotations_of(split)
        path = instances(one.name, split)
        yield path, adopt((folder / name).read_bytes(), one, name)[path]


def _seen(store: Path, done: Mapping[str, Any]) -> pd.DataFrame:
    """Return what the fits or compositions used that an artefact was made by, and what was behind that at any depth.

    Columns ``SEEN``, no patient or slide. Each row counts as used by what made the images: whoever learns from them
    must not test on any of these. Every artefact that tells it is proven first.
    """
    context = Context(Store(store), Device("cpu", "", 1))  # nothing is computed
    makers = sorted(done["inputs"].values())
    for maker in makers:
        if not tells(maker):
            raise IntegrityFault(
                f"{maker} made images and does not say what it saw", fix="repeat the command of the run"
            )
        for one in filter(tells, ancestors(context, maker, shown=True)):
            _artefact(store, one.split(f"/{FITS}/")[0])
    return pd.concat([told_of(context, maker) for maker in makers], ignore_index=True)[list(SEEN)].drop_duplicates()


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


def _artefact(store: Path, reference: str) -> Artefact:
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
