"""Steps that put cells into scenes: what lies around is dealt to the parts, cells are cut out, scenes are composed.

Scenes to train with, to select with and to test on are made of the cells of the same part of their sets, so that no
cell is in two of them.
"""

from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.benchmarks.steps.brought import SEEN
from cytobench.benchmarks.steps.sets import SPLIT
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.composers import shelf
from cytobench.composers.annotations import Annotations
from cytobench.composers.composer import Composer, Optics
from cytobench.composers.levels import Level
from cytobench.composers.library import SAME_HUE, Library, cut
from cytobench.datasets.assignment import assign, shuffled
from cytobench.datasets.decode import from_array
from cytobench.datasets.imageset import COLUMNS, PIXELS, TABLE, name_rows, read_pixels, read_table, write_table
from cytobench.datasets.readers.listing import COMPOSED
from cytobench.datasets.scan import write_pixels
from cytobench.datasets.splits import PARTITIONS, SPLITS, assignment_sha256
from cytobench.errors import DataFault
from cytobench.progress import say, task
from cytobench.seeds import seed_for
from cytobench.store import write_json

CENTRES, AROUND = "cells", "around"
"""Roles of a step's inputs, and names of the libraries: white cells, and what lies around them."""


class DealAround(RunStep):
    """Deal the images of a set of distractors to train, val and test, and those of train to the two partitions."""

    kind: ClassVar[str] = "dealt"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.scenes",)

    name: str
    """The set."""
    classes: tuple[str, ...]
    """Its classes; other images are left out."""
    labels: dict[str, str]
    """Label on the disk -> class, for those that are not the same."""
    ratios: tuple[float, float, float]
    """Shares of train, val and test, where the set's own split is not given."""
    seed: int

    def title(self) -> str:
        """Return what is done."""
        return f"split {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Take the parts as given, else deal them; patients and copies of a picture are kept together.

        Raises:
            DataFault: A part would be empty.
        """
        table = read_table(context.folder(self.inputs["images"]) / TABLE)
        table["label"] = [self.labels.get(label, label) for label in table["label"]]
        table = table[table["label"].isin(self.classes)].sort_values(["id", "file"]).reset_index(drop=True)
        if not len(table) or not table["split"].isin(SPLITS).all():
            table["split"] = assign(table, SPLITS, self.ratios, self.seed)
        for split in SPLITS:
            if not (table["split"] == split).any():
                raise DataFault(f"{self.name} has no image in its {split} part", fix="give more distractors")
        table["partition"] = ""
        train = table.index[table["split"] == "train"]
        halves = assign(table.loc[train], PARTITIONS, (0.5, 0.5), seed_for(self.seed, "partition"))
        table.loc[train, "partition"] = halves
        write_table(folder / TABLE, table)
        write_json(folder / SPLIT, {"sha256": assignment_sha256(table), "notes": []})


class CutCells(RunStep):
    """Cut the cells of one part out of their pictures, once for every level."""

    kind: ClassVar[str] = COMPOSED.rstrip("/")
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.scenes",)

    name: str
    """The set of the white cells; the inputs are its ``cells images`` and ``cells split``, and those of ``around``."""
    around: str = ""
    """The set of what lies around; empty: nothing."""
    part: str
    """train, val or test."""
    classes: tuple[str, ...]
    """Of the white cells."""
    optics: dict[str, Any]
    """The size of things."""
    seed: int

    def title(self) -> str:
        """Return what is done."""
        return f"cut cells out of {self.name}, {self.part}"

    def run(self, context: Context, folder: Path) -> None:
        """Cut out every cell that can be; write down whose pixels they are.

        Raises:
            DataFault: A class without a cell that can be cut out.
        """
        optics = Optics.model_validate(self.optics)
        sets = [(CENTRES, self.name, optics.cell_diameter)]
        if self.around:
            sets.append((AROUND, self.around, optics.distractor_diameter))
        used = []
        for role, name, diameter in sets:
            table = read_table(context.folder(self.inputs[f"{role} split"]) / TABLE)
            table = table[table["split"] == self.part]
            if role == CENTRES:
                table = table[table["label"].isin(self.classes)]
            pixels = read_pixels(context.folder(self.inputs[f"{role} images"]))
            what, seed = f"{name}, {self.part}", seed_for(self.seed, "cells", name)
            diameter = optics.pixels(diameter)
            library = cut_part(pixels, table, what, diameter=diameter, seed=seed, distractors=role == AROUND)
            shelf.put(folder, role, library)
            shown = table.set_index("id").loc[list(dict.fromkeys(library.names))].reset_index()
            used.append(shown[["id", "label", "group", "pixel_sha256", "generator_run"]].assign(set=name))
        write_table(folder / SEEN, pd.concat(used))


def cut_part(
    pixels: NDArray[np.uint8],
    table: pd.DataFrame,
    what: str,
    *,
    diameter: float,
    seed: int,
    most: int = 0,
    distractors: bool = False,
) -> Library:
    """Return the cells of some pictures of a set, with progress, and say what could not be cut out.

    Args:
        pixels: Of the whole set.
        table: Which of its pictures.
        what: They are, for people.
        diameter: What the median cell's diameter will be, pixels.
        seed: Of the order in which they are taken.
        most: Cells of each class that are kept; 0 keeps all.
        distractors: Whether they are to lie around others.

    Raises:
        DataFault: A class without a cell that can be cut out.
    """
    table = table.loc[sorted(table.index, key=lambda row: shuffled(str(table.at[row, "id"]), seed))]
    pictures = [pixels[row] for row in table["row"].astype(int)]
    with task(f"cut cells out of {what}", len(table)) as work:
        library = cut(
            pictures, list(table["label"]), list(table["id"]), diameter=diameter, most=most, distractors=distractors,
            tick=work.advance,
        )  # fmt: skip
    out = ", ".join(f"{count} {why}" for why, count in library.left_out.items())
    if out:
        say(f"note: {what}: {len(library.names)} cells; left out because the object in the middle {out}")
    if library.touching:
        told = ", ".join(f"{count} of {label}" for label, count in sorted(library.touching.items()))
        say(f"note: {what}: cells that touch others and may show it, for want of better ones: {told}")
    if library.parted:
        say(f"note: {what}: {library.parted} cells touched red ones and were parted from them by their hue")
    alike = [f"{share:.0%} of {label}" for label, share in library.alike.items() if share >= SAME_HUE]
    if alike:
        say(
            f"note: {what}: red cells that touch white ones were parted by necks alone where cytoplasm has their hue: "
            f"{', '.join(alike)}"
        )
    return library


class ScenePart(NamedTuple):
    """A part of a set of scenes."""

    split: str
    """train, val or test; the input of this name holds its cells."""
    images: int
    """Scenes per class."""


class ComposeScenes(RunStep):
    """Compose a set of scenes of one level, with the truth about every cell."""

    kind: ClassVar[str] = "scenes"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.scenes",)

    name: str
    """As on boards."""
    asked: str
    """What the level was called."""
    level: dict[str, Any]
    """All of it."""
    optics: dict[str, Any]
    """The size of things."""
    cells: str
    """The set of the central cells."""
    around: str
    """That of the cells of another kind around them; empty: none."""
    photographs: bool
    """Whether any of its cells is cut out of a photograph."""
    classes: tuple[str, ...]
    """The label space: classes of the central cells."""
    number: int = 0
    """Which of several independent trainings of the generator drew the cells."""
    parts: tuple[ScenePart, ...]
    """What is composed."""
    seed: int
    """The same for every level, so that scene k of one is scene k of the others with cells added."""

    def title(self) -> str:
        """Return what is done."""
        return f"compose {self.name}"

    def images(self, split: str) -> int:
        """Return how many scenes a part has, of all classes."""
        return sum(part.images for part in self.parts if part.split == split) * len(self.classes)

    def run(self, context: Context, folder: Path) -> None:
        """Compose every part; pixels and table as of any set, COCO annotations of each part beside them.

        Raises:
            UsageFault: A scene that can't be made as the level wants it.
        """
        pixels: list[NDArray[np.uint8]] = []
        rows: list[dict[str, str]] = []
        with task(self.title(), sum(part.images for part in self.parts) * len(self.classes)) as work:
            for part in self.parts:
                composer = self._composer(context, part.split)
                told = Annotations(sorted(set(composer.labels)))
                for label in self.classes:
                    for scenes in composer.blocks(label, range(part.images)):
                        pixels.append(scenes.images)
                        for row in range(len(scenes.images)):
                            scene, number = scenes.one(row), len(told.images) % part.images
                            file = f"{label}/{part.split}/{number:05d}"
                            told.add(file, scene)
                            rows.append({"file": file, "label": label, "split": part.split})
                            work.advance()
                write_json(folder / annotations(part.split), told.content())
        self._write(folder, np.concatenate(pixels), pd.DataFrame(rows))

    def _composer(self, context: Context, split: str) -> Composer:
        place = context.folder(self.inputs[split])
        others = shelf.take(place, AROUND) if self.around else None
        level, optics = Level.model_validate(self.level), Optics.model_validate(self.optics)
        seed = seed_for(self.seed, "scenes", split)
        return Composer(shelf.take(place, CENTRES), others, level, optics=optics, seed=seed)

    def _write(self, folder: Path, images: NDArray[np.uint8], rows: pd.DataFrame) -> None:
        table = rows.reindex(columns=list(COLUMNS), fill_value="")
        table["row"] = [str(row) for row in range(len(table))]
        table["origin"] = "synthetic"
        table["generator_run"] = table["split"].map(self.inputs)
        side = images.shape[1]
        table["pixel_sha256"] = [from_array(image, side).sha256 for image in images]
        table["id"] = name_rows(table)
        write_pixels(folder / PIXELS, images, len(images), side)
        write_table(folder / TABLE, table)
        write_json(folder / SPLIT, {"sha256": assignment_sha256(table), "notes": [f"composed: level {self.asked}"]})


def annotations(split: str) -> str:
    """Return the name of the file of a part's annotations."""
    return f"annotations-{split}.json"
