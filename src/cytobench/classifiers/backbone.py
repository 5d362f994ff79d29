"""What a backbone is, and how a name becomes one: an alias, a timm name, or ``torchvision/<name>``."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from cytobench import registry

if TYPE_CHECKING:
    import torch


class Body(NamedTuple):
    """A freshly built network with its last layer for the classes asked for."""

    module: "torch.nn.Module"
    """Takes normalised images (B, 3, S, S), returns logits (B, classes)."""
    head: tuple[str, ...]
    """Names of the modules that make up the last layer, which published weights do not fill."""
    mean: tuple[float, float, float]
    """Of the red, green and blue values in [0, 1] that the network was made for."""
    std: tuple[float, float, float]
    """Likewise."""
    input_size: int
    """Side S of the images that it takes, pixels; at least what was asked for."""


class HubFile(NamedTuple):
    """A weights file on the Hugging Face hub."""

    repo: str
    filename: str


class UrlFile(NamedTuple):
    """A weights file on a web server; torchvision's names carry the first digits of their SHA-256."""

    name: str
    tag: str
    url: str


State = dict[str, "torch.Tensor"]


def _nothing() -> None:
    return None


def _unchanged(state: "State", _module: "torch.nn.Module") -> "State":
    return state


@dataclass(frozen=True)
class Backbone:
    """An architecture that can be built; a plug-in of kind ``backbone`` is a function that returns one."""

    name: str
    """As asked for."""
    library: Literal["timm", "torchvision", "own"]
    """Whose code it is."""
    model: str
    """The name that the library knows."""
    build: Callable[[int, int], Body] = field(repr=False, compare=False)
    """Makes a network for (classes, image side in pixels) from the global random state."""
    tag: str = ""
    """Which published weights ``hub`` means; empty when there are none."""
    min_size: int = 0
    """Smallest image side that it can read, pixels; 0 when that is found by trying."""
    published: Callable[[], HubFile | UrlFile | None] = field(default=_nothing, repr=False, compare=False)
    """Where those weights lie."""
    adapt: "Callable[[State, torch.nn.Module], State]" = field(default=_unchanged, repr=False, compare=False)
    """Fits a published state to a network of another image size, or renames old keys."""

    def facts(self) -> dict[str, Any]:
        """Return what a record says about it."""
        return {"name": self.name, "library": self.library, "model": self.model}


def from_timm(
    name: str, model: str, *, tag: str = "", min_size: int = 0, options: Mapping[str, Any] | None = None
) -> Backbone:
    """Return a backbone of timm.

    Args:
        name: As asked for.
        model: timm's name without a tag.
        tag: timm's tag of the published weights.
        min_size: Smallest image side, pixels; 0 to find it by trying.
        options: Further arguments of timm's constructor.
    """

    def build(classes: int, size: int) -> Body:
        from cytobench.classifiers import timm_models

        known = min_size > 0
        return timm_models.build(model, tag, classes=classes, size=size, options=options or {}, size_is_known=known)

    def published() -> HubFile | UrlFile | None:
        from cytobench.classifiers import timm_models

        return timm_models.published(model, tag)

    def adapt(state: "State", module: "torch.nn.Module") -> "State":
        from cytobench.classifiers import timm_models

        return timm_models.adapt(state, module)

    return Backbone(name, "timm", model, build, tag, min_size, published, adapt)


def from_torchvision(name: str, model: str, *, tag: str = "DEFAULT") -> Backbone:
    """Return a backbone of torchvision.

    Args:
        name: As asked for.
        model: torchvision's name.
        tag: Name of the weights in torchvision's enumeration.
    """

    def build(classes: int, size: int) -> Body:
        from cytobench.classifiers import torchvision_models

        return torchvision_models.build(model, tag, classes=classes, size=size)

    def published() -> HubFile | UrlFile | None:
        from cytobench.classifiers import torchvision_models

        return torchvision_models.published(model, tag)

    def adapt(state: "State", _module: "torch.nn.Module") -> "State":
        from cytobench.classifiers import torchvision_models

        return torchvision_models.adapt(state)

    return Backbone(name, "torchvision", model, build, tag, 0, published, adapt)


PREFIX = "torchvision/"


def resolve(name: str) -> Backbone:
    """Return the backbone of a name: an alias, else a timm name (a tag may follow a dot), else ``torchvision/<name>``.

    Raises:
        UsageFault: No such name; the nearest ones are in the message.
    """
    aliases = registry.names("backbone")
    if name in aliases:
        backbone: Backbone = registry.load("backbone", name)()
        return backbone
    from cytobench.classifiers import timm_models, torchvision_models

    if name.startswith(PREFIX) and name.removeprefix(PREFIX) in torchvision_models.names():
        return from_torchvision(name, name.removeprefix(PREFIX))
    if not name.startswith(PREFIX) and (parts := timm_models.parts(name)):
        return from_timm(name, parts.model, tag=parts.tag)
    known = [*aliases, *timm_models.names(), *(f"{PREFIX}{one}" for one in torchvision_models.names())]
    raise registry.unknown("backbone", name, list(dict.fromkeys(known)))


def modules_of(name: str) -> tuple[str, ...]:
    """Return the modules whose code makes a backbone, for the key of a step that trains it."""
    own = (registry.module_of("backbone", name),) if name in registry.names("backbone") else ()
    return (*own, "cytobench.classifiers.backbone")
