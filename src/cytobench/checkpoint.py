"""Tensors and facts in one safetensors file, written whole or not at all.

State that belongs together (weights, optimiser, step count) shares one file, so that a kill can't pair new weights with
an old step count. No pickle anywhere.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cytobench.errors import IntegrityFault
from cytobench.store import write_bytes

if TYPE_CHECKING:
    import torch


class Checkpoint(NamedTuple):
    """What a file holds."""

    tensors: "dict[str, torch.Tensor]"
    facts: dict[str, Any]


def save(path: Path, tensors: "dict[str, torch.Tensor]", facts: dict[str, Any] | None = None) -> None:
    """Write tensors (any device, moved to the CPU) and JSON facts atomically, the same bytes for the same content."""
    from safetensors.torch import save as to_bytes

    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in sorted(tensors.items())}
    text = json.dumps(facts or {}, sort_keys=True, allow_nan=False)
    write_bytes(path, to_bytes(plain, {"facts": text}))


def load(path: Path) -> Checkpoint:
    """Read a file that :func:`save` wrote.

    Raises:
        IntegrityFault: The file is truncated or no safetensors file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return Checkpoint({name: file.get_tensor(name) for name in file.keys()}, facts)  # noqa: SIM118
    except SafetensorError as error:
        raise IntegrityFault(
            f"{path} is truncated or not a safetensors file: {error}", fix="delete it and repeat the command"
        ) from error


def nested(prefix: str, tensors: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return the same tensors with ``prefix/`` before every name."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def under(prefix: str, tensors: "dict[str, torch.Tensor]") -> "dict[str, torch.Tensor]":
    """Return the tensors whose names begin with ``prefix/``, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")}


def optimizer_tensors(optimizer: "torch.optim.Optimizer") -> "dict[str, torch.Tensor]":
    """Return an optimiser's state as flat tensors, ``<parameter number>/<name>``."""
    import torch

    state = optimizer.state_dict()["state"]
    return {
        f"{number}/{name}": torch.as_tensor(value)
        for number, entries in state.items()
        for name, value in entries.items()
        if value is not None
    }


def restore_optimizer(optimizer: "torch.optim.Optimizer", tensors: "dict[str, torch.Tensor]") -> None:
    """Put back what :func:`optimizer_tensors` returned; learning rates and the like come from the code."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, entry = name.split("/", 1)
        state.setdefault(int(number), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
