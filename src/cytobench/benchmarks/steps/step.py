"""What every step of a run can do, and what it is handed."""

from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from cytobench.datasets.scan import Survey
from cytobench.store import Step, Store

if TYPE_CHECKING:
    import torch

    from cytobench.benchmarks.steps.training import Tuned
    from cytobench.classifiers.network import Network
    from cytobench.device import Device


@dataclass
class Context:
    """Where a run reads, writes and computes; nothing here decides a number."""

    store: Store
    device: "Device"
    surveys: dict[str, Survey] = field(default_factory=dict)
    """Listed files by the key of the step that decodes them."""
    tuned: "dict[str, Tuned]" = field(default_factory=dict)
    """What was measured of each backbone, by its name."""
    weights: dict[str, Path | None] = field(default_factory=dict)
    """Files of starting weights by their hash."""
    network: "tuple[str, Network] | None" = None
    """The trial whose network was used last, and it: testing after training loads nothing."""

    @property
    def torch_device(self) -> "torch.device":
        """The device as PyTorch knows it."""
        import torch

        return torch.device(self.device.kind)

    def folder(self, reference: str) -> Path:
        """Return the folder of an artefact ``kind/key``."""
        return self.store.root / reference


class RunStep(Step):
    """A step that a run carries out."""

    @cached_property
    def reference(self) -> str:
        """``kind/key``: how later steps name this one among their inputs."""
        return f"{self.kind}/{self.key}"

    @abstractmethod
    def title(self) -> str:
        """Return what is done, for progress and plans."""

    @abstractmethod
    def run(self, context: Context, folder: Path) -> None:
        """Make the outputs in ``folder``."""
