"""Compose scenes into a folder: pictures, masks, boxes, and everything that tells where they come from.

The cells come from one part of the same frozen split that a run would use, so that scenes to train with and scenes to
test on never share a cell.
"""

import shutil
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import Field

from cytobench import interrupts, registry
from cytobench.benchmarks.folders import refuse_other_content
from cytobench.benchmarks.lookup import Data, FoundSet, SetOptions, classes_of, find_sets
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.recipes import value_of
from cytobench.benchmarks.run import writable
from cytobench.benchmarks.spec import Frozen, fitted
from cytobench.benchmarks.steps.near import FindNear
from cytobench.benchmarks.steps.sets import FreezeSplit, ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.code_version import code_version
from cytobench.composers.annotations import coco_categories, coco_cells, coco_image
from cytobench.composers.composer import Composer, Optics
from cytobench.composers.levels import Level, level_of, named
from cytobench.composers.library import Library, cut
from cytobench.datasets.assignment import assign, shuffled
from cytobench.datasets.decode import DRAWN_BY, drawn_png, from_array
from cytobench.datasets.drawn import as_drawn
from cytobench.datasets.imageset import TABLE, Nature, read_pixels, read_table, write_table
from cytobench.datasets.splits import SPLITS
from cytobench.device import choose
from cytobench.errors import DataFault, TrialFault, UsageFault
from cytobench.leaderboards.sample_grid import Gallery, sample_grid
from cytobench.progress import say, task
from cytobench.seeds import seed_for
from cytobench.store import (
    DONE,
    Store,
    digest,
    disk_faults,
    free_bytes,
    is_whole,
    listing,
    sweep,
    write_bytes,
    write_json,
)

MANIFEST, CARD, FACTS, SHEET = "manifest.csv", "README.md", "composed.json", "examples.png"
ANNOTATIONS, ORIGINS = "annotations.json", "cells.csv"
PICTURES, MASKS = "images", "masks"  # a folder per class in each
EXAMPLES = 4  # pairs of each class on the sheet
RATIOS = (0.6, 0.2, 0.2)  # of train, val and test, as in the shipped protocols


class Crops(Frozen):
    """How cells are taken from their pictures."""

    size: Annotated[int, Field(ge=16, le=1024)] = 128
    """Side to which pictures are brought before cells are cut out, pixels."""
    per_class: Annotated[int, Field(ge=1)] = 200
    """Most cells of each class that are cut out."""
    drawn: Annotated[int, Field(ge=5)] = 60
    """Pictures of each class that a drawn set draws."""


class ComposeOrder(SetOptions):
    """The options of ``cytobench compose``; ``data`` names the cells, then the distractors, if any."""

    level: str = "complex"
    """A name, or a number on the dial."""
    images: int
    """Scenes of each class."""
    image_size: int = 64
    """Side of the scenes, pixels."""
    part: Literal["train", "val", "test"] = "train"
    """Whose cells."""
    settings: dict[str, str] = {}
    """``--set``: ``level.*``, ``optics.*`` and ``crops.*``."""


class Composition(NamedTuple):
    """Scenes that are planned in every detail."""

    order: ComposeOrder
    level: Level
    optics: Optics
    crops: Crops
    cells: FoundSet
    distractors: FoundSet | None
    split: FreezeSplit
    plan: Plan
    context: Context
    key: str
    to: Path


def prepare(order: ComposeOrder, *, to: Path, out: Path) -> Composition:
    """Look everything up; nothing is decoded.

    Raises:
        UsageFault: Unknown names and settings, a folder that holds something else.
        CytobenchError: Anything else that can be known now.
    """
    level, optics, crops = _settings(order)
    writable(out)
    store = Store(out / "store")
    cells, distractors = _sets(order, crops, store)
    classes = classes_of(order.classes, [cells])
    near = [FindNear(inputs={"images": cells.step.reference}, name=cells.name)] if _nature(cells) == "real" else []
    split = FreezeSplit(
        inputs={"images": cells.step.reference, **({"near": near[0].reference} if near else {})},
        name=cells.name,
        nature=_nature(cells),
        classes=classes,
        labels=cells.labels,
        ratios=RATIOS,
        seed=seed_for(order.seed, "split", cells.name),
        choices=cells.choices,
    )
    others = [distractors.step] if distractors else []
    steps: tuple[RunStep, ...] = (cells.step, *others, *near, split)
    surveys = {one.step.key: one.survey for one in (cells, distractors) if one and one.survey}
    key = digest(
        {
            "split": split.reference, "distractors": [one.reference for one in others],
            "labels": distractors.labels if distractors else {},
            "level": level.model_dump(mode="json"), "optics": optics.model_dump(mode="json"),
            "crops": crops.model_dump(mode="json"), "part": order.part, "images": order.images, "seed": order.seed,
            "code": code_version("cytobench.benchmarks.compose"),
        }
    )[:24]  # fmt: skip
    refuse_other_content(to, FACTS, key)
    context = Context(store, choose("cpu"), surveys)
    return Composition(order, level, optics, crops, cells, distractors, split, Plan(steps, ()), context, key, to)


