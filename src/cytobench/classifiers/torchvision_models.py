"""Backbones of torchvision, under ``torchvision/<name>``."""

import re
from typing import Any

import torch
import torchvision

from cytobench.classifiers.backbone import Body, State, UrlFile
from cytobench.classifiers.last_layer import last_layer

OPTIONS: dict[str, dict[str, Any]] = {
    "inception_v3": {"aux_logits": False, "init_weights": True},
    "googlenet": {"aux_logits": False, "init_weights": True},
}
"""Second outputs, which only these two have, are left away."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

OLD_DENSENET = re.compile(
    r"^(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\.(?:weight|bias|running_mean|running_var))$"
)


def names() -> list[str]:
    """Return torchvision's classification networks."""
    return list(torchvision.models.list_models(module=torchvision.models))


def published(model: str, tag: str) -> UrlFile | None:
    """Return where the weights lie, or None when there are none of that tag."""
    weights = getattr(torchvision.models.get_model_weights(model), tag, None)
    return UrlFile(f"torchvision/{model}", weights.name, weights.url) if weights else None


def build(model: str, tag: str, *, classes: int, size: int) -> Body:
    """Build a network for a number of classes; images are enlarged to the least size that it can read."""
    module = torchvision.models.get_model(model, weights=None, num_classes=classes, **OPTIONS.get(model, {}))
    weights = getattr(torchvision.models.get_model_weights(model), tag, None)
    least = max(weights.meta.get("min_size", (1, 1))) if weights else 1
    fixed = getattr(module, "image_size", None)  # its vision transformers are built for one size
    replace_pools(module)
    return Body(module, (last_layer(module),), IMAGENET_MEAN, IMAGENET_STD, int(fixed or max(size, least)))


def adapt(state: State) -> State:
    """Rename the keys of the DenseNet files, which are older than their code."""
    return {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}


class ExactPool(torch.nn.Module):
    """Adaptive average pooling as two matrix products, whose gradient is deterministic on a GPU, unlike torch's.

    Args:
        size: Side of the output, pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pool (B, C, H, W) to (B, C, size, size)."""
        rows = _pooling(x.shape[-2], self.size).to(x)  # (size, H)
        columns = _pooling(x.shape[-1], self.size).to(x)  # (size, W)
        return rows @ x @ columns.T


def _pooling(given: int, wanted: int) -> torch.Tensor:
    """Return the matrix (wanted, given) that averages [floor(i g / w), ceil((i + 1) g / w)) into output i."""
    matrix = torch.zeros(wanted, given)
    for i in range(wanted):
        first, end = i * given // wanted, -(-(i + 1) * given // wanted)
        matrix[i, first:end] = 1.0 / (end - first)
    return matrix


def replace_pools(module: torch.nn.Module) -> None:
    """Put :class:`ExactPool` in the place of every adaptive average pooling to more than one pixel."""
    for name, child in module.named_children():
        size = child.output_size if isinstance(child, torch.nn.AdaptiveAvgPool2d) else 1
        side = size[0] if isinstance(size, tuple) else size
        if side is not None and side > 1:
            setattr(module, name, ExactPool(side))
        else:
            replace_pools(child)
