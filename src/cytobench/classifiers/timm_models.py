"""Backbones of timm: building them for small images, and where their weights lie."""

import sys
from collections.abc import Mapping
from inspect import signature
from typing import Any, NamedTuple

import timm
import torch

from cytobench.classifiers.backbone import Body, HubFile, State, UrlFile
from cytobench.classifiers.last_layer import last_layer

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

FILTERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
"""What timm's model files call the function that fits a published state to a model."""


class Parts(NamedTuple):
    """A timm name, taken apart."""

    model: str
    tag: str


def names() -> list[str]:
    """Return timm's architectures."""
    return list(timm.list_models())


def parts(name: str) -> Parts | None:
    """Return architecture and tag of a timm name (the default tag where none is given), or None for an unknown one."""
    model, _, tag = name.partition(".")
    if not timm.is_model(model):
        return None
    try:
        found = timm.get_pretrained_cfg(name)
    except RuntimeError:  # no such tag
        return None
    return Parts(model, tag or (found.tag if found and found.has_weights else "") or "")


def published(model: str, tag: str) -> HubFile | UrlFile | None:
    """Return where the weights of an architecture and tag lie, or None when nobody published any."""
    found = timm.get_pretrained_cfg(f"{model}.{tag}") if tag else None
    if found is None:
        return None
    if found.hf_hub_id:
        return HubFile(found.hf_hub_id, found.hf_hub_filename or "model.safetensors")
    return UrlFile(f"timm/{model}", tag, found.url) if found.url else None


def build(model: str, tag: str, *, classes: int, size: int, options: Mapping[str, Any], size_is_known: bool) -> Body:
    """Build an architecture for a number of classes, for images of ``size`` pixels or the least above that it can read.

    Args:
        model: timm's name.
        tag: Tag of the weights, which decides mean and standard deviation.
        classes: Outputs of the last layer.
        size: Image side, pixels.
        options: Further arguments of timm's constructor.
        size_is_known: Whether a convolutional network is known to read this size; if not, it is tried.
    """
    full = f"{model}.{tag}" if tag else model
    found = timm.get_pretrained_cfg(full)
    native = int(found.input_size[-1]) if found else 224
    if found and found.fixed_input_size:
        module, size = _for_fixed_size(full, classes=classes, size=size, native=native, options=options)
    else:
        module = timm.create_model(full, pretrained=False, num_classes=classes, **options)
        if not size_is_known and size < native and not _reads(module, size):
            size = native
    head = (found and found.classifier) or last_layer(module)
    mean, std = (found.mean, found.std) if found else (IMAGENET_MEAN, IMAGENET_STD)
    return Body(module, (head,) if isinstance(head, str) else tuple(head), mean, std, size)


class _Sized(NamedTuple):
    module: torch.nn.Module
    size: int


def _for_fixed_size(name: str, *, classes: int, size: int, native: int, options: Mapping[str, Any]) -> _Sized:
    """Build a network whose size is part of it (transformers), for the next size that its patches divide."""
    with torch.device("meta"):
        plain = timm.create_model(name, pretrained=False)
    stride = max([level["reduction"] for level in getattr(plain, "feature_info", None) or []], default=32)
    fitting = -(-size // stride) * stride
    try:
        return _Sized(
            timm.create_model(name, pretrained=False, num_classes=classes, img_size=fitting, **options), fitting
        )
    except TypeError:  # takes no other size
        return _Sized(timm.create_model(name, pretrained=False, num_classes=classes, **options), max(size, native))


def _reads(module: torch.nn.Module, size: int) -> bool:
    """Tell whether a network can read images of a size, by passing shapes through it without any arithmetic."""
    state = {name: tensor.to("meta") for name, tensor in module.state_dict(keep_vars=False).items()}
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            torch.func.functional_call(module, state, torch.empty(1, 3, size, size, device="meta"))
    except RuntimeError:
        return False
    finally:
        module.train(training)
    return True


def adapt(state: State, module: torch.nn.Module) -> State:
    """Fit a published state to a network: other image size, older names; the rules are timm's own."""
    home = sys.modules[type(module).__module__]
    for name in FILTERS:
        rule = getattr(home, name, None)
        if rule is not None:
            try:
                fitted: State = rule(state, module) if len(signature(rule).parameters) > 1 else rule(state)
            except Exception:  # a state of another architecture; which keys do not fit is said by who compares them
                return state
            return fitted
    return state