def plan_of(composition: Composition) -> dict[str, Any]:
    """Return what would be done."""
    classes, order = composition.split.classes, composition.order
    store, size = composition.context.store, composition.optics.image_size
    return {
        "cells": composition.cells.name,
        "distractors": composition.distractors.name if composition.distractors else "none",
        "level": composition.level.title,
        "neighbours": list(composition.level.number),
        "classes": list(classes),
        "images": order.images * len(classes),
        "estimated_bytes": order.images * len(classes) * 4 * size**2,
        "free_bytes": free_bytes(store.root),
        "waiting": [step.title() for step in composition.plan.steps if not store.is_done(step)],
    }


def compose(composition: Composition, *, command: str) -> dict[str, Any]:
    """Cut out the cells, make the scenes and write the folder; return what it holds.

    Raises:
        Interrupted: A stop was asked for; repeating the command goes on.
        CytobenchError: Bad data, a leak, no disk, scenes that can't be made as the level wants them.
    """
    context, to, order = composition.context, composition.to, composition.order
    classes = composition.split.classes
    told = {"folder": str(to), "images": order.images * len(classes), "classes": list(classes)}
    if is_whole(to):
        return told
    with interrupts.deferred(), disk_faults(to):
        lost = registry.load("executor", "local")(composition.plan, context)
        if lost:
            raise TrialFault(f"nothing was composed: {next(iter(lost.values()))}")
        composer, origins = _composer(composition)
        if (to / DONE).exists():  # finished once and damaged since: no picture can be trusted
            for folder in (PICTURES, MASKS):
                shutil.rmtree(to / folder, ignore_errors=True)
            (to / DONE).unlink()
        write_json(to / FACTS, _facts(composition, command))
        sweep(to)
        _write_scenes(composition, composer)
        write_bytes(to / SHEET, _sheet(composition, composer))
        write_table(to / ORIGINS, origins)
        write_bytes(to / CARD, _card(composition, command).encode())
        write_json(to / DONE, {"key": composition.key, "files": listing(to)})
    return told


def _settings(order: ComposeOrder) -> tuple[Level, Optics, Crops]:
    given: dict[str, dict[str, Any]] = {"level": {}, "optics": {}, "crops": {}}
    for name, text in order.settings.items():
        head, _, tail = name.partition(".")
        if head not in given or not tail:
            raise UsageFault(
                f"--set {name or text!r}: there is no such setting", fix="settings are level.*, optics.* and crops.*"
            )
        given[head][tail] = value_of(text)
    level = fitted(Level, level_of(order.level).model_dump() | given["level"], "the level with --set")
    optics = fitted(Optics, given["optics"] | {"image_size": order.image_size}, "--set optics")
    return level, optics, fitted(Crops, given["crops"], "--set crops")


def _sets(order: ComposeOrder, crops: Crops, store: Store) -> tuple[FoundSet, FoundSet | None]:
    def found(options: SetOptions) -> list[FoundSet]:
        sets = find_sets(options, image_size=crops.size, drawn_per_class=crops.drawn, store=store)
        return [_with_drawn(one, order.frame) for one in sets]

    cells, *others = found(order)
    if not others and cells.facts.distractors:
        others = found(SetOptions(data=(Data(name=cells.facts.distractors),), seed=order.seed))
    if not others:
        say("note: no --distractors: all cells around a cell are white cells")
    return cells, others[0] if others else None


def _with_drawn(one: FoundSet, frame: int | None) -> FoundSet:
    """Return a set of files whose pictures may all be drawn ones."""
    if one.survey is None or (survey := as_drawn(one.survey)) is one.survey:
        return one
    say(f"note: {one.name}: every picture says that it was drawn; the scenes will say so, too")
    assert isinstance(one.step, ReadImages)
    step = ReadImages(name=one.name, survey=survey.sha256, image_size=one.step.image_size, frame=frame)
    return one._replace(survey=survey, step=step, facts=one.facts.model_copy(update={"nature": "synthetic"}))


