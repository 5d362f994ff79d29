"""Stable Diffusion with a low-rank adapter that is trained on a few real cells.

Rombach et al. 2022 (the base), Hu et al. 2022 (adapters), CytoDiff and DataDream (Kim et al. 2024: one adapter per
class of a few shots, its own prompt, in U-Net and text encoder). The ``paper`` profile has their numbers; ``demo`` runs
the same code on ``mini-sd``, a small base that comes with the package.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from cytobench.datasets.decode import from_array
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.generators import sampling, saved
from cytobench.generators.arithmetic import Precision
from cytobench.generators.contract import Conditioning, GeneratorConfig, LookedUp, Profile
from cytobench.generators.fitting import identity
from cytobench.generators.stable_diffusion import adapters, card, drawing, latents, shots, tuning
from cytobench.generators.stable_diffusion.base import (
    MINI,
    STABLE_DIFFUSION,
    Base,
    canvas_of,
    find_base,
    load_tokenizer,
)
from cytobench.generators.stable_diffusion.drawing import Sampler
from cytobench.generators.stable_diffusion.leak import Leak, measured
from cytobench.generators.stable_diffusion.leak import load as load_leak
from cytobench.generators.stable_diffusion.leak import save as save_leak
from cytobench.generators.stable_diffusion.prompts import check_length, prompt_for
from cytobench.generators.stable_diffusion.wardrobe import Dressed, dressed
from cytobench.progress import Tick
from cytobench.registry import plugin
from cytobench.store import digest, read_json, write_bytes, write_json

NO_CLASS = "a microscope image of a white blood cell in a stained blood smear"
"""What is drawn when nobody says which class."""


class LoraSdConfig(GeneratorConfig):
    """What an adapter is made of, learns from and draws with."""

    drawing: ClassVar[tuple[str, ...]] = ("sampler", "evaluations", "guidance")

    steps: int = Field(ge=0)
    """Optimiser steps of one fit; 0 leaves the base as it is, and it sees no image."""
    base: str = STABLE_DIFFUSION
    """The model that is adapted: ``mini-sd``, a folder as diffusers writes it, or an id on the Hugging Face hub."""
    revision: str = ""
    """Commit of the base on the hub; empty takes the newest that is known, and the one taken is written here."""
    base_sha256: str = ""
    """Hash of the base's weights; written here when the base is found, and held to from then on."""
    adapters: Literal["per-class", "shared"] = "per-class"
    """One adapter for each class, or one that learns them all and tells them apart by their prompts."""
    shots: int = Field(default=16, ge=0)
    """Images of each class that it learns from, the sharpest, most typical and most diverse; 0 for all."""
    rank: int = Field(default=16, ge=1)
    """Rank of the adapter."""
    alpha: int = Field(default=16, ge=1)
    """The adapter is scaled by alpha / rank."""
    text_encoder: bool = True
    """Whether the text encoder is adapted beside the U-Net."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """Of AdamW."""
    warm_up: int = Field(default=100, ge=0)
    """Steps over which the learning rate rises; never more than a sixth of all."""
    gamma: float | None = Field(default=5.0, gt=0)
    """Where min-SNR weighting cuts; null weighs all noise levels alike, as the paper does."""
    turns: bool = True
    """Learn from all flips and quarter turns of a shot: a cell has no up or down."""
    micro_batch: int = Field(default=0, ge=0)
    """Images that go through the U-Net together while training, for less memory; 0 for the whole batch."""
    checkpointing: bool = False
    """Compute the U-Net's activations again in the backward pass, for less memory and a third more time."""
    prompts: str = ""
    """TOML file with prompts of your own, which go before ours; its texts are written into ``texts``."""
    site: str = ""
    """Where the smears were made, for the prompts' field ``{site}``."""
    attributes: dict[str, str] = {}
    """Morphological attributes to ask for, as ``{nucleus_shape = "segmented-bilobed"}``."""
    texts: dict[str, str] = {}
    """Prompt by class; written here when the prompts are looked up, or given here instead of a file."""
    sampler: Sampler = "dpm-solver++"
    """How images are drawn; ``base`` takes the sampler that the base comes with."""
    evaluations: int = Field(default=20, ge=1)
    """Steps from noise to an image."""
    guidance: float = Field(default=2.0, ge=1)
    """Weight of the prompt against the empty one; 1 is none, and halves the time."""
    leak: bool = True
    """Begin with the trace of the shots' colours and layout that Stable Diffusion's noise should have and lacks."""
    canvas: int = Field(default=0, ge=0)
    """Side of the pictures that the base works on, pixels; 0 for the side that it was trained on."""
    precision: Precision = "auto"
    """Of the arithmetic inside the networks; the adapter stays float32."""


