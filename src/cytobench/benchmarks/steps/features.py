"""The step that computes features: once for a set and an extractor, whoever asks."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from cytobench import registry
from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.training import WEIGHTS
from cytobench.datasets.imageset import read_pixels
from cytobench.errors import TrialFault
from cytobench.progress import task
from cytobench.store import atomic

FEATURES = "features.npy"
CLASSIFIER = "classifier"
"""Role of the trial whose network looks, where one of the same run does."""


class ExtractFeatures(RunStep):
    """Compute the features of every image of an artefact; input ``images`` holds the pixels."""

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
        network = registry.load("extractor", self.extractor.plugin).load(self._found(context), context.torch_device)
        with task(self.title(), len(images)) as work:
            found = features(images, network, device=context.device.kind, tick=work.advance)
        with atomic(folder / FEATURES) as file:
            np.save(file, found, allow_pickle=False)

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
