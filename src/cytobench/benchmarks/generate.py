"""Draw a synthetic set into a folder of pictures, with everything that tells where they come from.

The generator learns from the training part of a set alone, as in a run; the fits and the drawing are artefacts of the
same store, so that whatever was computed is reused and a kill loses nothing that was finished.
"""

import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cytobench import interrupts, registry
from cytobench.benchmarks.budget import within
from cytobench.benchmarks.folders import refuse_other_content
from cytobench.benchmarks.lookup import DEFAULT_DATA, Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.plan import Plan, build, synthesis
from cytobench.benchmarks.resolution import Resolved, resolve
from cytobench.benchmarks.run import writable
from cytobench.benchmarks.spec import GeneratorSpec, RunSpec
from cytobench.benchmarks.steps.ancestry import told_of
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import WHOLE, DrawSynthetic, FitGenerator, Part
from cytobench.datasets import made
from cytobench.datasets.decode import drawn_png
from cytobench.datasets.imageset import TABLE, read_pixels, read_table, write_table
from cytobench.device import choose
from cytobench.errors import TrialFault, UsageFault
from cytobench.leaderboards.sample_grid import Gallery, sample_grid
from cytobench.progress import task
from cytobench.store import (
    DONE,
    SECONDS,
    Store,
    disk_faults,
    free_bytes,
    is_whole,
    listing,
    sweep,
    write_bytes,
    write_json,
)

MANIFEST, FACTS, SEEN = made.MANIFEST, made.GENERATED, made.SEEN
CARD, SHEET, FITS = "README.md", "examples.png", "generators"
PICTURES = "images"  # a folder per class
EXAMPLES = 8  # of each class on the sheet
OWN = shutil.ignore_patterns(DONE, SECONDS)  # the store's own notes on an artefact


class Drawing(NamedTuple):
    """A synthetic set that is planned in every detail."""

    spec: RunSpec
    plan: Plan
    fits: tuple[FitGenerator, ...]
    drawn: DrawSynthetic
    context: Context
    to: Path

    @property
    def generator(self) -> GeneratorSpec:
        """The one that draws."""
        return self.spec.generators[0]


def prepare(order: Order, *, images: int, to: Path, out: Path) -> Drawing:
    """Look up and plan; nothing is trained.

    Args:
        order: One generator, no backbones.
        images: How many of each class.
        to: The folder of the pictures.
        out: Whose store is used.

    Raises:
        UsageFault: Several sets, or a folder that holds something else.
        CytobenchError: Anything else that can be known now.
    """
    data = order.data or (Data(name=DEFAULT_DATA[0]),)
    if len(data) > 1:
        raise UsageFault(f"a generator learns from one set, and {len(data)} are named", fix="give --data once")
    writable(out)
    store = Store(out / "store")
    resolved = resolve(order.model_copy(update={"data": data}), store)
    device = choose(order.device)
    context = Context(store, device, resolved.surveys)
    resolved = within(_from_the_whole(resolved), context)
    spec = resolved.spec
    [generator] = spec.generators
    sets = build(resolved._replace(spec=spec.model_copy(update={"generators": ()})), device, {})
    source = next(side for side in sets.sides if side.name == generator.trained_on)
    fits, drawn = synthesis(spec, generator, source, (Part("train", WHOLE, images),))
    refuse_other_content(to, FACTS, drawn.key)
    plan = Plan((*sets.steps, *fits, drawn), sets.sides)
    return Drawing(spec, plan, tuple(fits), drawn, context, to)


def _from_the_whole(resolved: Resolved) -> Resolved:
    """Return the order with generators that learn from the whole training part, as nothing is tested here."""
    spec = resolved.spec
    found = tuple(one.model_copy(update={"learned_from": "whole"}) for one in spec.generators)
    return resolved._replace(spec=spec.model_copy(update={"generators": found}))


def plan_of(drawing: Drawing) -> dict[str, Any]:
    """Return what would be done."""
    drawn, store = drawing.drawn, drawing.context.store
    return {
        "set": drawn.name,
        "generator": drawing.generator.name,
        "begins with": drawing.generator.base or "random numbers",
        "classes": list(drawn.classes),
        "images": drawn.images("train"),
        "steps": len(drawing.plan.steps),
        "estimated_bytes": 2 * drawn.images("train") * 3 * drawn.image_size**2,
        "free_bytes": free_bytes(store.root),
        "waiting": [step.title() for step in drawing.plan.steps if not store.is_done(step)],
    }


