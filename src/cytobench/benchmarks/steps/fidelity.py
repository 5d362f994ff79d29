"""The step that measures a synthetic set against the real one that its generator learned from."""

from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity.contract import ExtractorSpec
from cytobench.benchmarks.fidelity.selection import Shown, groups_of, matched
from cytobench.benchmarks.spec import POOLED, GeneratorSpec
from cytobench.benchmarks.steps.ancestry import ancestors
from cytobench.benchmarks.steps.features import CLASSIFIER, read_features
from cytobench.benchmarks.steps.maker import made_by
from cytobench.benchmarks.steps.sets import open_set
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import SEEN
from cytobench.benchmarks.steps.training import WEIGHTS
from cytobench.datasets.imageset import TABLE, ImageSet, Nature, read_pixels, read_table
from cytobench.device import versions
from cytobench.leaderboards import fidelity
from cytobench.progress import task
from cytobench.seeds import seed_for
from cytobench.store import file_sha256

REAL: Nature = "real"
SYNTHETIC: Nature = "synthetic"


def role(extractor: ExtractorSpec, side: str) -> str:
    """Return what the features of a side are called among the inputs."""
    return f"{side} seen by {extractor.name}"


class _Rows(NamedTuple):
    """Pixel rows of the real set."""

    reference: NDArray[np.int64]
    floor: NDArray[np.int64]
    all_seen: bool
    """Whether the generator learned from every image of the set."""


class MeasureFidelity(RunStep):
    """One record: a synthetic training part beside real images that its generator did not see.

    The reference is the real test part; the floor is the real training part against it. Of a generator that learned
    from everything, the reference is some of that, and the floor is the rest: such a record counts what was seen.

    Inputs: ``images`` and ``split`` of the real set, ``synthetic``, the features of both by :func:`role`, ``fit …`` for
    every fit that drew the training part, and ``classifier`` where a network of the run looks.
    """

    kind: ClassVar[str] = "fidelity"
    code: ClassVar[tuple[str, ...]] = (
        "cytobench.benchmarks.steps.fidelity",
        "cytobench.benchmarks.fidelity.report",
        "cytobench.benchmarks.fidelity.copying",
    )

    protocol: str
    """Name of the experiment."""
    profile: str
    """Its size."""
    name: str
    """The synthetic set."""
    number: int
    """Which of its generator's independent trainings."""
    generator: GeneratorSpec
    """What drew it."""
    nature: Nature
    """What the images are that it learned from."""
    classes: tuple[str, ...]
    """The label space."""
    pooled: bool = False
    """Whether all of these were drawn as one class, and are compared so."""
    image_size: int
    """Side of the square images, pixels."""
    extractors: tuple[ExtractorSpec, ...]
    """What looks; without any, pixels alone are."""
    seed: int

    def title(self) -> str:
        """Return what is done."""
        return f"measure {self.name}" + (f", training {self.number + 1}" if self.number else "")

    def run(self, context: Context, folder: Path) -> None:
        """Measure, and write the record."""
        from cytobench.benchmarks.fidelity import copying, report

        learned = self.generator.trained_on
        source = open_set(context, self.inputs, name=learned, nature=self.nature, classes=self.classes)
        codes, drawn = source.codes(), self._drawn(context)
        real = self._shown(context, REAL, source.pixels, np.where(codes >= 0, 0, -1) if self.pooled else codes)
        real = real._replace(groups=groups_of(source.table, len(source.pixels)))
        rows = self._rows(source, real, drawn)
        sides = report.Sides(real.taken(rows.reference), real.taken(rows.floor), drawn)
        with task(self.title(), report.steps(self.told_apart, len(self.extractors))) as work:
            measured = report.measure(
                sides, self.told_apart, few=False, smaller_floor=rows.all_seen, seed=self.seed, tick=work.advance
            )
        seen, unseen = self._seen(context, source)
        others = real.taken(unseen) if len(unseen) else None
        copies = copying.tests(real.taken(seen), others, drawn, classes=len(self.told_apart), near=True, seed=self.seed)
        everything = f"all images of {learned}"
        facts = fidelity.FidelityFacts(
            protocol=self.protocol,
            profile=self.profile,
            synthetic=self.name,
            number=self.number,
            generator=made_by(self.generator, self.nature),
            reference=f"{everything}, seen by the generator" if rows.all_seen else f"the test part of {learned}",
            reference_seen=len(np.intersect1d(rows.reference, seen)),
            floor=f"others of {everything}" if rows.all_seen else f"the training part of {learned}",
            image_size=self.image_size,
            classes=self.told_apart,
            images={name: len(side.codes) for name, side in sides._asdict().items()},
            extractors=tuple(self._facts(context, one, real) for one in self.extractors),
            lines=measured.lines,
            copies=copies,
            problems=(*measured.problems, *copying.problems(copies)),
            seed=self.seed,
            device=context.device._asdict(),
            versions=versions(),
            ancestry=tuple(sorted({one for key in self.inputs.values() for one in ancestors(context, key)})),
        )
        fidelity.save(folder, facts)

    @property
    def told_apart(self) -> tuple[str, ...]:
        """The classes that are compared each by itself."""
        return (POOLED,) if self.pooled else self.classes

    def _rows(self, source: ImageSet, real: Shown, drawn: Shown) -> "_Rows":
        """Return which rows of the real set are reference and floor."""
        if self.generator.learned_from != "everything":
            return _Rows(source.rows("test"), source.rows("train"), all_seen=False)
        sides: dict[str, Shown] = {REAL: real, SYNTHETIC: drawn}
        reference = matched(sides, len(self.told_apart), seed=seed_for(self.seed, "reference"))[REAL]
        return _Rows(reference, np.setdiff1d(np.flatnonzero(real.codes >= 0), reference), all_seen=True)

    def _shown(self, context: Context, side: str, pixels: NDArray[np.uint8], codes: NDArray[np.int64]) -> Shown:
        features = {
            one.name: np.asarray(read_features(context.folder(self.inputs[role(one, side)]))) for one in self.extractors
        }
        return Shown(pixels, codes, features)

    def _drawn(self, context: Context) -> Shown:
        """Return the training part of the synthetic set, which is what classifiers learn from."""
        folder = context.folder(self.inputs[SYNTHETIC])
        table = read_table(folder / TABLE)
        drawn = ImageSet(self.name, SYNTHETIC, self.told_apart, table, read_pixels(folder))
        return self._shown(context, SYNTHETIC, drawn.pixels, drawn.codes()).taken(drawn.rows("train"))

    def _seen(self, context: Context, source: ImageSet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows of the real set that these fits saw, and those that they did not."""
        tables = [read_table(context.folder(key) / SEEN) for name, key in self.inputs.items() if name.startswith("fit")]
        known = set(pd.concat(tables)["pixel_sha256"])
        rows = source.table["row"].to_numpy().astype(np.int64)
        was = source.table["pixel_sha256"].isin(known).to_numpy()
        return rows[was], rows[~was]

    def _facts(self, context: Context, one: ExtractorSpec, real: Shown) -> fidelity.ExtractorFacts:
        width = real.features[one.name].shape[1]
        sha256 = one.sha256 or file_sha256(context.folder(self.inputs[CLASSIFIER]) / WEIGHTS)
        return fidelity.ExtractorFacts(name=one.name, origin=one.origin, sha256=sha256, width=width)
