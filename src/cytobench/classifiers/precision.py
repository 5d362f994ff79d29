"""Number format and memory layout of a training: measured once per backbone and device, chosen and recorded."""

import copy
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch.nn import functional

from cytobench.seeds import seed_for

if TYPE_CHECKING:
    from cytobench.classifiers.network import Network

Asked = Literal["auto", "fp32", "bf16"]


class Precision(NamedTuple):
    """How a network computes."""

    autocast: bool
    """Matrix products and convolutions in bfloat16; weights, gradients and the loss stay float32."""
    channels_last: bool
    """The channels of a pixel lie side by side in memory."""
    measured: dict[str, float]
    """Seconds per training step of each setting tried, by its name; empty when nothing was measured."""


SETTINGS = {
    "fp32": (False, False),
    "fp32 channels_last": (False, True),
    "bf16": (True, False),
    "bf16 channels_last": (True, True),
}
"""Autocast and channels_last of each setting, the plainest first."""

HOPELESS = 3.0
"""A setting whose first step takes this many times the quickest first step is not measured further."""

TURNS = 2
"""Measured steps of each setting; the quickest counts, since a busy machine can only add to it."""

BUDGET = 1.0
"""Seconds after which the second turn is left away."""

CPU_PIXELS = 16 * 64 * 64
"""Pixels of all images of a measured step on a CPU, which keeps the measurement to seconds."""


def choose(network: "Network", *, image_size: int, batch: int, device: torch.device, asked: Asked) -> Precision:
    """Return the fastest setting for a network on a device, or the one that was asked for without measuring.

    The network is not changed.

    Args:
        network: What will be trained.
        image_size: Side of the images, pixels.
        batch: Images per step.
        device: Where it will be trained.
        asked: ``auto`` to measure; ``fp32`` and ``bf16`` fix the setting, so that two machines agree.
    """
    if asked == "fp32":
        return Precision(False, False, {})
    if asked == "bf16":
        return Precision(True, True, {})
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return Precision(False, False, {})
    count = images_measured(image_size=image_size, batch=batch, device=device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed_for("precision"))
        images = torch.rand(count, 3, image_size, image_size, device=device)
        measured = _measure(copy.deepcopy(network), images)
    best = min(measured, key=lambda name: measured[name])
    return Precision(*SETTINGS[best], {name: round(seconds, 5) for name, seconds in measured.items()})


def images_measured(*, image_size: int, batch: int, device: torch.device) -> int:
    """Return how many images a measured step holds."""
    return max(min(batch, CPU_PIXELS // image_size**2), 2) if device.type == "cpu" else batch


def _measure(network: "Network", images: torch.Tensor) -> dict[str, float]:
    """Return the seconds of a step of each setting; they take turns, so that a busy machine slows all alike."""

    def seconds(name: str) -> float:
        precision = Precision(*SETTINGS[name], {})
        place(network, precision, images.device).train()
        return _seconds(lambda: _step(network, images, precision), images.device)

    began = time.perf_counter()
    seconds("fp32")  # what happens once in a process is nobody's time
    measured = {name: seconds(name) for name in SETTINGS}
    promising = [name for name in SETTINGS if measured[name] <= HOPELESS * min(measured.values())]
    for turn in range(TURNS):
        if turn and time.perf_counter() - began > BUDGET:
            break
        for name in promising:
            took = seconds(name)
            measured[name] = min(measured[name], took)
    return measured


def _step(network: "Network", images: torch.Tensor, precision: Precision) -> None:
    """Run one forward and backward pass; the optimiser's part is the same in every setting."""
    network.zero_grad(set_to_none=True)
    with computing(precision, images.device):
        logits = network(laid_out(images, precision))
    wanted = torch.zeros(len(images), dtype=torch.long, device=images.device)
    torch.autograd.backward(functional.cross_entropy(logits.float(), wanted))


def _seconds(work: Callable[[], None], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def place(network: "Network", precision: Precision, device: torch.device) -> "Network":
    """Move a network to a device and into the memory layout of a setting."""
    layout = torch.channels_last if precision.channels_last else torch.contiguous_format
    return network.to(device).to(memory_format=layout)


def laid_out(images: torch.Tensor, precision: Precision) -> torch.Tensor:
    """Return images (B, 3, H, W) in the memory layout of a setting."""
    return images.contiguous(memory_format=torch.channels_last) if precision.channels_last else images


def computing(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Return the context in which a network is to be called."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision.autocast)
