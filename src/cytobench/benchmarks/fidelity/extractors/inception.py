"""torch-fidelity's Inception, whose features nearly all published Fréchet distances are of."""

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found, Network
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.registry import plugin

if TYPE_CHECKING:
    import torch

    from cytobench.classifiers.backbone import UrlFile

LAYER = "2048"  # torch-fidelity's name of the last pooling


@plugin("extractor", "inception")
class Inception:
    """The Inception network of published FIDs, 2048 features: its download, or inception=FILE."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Look for the one published file, whose name begins its hash; no other weights are taken."""
        from cytobench.classifiers.weights import locate

        if model:
            raise UsageFault(
                f"--extractor {name}: there is one inception", fix="--extractor inception or inception=FILE"
            )
        try:
            found = locate(place or "hub", _published, model="inception")
        except EnvironmentFault as fault:
            command = fault.fix.partition(", or start")[0]
            fix = "check the path" if place else f"{command}, and name the file: --extractor inception=FILE"
            raise EnvironmentFault(fault.message, fix=fix) from fault
        promised = re.search(r"-([0-9a-f]{8,64})\.", Path(_url()).name)
        if found.sha256 is None or promised is None or not found.sha256.startswith(promised[1]):
            raise IntegrityFault(
                f"{place} is not torch-fidelity's Inception: its SHA-256 does not begin with "
                f"{promised[1] if promised else '?'}, so that no FID from it could be compared",
                fix=f"get {_url()}, or name other networks as torchvision/NAME=FILE",
            )
        return Found(ExtractorSpec(name=name, model=LAYER, origin=found.origin, sha256=found.sha256), found.path)

    @staticmethod
    def load(found: Found, device: "torch.device") -> Network:
        """Return torch-fidelity's own module; it enlarges images to 299 pixels as the original did."""
        import torch
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        from cytobench.classifiers.weights import Weights, read

        whole = io.BytesIO()  # it unpickles whatever lies in a file; these are tensors that were read safely
        torch.save(read(Weights(found.spec.origin, found.spec.sha256, found.path)), whole)
        whole.seek(0)
        network = FeatureExtractorInceptionV3("inception-v3-compat", [LAYER], feature_extractor_weights_path=whole)
        network.to(device, memory_format=torch.channels_last)

        def compute(images: "torch.Tensor") -> "torch.Tensor":
            features: torch.Tensor = network((images * 255.0).round().to(torch.uint8))[0]
            return features

        return compute


def _url() -> str:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

    return str(URL_INCEPTION_V3)


def _published() -> "UrlFile":
    """Return where the weights lie, as the finder of weights takes it."""
    from cytobench.classifiers.backbone import UrlFile

    return UrlFile("torch-fidelity/inception", "2015-12-05", _url())
