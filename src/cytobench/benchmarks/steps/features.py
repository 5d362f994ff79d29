"""The step that computes features: once for a set and an extractor, whoever asks."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cytobench import registry
from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.training import WEIGHTS
from cytobench.datasets.imageset import TABLE, read_pixels, read_table
from cytobench.errors import TrialFault
from cytobench.progress import task
from cytobench.store import atomic

FEATURES = "features.npy"
CLASSIFIER = "classifier"
"""Role of the trial whose network looks, where one of the same run does."""


class ExtractFeatures(RunStep):
    """Compute the features of the images of an artefact; input ``images`` holds the pixels.

    With an input ``split``, only those of the images in its table; the others' are no numbers.
    """

    kind: ClassVar[str] = "features"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.features", "cytobench.benchmarks.fidelity.features")

    extractor: ExtractorSpec
    name: str
    """The set, for people."""
    device: str
    """cpu or cuda: the other one rounds otherwise."""

    def modules(self) -> tuple[str, ...]:
        """Return the plug-in's module, beside this one."""
        return (*self.code, registry.module_of("extractor", self.extractor.plugin))

    def describe(self) -> dict[str, Any]:
        """Return what the key is made of: the pixels, not what the set is called."""
        facts = super().describe()
        facts["specification"].pop("name")
        return facts

    def title(self) -> str:
        """Return what is done."""
        return f"features of {self.name}, {self.extractor.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Compute and keep them in the order of the pixels."""
        from cytobench.benchmarks.fidelity.features import features

        images = read_pixels(context.folder(self.inputs["images"]))
        rows = self._rows(context)
        shown = images if rows is None else images[rows]
        network = registry.load("extractor", self.extractor.plugin).load(self._found(context), context.torch_device)
        with task(self.title(), len(shown)) as work:
            found = features(shown, network, device=context.device.kind, tick=work.advance)
        if rows is not None:
            some, found = found, np.full((len(images), found.shape[1]), np.nan, dtype=found.dtype)
            found[rows] = some
        with atomic(folder / FEATURES) as file:
            np.save(file, found, allow_pickle=False)

    def _rows(self, context: Context) -> NDArray[np.int64] | None:
        """Return which images take part; None: all."""
        if "split" not in self.inputs:
            return None
        table = read_table(context.folder(self.inputs["split"]) / TABLE)
        return np.sort(table["row"].to_numpy().astype(np.int64))

    def _found(self, context: Context) -> Found:
        """Return the extractor with the place of its weights on this machine."""
        if CLASSIFIER in self.inputs:
            trial = context.folder(self.inputs[CLASSIFIER])
            if not (trial / WEIGHTS).exists():
                raise TrialFault(f"{self.title()}: the training of that network failed", reason="no network")
            return Found(self.extractor, trial)
        return Found(self.extractor, context.weights[self.extractor.sha256])


def read_features(folder: Path) -> NDArray[np.float32]:
    """Return the features (N, d) of an artefact, as a memory map."""
    found: NDArray[np.float32] = np.load(folder / FEATURES, mmap_mode="r", allow_pickle=False)
    return found
