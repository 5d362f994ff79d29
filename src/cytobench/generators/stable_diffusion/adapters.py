"""Low-rank adapters (LoRA, Hu et al. 2022) of a base model's attention: put on, begun anew, exchanged, saved.

A pipeline wears one adapter at a time in one place; another one is put on by copying its few numbers over, so that a
base is loaded once. The file is that of diffusers: ``pipeline.load_lora_weights(folder)`` reads it.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cytobench import checkpoint
from cytobench.errors import IntegrityFault
from cytobench.seeds import seed_for
from cytobench.store import write_bytes

FILE = "pytorch_lora_weights.safetensors"
PLACE = "cells"
ATTENTION = {
    "unet": ("to_q", "to_k", "to_v", "to_out.0"),
    "text_encoder": ("q_proj", "k_proj", "v_proj", "out_proj"),
}
"""The projections that are adapted: query, key, value and output, self- and cross-attention alike."""
OLD_NAME = "text_encoder.text_model."
"""How text encoders named their layers before transformers 5; readers of the new names know the old ones too."""


class Shape(NamedTuple):
    """What an adapter is made of."""

    rank: int
    """Of the product that is added to each projection."""
    alpha: int
    """The product is scaled by alpha / rank."""
    text_encoder: bool
    """Whether the text encoder is adapted beside the U-Net."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The components that are adapted."""
        return ("unet", "text_encoder") if self.text_encoder else ("unet",)


def put_on(pipeline: Any, shape: Shape) -> dict[str, nn.Parameter]:
    """Give a pipeline its adapter and return its parameters, float32, by the names of the file."""
    from peft import LoraConfig

    for part in shape.parts:
        config = LoraConfig(
            r=shape.rank, lora_alpha=shape.alpha, target_modules=list(ATTENTION[part]), init_lora_weights="gaussian"
        )
        getattr(pipeline, part).add_adapter(config, adapter_name=PLACE)
    found: dict[str, nn.Parameter] = {}
    for part in shape.parts:
        for name, parameter in getattr(pipeline, part).named_parameters():
            if f".{PLACE}." in name:
                parameter.data = parameter.data.float()
                found[_file_name(part, name)] = parameter.requires_grad_(True)
    return dict(sorted(found.items()))


@torch.no_grad()
def begin(parameters: Mapping[str, nn.Parameter], rank: int, seed: int) -> None:
    """Set an adapter to its beginning: A normal with deviation 1 / rank, B zero, so that it changes nothing yet."""
    source = torch.Generator().manual_seed(seed_for(seed, "init"))
    for name, parameter in parameters.items():
        if ".lora_A." in name:
            parameter.copy_(torch.randn(parameter.shape, generator=source) / rank)
        else:
            parameter.zero_()


@torch.no_grad()
def wear(parameters: Mapping[str, nn.Parameter], tensors: Mapping[str, Tensor]) -> None:
    """Put an adapter's numbers on a pipeline.

    Raises:
        IntegrityFault: They are of another base or shape.
    """
    fits = parameters.keys() == tensors.keys() and all(
        one.shape == tensors[name].shape for name, one in parameters.items()
    )
    if not fits:
        raise IntegrityFault("this adapter was made for another base model", fix="fit the generator again")
    for name, parameter in parameters.items():
        parameter.copy_(tensors[name])


def taken_off(parameters: Mapping[str, nn.Parameter]) -> dict[str, Tensor]:
    """Return a copy of an adapter's numbers, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in parameters.items()}


def save(folder: Path, tensors: Mapping[str, Tensor], shape: Shape) -> None:
    """Write an adapter as diffusers reads it, the same bytes for the same adapter."""
    from safetensors.torch import save as to_bytes

    facts = {
        f"{part}.{name}": value
        for part in shape.parts
        for name, value in (("r", shape.rank), ("lora_alpha", shape.alpha), ("target_modules", list(ATTENTION[part])))
    }
    plain = {name: tensor.contiguous() for name, tensor in sorted(tensors.items())}
    # One entry: safetensors writes several in an order that changes from process to process.
    write_bytes(folder / FILE, to_bytes(plain, {"lora_adapter_metadata": json.dumps(facts, sort_keys=True)}))


def load(folder: Path) -> dict[str, Tensor]:
    """Read what :func:`save` wrote.

    Raises:
        IntegrityFault: The file is missing or truncated.
    """
    try:
        return checkpoint.load(folder / FILE).tensors
    except FileNotFoundError as error:
        raise IntegrityFault(f"{folder / FILE} is missing", fix="fit the generator again") from error


def _file_name(part: str, name: str) -> str:
    """Return the name in the file of a parameter of a component.

    >>> _file_name("text_encoder", "encoder.layers.0.self_attn.q_proj.lora_A.cells.weight")
    'text_encoder.text_model.encoder.layers.0.self_attn.q_proj.lora_A.weight'
    """
    plain = name.replace(f".{PLACE}.", ".")
    return f"{OLD_NAME}{plain.removeprefix('text_model.')}" if part == "text_encoder" else f"{part}.{plain}"
