import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.classifiers.augment import plain
from cytobench.classifiers.network import Network
from cytobench.classifiers.precision import Precision
from cytobench.classifiers.predict import logits

CPU = torch.device("cpu")
FP32 = Precision(False, False, {})
Coloured = tuple[NDArray[np.uint8], NDArray[np.int64]]


def test_logits_are_the_networks_on_plain_images(network: Network, coloured: Coloured) -> None:
    network.train()
    found = logits(network, coloured[0], range(48), precision=FP32, batch=64, device=CPU)
    assert not network.training
    with torch.no_grad():
        expected = network(plain(torch.from_numpy(coloured[0])))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("precision", [FP32, Precision(False, True, {}), Precision(True, True, {})])
@pytest.mark.parametrize("batch", [1, 7, 48])
def test_an_image_does_not_depend_on_its_batch(
    batch: int, precision: Precision, network: Network, coloured: Coloured
) -> None:
    whole = logits(network, coloured[0], range(48), precision=precision, batch=48, device=CPU)
    rows = np.array([40, 3, 3, 17, 0, 21, 8, 9, 10])
    tolerance = 0.02 if precision.autocast else 1e-5
    part = logits(network, coloured[0], rows, precision=precision, batch=batch, device=CPU)
    np.testing.assert_allclose(part, whole[rows], rtol=0, atol=tolerance)


def test_predicting_changes_no_weight_and_counts_images(network: Network, coloured: Coloured) -> None:
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    counts: list[int] = []
    logits(
        network,
        coloured[0],
        range(20),
        precision=FP32,
        batch=8,
        device=CPU,
        tick=lambda count, note: counts.append(count),
    )
    assert counts == [8, 8, 4]
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_no_rows_give_no_logits(network: Network, coloured: Coloured) -> None:
    assert logits(network, coloured[0], [], precision=FP32, batch=8, device=CPU).shape == (0, 3)
