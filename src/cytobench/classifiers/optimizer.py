"""The optimiser of a training, and the course of its learning rate."""

import math

import torch

from cytobench.classifiers.training import Training


def optimizer_of(network: torch.nn.Module, spec: Training) -> torch.optim.Optimizer:
    """Return an optimiser that decays weights, but neither biases nor the scales of normalisation layers."""
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [one for one in trained if one.ndim > 1], "weight_decay": spec.weight_decay},
        {"params": [one for one in trained if one.ndim <= 1], "weight_decay": 0.0},
    ]
    if spec.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=spec.learning_rate, fused=True)
    return torch.optim.SGD(groups, lr=spec.learning_rate, momentum=spec.momentum, fused=True)


def rate_factor(step: int, spec: Training, *, steps_per_epoch: int) -> float:
    """Return the share of the highest learning rate at a step: linear rise, then constant or half a cosine to 0."""
    rise = round(spec.warmup_epochs * steps_per_epoch)
    if step < rise:
        return (step + 1) / rise
    if spec.schedule == "constant":
        return 1.0
    progress = (step - rise) / max(1, spec.epochs * steps_per_epoch - rise)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
