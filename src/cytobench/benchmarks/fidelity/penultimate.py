"""What a classifier sees before it names classes: the input of its last layer, averaged over the picture."""

from typing import TYPE_CHECKING

from cytobench.benchmarks.fidelity.contract import ExtractorSpec, Found, Network
from cytobench.errors import EnvironmentFault, UsageFault

if TYPE_CHECKING:
    import torch

    from cytobench.classifiers.network import Network as Classifier

SIDE = 224  # pixels; what networks trained on ImageNet were made for, and DINOv2 in published comparisons
UNUSED = 2  # classes of the last layer, whose weights are new and never used


def before_last_layer(network: "Classifier", side: int) -> Network:
    """Return what gives the features of a classifier in evaluation mode.

    Args:
        network: With its weights, on its device.
        side: Images are brought to this side, pixels, bilinearly and antialiased, before the network sees them.
    """
    import torch
    from torch.nn import functional

    from cytobench.classifiers.last_layer import last_layer

    kept: list[torch.Tensor] = []
    layer = network.body.get_submodule(last_layer(network.body))
    layer.register_forward_pre_hook(lambda _layer, given: kept.append(given[0]))
    network.eval()

    def compute(images: "torch.Tensor") -> "torch.Tensor":
        kept.clear()
        if images.shape[-1] != side:
            images = functional.interpolate(
                images, size=(side, side), mode="bilinear", align_corners=False, antialias=True
            )
        network(images)
        found = kept[0]
        return found.mean(dim=(2, 3)) if found.ndim == 4 else found.flatten(1)

    return compute


def find(name: str, backbone: str, place: str) -> Found:
    """Return an extractor made from a backbone with weights from a file or, without one, the published ones.

    Raises:
        UsageFault: No such backbone.
        EnvironmentFault: The weights are not there.
        IntegrityFault: They are torn.
    """
    from cytobench.classifiers.backbone import resolve
    from cytobench.classifiers.weights import find as find_weights

    try:
        found = find_weights(resolve(backbone), place or "hub")
    except EnvironmentFault as fault:
        command = fault.fix.partition(", or start")[0]  # random weights, which a trial may start from, see nothing
        raise EnvironmentFault(
            fault.message, fix=f"{command}, or name a file: --extractor {name}=FILE" if not place else "check the path"
        ) from fault
    if found.sha256 is None:
        raise UsageFault(f"--extractor {name}={place}: random weights see nothing", fix="name a file of weights")
    return Found(ExtractorSpec(name=name, model=backbone, origin=found.origin, sha256=found.sha256), found.path)


def load(found: Found, device: "torch.device") -> Network:
    """Build the backbone at SIDE pixels, fill it, and return its features before the last layer."""
    from cytobench.classifiers import network as networks
    from cytobench.classifiers.backbone import resolve
    from cytobench.classifiers.weights import Weights

    weights = Weights(found.spec.origin, found.spec.sha256, found.path)
    network = networks.build(resolve(found.spec.model), classes=UNUSED, image_size=SIDE, weights=weights, seed=0)
    return before_last_layer(network.to(device), SIDE)
