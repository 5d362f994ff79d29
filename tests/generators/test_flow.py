"""A flow learns a toy set, tells classes apart and takes the best of its averages."""

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from cytobench.generators.flow import HELD_OUT, Flow, FlowConfig, _held_out
from tests.generators.toy import discs

CONFIG = FlowConfig(
    steps=100, batch=16, learning_rate=4e-3, chunk=8, channels=(16, 32), blocks=1, patch=2, attention_side=4,
    components=0, augment=0.0, precision="float32",
)  # fmt: skip


def fitted(config: FlowConfig, partial: Path) -> tuple[Flow, list[float]]:
    """Fit to dark discs on light ground (class 0) and their negatives (class 1)."""
    dark = discs(40, 16)
    images, labels = np.concatenate([dark, 255 - dark]), np.repeat([0, 1], 40)
    model = Flow(config, image_size=16, classes=2, device=torch.device("cpu"))
    notes: list[str] = []
    model.fit(images, labels, seed=0, partial=partial, tick=lambda _, note: notes.append(note))
    return model, [float(note.split()[1]) for note in notes if note]


def contrast(model: Flow, label: int) -> float:
    drawn = model.sample(label, range(8), seed=0) / 255
    return float(drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean())


@pytest.mark.parametrize("components", [0, 20])
def test_learning_brings_the_images_near_and_tells_classes_apart(components: int, tmp_path: Path) -> None:
    model, told = fitted(CONFIG.model_copy(update={"components": components}), tmp_path)
    if components == 0:  # the discs are so simple that the guess leaves nothing to learn
        assert np.mean(told[-20:]) < 0.97 * np.mean(told[:10])
    assert contrast(model, 0) > 0.15, "a dark disc on a light ground"
    assert contrast(model, 1) < -0.15, "a light disc on a dark ground"


def test_altered_images_do_not_leak(tmp_path: Path) -> None:
    """Half of all training images are altered in colour, and none that is drawn."""
    told = CONFIG.model_copy(update={"augment": 0.5, "components": 20, "steps": 150})
    model, _ = fitted(told, tmp_path)
    assert contrast(model, 0) > 0.2
    assert contrast(model, 1) < -0.2


def test_guidance_leads_away_from_the_other_class(tmp_path: Path) -> None:
    model, _ = fitted(CONFIG.model_copy(update={"steps": 120, "unlabelled": 0.3}), tmp_path)
    plain = contrast(model, 0)
    model.config = model.config.model_copy(update={"guidance": 2.0})
    assert contrast(model, 0) > plain


def test_the_best_average_is_written_down(tmp_path: Path) -> None:
    model, _ = fitted(CONFIG.model_copy(update={"steps": 20}), tmp_path / "partial")
    assert model.network is not None
    assert float(model.network.average) in [pytest.approx(width) for width in CONFIG.averages]
    model.save(tmp_path / "saved")
    assert Flow.load(tmp_path / "saved", torch.device("cpu")).network is not None


def test_what_judges_is_not_learned_from() -> None:
    held, taught = _held_out(HELD_OUT**2)
    assert not set(held) & set(taught)
    assert len(held) == HELD_OUT
    few = _held_out(HELD_OUT**2 - 1)
    assert len(few[0]) == len(few[1]) == HELD_OUT**2 - 1, "too few to spare any"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"guidance": 2.0, "unlabelled": 0.0}, "needs unlabelled above 0"),
        ({"averages": (0.3,)}, "between 0 and"),
        ({"patch": 0}, "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_drawn_with_is_refused_at_once(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FlowConfig.model_validate(CONFIG.model_dump() | changes)
