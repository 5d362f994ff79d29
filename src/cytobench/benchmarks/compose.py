"""Compose scenes into a folder: pictures, masks, boxes, and everything that tells where they come from.

The cells come from one part of the same frozen split that a run would use, so that scenes to train with and scenes to
test on never share a cell.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
from pydantic import Field

from cytobench import interrupts, registry
from cytobench.benchmarks import scene_folder
from cytobench.benchmarks.folders import refuse_other_content
from cytobench.benchmarks.lookup import Data, FoundSet, SetOptions, classes_of, find_sets
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.recipes import value_of
from cytobench.benchmarks.run import writable
from cytobench.benchmarks.spec import Frozen, fitted
from cytobench.benchmarks.steps.ancestry import told_of
from cytobench.benchmarks.steps.near import FindNear
from cytobench.benchmarks.steps.scenes import cut_part
from cytobench.benchmarks.steps.sets import SPLIT, FreezeSplit, ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.code_version import code_version
from cytobench.composers.composer import Composer, Optics
from cytobench.composers.levels import Level, level_of
from cytobench.composers.library import Library
from cytobench.datasets.assignment import assign
from cytobench.datasets.awkward import Left, without_contradictions, without_copies
from cytobench.datasets.drawn import as_drawn
from cytobench.datasets.imageset import TABLE, Nature, read_pixels, read_table
from cytobench.datasets.made import TOLD
from cytobench.datasets.readers.listing import COMPOSED
from cytobench.datasets.splits import SPLITS
from cytobench.device import choose
from cytobench.errors import DataFault, TrialFault, UsageFault
from cytobench.progress import say
from cytobench.seeds import seed_for
from cytobench.store import (
    Store,
    digest,
    disk_faults,
    free_bytes,
    is_whole,
    read_json,
)

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
            "choices": distractors.choices.model_dump() if distractors else {},
            "level": level.model_dump(mode="json"), "optics": optics.model_dump(mode="json"),
            "crops": crops.model_dump(mode="json"), "part": order.part, "images": order.images, "seed": order.seed,
            "code": code_version("cytobench.benchmarks.compose"),
        }
    )[:24]  # fmt: skip
    refuse_other_content(to, scene_folder.FACTS, key)
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
    context, to = composition.context, composition.to
    if is_whole(to):
        return _told(composition, read_json(to / scene_folder.FACTS)["classes"])
    with interrupts.deferred(), disk_faults(to):
        lost = registry.load("executor", "local")(composition.plan, context)
        if lost:
            raise TrialFault(f"nothing was composed: {next(iter(lost.values()))}")
        composer, origins, notes = _composer(composition)
        runs = sorted(set(origins["generator_run"]) - {""})
        seen = [pd.DataFrame(columns=list(TOLD), dtype=str), *(told_of(context, run) for run in runs)]
        scene_folder.fill(composition, composer, origins, pd.concat(seen), command=command, notes=notes)
    return _told(composition, composer.classes)


def _told(composition: Composition, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "folder": str(composition.to), "images": composition.order.images * len(classes), "classes": sorted(classes),
    }  # fmt: skip


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
    """Return a set of files whose pictures may all be drawn ones; scenes are refused, whose cells others show, too."""
    told = one.survey and one.survey.listing.ancestry
    if told and any(run.startswith(COMPOSED) for run in told.runs):
        raise UsageFault(
            f"{one.name} holds scenes; cells are cut out of pictures of single cells",
            fix="name the set that the scenes were composed of",
        )
    if one.survey is None or one.survey.listing.ancestry or (survey := as_drawn(one.survey)) is one.survey:
        return one
    say(
        f"note: {one.name}: every picture says that it was drawn, and nobody what its generator had seen; no run takes "
        "scenes of them (name the folder that `cytobench generate` wrote)"
    )
    assert isinstance(one.step, ReadImages)
    step = ReadImages(name=one.name, survey=survey.sha256, image_size=one.step.image_size, frame=frame)
    return one._replace(survey=survey, step=step, facts=one.facts.model_copy(update={"nature": "synthetic"}))


def _nature(one: FoundSet) -> Nature:
    return one.facts.nature


def _composer(composition: Composition) -> tuple[Composer, pd.DataFrame, list[str]]:
    """Return the composer, the table of the cells that it uses, and what was decided about their sets."""
    optics, context, order = composition.optics, composition.context, composition.order
    frozen = read_table(context.folder(composition.split.reference) / TABLE)
    decided = read_json(context.folder(composition.split.reference) / SPLIT)["notes"]
    notes = [f"{composition.cells.name}: {note}" for note in decided]
    parts = [(composition.cells, frozen[frozen["split"] == order.part])]
    if composition.distractors:
        part, also = _part_of(composition.distractors, composition)
        parts.append((composition.distractors, part))
        notes += [f"{composition.distractors.name}: {note}" for note in also]
    for note in notes:
        say(f"note: {note}")
    libraries, origins = [], []
    diameters = (optics.cell_diameter, optics.distractor_diameter)
    for (one, table), diameter in zip(parts, diameters, strict=False):
        library = _library(one, table, composition, optics.pixels(diameter))
        libraries.append(library)
        used = table.set_index("id").loc[list(library.names)].reset_index()
        origins.append(used[["id", "label", "group", "origin", "pixel_sha256", "generator_run"]].assign(set=one.name))
    others = libraries[1] if len(libraries) > 1 else None
    composer = Composer(libraries[0], others, composition.level, optics=optics, seed=order.seed)
    return composer, pd.concat(origins), notes


def _part_of(one: FoundSet, composition: Composition) -> Left:
    """Return the rows of the distractors' part: as given, else dealt by the seed, patients and copies kept together."""
    table = read_table(composition.context.folder(one.step.reference) / TABLE)
    table["label"] = [one.labels.get(label, label) for label in table["label"]]
    table = table[table["label"] != ""].reset_index(drop=True)
    table, said = without_contradictions(table, table["label"].unique(), one.choices.contradictions)
    table, also = without_copies(table, one.choices.duplicates)
    if not (table["split"] != "").all():
        table["split"] = assign(table, SPLITS, RATIOS, seed_for(composition.order.seed, "split", one.name))
    part = table[table["split"] == composition.order.part]
    if not len(part):
        raise DataFault(f"{one.name} has no image in its {composition.order.part} part", fix="give more distractors")
    return Left(part, (*said, *also))


def _library(one: FoundSet, table: pd.DataFrame, composition: Composition, diameter: float) -> Library:
    crops, pixels = composition.crops, read_pixels(composition.context.folder(one.step.reference))
    seed = seed_for(composition.order.seed, "cells", one.name)
    distractors = one is composition.distractors
    library = cut_part(
        pixels, table, one.name, diameter=diameter, seed=seed, most=crops.per_class, distractors=distractors
    )
    if library.enlarged > 1.1:
        say(
            f"note: {one.name}: its cells are enlarged {library.enlarged:.1f} times; `--set crops.size=…` takes "
            "more of larger pictures"
        )
    return library
