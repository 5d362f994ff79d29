"""The GAN's parts, and that it learns without collapsing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cytobench.errors import Interrupted
from cytobench.generators import dcgan
from cytobench.generators.dcgan import Dcgan, DcganConfig, drawer, judge, slope_penalty
from tests.generators.toy import discs

CONFIG = DcganConfig(steps=150, batch=16, learning_rate=2e-3, chunk=8, width=8, latent=16, average=0.95)


def test_shapes_at_an_odd_base() -> None:
    images = drawer(16, [4, 8], 7)(torch.randn(2, 16))
    assert images.shape == (2, 3, 28, 28)
    assert judge([4, 8], 7, spectral=True)(images).shape == (2, 1)


def test_spectral_norm_holds_the_discriminator_to_slope_one() -> None:
    network = judge([4, 8], 4, spectral=True)
    for _ in range(30):
        network(torch.randn(4, 3, 16, 16))
    network.eval()
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d):
            assert abs(torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() - 1) < 0.05


def test_without_spectral_norm_weights_are_free() -> None:
    assert not any("parametrizations" in name for name, _ in judge([4, 8], 4, spectral=False).named_parameters())


def test_the_penalty_is_half_the_squared_slope() -> None:
    """Of a score that is linear in the pixels the slope is its weights; its gradient is the weights again."""
    weights = torch.randn(3 * 4 * 4, generator=torch.Generator().manual_seed(0)).requires_grad_()

    class Line(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1) @ weights

    penalty = slope_penalty(Line(), torch.rand(5, 3, 4, 4))
    torch.testing.assert_close(penalty, weights.square().sum() / 2)
    penalty.backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(weights.grad, weights.detach())


def test_the_penalty_of_a_part_is_taken_at_that_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counted(network: torch.nn.Module, real: torch.Tensor) -> torch.Tensor:
        seen.append(len(real))
        return slope_penalty(network, real)

    monkeypatch.setattr(dcgan, "slope_penalty", counted)
    for stabiliser, part in (("r1", 1.0), ("both", 0.25), ("r1", 0.01), ("spectral", 1.0), ("none", 1.0)):
        config = CONFIG.model_copy(update={"steps": 1, "stabiliser": stabiliser, "r1_part": part})
        learned(config, tmp_path / f"{stabiliser}{part}")
    assert seen == [16, 4, 2]


def learned(config: DcganConfig, partial: Path) -> Dcgan:
    model = Dcgan(config, image_size=16, classes=1, device=torch.device("cpu"))
    model.fit(discs(30, 16), np.zeros(30, np.int64), seed=0, partial=partial, tick=lambda _, __: None)
    return model


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"stabiliser": "r1", "r1_part": 0.25},
        {"stabiliser": "both", "augment": ("translation", "cutout", "colour"), "strength": 0.5},
    ],
)
def test_learning_draws_discs_that_differ(changes: dict[str, object], tmp_path: Path) -> None:
    drawn = learned(CONFIG.model_copy(update=changes), tmp_path).sample(0, range(8), seed=0) / 255
    assert drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean() > 0.15
    assert drawn.std(0).mean() > 0.01, "every image is the same"


def test_augmented_training_resumes_to_the_same_bytes(tmp_path: Path) -> None:
    config = CONFIG.model_copy(
        update={"steps": 4, "stabiliser": "both", "augment": ("translation", "cutout", "colour")}
    )
    model, done = Dcgan(config, image_size=16, classes=1, device=torch.device("cpu")), 0

    def tick(count: int, note: str) -> None:
        nonlocal done
        done += count
        if done == 2:
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        model.fit(discs(30, 16), np.zeros(30, np.int64), seed=0, partial=tmp_path / "stopped", tick=tick)
    for place in ("stopped", "straight"):
        learned(config, tmp_path / place).save(tmp_path / f"{place} saved")
    one, other = ((tmp_path / f"{place} saved/weights.safetensors").read_bytes() for place in ("stopped", "straight"))
    assert one == other
