"""Steps that fit generators and draw a synthetic set with them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench import registry
from cytobench.benchmarks.spec import POOLED, GeneratorSpec
from cytobench.benchmarks.steps.brought import SEEN as SEEN
from cytobench.benchmarks.steps.sets import SPLIT, open_set
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets.decode import from_array
from cytobench.datasets.imageset import COLUMNS, PIXELS, TABLE, Nature, name_rows, read_table, write_table
from cytobench.datasets.scan import write_pixels
from cytobench.datasets.splits import assignment_sha256
from cytobench.errors import DataFault
from cytobench.progress import say, task
from cytobench.seeds import seed_for
from cytobench.store import PARTIAL, atomic, write_json

WHOLE = "train"  # both partitions
EVERYTHING = "all"  # and the other parts
BLOCK = 4  # chunks that are drawn between two saves


class FitGenerator(RunStep):
    """Train a generator on one partition of a set's training part; on one class of it when it is unconditional."""

    kind: ClassVar[str] = "generator"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.synthesis",)

    generator: str
    """The plug-in."""
    config: dict[str, Any]
    """Its configuration, without what matters only when images are drawn."""
    image_size: int
    """Side of the square images, pixels."""
    set_name: str
    """The set that it sees."""
    nature: Nature
    """What that set's images are."""
    classes: tuple[str, ...]
    """The classes that it learns, in the order of its codes."""
    partition: str
    """a or b: disjoint halves of train, so that synthetic train and test images come from different cells; or train,
    both of them; or all, every part of the set."""
    pooled: bool = False
    """Whether all classes are learned as one."""
    only: tuple[str, ...] = ()
    """Names of the only files that it may see; empty: all of the partition."""
    number: int = 0
    """Which of several independent trainings."""
    seed: int

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("generator", self.generator))

    def title(self) -> str:
        """Return what is done."""
        what = self.classes[0] if len(self.classes) == 1 else f"{len(self.classes)} classes"
        what += " as one" if self.pooled else ""
        return f"fit {self.generator} on {self.set_name}/{self.partition}, {what}{_numbered(self.number)}"

    def run(self, context: Context, folder: Path) -> None:
        """Train and save; write down every image that was seen."""
        source = open_set(
            context, self.inputs, name=self.set_name, nature=self.nature, classes=self.classes_of_set(context)
        )
        mine = self._seen(source.table)
        images = np.asarray(source.pixels[mine["row"].to_numpy().astype(np.int64)])
        told_apart = (POOLED,) if self.pooled else self.classes
        labels = np.array([0 if self.pooled else self.classes.index(one) for one in mine["label"]], dtype=np.int64)
        kind = registry.load("generator", self.generator)
        config = kind.config_type.model_validate(self.config)
        told = {"class_names": told_apart} if kind.conditioning == "prompt" else {}
        model = kind(config, image_size=self.image_size, classes=len(told_apart), device=context.torch_device, **told)
        with task(self.title(), config.steps) as work:
            seed = seed_for(self.seed, "generator", self.number, self.partition, *self.classes)
            model.fit(images, labels, seed=seed, partial=folder / PARTIAL, tick=work.advance)
        model.save(folder)
        seen = getattr(model, "seen", None)  # a generator that leaves images out says which ones it took
        mine = mine if seen is None else mine.iloc[seen]
        write_table(folder / SEEN, mine[["id", "label", "group", "pixel_sha256"]].assign(set=self.set_name))

    def _seen(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a set that are learned from."""
        part = {WHOLE: table["split"] == "train", EVERYTHING: table["split"] != ""}.get(
            self.partition, table["partition"] == self.partition
        )
        mine = table[part & table["label"].isin(self.classes)]
        what = f"partition {self.partition} of {self.set_name} has {len(mine)} image(s) of {', '.join(self.classes)}"
        if len(mine) < 2:
            raise DataFault(
                what, fix="leave the class out (--classes), or train the generator on another set (--generate-from)"
            )
        if self.only:
            listed = set(self.only)
            mine = mine[[bool({file, Path(file).name} & listed) for file in mine["file"]]]
            if not len(mine):
                raise DataFault(
                    f"{what}, none of which is listed", fix="list some with --shots-from, or split otherwise"
                )
            say(f"note: {self.title()}: {len(mine)} of the listed images lie here")
        return mine

    def classes_of_set(self, context: Context) -> tuple[str, ...]:
        """Return all labels of the set, sorted."""
        return tuple(sorted(set(read_table(context.folder(self.inputs["split"]) / TABLE)["label"])))


class Part(NamedTuple):
    """A part of a synthetic set."""

    split: str
    """train, val or test."""
    partition: str
    """Whose generators draw it."""
    images: int
    """Images per class."""


class DrawSynthetic(RunStep):
    """Draw a synthetic set part by part."""

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
    drawing: dict[str, Any]
    """What of the configuration matters only here."""
    parts: tuple[Part, ...]
    """Those of one partition one after the other: no image is in two of them."""
    number: int = 0
    """Which of several independent trainings."""
    seed: int

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("generator", self.generator))

    def title(self) -> str:
        """Return what is done."""
        return f"draw {self.name}{_numbered(self.number)}"

    def images(self, split: str) -> int:
        """Return how many images a part has, of all classes."""
        return sum(part.images for part in self.parts if part.split == split) * len(self.classes)

    def run(self, context: Context, folder: Path) -> None:
        """Draw every class and part; inputs are the fits, by ``<partition>/<class>`` or ``<partition>``.

        Finished blocks are kept until all is drawn, so that a kill costs no more than one.
        """
        pixels: list[NDArray[np.uint8]] = []
        rows: list[dict[str, str]] = []
        with task(self.title(), sum(part.images for part in self.parts) * len(self.classes)) as work:
            for partition in dict.fromkeys(part.partition for part in self.parts):
                parts = [part for part in self.parts if part.partition == partition]
                for code, label in enumerate(self.classes):
                    alone = f"{partition}/{label}" in self.inputs
                    fit = self.inputs[f"{partition}/{label}" if alone else partition]
                    model = registry.load("generator", self.generator).load(context.folder(fit), context.torch_device)
                    model.config = model.config.model_copy(update=self.drawing)
                    seed = seed_for(self.seed, "sample", self.number, partition, label)
                    count, block = sum(part.images for part in parts), BLOCK * model.config.chunk
                    for first in range(0, count, block):
                        numbers = range(first, min(first + block, count))
                        kept = folder / PARTIAL / f"{partition}-{code}-{first}.npy"
                        pixels.append(_drawn(model, 0 if alone else code, numbers, seed, kept))
                        work.advance(len(numbers))
                    rows += [
                        {"file": f"{label}/{split}/{k:05d}", "label": label, "split": split, "generator_run": fit}
                        for split, first, size in _spans(parts)
                        for k in range(first, first + size)
                    ]
        self._write(folder, np.concatenate(pixels), pd.DataFrame(rows))

    def _write(self, folder: Path, images: NDArray[np.uint8], rows: pd.DataFrame) -> None:
        table = rows.reindex(columns=list(COLUMNS), fill_value="")
        table["row"] = [str(row) for row in range(len(table))]
        table["origin"] = "synthetic"
        table["pixel_sha256"] = [from_array(image, self.image_size).sha256 for image in images]
        table["id"] = name_rows(table)
        write_pixels(folder / PIXELS, images, len(images), self.image_size)
        write_table(folder / TABLE, table)
        write_json(folder / SPLIT, {"sha256": assignment_sha256(table), "notes": [f"drawn by {self.generator}"]})


def divided(generator: GeneratorSpec) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration that a fit depends on, and what matters only when images are drawn."""
    names = registry.load("generator", generator.name).config_type.drawing
    config = generator.config
    return {name: config[name] for name in config if name not in names}, {name: config[name] for name in names}


def classwise(generator: GeneratorSpec) -> bool:
    """Return whether one is fitted per class: it is told of no classes, or its configuration asks for that."""
    kind = registry.load("generator", generator.name)
    if kind.conditioning == "prompt":
        return bool(kind.classwise(kind.config_type.model_validate(generator.config)))
    return bool(kind.conditioning == "none")


def _numbered(number: int) -> str:
    return f", training {number + 1}" if number else ""


def _drawn(model: Any, label: int, numbers: range, seed: int, kept: Path) -> NDArray[np.uint8]:
    """Return images by their numbers, from the file that an earlier attempt kept them in or drawn and kept there."""
    if kept.exists():
        return np.asarray(np.load(kept, allow_pickle=False))
    images: NDArray[np.uint8] = model.sample(label, numbers, seed=seed)
    with atomic(kept) as file:
        np.save(file, images, allow_pickle=False)
    return images


def _spans(parts: Sequence[Part]) -> list[tuple[str, int, int]]:
    """Return (split, first, count) of parts laid end to end."""
    spans, first = [], 0
    for part in parts:
        spans.append((part.split, first, part.images))
        first += part.images
    return spans
