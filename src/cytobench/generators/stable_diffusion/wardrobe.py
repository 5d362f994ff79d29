"""Pipelines that wear an adapter, loaded once for all generators of a process that need the same one.

A pipeline is kept as long as any generator holds it and no longer, so that a GPU's memory is free again for what comes
after.
"""

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import nn

from cytobench.generators import arithmetic
from cytobench.generators.arithmetic import Precision
from cytobench.generators.stable_diffusion import adapters
from cytobench.generators.stable_diffusion.adapters import Shape
from cytobench.generators.stable_diffusion.base import Base, load_pipeline


@dataclass(frozen=True, eq=False)
class Dressed:
    """A pipeline and the adapter that it wears; whoever uses it puts on its own numbers first."""

    pipeline: Any
    adapter: dict[str, nn.Parameter]


_kept: "WeakValueDictionary[tuple[Base, Shape, torch.device, torch.dtype], Dressed]" = WeakValueDictionary()


def dressed(base: Base, shape: Shape, device: torch.device, precision: Precision) -> Dressed:
    """Return a base's pipeline with a place for an adapter.

    The base's weights are bfloat16 where a GPU computes in it, which halves their memory; an adapter's are float32.
    """
    low = device.type == "cuda" and arithmetic.is_low(precision, device)
    dtype = torch.bfloat16 if low else torch.float32
    key = (base, shape, device, dtype)
    found = _kept.get(key)
    if found is None:
        pipeline = load_pipeline(base, device, dtype)
        found = _kept[key] = Dressed(pipeline, adapters.put_on(pipeline, shape))
    return found
