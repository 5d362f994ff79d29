"""Steps that fit generators and draw a synthetic set with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from cytobench import registry
from cytobench.benchmarks.steps.sets import SPLIT, open_set
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets.decode import from_array
from cytobench.datasets.imageset import COLUMNS, PIXELS, TABLE, Nature, name_rows, read_table, write_table
from cytobench.datasets.scan import write_pixels
from cytobench.datasets.splits import assignment_sha256
from cytobench.errors import DataFault
from cytobench.progress import task
from cytobench.seeds import seed_for
from cytobench.store import PARTIAL, write_json

SEEN = "seen.csv"  # what a generator was trained on: the guard reads it


class FitGenerator(RunStep):
    """Train a generator on one partition of a set's training part; on one class of it when it is unconditional."""

    kind: ClassVar[str] = "generator"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.synthesis",)

    generator: str
    """The plug-in."""
    config: dict[str, Any]
    """Its whole configuration."""
    image_size: int
    """Side of the square images, pixels."""
    set_name: str
    """The set that it sees."""
    nature: Nature
    """What that set's images are."""
    classes: tuple[str, ...]
    """The classes that it learns, in the order of its codes."""
    partition: str
    """a or b: disjoint halves of train, so that synthetic train and test images come from different cells."""
    seed: int

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("generator", self.generator))

    def title(self) -> str:
        """Return what is done."""
        what = self.classes[0] if len(self.classes) == 1 else f"{len(self.classes)} classes"
        return f"fit {self.generator} on {self.set_name}/{self.partition}, {what}"

    def run(self, context: Context, folder: Path) -> None:
        """Train and save; write down every image that was seen."""
        source = open_set(
            context, self.inputs, name=self.set_name, nature=self.nature, classes=self.classes_of_set(context)
        )
        table = source.table
        mine = table[(table["partition"] == self.partition) & table["label"].isin(self.classes)]
        if len(mine) < 2:
            raise DataFault(
                f"partition {self.partition} of {self.set_name} has {len(mine)} image(s) of {', '.join(self.classes)}",
                fix="leave the class out (--classes), or train the generator on another set (--generate-from)",
            )
        images = np.asarray(source.pixels[mine["row"].to_numpy().astype(np.int64)])
        labels = np.array([self.classes.index(label) for label in mine["label"]], dtype=np.int64)
        kind = registry.load("generator", self.generator)
        config = kind.config_type.model_validate(self.config)
        model = kind(config, image_size=self.image_size, classes=len(self.classes), device=context.torch_device)
        with task(self.title(), config.steps) as work:
            seed = seed_for(self.seed, "generator", self.partition, *self.classes)
            model.fit(images, labels, seed=seed, partial=folder / PARTIAL, tick=work.advance)
        model.save(folder)
        write_table(folder / SEEN, mine[["id", "label", "group", "pixel_sha256"]].assign(set=self.set_name))

    def classes_of_set(self, context: Context) -> tuple[str, ...]:
        """Return all labels of the set, sorted."""
        return tuple(sorted(set(read_table(context.folder(self.inputs["split"]) / TABLE)["label"])))


class DrawSynthetic(RunStep):
    """Draw the synthetic set: train and val by the generators of partition a, test by those of partition b."""

    kind: ClassVar[str] = "synthetic"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.synthesis",)

    name: str
    """As on boards."""
    generator: str
    """The plug-in."""
    image_size: int
    """Side of the square images, pixels."""
    classes: tuple[str, ...]
    """The label space."""
    train: int
    """Images per class."""
    val: int
    """Images per class."""
    test: int
    """Images per class."""
    seed: int

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("generator", self.generator))

    def title(self) -> str:
        """Return what is done."""
        return f"draw {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Draw every class and part; inputs are the fits, by ``<partition>/<class>`` or ``<partition>``."""
        kind = registry.load("generator", self.generator)
        pixels: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
        rows: list[dict[str, str]] = []
        total = (self.train + self.val + self.test) * len(self.classes)
        with task(self.title(), total) as work:
            for partition, parts in (("a", (("train", self.train), ("val", self.val))), ("b", (("test", self.test),))):
                for number, label in enumerate(self.classes):
                    classwise = f"{partition}/{label}" in self.inputs
                    fit = self.inputs[f"{partition}/{label}" if classwise else partition]
                    model = kind.load(context.folder(fit), context.torch_device)
                    count = sum(size for _, size in parts)
                    images = model.sample(
                        0 if classwise else number, range(count), seed=seed_for(self.seed, "sample", partition, label)
                    )
                    pixels.append(images)
                    rows += [
                        {"file": f"{label}/{split}/{k:05d}", "label": label, "split": split, "generator_run": fit}
                        for split, first, size in _spans(parts)
                        for k in range(first, first + size)
                    ]
                    work.advance(count)
        self._write(folder, np.concatenate(pixels), pd.DataFrame(rows))

    def _write(self, folder: Path, images: "np.ndarray[Any, np.dtype[np.uint8]]", rows: pd.DataFrame) -> None:
        table = rows.reindex(columns=list(COLUMNS), fill_value="")
        table["row"] = [str(row) for row in range(len(table))]
        table["origin"] = "synthetic"
        table["pixel_sha256"] = [from_array(image, self.image_size).sha256 for image in images]
        table["id"] = name_rows(table)
        write_pixels(folder / PIXELS, images, len(images), self.image_size)
        write_table(folder / TABLE, table)
        write_json(folder / SPLIT, {"sha256": assignment_sha256(table), "notes": [f"drawn by {self.generator}"]})


def _spans(parts: Sequence[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Return (name, first, size) of parts laid end to end."""
    spans, first = [], 0
    for name, size in parts:
        spans.append((name, first, size))
        first += size
    return spans
