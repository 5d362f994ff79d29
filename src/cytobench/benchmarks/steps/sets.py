"""Steps that make and freeze sets of images."""

import itertools
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pandas as pd

from cytobench import registry
from cytobench.benchmarks.steps import near
from cytobench.benchmarks.steps.brought import bring
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets import guard
from cytobench.datasets.decode import from_array
from cytobench.datasets.imageset import (
    COLUMNS,
    PIXELS,
    TABLE,
    ImageSet,
    Nature,
    name_rows,
    read_pixels,
    read_table,
    write_table,
)
from cytobench.datasets.known_set import known
from cytobench.datasets.readers.listing import Listing
from cytobench.datasets.scan import REPORT, ScanStep, Survey, report, scan, write_pixels
from cytobench.datasets.splits import SplitStep, make_split
from cytobench.errors import IntegrityFault
from cytobench.store import write_json

SPLIT, CHECKED = "split.json", "checked.json"


class ReadImages(ScanStep, RunStep):
    """Decode a set of files."""

    code: ClassVar[tuple[str, ...]] = (*ScanStep.code, "cytobench.benchmarks.steps.brought")

    name: str = ""
    """For people; two sets of the same files share one step."""

    def describe(self) -> dict[str, object]:
        """Return what the key is made of: not the name."""
        facts = super().describe()
        facts["specification"].pop("name")
        return facts

    def title(self) -> str:
        """Return what is done."""
        return f"decode {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Decode the surveyed files."""
        self.read(context.surveys[self.key], folder)

    def read(self, found: Survey, folder: Path) -> None:
        """Decode surveyed files; keep what a frozen set tells of its generators."""
        scan(self, found, folder)
        if found.listing.ancestry:
            runs = bring(folder, self.reference, found.listing.ancestry)
            table = read_table(folder / TABLE)  # in the order of the entries
            write_table(folder / TABLE, table.assign(generator_run=runs))


class DrawImages(RunStep):
    """Draw a set that needs no file."""

    kind: ClassVar[str] = "images"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.sets",)

    name: str
    """The data set plug-in."""
    per_class: int
    """Images per class."""
    image_size: int
    """Side of the square images, pixels."""
    seed: int

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("dataset", self.name))

    def title(self) -> str:
        """Return what is done."""
        return f"draw {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Draw the images and list them as a scan does."""
        source = known(self.name)
        assert source.draw is not None
        images, labels, groups = source.draw(self.per_class, self.image_size, self.seed)
        decoded = [from_array(image, self.image_size) for image in images]
        table = pd.DataFrame("", index=range(len(images)), columns=list(COLUMNS))
        table["row"] = [str(row) for row in range(len(images))]
        table["file"] = [f"{label}/{row:05d}" for row, label in enumerate(labels)]
        table["label"], table["group"], table["origin"] = labels, groups, source.nature
        table["pixel_sha256"] = [one.sha256 for one in decoded]
        table["id"] = name_rows(table)
        write_pixels(folder / PIXELS, (one.pixels for one in decoded), len(images), self.image_size)
        write_table(folder / TABLE, table)
        write_json(
            folder / REPORT, report(table, Counter(one.shape for one in decoded), Counter(), Listing(folder, (), 0))
        )


class FreezeSplit(SplitStep, RunStep):
    """Freeze the split of a set and prove that it is clean."""

    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.sets",)

    name: str
    """The set."""
    nature: Nature
    """What its images are."""

    def title(self) -> str:
        """Return what is done."""
        return f"split {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Draw or take the split, check it, write it down with its hash."""
        clusters = near.read_clusters(context.folder(self.inputs["near"])) if "near" in self.inputs else None
        split = make_split(read_table(context.folder(self.inputs["images"]) / TABLE), self, clusters)
        guard.check_split(split.table, self.name, self.nature)
        write_table(folder / TABLE, split.table)
        write_json(folder / SPLIT, {"sha256": split.sha256, "notes": list(split.notes)})


class CheckSets(RunStep):
    """Prove that no set's test part was seen in another set's training, before anything is trained."""

    kind: ClassVar[str] = "guard"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.sets",)

    sets: tuple[tuple[str, Nature], ...]
    """Names and natures; inputs are their splits, by name, and their images, by ``NAME images``."""
    strict: bool = False
    """Whether near-copies are refused, too; else they are told."""

    def title(self) -> str:
        """Return what is done."""
        return "check the sets against one another"

    def run(self, context: Context, folder: Path) -> None:
        """Compare every test part with every other set's training and validation parts.

        Raises:
            IntegrityFault: A picture is on both sides.
        """
        tables = {name: read_table(context.folder(self.inputs[name]) / TABLE) for name, _ in self.sets}
        for source, shown in tables.items():
            trained = guard.exposure(shown[shown["split"].isin(("train", "val"))], source)
            for target, nature in self.sets:
                test = tables[target][tables[target]["split"] == "test"]
                found = guard.findings(test, target, nature, trained, guard.Exposure()) if target != source else []
                guard.refuse(
                    found,
                    f"{target} can't be tested on what was trained on {source}",
                    fix="take these pictures out of one of the two sets",
                )
        real = [name for name, nature in self.sets if nature == "real"]
        notes = [
            note for one, other in itertools.combinations(real, 2) for note in self._near(context, tables, one, other)
        ]
        names = [name for name, _ in self.sets]
        write_json(folder / CHECKED, {"sets": names, "checks": list(guard.CHECKS), "notes": notes})

    def _near(self, context: Context, tables: dict[str, pd.DataFrame], one: str, other: str) -> list[str]:
        pixels = (read_pixels(context.folder(self.inputs[f"{name} images"])) for name in (one, other))
        found = near.between(*pixels, title=f"look for near-copies between {one} and {other}")
        rows = {name: tables[name].set_index(tables[name]["row"].astype(int)) for name in (one, other)}
        torn = [
            f"{one}: {a['file']} ({a['split']}) ~ {other}: {b['file']} ({b['split']})"
            for first, second in found
            if first in rows[one].index and second in rows[other].index
            for a, b in [(rows[one].loc[first], rows[other].loc[second])]
            if (a["split"] == "test") != (b["split"] == "test")
        ]
        if not torn:
            return []
        told = f"{len(torn)} pictures of {one} and {other} are near-copies, one to train with and one to test on"
        if self.strict:
            raise IntegrityFault(told, problems=torn, fix="take these pictures out of one of the two sets")
        return [f"{told}; `--strict` names and refuses them"]


def open_set(
    context: Context, inputs: dict[str, str], *, name: str, nature: Nature, classes: tuple[str, ...]
) -> ImageSet:
    """Return a set from the artefacts ``images`` (pixels) and ``split`` (table) among some inputs."""
    table = read_table(context.folder(inputs["split"]) / TABLE)
    return ImageSet(name, nature, classes, table, read_pixels(context.folder(inputs["images"])))
