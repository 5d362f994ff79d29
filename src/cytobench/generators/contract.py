"""What a generator is: the contract that every plug-in of the kind keeps.

Image k of class c is a function of (weights, seed, k) alone. Its noise has its own seed, and images are drawn in
chunks whose size is part of the configuration: image k lies in chunk ``k // chunk`` at position ``k % chunk``, and
whole chunks are computed, so that a restart or a larger order changes no byte. Another chunk size may change rounding
only.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cytobench.progress import Tick

Conditioning = Literal["none", "class", "prompt"]
"""What a generator is told to draw: nothing (the runner trains one per class), a class, or a text."""

Profile = Literal["demo", "standard", "paper"]


class GeneratorConfig(BaseModel):
    """What every generator's configuration has; each plug-in adds its own fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    drawing: ClassVar[tuple[str, ...]] = ()
    """Settings that matter only when images are drawn: another value needs no other fit. ``sample`` reads them from
    ``self.config``, where the runner puts those of the run."""

    steps: int = Field(ge=1)
    """Optimiser steps of one fit."""
    batch: int = Field(ge=1)
    """Images per step."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    chunk: int = Field(ge=1)
    """Images drawn in one forward pass; part of the specification."""


class Generator(Protocol):
    """A plug-in of kind ``generator``: a class with these members.

    Args (of the constructor):
        config: Its own configuration.
        image_size: Side of the square images, pixels.
        classes: How many classes it is told apart by (1 when ``conditioning`` is none).
        device: Where it computes.
    """

    conditioning: ClassVar[Conditioning]
    config_type: ClassVar[type[GeneratorConfig]]
    config: Any

    def __init__(self, config: Any, *, image_size: int, classes: int, device: torch.device) -> None: ...

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> GeneratorConfig:
        """Return the configuration of a profile."""
        ...

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train on images (N, H, W, 3); resume from what an earlier call left in ``partial``.

        The outcome is the same bytes, however often it was stopped. ``tick(1, note)`` is called after every step and
        may raise :class:`~cytobench.errors.Interrupted`; the state is then saved first.

        Raises:
            TrialFault: The loss is not a number; the step is in the message.
            Interrupted: A stop was asked for.
        """
        ...

    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        ...

    def save(self, folder: Path) -> None:
        """Write the weights as safetensors and the configuration as JSON."""
        ...

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote."""
        ...


class LookedUp(NamedTuple):
    """A configuration with all that it names found.

    Any generator whose configuration names files may have the class method ``looked_up`` of
    :class:`PromptedGenerator`; the runner asks those that have it.
    """

    config: GeneratorConfig
    """Hashes of weights and texts of prompts are in it."""
    base: str
    """What the generator starts from and what that was trained on before, as far as is known: it is ancestry of all
    that is drawn, and boards print it."""
    notes: tuple[str, ...]
    """What the user is told before anything is computed."""


class PromptedGenerator(Generator, Protocol):
    """What a generator whose ``conditioning`` is prompt has beside the members of every generator.

    Args (of the constructor, beside those of every generator):
        class_names: What the classes are called, in the order of their codes; without them it draws cells of no
            class in particular.
    """

    seen: NDArray[np.int64] | None
    """Rows of the images of the last fit that it learned from; the guard is told of these. None: of all. Any generator
    that leaves images out may have it."""

    def __init__(
        self, config: Any, *, image_size: int, classes: int, device: torch.device, class_names: Sequence[str] = ()
    ) -> None: ...

    @classmethod
    def classwise(cls, config: Any) -> bool:
        """Return whether the runner fits one per class, as it does for generators without conditioning."""
        ...

    @classmethod
    def looked_up(cls, config: Any, classes: Sequence[str]) -> LookedUp:
        """Return a configuration with all that it names found: hashes of weights, texts of prompts.

        The runner asks before anything is computed, so that whatever is missing is said at once.

        Raises:
            UsageFault: A class has no prompt, or one that is too long.
            EnvironmentFault: Weights are not here.
            IntegrityFault: Weights are truncated.
        """
        ...
