"""Features without a network: what an image looks like from afar."""

from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found, Network
from cytobench.code_version import code_version
from cytobench.datasets.near.resample import gaussian
from cytobench.errors import UsageFault
from cytobench.registry import plugin

if TYPE_CHECKING:
    import torch

GRID = 8  # fields per side
BLUR = 0.8  # fields


@plugin("extractor", "thumbnails")
class Thumbnails:
    """Blurred pictures of 8 × 8 fields: colours and coarse shape, no weights, no network; sees no texture."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Return itself: the code is all there is."""
        if model or place:
            raise UsageFault(
                f"--extractor {name}: thumbnails have neither model nor file", fix="--extractor thumbnails"
            )
        version = code_version(__name__, "cytobench.datasets.near.resample")
        return Found(ExtractorSpec(name=name, model="", origin="none", sha256=version), None)

    @staticmethod
    def load(_found: Found, device: "torch.device") -> Network:
        """Return what computes thumbnails, 0 to 1, of any square image."""

        def compute(images: "torch.Tensor") -> "torch.Tensor":
            sample = gaussian(images.shape[-1], GRID, BLUR).to(device)
            return (sample @ images @ sample.T).flatten(1)  # (B, 3 · GRID²)

        return compute
