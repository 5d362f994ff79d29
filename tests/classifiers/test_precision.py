import pytest
import torch

from cytobench.classifiers import precision
from cytobench.classifiers.network import Network
from cytobench.classifiers.precision import SETTINGS, Precision, choose, computing, laid_out, place

CPU = torch.device("cpu")


@pytest.mark.parametrize(("asked", "expected"), [("fp32", (False, False, {})), ("bf16", (True, True, {}))])
def test_what_is_asked_for_is_taken_unmeasured(
    asked: precision.Asked, expected: tuple[object, ...], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "_measure", None)
    assert choose(network, image_size=12, batch=4, device=CPU, asked=asked) == expected


def test_measuring_changes_neither_weights_nor_mode_nor_random_state(network: Network) -> None:
    network.eval()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    chosen = choose(network, image_size=12, batch=4, device=CPU, asked="auto")
    assert set(chosen.measured) == set(SETTINGS)
    assert all(seconds > 0 for seconds in chosen.measured.values())
    assert not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("fastest", list(SETTINGS))
def test_the_fastest_setting_is_chosen(fastest: str, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {name: 1.0 if name == fastest else 1.3 for name in SETTINGS}
    warm = [2.0] * 5  # one that is thrown away, and the first of each setting
    clock = iter([*warm, *times.values(), *(value + 0.5 for value in times.values())])
    monkeypatch.setattr(precision, "_seconds", lambda work, device: next(clock))
    chosen = choose(network, image_size=12, batch=4, device=CPU, asked="auto")
    assert (chosen.autocast, chosen.channels_last) == SETTINGS[fastest]
    assert chosen.measured == times


def test_a_hopeless_setting_is_tried_once(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([9.0, 1.0, 9.0, 1.0, 9.0, 0.8, 0.7, 0.9, 0.9])
    monkeypatch.setattr(precision, "_seconds", lambda work, device: next(clock))
    chosen = choose(network, image_size=12, batch=4, device=CPU, asked="auto")
    assert list(chosen.measured.values()) == [0.8, 9.0, 0.7, 9.0]


def test_a_slow_network_is_measured_once(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "BUDGET", 0.0)
    clock = iter([1.0] * 9)
    monkeypatch.setattr(precision, "_seconds", lambda work, device: next(clock))
    choose(network, image_size=12, batch=4, device=CPU, asked="auto")
    assert next(clock, None) is None


def test_autocast_computes_in_bfloat16_and_keeps_the_weights(network: Network) -> None:
    images = torch.rand(2, 3, 12, 12)
    with computing(Precision(True, False, {}), CPU):
        assert network(images).dtype == torch.bfloat16
    with computing(Precision(False, False, {}), CPU):
        assert network(images).dtype == torch.float32
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())


def test_channels_last_applies_to_network_and_images_and_can_be_undone(network: Network) -> None:
    last, first = Precision(False, True, {}), Precision(False, False, {})
    place(network, last, CPU)
    assert network.state_dict()["body.0.weight"].is_contiguous(memory_format=torch.channels_last)
    assert laid_out(torch.rand(2, 3, 4, 4), last).is_contiguous(memory_format=torch.channels_last)
    place(network, first, CPU)
    assert network.state_dict()["body.0.weight"].is_contiguous()
