"""The network of a trial: a backbone with a new last layer, which takes plain images."""

from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from cytobench import checkpoint
from cytobench.classifiers.backbone import Backbone, Body, State
from cytobench.classifiers.weights import Weights, read
from cytobench.errors import IntegrityFault
from cytobench.seeds import seed_for

AUXILIARY = ("AuxLogits.", "aux1.", "aux2.")
"""Second outputs in the weights of Inception and GoogLeNet, which a classifier leaves away."""


class Network(torch.nn.Module):
    """A backbone that normalises and enlarges its images itself.

    Args:
        body: The backbone, built.
        backbone: What it is.
        weights: Where it started.
        classes: Length of the logits.
        image_size: Side of the images that it is given, pixels.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, body: Body, *, backbone: Backbone, weights: Weights, classes: int, image_size: int) -> None:
        super().__init__()
        self.body = body.module
        self.backbone, self.weights = backbone, weights
        self.classes, self.image_size, self.input_size = classes, image_size, body.input_size
        self.register_buffer("mean", torch.tensor(body.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(body.std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits (B, classes) of images (B, 3, S, S) with values in [0, 1]."""
        x = (images - self.mean) / self.std
        if x.shape[-1] != self.input_size:
            x = functional.interpolate(x, size=(self.input_size, self.input_size), mode="bilinear", align_corners=False)
        logits: torch.Tensor = self.body(x)
        return logits

    def facts(self) -> dict[str, Any]:
        """Return what a record says about it."""
        return self.backbone.facts() | {
            "weights": self.weights.origin,
            "weights_sha256": self.weights.sha256,
            "parameters": sum(tensor.numel() for tensor in self.parameters()),
            "image_size": self.image_size,
            "input_size": self.input_size,
            "mean": [round(value, 6) for value in self.mean.flatten().tolist()],
            "std": [round(value, 6) for value in self.std.flatten().tolist()],
        }


def build(backbone: Backbone, *, classes: int, image_size: int, weights: Weights, seed: int) -> Network:
    """Build the network of a trial on the CPU; equal arguments give equal weights, whatever was drawn before.

    Args:
        backbone: Its architecture.
        classes: How many classes it tells apart.
        image_size: Side of the images, pixels.
        weights: Where it starts; the last layer is always new.
        seed: Of the trial; what is random here is drawn from its ``init``.

    Raises:
        IntegrityFault: The weights are not of this architecture; every key is listed.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed_for(seed, "init"))
        body = backbone.build(classes, max(image_size, backbone.min_size))
    if weights.path is not None:
        _fill(body, backbone.adapt(read(weights), body.module), weights)
    return Network(body, backbone=backbone, weights=weights, classes=classes, image_size=image_size)


def _fill(body: Body, state: State, weights: Weights) -> None:
    """Load all tensors but the last layer's.

    Raises:
        IntegrityFault: A tensor is missing, of another shape, or too many.
    """
    heads = tuple(f"{name}." for name in body.head)
    own = {name: tensor for name, tensor in body.module.state_dict().items() if not name.startswith(heads)}
    given = {name: tensor for name, tensor in state.items() if not name.startswith((*heads, *AUXILIARY))}
    counters = {name for name in own if name.endswith("num_batches_tracked")}  # older files have none
    problems = [f"{name} is missing" for name in sorted(own.keys() - given.keys() - counters)]
    problems += [f"{name} is unknown" for name in sorted(given.keys() - own.keys())]
    problems += [
        f"{name} has shape {tuple(given[name].shape)} instead of {tuple(own[name].shape)}"
        for name in sorted(own.keys() & given.keys())
        if given[name].shape != own[name].shape
    ]
    if problems:
        raise IntegrityFault(
            f"the weights {weights.origin} are not of this architecture: {len(problems)} tensors do not fit",
            problems=problems,
            fix="give the weights of the backbone asked for, or ask for `hub` or `none`",
        )
    body.module.load_state_dict(given, strict=False)


def save(network: Network, path: Path) -> None:
    """Write a network's weights and facts as safetensors."""
    checkpoint.save(path, network.state_dict(), network.facts() | {"classes": network.classes})


def load_into(network: Network, path: Path) -> None:
    """Put back weights that :func:`save` wrote.

    Raises:
        IntegrityFault: The file is truncated, or of another architecture or number of classes.
    """
    tensors = checkpoint.load(path).tensors
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise IntegrityFault(
            f"{path} does not hold weights of {network.backbone.model} with {network.classes} classes",
            problems=str(error).splitlines()[1:],
            fix="train that trial again",
        ) from error
