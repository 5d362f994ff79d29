"""Features of timm's networks: DINOv2, models of haematology."""

from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity import penultimate
from cytobench.benchmarks.fidelity.contract import Found, Network
from cytobench.errors import UsageFault
from cytobench.registry import plugin

if TYPE_CHECKING:
    import torch


@plugin("extractor", "timm")
class TimmNetwork:
    """A timm network, DINOv2 too, before its last layer: timm/NAME=FILE, or its published weights without FILE."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Look the weights up."""
        if not model:
            raise UsageFault(
                "--extractor timm: which network?", fix="as --extractor timm/vit_small_patch14_dinov2.lvd142m"
            )
        return penultimate.find(name, model, place)

    @staticmethod
    def load(found: Found, device: "torch.device") -> Network:
        """Return what computes its features."""
        return penultimate.load(found, device)
