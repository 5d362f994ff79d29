"""Find the layer that names the classes."""

import torch


def last_layer(module: torch.nn.Module) -> str:
    """Return the name of the last linear or convolutional layer, in the order in which they were registered."""
    kinds = (torch.nn.Linear, torch.nn.Conv2d)
    names: list[str] = [name for name, child in module.named_modules() if isinstance(child, kinds)]
    return names[-1]
