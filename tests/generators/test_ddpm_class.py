"""One diffusion model for all classes: what guidance does, and that it needs images without a class."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from cytobench.generators import diffusion
from cytobench.generators.ddpm_class import DdpmClass, DdpmClassConfig
from tests.generators.toy import discs

CONFIG = DdpmClassConfig(
    steps=60, batch=16, learning_rate=4e-3, chunk=8, channels=(16, 32), blocks=1, patch=2, attention_side=4,
    average=0.9, evaluations=8, precision="float32",
)  # fmt: skip


def fitted(config: DdpmClassConfig, partial: Path) -> DdpmClass:
    """Return a model of discs (class 0), of which one half is dim (class 1)."""
    images, labels = discs(30, 16), np.arange(30) % 2
    images[labels == 1] //= 2
    model = DdpmClass(config, image_size=16, classes=2, device=torch.device("cpu"))
    model.fit(images, labels, seed=0, partial=partial, tick=lambda _, __: None)
    return model


@pytest.mark.parametrize(("guidance", "expected"), [(0.0, 0.1), (1.0, 0.3), (2.0, 0.5), (20.0, 1.0)])
def test_guidance_leads_away_from_what_is_drawn_without_a_class(
    guidance: float, expected: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fitted(CONFIG.model_copy(update={"steps": 1, "guidance": guidance}), tmp_path)
    known = torch.tensor([0.0, 0.3, 0.1])[:, None, None, None]  # classes 0 and 1, and no class
    monkeypatch.setattr(diffusion.Denoiser, "clean_at", lambda _, noised, step, labels: known[labels].expand_as(noised))
    drawn = model.sample(1, [0], seed=0)
    np.testing.assert_array_equal(drawn, np.round((expected + 1) * 127.5))


def test_no_guidance_asks_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, asked = fitted(CONFIG.model_copy(update={"steps": 1}), tmp_path), list[int]()
    clean_at = diffusion.Denoiser.clean_at

    def counted(self: diffusion.Denoiser, noised: torch.Tensor, step: int, labels: torch.Tensor) -> torch.Tensor:
        asked.append(int(labels[0]))
        return clean_at(self, noised, step, labels)

    monkeypatch.setattr(diffusion.Denoiser, "clean_at", counted)
    model.sample(1, [0], seed=0)
    assert asked == [1] * CONFIG.evaluations
    asked.clear()
    model.config = CONFIG.model_copy(update={"guidance": 2.0})
    model.sample(1, [0], seed=0)
    assert asked == [1, 2] * CONFIG.evaluations


@pytest.mark.parametrize("unlabelled", [0.0, 0.5])
def test_that_part_of_the_images_comes_without_a_class(
    unlabelled: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    loss = diffusion.Denoiser.loss

    def watched(
        self: diffusion.Denoiser, clean: torch.Tensor, labels: torch.Tensor, source: torch.Generator
    ) -> torch.Tensor:
        told.extend(labels.tolist())
        return loss(self, clean, labels, source)

    monkeypatch.setattr(diffusion.Denoiser, "loss", watched)
    fitted(CONFIG.model_copy(update={"unlabelled": unlabelled, "steps": 20}), tmp_path)
    hidden = float(np.mean(np.array(told) == 2))
    assert abs(hidden - unlabelled) < 0.1
    assert {0, 1} <= set(told)


def test_guidance_without_such_images_is_refused() -> None:
    with pytest.raises(ValidationError, match="unlabelled above 0"):
        DdpmClassConfig(**CONFIG.model_dump() | {"unlabelled": 0.0, "guidance": 2.0})
