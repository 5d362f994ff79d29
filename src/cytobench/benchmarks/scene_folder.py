"""The folder that composed scenes are written into: pictures, masks, boxes, a sheet and a card."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cytobench.composers.annotations import Annotations
from cytobench.composers.composer import Composer
from cytobench.composers.levels import named
from cytobench.datasets import made
from cytobench.datasets.decode import DRAWN_BY, drawn_png, from_array
from cytobench.datasets.imageset import write_table
from cytobench.datasets.readers.listing import COMPOSED
from cytobench.leaderboards.sample_grid import Gallery, sample_grid
from cytobench.progress import task
from cytobench.store import DONE, listing, sweep, write_bytes, write_json

if TYPE_CHECKING:
    from cytobench.benchmarks.compose import Composition

MANIFEST, FACTS, ORIGINS, SEEN = made.MANIFEST, made.SCENES, made.CELLS, made.SEEN
CARD, SHEET, ANNOTATIONS = "README.md", "examples.png", "annotations.json"
PICTURES, MASKS = "images", "masks"  # a folder per class in each
EXAMPLES = 8  # pictures of each class on the sheet


def fill(
    composition: "Composition",
    composer: Composer,
    origins: pd.DataFrame,
    seen: pd.DataFrame,
    *,
    command: str,
    notes: Sequence[str],
) -> None:
    """Write the folder of a composition; what an earlier attempt wrote whole is kept.

    Args:
        composition: What is made.
        composer: Makes the scenes.
        origins: The cells that it uses.
        seen: What was used to draw these, where generators did.
        command: As typed.
        notes: What was decided about the cells' set.
    """
    to = composition.to
    if (to / DONE).exists():  # finished once and damaged since: no picture can be trusted
        for folder in (PICTURES, MASKS):
            shutil.rmtree(to / folder, ignore_errors=True)
        (to / DONE).unlink()
    write_json(to / FACTS, facts(composition, command) | {"classes": sorted(composer.classes), "notes": list(notes)})
    sweep(to)
    _write_scenes(composition, composer)
    write_bytes(to / SHEET, _sheet(composition, composer))
    write_table(to / ORIGINS, origins)
    write_table(to / SEEN, seen)
    write_bytes(to / CARD, card(composition, sorted(composer.classes), command).encode())
    write_json(to / DONE, {"key": composition.key, "files": listing(to)})


def _write_scenes(composition: "Composition", composer: Composer) -> None:
    """Write pictures, masks, annotations and the manifest; what an earlier attempt wrote is not encoded again."""
    to, order, run = composition.to, composition.order, f"{COMPOSED}{composition.key}"
    told = Annotations(sorted(set(composer.labels)))
    rows: list[dict[str, str]] = []
    with task(f"write {to.name}", order.images * len(composer.classes)) as work:
        for label in sorted(composer.classes):
            for scenes in composer.blocks(label, range(order.images)):
                for row in range(len(scenes.images)):
                    scene, number = scenes.one(row), len(rows) % order.images
                    file = f"{label}/{number:05d}.png"
                    _write_once(to / PICTURES / file, scene.image, run)
                    _write_once(to / MASKS / file, numbered(scene.masks), run)
                    told.add(file, scene)
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
    write_json(to / ANNOTATIONS, {"info": about, **told.content()})
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


def _sheet(composition: "Composition", composer: Composer) -> bytes:
    """Return a PNG of examples: of each class some Base scenes, each beside the scene of this level that holds it.

    At level base, those alone.
    """
    level, base = composition.order.level, composer.at(named("base"))
    levels = [composer] if composer.level == base.level else [base, composer]
    chosen = range(min(EXAMPLES // len(levels), composition.order.images))
    shown = []
    for label in sorted(composer.classes):
        together = zip(*(one.draw(label, chosen).images for one in levels), strict=True)
        shown.append(np.stack([image for images in together for image in images]))
    gallery = Gallery(np.stack(shown), tuple(sorted(composer.classes)), "synthetic")
    name = f"{composition.cells.name}: {level if len(levels) == 1 else f'base, {level}'}"
    return sample_grid(name, gallery, names=(name,)).png


def facts(composition: "Composition", command: str) -> dict[str, Any]:
    """Return every setting, as ``composed.json`` keeps them."""
    return {
        "command": command,
        "key": composition.key,
        "set": f"{composition.cells.name}-{composition.order.level}",
        "title": f"scenes of {composition.cells.name}, level {composition.order.level}",
        "cells": composition.cells.name,
        "distractors": composition.distractors.name if composition.distractors else "",
        "part": composition.order.part,
        "split": composition.split.reference,
        "level": composition.level.model_dump(mode="json"),
        "optics": composition.optics.model_dump(mode="json"),
        "crops": composition.crops.model_dump(mode="json"),
        "seed": composition.order.seed,
    }


def card(composition: "Composition", classes: Sequence[str], command: str) -> str:
    """Return the card of the scenes, in Markdown."""
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
            f"{order.images * len(classes):,} scenes of {optics.image_size} × {optics.image_size} "
            f"pixels ({optics.field:g} µm): {level.title}. {made}",
            "",
            f"- **Cells**: of the {order.part} part of {cells.name} ({cells.facts.nature}){around}; `{ORIGINS}` lists "
            f"every one by the SHA-256 of its pixels, `{SEEN}` what the generators of drawn ones had learned from. A "
            "run that is given this folder refuses to test a classifier that learned from these scenes on any of "
            "them, and to test one that learned from any of these cells on these scenes. Files that are taken out of "
            "the folder leave that behind.",
            "- **Classes**: that of the central cell; " + ", ".join(classes),
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
