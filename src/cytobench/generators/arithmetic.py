"""In which precision and memory layout a network computes."""

from typing import Literal

import torch

Precision = Literal["auto", "float32", "bfloat16"]
"""Of the arithmetic inside a network; weights, losses and sums stay float32. ``auto`` takes bfloat16 where
the processor multiplies it in hardware: twice as fast on a CPU that does, several times slower on one that does not."""


def is_low(precision: Precision, device: torch.device) -> bool:
    """Return whether a network computes in bfloat16 on a device."""
    if precision != "auto":
        return precision == "bfloat16"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    known: dict[str, bool] = getattr(
        torch.cpu, "get_capabilities", dict
    )()  # newer than the oldest torch that we support
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """Return the context for a forward pass."""
    return torch.autocast(device.type, torch.bfloat16, enabled=is_low(precision, device))


def layout(precision: Precision, device: torch.device) -> torch.memory_format:
    """Return the faster order of a map's values: channels last, but for float32 on a CPU, which it can slow down."""
    low_or_gpu = device.type == "cuda" or is_low(precision, device)
    return torch.channels_last if low_or_gpu else torch.contiguous_format