def _nature(one: FoundSet) -> Nature:
    return one.facts.nature


def _composer(composition: Composition) -> tuple[Composer, pd.DataFrame]:
    """Return the composer, and the table of the cells that it uses."""
    optics, context, order = composition.optics, composition.context, composition.order
    frozen = read_table(context.folder(composition.split.reference) / TABLE)
    parts = [(composition.cells, frozen[frozen["split"] == order.part])]
    if composition.distractors:
        parts.append((composition.distractors, _part_of(composition.distractors, composition)))
    libraries, origins = [], []
    diameters = (optics.cell_diameter, optics.distractor_diameter)
    for (one, table), diameter in zip(parts, diameters, strict=False):
        library = _library(one, table, composition, optics.pixels(diameter))
        libraries.append(library)
        used = table.set_index("id").loc[list(library.names)].reset_index()
        origins.append(used[["id", "label", "group", "origin", "pixel_sha256"]].assign(set=one.name))
    others = libraries[1] if len(libraries) > 1 else None
    composer = Composer(libraries[0], others, composition.level, optics=optics, seed=order.seed)
    return composer, pd.concat(origins)


def _part_of(one: FoundSet, composition: Composition) -> pd.DataFrame:
    """Return the rows of the distractors' part: as given, else dealt by the seed, patients and copies kept together."""
    table = read_table(composition.context.folder(one.step.reference) / TABLE)
    table["label"] = [one.labels.get(label, label) for label in table["label"]]
    table = table[table["label"] != ""].reset_index(drop=True)
    if not (table["split"] != "").all():
        table["split"] = assign(table, SPLITS, RATIOS, seed_for(composition.order.seed, "split", one.name))
    part = table[table["split"] == composition.order.part]
    if not len(part):
        raise DataFault(f"{one.name} has no image in its {composition.order.part} part", fix="give more distractors")
    return part


def _library(one: FoundSet, table: pd.DataFrame, composition: Composition, diameter: float) -> Library:
    crops, pixels = composition.crops, read_pixels(composition.context.folder(one.step.reference))
    seed = seed_for(composition.order.seed, "cells", one.name)
    order = sorted(table.index, key=lambda row: shuffled(str(table.at[row, "id"]), seed))
    table = table.loc[order]
    with task(f"cut out cells of {one.name}", len(table)) as work:

        def pictures() -> Any:
            for row in table["row"].astype(int):
                work.advance()
                yield np.asarray(pixels[row])

        library = cut(pictures(), list(table["label"]), list(table["id"]), diameter=diameter, most=crops.per_class)
    out = ", ".join(f"{count} {why}" for why, count in library.left_out.items())
    if out:
        say(f"note: {one.name}: {len(library.names)} cells; left out because the object in the middle {out}")
    if library.enlarged > 1.1:
        say(
            f"note: {one.name}: its cells are enlarged {library.enlarged:.1f} times; `--set crops.size=…` takes "
            "more of larger pictures"
        )
    return library


def _write_scenes(composition: Composition, composer: Composer) -> None:
    """Write pictures, masks, annotations and the manifest; what an earlier attempt wrote is not encoded again."""
    to, order, run = composition.to, composition.order, f"composer/{composition.key}"
    names = sorted(set(composer.labels))
    images: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    rows: list[dict[str, str]] = []
    with task(f"write {to.name}", order.images * len(composer.classes)) as work:
        for label in sorted(composer.classes):
            for scenes in composer.blocks(label, range(order.images)):
                for row in range(len(scenes.images)):
                    scene, number = scenes.one(row), len(rows) % order.images
                    file = f"{label}/{number:05d}.png"
                    _write_once(to / PICTURES / file, scene.image, run)
                    _write_once(to / MASKS / file, numbered(scene.masks), run)
                    images.append(coco_image(len(images) + 1, file, scene))
                    cells += coco_cells(len(images), len(cells) + 1, scene, names)
                    sha = from_array(scene.image, scene.image.shape[0]).sha256
                    rows.append(
                        {
                            "path": f"{PICTURES}/{file}", "label": label, "origin": "synthetic", "part": order.part,
                            "cells": str(len(scene.labels)), "occluded": f"{scene.occluded[0]:.4f}",
                            "pixel_sha256": sha, "generator_run": run,
                        }
                    )  # fmt: skip
                    work.advance()
    about = {"description": f"cytobench compose {run}", "level": composition.level.model_dump(mode="json")}
    write_json(
        to / ANNOTATIONS,
        {"info": about, "images": images, "annotations": cells, "categories": coco_categories(names)},
    )
    write_table(to / MANIFEST, pd.DataFrame(rows))