def generate(drawing: Drawing, *, command: str) -> dict[str, Any]:
    """Fit what is not fitted, draw what is not drawn, and write the folder; return what it holds.

    Raises:
        Interrupted: A stop was asked for; repeating the command goes on.
        TrialFault: A fit failed.
        CytobenchError: Bad data, a leak, no disk.
    """
    context, to = drawing.context, drawing.to
    told = {"folder": str(to), "images": drawing.drawn.images("train"), "classes": list(drawing.drawn.classes)}
    if is_whole(to):
        return told
    with interrupts.deferred(), disk_faults(to):
        lost = registry.load("executor", "local")(drawing.plan, context)
        if lost:
            raise TrialFault(
                f"nothing was drawn: {next(iter(lost.values()))}", fix="see the generator's settings (--set)"
            )
        (to / DONE).unlink(missing_ok=True)  # what is written again is not done
        write_json(to / FACTS, _facts(drawing, command))
        sweep(to)
        _write_pictures(drawing)
        for fit in drawing.fits:
            name = fit.classes[0] if len(fit.classes) == 1 else "all"
            shutil.copytree(context.folder(fit.reference), to / FITS / name, ignore=OWN, dirs_exist_ok=True)
        write_table(to / SEEN, pd.concat([told_of(context, one.reference) for one in drawing.fits]))
        write_bytes(to / CARD, _card(drawing, command).encode())
        write_json(to / DONE, {"key": drawing.drawn.key, "files": listing(to)})
    return told


def _write_pictures(drawing: Drawing) -> None:
    """Write a PNG of each image, the manifest that lists them, and a sheet to look at."""
    drawn, to = drawing.drawn, drawing.to
    folder = drawing.context.folder(drawn.reference)
    table, pixels = read_table(folder / TABLE), read_pixels(folder)
    rows = table["row"].to_numpy().astype(np.int64)
    files = [
        f"{PICTURES}/{label}/{Path(file).name}.png" for label, file in zip(table["label"], table["file"], strict=True)
    ]
    with task(f"write {to.name}", len(files)) as work:
        for file, row, fit in zip(files, rows, table["generator_run"], strict=True):
            write_bytes(to / file, drawn_png(np.asarray(pixels[row]), f"{drawn.generator}, {fit}"))
            work.advance()
    told = table.assign(path=files)[["path", "label", "origin", "pixel_sha256", "generator_run"]]
    write_table(to / MANIFEST, told)
    first = [rows[(table["label"] == label).to_numpy()][:EXAMPLES] for label in drawn.classes]
    gallery = Gallery(np.stack([pixels[some] for some in first]), drawn.classes, "synthetic")
    write_bytes(to / SHEET, sample_grid(drawn.name, gallery, names=(drawn.name,)).png)


def _facts(drawing: Drawing, command: str) -> dict[str, Any]:
    return {
        "command": command,
        "key": drawing.drawn.key,
        "set": drawing.drawn.name,
        "title": f"drawn by {drawing.generator.name}, which learned from {drawing.generator.trained_on}",
        "generator": drawing.generator.model_dump(mode="json"),
        "nature": next(one.nature for one in drawing.spec.sets if one.name == drawing.generator.trained_on),
        "seed": drawing.spec.seed,
        "device": drawing.context.device._asdict(),
    }


def _card(drawing: Drawing, command: str) -> str:
    generator, drawn = drawing.generator, drawing.drawn
    began = f", which began with {generator.base}" if generator.base else ""
    return "\n".join(
        [
            f"# {drawn.name}: synthetic blood cells",
            "",
            f"{drawn.images('train'):,} images of {drawn.image_size} × {drawn.image_size} pixels, drawn by "
            f"`{generator.name}`{began}. **No photographs**: every PNG says so in its metadata.",
            "",
            f"- **Learned from** the training part of {generator.trained_on} alone: `{SEEN}` lists every image that "
            "was seen, and what was behind those, by the SHA-256 of its pixels. A run that is given this folder "
            "refuses to test a classifier that learned from these pictures on one of them.",
            "- **Classes**: " + ", ".join(drawn.classes),
            f"- **Files**: `{PICTURES}/` (a folder per class), `{MANIFEST}` (label, SHA-256 of the pixels, the fit "
            f"that drew it), `{FITS}/` (the fitted generators), `{FACTS}` (every setting), `{DONE}` (the SHA-256 "
            "of every file).",
            "- **Not for** diagnosis or teaching: cells may be drawn that do not exist.",
            "",
            f"![examples]({SHEET})",
            "",
            "```console",
            command,
            "```",
            "",
        ]
    )
