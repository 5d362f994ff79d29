"""Features of torchvision's networks."""

from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity import penultimate
from cytobench.benchmarks.fidelity.contract import Found, Network
from cytobench.errors import UsageFault
from cytobench.registry import plugin

if TYPE_CHECKING:
    import torch


@plugin("extractor", "torchvision")
class TorchvisionNetwork:
    """A torchvision network before its last layer: torchvision/NAME=FILE, or its published weights without FILE."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Look the weights up."""
        if not model:
            raise UsageFault("--extractor torchvision: which network?", fix="as --extractor torchvision/resnet50=FILE")
        return penultimate.find(name, f"torchvision/{model}", place)

    @staticmethod
    def load(found: Found, device: "torch.device") -> Network:
        """Return what computes its features."""
        return penultimate.load(found, device)
