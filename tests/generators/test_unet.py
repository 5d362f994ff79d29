"""The U-Net's shapes and attention."""

import pytest
import torch

from cytobench.generators.ddpm import Ddpm
from cytobench.generators.unet import HEAD_WIDTH, Attention, Block, UNet, waves


@pytest.mark.parametrize("patch", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 2])
def test_the_output_has_the_inputs_shape(patch: int, blocks: int) -> None:
    network = UNet((8, 16, 16), blocks=blocks, patch=patch, side=32, attention_side=8, classes=1)
    x = torch.randn(2, 3, 32, 32)
    assert network(x, torch.rand(2), torch.zeros(2, dtype=torch.long)).shape == x.shape


def test_begins_as_zero_and_hears_time_and_label() -> None:
    network = UNet((8, 16), blocks=1, patch=2, side=16, attention_side=4, classes=3)
    x, label = torch.randn(1, 3, 16, 16), torch.tensor([1])
    assert not network(x, torch.tensor([0.5]), label).any()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    here = network(x, torch.tensor([0.5]), label)
    assert not torch.equal(network(x, torch.tensor([0.9]), label), here)
    assert not torch.equal(network(x, torch.tensor([0.5]), torch.tensor([2])), here)


def test_attention_only_on_small_maps() -> None:
    network = UNet((8, 8, 8), blocks=1, patch=1, side=32, attention_side=16, classes=1)
    assert [isinstance(layer, Attention) for layer in network.down_attention] == [False, True, True]
    assert [isinstance(layer, Attention) for layer in network.up_attention] == [True, True, False]


@pytest.mark.parametrize(("channels", "heads"), [(16, 1), (64, 1), (128, 2), (512, 8)])
def test_heads_are_64_wide(channels: int, heads: int) -> None:
    assert Attention(channels).heads == heads
    assert channels < HEAD_WIDTH or channels // heads == HEAD_WIDTH


def test_attention_agrees_with_torch() -> None:
    ours = Attention(16)
    torch.nn.init.normal_(ours.out.weight)
    theirs = torch.nn.MultiheadAttention(16, 1, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.ask.weight.flatten(1))
        assert ours.ask.bias is not None
        theirs.in_proj_bias.copy_(ours.ask.bias)
        theirs.out_proj.weight.copy_(ours.out.weight.flatten(1))
        theirs.out_proj.bias.copy_(torch.zeros(16))
    x = torch.randn(2, 16, 4, 4)
    places = ours.norm(x).flatten(2).transpose(1, 2)
    expected = x + theirs(places, places, places)[0].transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(ours(x), expected)


def test_the_papers_network_is_the_published_one() -> None:
    """WBC-USID: 5 + 5 levels of two blocks, attention before each change of resolution, learned changes of it."""
    config = Ddpm.profile("paper", 64)
    assert config.channels == (128, 128, 256, 256, 512)
    assert (config.noise_steps, config.patch) == (1000, 1)
    with torch.device("meta"):
        network = UNet(
            config.channels, blocks=config.blocks, patch=config.patch, side=64, attention_side=config.attention_side,
            classes=1,
        )  # fmt: skip
        passed: list[str] = []
        for name, module in network.named_modules():
            if isinstance(module, Block | Attention) or (name.split(".")[0] in ("shrink", "grow") and "." in name):
                module.register_forward_hook(lambda layer, _, out: passed.append(_described(layer, out)))
        network(torch.zeros(1, 3, 64, 64), torch.zeros(1), torch.zeros(1, dtype=torch.long))
    down = [
        *("block 128 64", "block 128 64", "attention 128 64", "strided 128 32"),
        *("block 128 32", "block 128 32", "attention 128 32", "strided 128 16"),
        *("block 256 16", "block 256 16", "attention 256 16", "strided 256 8"),
        *("block 256 8", "block 256 8", "attention 256 8", "strided 256 4"),
        *("block 512 4", "block 512 4", "attention 512 4"),
    ]
    middle = ["block 512 4", "attention 512 4", "block 512 4"]
    up = [
        *("block 512 4", "block 512 4", "attention 512 4", "transposed 256 8"),
        *("block 256 8", "block 256 8", "attention 256 8", "transposed 256 16"),
        *("block 256 16", "block 256 16", "attention 256 16", "transposed 128 32"),
        *("block 128 32", "block 128 32", "attention 128 32", "transposed 128 64"),
        *("block 128 64", "block 128 64", "attention 128 64"),
    ]
    assert passed == [*down, *middle, *up]
    assert sum(parameter.numel() for parameter in network.parameters()) == 64_736_387


def _described(layer: torch.nn.Module, out: torch.Tensor) -> str:
    kinds = {Block: "block", Attention: "attention", torch.nn.Conv2d: "strided", torch.nn.ConvTranspose2d: "transposed"}
    return f"{kinds[type(layer)]} {out.shape[1]} {out.shape[-1]}"


def test_waves_are_different_for_different_times() -> None:
    told = waves(torch.linspace(0, 1, 1000), 16)
    assert told.shape == (1000, 16)
    assert torch.cdist(told, told).fill_diagonal_(1).min() > 1e-3