def _write_once(path: Path, picture: NDArray[np.uint8], run: str) -> None:
    """Write a picture unless the same one is there, pixel by pixel; what can't be read is written again."""
    try:
        with Image.open(path, formats=["PNG"]) as there:
            same = there.info.get(DRAWN_BY) == run and np.array_equal(np.asarray(there), picture)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        same = False
    if not same:
        write_bytes(path, drawn_png(picture, run))


def numbered(masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return masks (n, S, S) as one picture (S, S) of numbers from 1 on; of cells that overlap the first is seen."""
    numbers = np.zeros(masks.shape[1:], np.uint8)
    for number in range(len(masks), 0, -1):
        numbers[masks[number - 1]] = number
    return numbers


def _sheet(composition: Composition, composer: Composer) -> bytes:
    """Return a PNG of examples: of each class some Base scenes, each beside the scene of this level that holds it."""
    chosen = range(min(EXAMPLES, composition.order.images))
    base = composer.at(named("base"))
    shown = []
    for label in sorted(composer.classes):
        pairs = zip(base.draw(label, chosen).images, composer.draw(label, chosen).images, strict=True)
        shown.append(np.stack([image for pair in pairs for image in pair]))
    gallery = Gallery(np.stack(shown), tuple(sorted(composer.classes)), "synthetic")
    name = f"{composition.cells.name}: base, {composition.order.level}"
    return sample_grid(name, gallery, names=(name,)).png


def _facts(composition: Composition, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "key": composition.key,
        "cells": composition.cells.name,
        "distractors": composition.distractors.name if composition.distractors else "",
        "part": composition.order.part,
        "split": composition.split.reference,
        "level": composition.level.model_dump(mode="json"),
        "optics": composition.optics.model_dump(mode="json"),
        "crops": composition.crops.model_dump(mode="json"),
        "seed": composition.order.seed,
    }


def _card(composition: Composition, command: str) -> str:
    order, level, optics = composition.order, composition.level, composition.optics
    cells, others = composition.cells, composition.distractors
    around = f", with cells of {others.name} ({others.facts.nature}) around them" if others else ""
    cut_out = [one for one in (cells, others) if one and one.facts.nature == "real"]
    sources = " and ".join(f"{one.name} (licence: {one.facts.licence})" for one in cut_out)
    made = "**No photographs**: every PNG says so in its metadata."
    if cut_out:
        made = (
            f"Made by a program, as every PNG says, of **cells cut out of photographs** of {sources}: that holds here."
        )
    return "\n".join(
        [
            f"# Scenes of {cells.name}, level {order.level}",
            "",
            f"{order.images * len(composition.split.classes):,} scenes of {optics.image_size} × {optics.image_size} "
            f"pixels ({optics.field:g} µm): {level.title}. {made}",
            "",
            f"- **Cells**: of the {order.part} part of {cells.name} ({cells.facts.nature}){around}; `{ORIGINS}` lists "
            "every one by the SHA-256 of its pixels. Never test a classifier on scenes of a part whose cells or scenes "
            "it learned from: nothing can hold you to that yet.",
            "- **Classes**: that of the central cell; " + ", ".join(composition.split.classes),
            f"- **Level**: {level.number[0]} to {level.number[1]} neighbours, {level.distance:.0%} ± "
            f"{level.spread:.0%} of the image from its middle, {level.white:.0%} of them white; none lies on "
            f"another by more than {level.overlap:.0%} of the smaller one; at least {level.visible:.0%} of the central "
            "cell is free.",
            f"- **Files**: `{PICTURES}/` and `{MASKS}/` (a folder per class; number 1 is the central cell), "
            f"`{ANNOTATIONS}` (COCO: whole masks, boxes, classes, occluded share), `{MANIFEST}`, `{FACTS}` (every "
            f"setting), `{DONE}` (the SHA-256 of every file).",
            "- **Not for** diagnosis or teaching: no such field was ever on a slide.",
            "",
            f"![examples]({SHEET})",
            "",
            "```console",
            command,
            "```",
            "",
        ]
    )
