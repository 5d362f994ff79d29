"""Diffusion learns a toy set."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from cytobench.errors import Interrupted
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


def test_training_where_little_noise_is_learns_the_image_too(tmp_path: Path) -> None:
    model, told = losses(CONFIG.model_copy(update={"components": 20, "focus": (-1.2, 1.4)}), tmp_path / "focused")
    _, evenly = losses(CONFIG.model_copy(update={"components": 20}), tmp_path / "evenly")
    assert told[0] != evenly[0], "other steps are learned at"
    drawn, real = model.sample(0, range(16), seed=0) / 255, discs(200, 16, seed=9) / 255
    assert np.abs(drawn.mean((0, 1, 2)) - real.mean((0, 1, 2))).max() < 0.08
    assert drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean() > 0.25


def test_noise_prediction_learns_the_kind_of_image_more_slowly(tmp_path: Path) -> None:
    """Its errors are s / a times as large in the image, so that v is what every profile predicts."""
    model, told = losses(CONFIG.model_copy(update={"prediction": "epsilon", "steps": 500}), tmp_path)
    assert np.mean(told[-20:]) < 0.5 * np.mean(told[:10])
    drawn = model.sample(0, range(16), seed=0) / 255
    assert drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean() > 0.2


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prediction": "epsilon", "components": 5}, "set components to 0"),
        ({"evaluations": 1001}, "more than noise_steps"),
    ],
)
def test_refuses_what_does_not_fit_together(changes: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        DdpmConfig(**CONFIG.model_dump() | changes)


def test_a_fit_that_is_not_told_how_images_are_drawn_takes_any_schedule(tmp_path: Path) -> None:
    values = CONFIG.model_dump(exclude={"evaluations", "sampler", "spacing"}) | {"noise_steps": 8, "steps": 2}
    model, _ = losses(DdpmConfig(**values), tmp_path / "p")
    model.save(tmp_path / "saved")
    loaded = Ddpm.load(tmp_path / "saved", torch.device("cpu"))
    loaded.config = loaded.config.model_copy(update={"evaluations": 4})
    assert loaded.sample(0, [0], seed=0).shape == (1, 16, 16, 3)


@pytest.mark.slow
def test_the_papers_network_trains_and_resumes(tmp_path: Path) -> None:
    """The published shape at its 64 pixels; gigabytes of memory, and minutes."""
    config = Ddpm.profile("paper", 64).model_copy(
        update={"steps": 2, "batch": 1, "chunk": 1, "evaluations": 2, "precision": "float32"}
    )

    def weights(place: str, stop: int = 0) -> bytes:
        model, done = Ddpm(config, image_size=64, classes=1, device=torch.device("cpu")), 0

        def tick(count: int, note: str) -> None:
            nonlocal done
            done += count
            if done == stop:
                raise Interrupted(2)

        model.fit(discs(4, 64), np.zeros(4, np.int64), seed=0, partial=tmp_path / place, tick=tick)
        assert model.sample(0, [0], seed=0).shape == (1, 64, 64, 3)
        model.save(tmp_path / place / "saved")
        return (tmp_path / place / "saved" / "weights.safetensors").read_bytes()

    with pytest.raises(Interrupted):
        weights("stopped", stop=1)
    assert (tmp_path / "stopped" / "fit.safetensors").exists()
    assert weights("stopped") == weights("straight")


def test_ancestral_sampling_draws_the_same_kind_of_image(tmp_path: Path) -> None:
    model, _ = losses(CONFIG.model_copy(update={"steps": 40, "components": 20}), tmp_path)
    fast = model.sample(0, range(8), seed=0) / 255
    model.config = model.config.model_copy(update={"sampler": "ancestral", "evaluations": 40})
    slow = model.sample(0, range(8), seed=0) / 255
    assert np.abs(fast.mean(0) - slow.mean(0)).mean() < 0.1
    assert not np.array_equal(fast, slow)
