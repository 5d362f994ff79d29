from pathlib import Path

import pytest
import torch
from safetensors.torch import save as to_bytes

from cytobench import checkpoint
from cytobench.classifiers.backbone import Backbone, resolve
from cytobench.classifiers.network import Network, build, load_into, save
from cytobench.classifiers.weights import NONE, Weights, find
from cytobench.errors import IntegrityFault


def _same(one: Network, other: Network) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def test_equal_seeds_build_equal_networks_whatever_was_drawn_before(tiny: Backbone) -> None:
    torch.manual_seed(1)
    one = build(tiny, classes=3, image_size=12, weights=NONE, seed=5)
    torch.manual_seed(2)
    assert _same(one, build(tiny, classes=3, image_size=12, weights=NONE, seed=5))
    assert not _same(one, build(tiny, classes=3, image_size=12, weights=NONE, seed=6))


def test_building_leaves_the_global_random_state_alone(tiny: Backbone) -> None:
    before = torch.get_rng_state()
    build(tiny, classes=3, image_size=12, weights=NONE, seed=5)
    assert torch.equal(torch.get_rng_state(), before)


def test_images_are_normalised_by_the_networks_own_mean_and_deviation(network: Network) -> None:
    images = torch.rand(2, 3, 12, 12)
    network.eval()
    torch.testing.assert_close(network(images), network.body((images - 0.5) / 0.25))


def test_small_images_are_enlarged_to_the_least_size() -> None:
    with torch.device("meta"):
        inception = build(resolve("inception"), classes=5, image_size=64, weights=NONE, seed=0)
        large = build(resolve("inception"), classes=5, image_size=100, weights=NONE, seed=0)
    assert (inception.image_size, inception.input_size, large.input_size) == (64, 75, 100)


def test_facts_say_what_a_record_needs(network: Network) -> None:
    facts = network.facts()
    assert facts["parameters"] == 3 * 8 * 9 + 16 + 8 * 3 + 3
    assert (facts["model"], facts["library"], facts["weights"], facts["input_size"]) == ("tiny", "own", "none", 12)
    assert (facts["mean"], facts["std"]) == ([0.5] * 3, [0.25] * 3)


@pytest.fixture
def donor(tmp_path: Path) -> Path:
    """The weights of a small timm ResNet with 1,000 classes."""
    donor = build(resolve("test_resnet"), classes=1000, image_size=64, weights=NONE, seed=7)
    path = tmp_path / "donor.safetensors"
    path.write_bytes(to_bytes(donor.body.state_dict()))
    return path


def test_weights_fill_everything_but_the_last_layer(donor: Path) -> None:
    backbone = resolve("test_resnet")
    filled = build(backbone, classes=5, image_size=64, weights=find(backbone, str(donor)), seed=0)
    fresh = build(backbone, classes=5, image_size=64, weights=NONE, seed=0)
    given = checkpoint.load(donor).tensors
    for name, tensor in filled.body.state_dict().items():
        expected = fresh.body.state_dict()[name] if name.startswith("fc.") else given[name]
        assert torch.equal(tensor, expected), name


def test_a_last_layer_of_the_same_size_is_new_all_the_same(donor: Path) -> None:
    backbone = resolve("test_resnet")
    filled = build(backbone, classes=1000, image_size=64, weights=find(backbone, str(donor)), seed=0)
    assert not torch.equal(filled.body.state_dict()["fc.weight"], checkpoint.load(donor).tensors["fc.weight"])


def test_weights_of_another_architecture_are_refused_with_every_key(donor: Path) -> None:
    backbone = resolve("test_convnext")
    with pytest.raises(IntegrityFault, match="not of this architecture") as fault:
        build(backbone, classes=5, image_size=64, weights=find(backbone, str(donor)), seed=0)
    assert any("is missing" in problem for problem in fault.value.problems)
    assert any("is unknown" in problem for problem in fault.value.problems)


def test_one_wrong_shape_is_refused(donor: Path) -> None:
    backbone = resolve("test_resnet")
    tensors = checkpoint.load(donor).tensors
    name = next(iter(tensors))
    donor.write_bytes(to_bytes(tensors | {name: torch.zeros(1)}))
    with pytest.raises(IntegrityFault) as fault:
        build(backbone, classes=5, image_size=64, weights=find(backbone, str(donor)), seed=0)
    assert len(fault.value.problems) == 1
    assert "shape (1,)" in fault.value.problems[0]


def test_transformer_weights_of_another_size_are_resampled(tmp_path: Path) -> None:
    backbone = resolve("test_vit")
    native = build(backbone, classes=10, image_size=160, weights=NONE, seed=7)
    path = tmp_path / "vit.safetensors"
    path.write_bytes(to_bytes(native.body.state_dict()))
    small = build(backbone, classes=5, image_size=64, weights=find(backbone, str(path)), seed=0)
    assert small.input_size == 64
    name = "blocks.0.attn.qkv.weight"
    assert torch.equal(small.body.state_dict()[name], native.body.state_dict()[name])
    assert small(torch.rand(2, 3, 64, 64)).shape == (2, 5)


def test_saved_weights_come_back(network: Network, tiny: Backbone, tmp_path: Path) -> None:
    network.state_dict()["body.1.running_mean"].add_(1)  # state beside the parameters
    save(network, tmp_path / "net.safetensors")
    other = build(tiny, classes=3, image_size=12, weights=NONE, seed=9)
    load_into(other, tmp_path / "net.safetensors")
    assert _same(network, other)


def test_saved_weights_of_other_classes_are_refused(network: Network, tiny: Backbone, tmp_path: Path) -> None:
    save(network, tmp_path / "net.safetensors")
    other = build(tiny, classes=4, image_size=12, weights=NONE, seed=9)
    with pytest.raises(IntegrityFault, match="4 classes"):
        load_into(other, tmp_path / "net.safetensors")


def test_weights_hold_no_path_in_what_is_recorded(donor: Path) -> None:
    found = find(resolve("test_resnet"), str(donor))
    assert isinstance(found, Weights)
    network = build(resolve("test_resnet"), classes=5, image_size=64, weights=found, seed=0)
    assert str(donor.parent) not in str(network.facts())
    assert network.facts()["weights"] == "file:donor.safetensors"
