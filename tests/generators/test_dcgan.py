"""The GAN's parts, and that it learns without collapsing."""

from pathlib import Path

import numpy as np
import torch

from cytobench.generators.dcgan import Dcgan, DcganConfig, drawer, judge, shifted
from tests.generators.toy import discs


def test_shifts_move_and_repeat_the_edge() -> None:
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    down, left = shifted(image, torch.tensor([[1, 0]])), shifted(image, torch.tensor([[0, -1]]))
    assert down[0, 0, :, 0].tolist() == [0, 0, 4, 8]
    assert left[0, 0, 0].tolist() == [1, 2, 3, 3]


def test_shifts_let_gradients_through() -> None:
    image = torch.rand(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: shifted(x, torch.tensor([[1, -2], [0, 3]])), (image,))


def test_shapes_at_an_odd_base() -> None:
    images = drawer(16, [4, 8], 7)(torch.randn(2, 16))
    assert images.shape == (2, 3, 28, 28)
    assert judge([4, 8], 7)(images).shape == (2, 1)


def test_spectral_norm_holds_the_discriminator_to_slope_one() -> None:
    network = judge([4, 8], 4)
    for _ in range(30):
        network(torch.randn(4, 3, 16, 16))
    network.eval()
    for layer in network:
        if isinstance(layer, torch.nn.Conv2d):
            assert abs(torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() - 1) < 0.05


def test_learning_draws_discs_that_differ(tmp_path: Path) -> None:
    config = DcganConfig(steps=150, batch=16, learning_rate=2e-3, chunk=8, width=8, latent=16, average=0.95)
    model = Dcgan(config, image_size=16, classes=1, device=torch.device("cpu"))
    model.fit(discs(30, 16), np.zeros(30, np.int64), seed=0, partial=tmp_path, tick=lambda _, __: None)
    drawn = model.sample(0, range(8), seed=0) / 255
    assert drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean() > 0.15
    assert drawn.std(0).mean() > 0.01, "every image is the same"
