"""What an extractor is: it turns images into features, and says what its weights are before it does.

One file in ``extractors/`` with a decorated class makes one; it is named on the command line as ``NAME``,
``NAME=PLACE`` or ``NAME/MODEL=PLACE``.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from cytobench import registry
from cytobench.benchmarks.spec import Frozen
from cytobench.errors import UsageFault

if TYPE_CHECKING:
    import torch


class ExtractorSpec(Frozen):
    """What turns images into features."""

    name: str
    """As asked for; before a slash, its plug-in."""
    model: str
    """What the plug-in knows it by; empty where there is but one."""
    origin: str
    """Where its weights come from: ``hub:<id>``, ``file:<name>``, ``trial/<key>``, ``none``."""
    sha256: str
    """Of its weights, or of its code where it has none; empty for a trial of the same run, whose key says it all."""

    @property
    def plugin(self) -> str:
        """The plug-in's name."""
        return self.name.partition("/")[0]


Network = Callable[["torch.Tensor"], "torch.Tensor"]
"""Takes images (B, 3, S, S) with values in [0, 1], returns features (B, d) in float32; no image's depend on others'."""


class Found(NamedTuple):
    """An extractor whose weights are there."""

    spec: ExtractorSpec
    path: Path | None
    """File or folder of the weights; None where there are none."""


class Extractor(Protocol):
    """What a plug-in of kind ``extractor`` has; its members are static, as nothing lives between calls."""

    @staticmethod
    def find(name: str, model: str, place: str) -> Found:
        """Look the weights up, without building anything.

        Args:
            name: As asked for, without the place.
            model: What follows the plug-in's name and a slash; empty for nothing.
            place: What follows the equals sign; empty for nothing.

        Raises:
            UsageFault: No such model, or a model or place is missing.
            EnvironmentFault: The weights are not there; with the command that fetches them.
            IntegrityFault: They are torn, or others than their name says.
        """

    @staticmethod
    def load(found: Found, device: "torch.device") -> Network:
        """Return what computes features on a device."""


def find(text: str) -> Found:
    """Return the extractor of a text as ``inception`` or ``torchvision/squeezenet1_0=weights.pth``.

    Raises:
        UsageFault: No such extractor; the nearest ones are named.
        CytobenchError: As :meth:`Extractor.find`.
    """
    name, sign, place = text.partition("=")
    plugin, _, model = name.partition("/")
    if plugin not in registry.found("extractor"):
        raise registry.unknown("extractor", plugin, registry.names("extractor"))
    if sign and not place:
        raise UsageFault(f"--extractor {text}: nothing follows the =", fix=f"--extractor {name}=FILE")
    found: Found = registry.load("extractor", plugin).find(name, model, place)
    return found


def find_all(texts: "list[str] | tuple[str, ...]") -> tuple[Found, ...]:
    """Return several extractors.

    Raises:
        UsageFault: Two of one name.
    """
    found = tuple(find(text) for text in texts)
    names = [one.spec.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageFault(f"--extractor names {twice[0]} twice", fix="name each once")
    return found
