"""The specification of a training."""

import math
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from cytobench.classifiers.augment import Augmentation
from cytobench.classifiers.precision import Asked


class Training(BaseModel):
    """How a network is trained; the defaults are those of seed system 002."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: Annotated[int, Field(ge=1)] = 100
    """How often the network is validated, at most; between, it is shown as many images as there are to train on."""
    epoch_images: Annotated[int, Field(ge=2, le=10_000_000)] | None = None
    """Show so many instead, so that sources of any size may make equally many steps; None: as many as there are."""
    batch: Annotated[int, Field(ge=2)] = 32
    """Images per step."""
    optimizer: Literal["sgd", "adamw"] = "sgd"
    """SGD with momentum, or AdamW."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """At its highest."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Of SGD."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    """On weights, not on biases and normalisation layers."""
    schedule: Literal["constant", "cosine"] = "constant"
    """Course of the learning rate after warm-up; the cosine ends at 0 after the last epoch."""
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    """Epochs of linear rise."""
    patience: Annotated[int, Field(ge=1)] = 10
    """Epochs without a better one after which the training ends."""
    balanced: bool = True
    """Whether all classes are shown equally often."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the target that is spread over all classes."""
    precision: Asked = "auto"
    """Number format; ``auto`` measures and chooses."""
    augmentation: Augmentation = Augmentation()
    """How training images are varied; validation and test images never are."""

    def steps(self, images: int) -> int:
        """Return how many optimiser steps there are at most with so many training images."""
        return self.epochs * math.ceil((self.epoch_images or images) / self.batch)
