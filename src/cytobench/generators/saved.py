"""A fitted generator on disk: ``weights.safetensors`` and ``generator.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from cytobench import checkpoint
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.generators.contract import GeneratorConfig
from cytobench.store import read_json, write_json


class Saved(NamedTuple):
    """What a folder holds."""

    tensors: dict[str, Tensor]
    config: dict[str, Any]
    image_size: int
    classes: int


def write(
    folder: Path, tensors: Mapping[str, Tensor], *, config: GeneratorConfig, image_size: int, classes: int
) -> None:
    """Write the weights that sampling needs and the facts to build the network again."""
    checkpoint.save(folder / "weights.safetensors", dict(tensors))
    facts = {"config": said(config), "image_size": image_size, "classes": classes}
    write_json(folder / "generator.json", facts)


def said(config: GeneratorConfig) -> dict[str, Any]:
    """Return a configuration without the settings of drawing that nobody chose: a fit does not depend on them."""
    return config.model_dump(mode="json", exclude=set(config.drawing) - config.model_fields_set)


def read(folder: Path) -> Saved:
    """Read what :func:`write` wrote.

    Raises:
        IntegrityFault: A file is missing or broken.
    """
    try:
        facts = read_json(folder / "generator.json")
        tensors = checkpoint.load(folder / "weights.safetensors").tensors
        return Saved(tensors, facts["config"], facts["image_size"], facts["classes"])
    except (FileNotFoundError, KeyError, ValueError) as error:
        raise IntegrityFault(f"{folder} holds no whole generator: {error!r}", fix="fit it again") from error


def not_fitted(name: str) -> UsageFault:
    """Return the fault for asking a generator without weights for images."""
    return UsageFault(f"this {name} has no weights yet", fix="call fit or load first")