@plugin("generator", "lora-sd")
class LoraSd:
    """Stable Diffusion and a LoRA adapter from a few shots; prompts by class, offline with the embedded mini-sd."""

    conditioning: ClassVar[Conditioning] = "prompt"
    config_type: ClassVar[type[GeneratorConfig]] = LoraSdConfig

    def __init__(
        self,
        config: LoraSdConfig,
        *,
        image_size: int,
        classes: int,
        device: torch.device,
        class_names: Sequence[str] = (),
    ) -> None:
        self.config, self.image_size, self.classes, self.device = config, image_size, classes, device
        self.class_names = tuple(class_names)
        self.seen: NDArray[np.int64] | None = None
        self.shape = adapters.Shape(config.rank, config.alpha, config.text_encoder)
        self.tensors: dict[str, Tensor] | None = None
        self.facts: dict[str, Any] = {}
        self._leak: Leak | None = None
        self._dressed: Dressed | None = None

    @classmethod
    def profile(cls, name: Profile, image_size: int) -> LoraSdConfig:  # noqa: ARG003  # the contract hands it over
        """Return the configuration of a profile."""
        if name == "paper":
            return LoraSdConfig(
                steps=600, batch=8, learning_rate=1e-4, chunk=16, gamma=None, turns=False, leak=False, evaluations=50,
                sampler="base",
            )  # fmt: skip
        if name == "standard":
            return LoraSdConfig(steps=600, batch=8, learning_rate=1e-4, chunk=16)
        return LoraSdConfig(
            base=MINI, steps=24, batch=8, learning_rate=5e-3, chunk=17, evaluations=8, precision="float32"
        )

    @classmethod
    def classwise(cls, config: LoraSdConfig) -> bool:
        """Return whether there is one adapter for each class."""
        return config.adapters == "per-class"

    @classmethod
    def looked_up(cls, config: LoraSdConfig, classes: Sequence[str]) -> LookedUp:
        """Return the configuration with the base found and the prompts' texts; see the contract."""
        base = find_base(config.base, revision=config.revision)
        _same(base, config.base_sha256)
        texts = {label: _prompt(config, label) for label in classes}
        tokenizer = load_tokenizer(base)
        for text in texts.values():
            check_length(text, tokenizer)
        notes: tuple[str, ...] = (
            "the safety checker of Stable Diffusion is off; it judges photographs of people, not smears",
        )
        if base.name == MINI:
            notes += (
                f"{MINI} is a small base model that has seen phantom smears alone; for Stable Diffusion add "
                f"--set generator.base={STABLE_DIFFUSION}",
            )
        found = {"base_sha256": base.sha256, "revision": base.revision, "texts": texts, "prompts": ""}
        return LookedUp(config.model_copy(update=found), f"{base.name} (trained on {base.origin})", notes)

    def fit(
        self, images: NDArray[np.uint8], labels: NDArray[np.int64], *, seed: int, partial: Path, tick: Tick
    ) -> None:
        """Train an adapter on some of the images (N, H, W, 3); see the contract."""
        if len(images) == 0:
            raise UsageFault("an adapter can't be trained on no images", fix="check the split: a class has none here")
        config, worn, base = self.config, self._wardrobe(), self._base()
        prompts = self._prompts(worn.pipeline.tokenizer)
        seen = shots.chosen(images, labels, config.shots, seed) if config.steps else np.zeros(0, np.int64)
        adapters.begin(worn.adapter, config.rank, seed)
        if config.steps:
            moments = latents.encoded(
                worn.pipeline.vae, images[seen], canvas=self._canvas(worn.pipeline), turns=config.turns
            )
            self._leak = measured(moments) if config.leak else None
            what = [identity(images[seen], labels[seen], config=config, seed=seed), base.sha256, prompts]
            lesson = tuning.Lesson(
                moments, torch.from_numpy(labels[seen]), latents.tokens(worn.pipeline.tokenizer, prompts), digest(what)
            )
            tuning.tune(worn.pipeline, worn.adapter, lesson, self._manner(), seed=seed, partial=partial, tick=tick)
        self.tensors, self.seen = adapters.taken_off(worn.adapter), seen
        names = self.class_names or ("cell",)
        self.facts = {
            "base": base.facts(),
            "prompts": dict(zip(names, prompts, strict=True)),
            "shots": {
                name: [from_array(images[row], self.image_size).sha256 for row in seen if labels[row] == code]
                for code, name in enumerate(names)
            },
        }

    def sample(self, label: int, indices: Sequence[int], *, seed: int) -> NDArray[np.uint8]:
        """Return images (len(indices), H, W, 3); image k depends on the weights, the seed, the label and k."""
        if self.tensors is None:
            raise saved.not_fitted("lora-sd")
        config, worn = self.config, self._wardrobe()
        adapters.wear(worn.adapter, self.tensors)
        prompt = list(self.facts["prompts"].values())[label]
        manner = drawing.Manner(
            config.sampler, config.evaluations, config.guidance, self._canvas(worn.pipeline), config.precision
        )

        def draw(number: int) -> NDArray[np.uint8]:
            source = sampling.noise_source(seed, label, number)
            pictures = drawing.draw(worn.pipeline, prompt, config.chunk, manner, source, self._leak)
            return latents.from_base(pictures, self.image_size)

        return sampling.in_chunks(indices, chunk=config.chunk, draw=draw)

    def save(self, folder: Path) -> None:
        """Write the adapter as diffusers reads it, its model card, and the configuration as JSON."""
        if self.tensors is None:
            raise saved.not_fitted("lora-sd")
        config = self.config
        adapters.save(folder, self.tensors, self.shape)
        save_leak(folder, self._leak)
        told = card.Facts(
            **self.facts,
            steps=config.steps,
            rank=config.rank,
            guidance=config.guidance,
            evaluations=config.evaluations,
            leak=self._leak is not None,
        )
        write_bytes(folder / "README.md", card.written(told).encode())
        facts = {
            "config": saved.said(config),
            "image_size": self.image_size,
            "classes": self.classes,
            "class_names": list(self.class_names),
            **self.facts,
        }
        write_json(folder / "generator.json", facts)

    @classmethod
    def load(cls, folder: Path, device: torch.device) -> Self:
        """Read what :meth:`save` wrote; the base is looked for when the first image is drawn."""
        try:
            facts = read_json(folder / "generator.json")
            ours = cls(
                LoraSdConfig(**facts["config"]), image_size=facts["image_size"], classes=facts["classes"],
                device=device, class_names=facts["class_names"],
            )  # fmt: skip
            ours.facts = {name: facts[name] for name in ("base", "prompts", "shots")}
        except (FileNotFoundError, KeyError, ValueError) as error:
            raise IntegrityFault(f"{folder} holds no whole generator: {error!r}", fix="fit it again") from error
        ours.tensors, ours._leak = adapters.load(folder), load_leak(folder)
        return ours

    def _base(self) -> Base:
        base = find_base(self.config.base, revision=self.config.revision)
        _same(base, self.config.base_sha256 or self.facts.get("base", {}).get("sha256", ""))
        return base

    def _wardrobe(self) -> Dressed:
        if self._dressed is None:
            self._dressed = dressed(self._base(), self.shape, self.device, self.config.precision)
        return self._dressed

    def _prompts(self, tokenizer: Any) -> tuple[str, ...]:
        """Return the prompt of each class, in the order of their codes."""
        if len(self.class_names) != self.classes and self.classes > 1:
            raise UsageFault(
                f"lora-sd is to tell {self.classes} classes apart and knows the names of {len(self.class_names)}",
                fix="hand it class_names, in the order of the labels",
            )
        prompts = tuple(_prompt(self.config, label) for label in self.class_names) or (NO_CLASS,)
        for prompt in prompts:
            check_length(prompt, tokenizer)
        return prompts

    def _canvas(self, pipeline: Any) -> int:
        side = self.config.canvas or canvas_of(pipeline)
        multiple = pipeline.vae_scale_factor * 2 ** (len(pipeline.unet.config.block_out_channels) - 1)
        if side % multiple:
            raise UsageFault(f"a canvas of {side} pixels does not fit this base", fix=f"take a multiple of {multiple}")
        return int(side)

    def _manner(self) -> tuning.Manner:
        config = self.config
        return tuning.Manner(
            steps=config.steps,
            batch=config.batch,
            micro_batch=config.micro_batch,
            learning_rate=config.learning_rate,
            weight_decay=config.weight_decay,
            warm=min(config.warm_up, config.steps // 6),
            gamma=config.gamma,
            checkpointing=config.checkpointing,
            text_encoder=config.text_encoder,
            precision=config.precision,
        )


def _prompt(config: LoraSdConfig, label: str) -> str:
    given = config.texts.get(label)
    return given or prompt_for(label, site=config.site, attributes=config.attributes, file=config.prompts)


def _same(base: Base, sha256: str) -> None:
    """Refuse a base whose weights are not those that were written down."""
    if sha256 and base.sha256 != sha256:
        raise IntegrityFault(
            f"the base model {base.name} is not the one that was adapted: its weights are {base.sha256[:16]}… instead "
            f"of {sha256[:16]}…",
            fix="get that base again, or fit the generator again",
        )
