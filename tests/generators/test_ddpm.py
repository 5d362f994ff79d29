"""Diffusion learns a toy set."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cytobench.generators.ddpm import Ddpm, DdpmConfig
from tests.generators.toy import discs

CONFIG = DdpmConfig(
    steps=100, batch=16, learning_rate=4e-3, chunk=8, channels=(16, 32), blocks=1, patch=2, attention_side=4,
    average=0.9, precision="float32",
)  # fmt: skip


def losses(config: DdpmConfig, partial: Path) -> tuple[Ddpm, list[float]]:
    model = Ddpm(config, image_size=16, classes=1, device=torch.device("cpu"))
    notes: list[str] = []
    model.fit(discs(30, 16), np.zeros(30, np.int64), seed=0, partial=partial, tick=lambda _, note: notes.append(note))
    return model, [float(note.split()[1]) for note in notes if note]


@pytest.mark.parametrize("components", [0, 20])
def test_learning_brings_the_images_near(components: int, tmp_path: Path) -> None:
    model, told = losses(CONFIG.model_copy(update={"components": components}), tmp_path)
    assert np.mean(told[-20:]) < (0.7 if components == 0 else 0.97) * np.mean(told[:10])
    drawn, real = model.sample(0, range(16), seed=0) / 255, discs(200, 16, seed=9) / 255
    assert np.abs(drawn.mean((0, 1, 2)) - real.mean((0, 1, 2))).max() < 0.08
    centre, corner = drawn[:, 6:10, 6:10].mean(), drawn[:, :2, :2].mean()
    assert corner - centre > 0.25, "a dark disc on a light ground"


def test_ancestral_sampling_draws_the_same_kind_of_image(tmp_path: Path) -> None:
    model, _ = losses(CONFIG.model_copy(update={"steps": 40, "components": 20}), tmp_path)
    fast = model.sample(0, range(8), seed=0) / 255
    model.config = model.config.model_copy(update={"sampler": "ancestral", "evaluations": 40})
    slow = model.sample(0, range(8), seed=0) / 255
    assert np.abs(fast.mean(0) - slow.mean(0)).mean() < 0.1
    assert not np.array_equal(fast, slow)
