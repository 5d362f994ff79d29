"""From finished steps to a board: records read back, choices gathered, pictures of what was drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.spec import LearnedFrom, RunSpec
from cytobench.benchmarks.steps.sets import CHECKED, SPLIT, CheckSets, FreezeSplit
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.training import Side, open_side
from cytobench.datasets import seal
from cytobench.datasets.imageset import TABLE, read_table, write_table
from cytobench.errors import TrialFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.board import BoardFiles, write_board
from cytobench.leaderboards.record import Record, read
from cytobench.leaderboards.sample_grid import Gallery, sample_grids
from cytobench.store import atomic, read_json, write_json

BOARD, SPLITS, TIMINGS = "board", "splits", "timings.json"
CHOICES, GALLERIES = "choices.json", "galleries.npz"
EXAMPLES = 8  # images per class in a gallery


class Outcome(NamedTuple):
    """What a run came to."""

    folder: Path
    board: BoardFiles
    records: tuple[Record, ...]
    lost: tuple[str, ...]
    """Why steps have no outcome."""

    @property
    def failed(self) -> tuple[Record, ...]:
        """Records of trials that failed."""
        return tuple(record for record in self.records if record.facts.status == "failed")


def write(spec: RunSpec, plan: Plan, context: Context, folder: Path, command: str, lost: Mapping[str, str]) -> Outcome:
    """Write the board of a finished plan, its splits and its timings into the run's folder.

    Args:
        spec: The run.
        plan: Its steps.
        context: Where they lie.
        folder: The run's folder.
        command: As typed.
        lost: Why steps have no outcome, by reference; the board says so.

    Raises:
        TrialFault: Nothing was finished.
        IntegrityFault: A record must not be shown.
    """
    records = tuple(read(context.store.folder(step)) for step in plan.records if step.reference not in lost)
    reasons = list(dict.fromkeys(lost.values()))
    measured = [fidelity.read(context.store.folder(step)) for step in plan.fidelity if step.reference not in lost]
    if not (measured if spec.protocol.pairs == "none" else records):
        raise TrialFault(f"nothing was finished: {'; '.join(reasons)}", fix="see the generator's settings (--set)")
    used = [*choices(spec, plan, context), *(f"missing because a step failed: {reason}" for reason in reasons)]
    sides = [side for side in plan.sides if side.split not in lost]
    galleries = {
        side.name: gallery(context, side, spec.drawn_classes if side.generator else spec.classes)
        for side in sides
        if side.nature != "real" and not (side.scenes and side.scenes.photographs)
    }
    board = write_board(
        records,
        folder / BOARD,
        title=spec.protocol.title,
        command=command,
        choices=used,
        samples=sample_grids(galleries),
        measured=measured,
    )
    _keep(folder / BOARD, galleries)
    write_json(folder / BOARD / CHOICES, used)
    for side in sides:
        frozen, scanned = (read_table(context.folder(one) / TABLE) for one in (side.split, side.images))
        write_table(folder / SPLITS / f"{side.name}.csv", seal.manifest(frozen, scanned))
    timings = {step.title(): context.store.seconds(step) for step in plan.steps}
    write_json(folder / TIMINGS, {"seconds": timings, "device": context.device._asdict()})
    return Outcome(folder, board, records, tuple(reasons))


def choices(spec: RunSpec, plan: Plan, context: Context) -> list[str]:
    """Return every choice about the data that was used, as sentences."""
    said = [f"known flaw of protocol {spec.protocol_name}: {flaw}" for flaw in spec.protocol.flaws]
    for step in plan.steps:
        if isinstance(step, FreezeSplit):
            facts = read_json(context.store.folder(step) / SPLIT)
            said += [f"{step.name}: {note}" for note in facts["notes"]]
        if isinstance(step, CheckSets):
            said += read_json(context.store.folder(step) / CHECKED)["notes"]
    for one in dict.fromkeys((one.name, one.trained_on, one.base, one.learned_from) for one in spec.generators):
        name, learned, base, part = one
        began = f"{name}{f', beginning with {base},' if base else ''} learned from"
        if part == "everything":
            said.append(f"{began} all images of {learned}, its test part, too")
        else:
            said.append(f"{began} the training part of {learned} alone: {_halves(spec, part)}")
    if spec.protocol.pooled:
        said.append(f"all classes were learned and compared as one: {', '.join(spec.classes)}")
    for shown in (one for one in spec.generators if one.epochs):
        said.append(f"{shown.set_name}: {shown.epochs:g} epochs, {shown.config['steps']:,} steps of a fit")
    for timed in (one for one in spec.generators if one.seconds):
        said.append(
            f"{timed.set_name}: {timed.config['steps']:,} steps of a fit, as many as {timed.seconds:g} s allow on this "
            f"device for all its fits together"
        )
    if spec.scenery:
        said += _staged(spec)
    if spec.generators and spec.synthetic.fits > 1:
        learners = "" if spec.protocol.pairs == "none" else "; trials of other seeds learned from other ones"
        said.append(f"every generator was trained {spec.synthetic.fits} times{learners}")
    return said


def _staged(spec: RunSpec) -> list[str]:
    scenery = spec.scenery
    assert scenery is not None
    others = "other white cells"
    if scenery.around:
        drawn = "drawn by the same generators, trained on its partitions" if scenery.generators else "cut from it"
        others += f" and cells of {scenery.around.name}, {drawn}"
    cells = "every drawn set" if spec.generators else f"cells of {scenery.cells}"
    names = ", ".join(one.asked for one in scenery.levels)
    return [f"{cells} was put into scenes, level {names}: cells of a part into scenes of that part, with {others}"]


def _halves(spec: RunSpec, learned_from: LearnedFrom) -> str:
    if learned_from == "whole":
        return "all of it"
    tested = spec.protocol.pairs not in ("photographed", "none")
    return "partition a for synthetic training images" + (", partition b for synthetic test images" if tested else "")


def gallery(context: Context, side: Side, classes: tuple[str, ...]) -> Gallery:
    """Return the first test images of every class of a drawn set, or training images where it is not tested on.

    Photographs are never put on a board.
    """
    images = open_side(context, side, classes)
    codes, rows = images.codes(), images.rows("test")
    rows = rows if len(rows) else images.rows("train")
    per_class = [rows[codes[rows] == number][:EXAMPLES] for number in range(len(classes))]
    count = min(len(found) for found in per_class)
    return Gallery(np.stack([images.pixels[found[:count]] for found in per_class]), classes, side.nature)


def _keep(folder: Path, galleries: dict[str, Gallery]) -> None:
    """Keep the pictures of drawn sets, so that a later board needs no store of images."""
    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for name, one in galleries.items():
        arrays |= {f"{name}/images": one.images, f"{name}/classes": np.array(one.classes)}
    with atomic(folder / GALLERIES) as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)
    write_json((folder / GALLERIES).with_suffix(".json"), {name: one.nature for name, one in galleries.items()})
