"""The U-Net of the diffusion model: residual blocks, attention on small maps, a time embedding.

Ronneberger et al. 2015 for the shape, Ho et al. 2020 (appendix B) for what the blocks are made of. A stem folds each
``patch`` × ``patch`` square of pixels into channels (pixel unshuffle), which makes a step cheaper by patch², at some
loss of sharpness; patch 1 is the usual network.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

HEAD_WIDTH = 64
"""Channels of one attention head; the common 8 is many times slower and no better."""


class UNet(nn.Module):
    """Predict v from a noised image and its time.

    Args:
        channels: Width of each level, from fine to coarse. blocks: Residual blocks of each level, down and up alike.
        patch: Side of the squares of pixels that the stem folds, pixels. side: Side of the images, a multiple of
        ``patch · 2^(levels − 1)``, pixels. attention_side: Attention before each change of resolution and in the
        middle, where the map's side is at most this. classes: Classes that it is told apart by; 1 for none. facts: How
        many other numbers it is told of each image.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        *,
        blocks: int,
        patch: int,
        side: int,
        attention_side: int,
        classes: int,
        facts: int = 0,
    ) -> None:
        super().__init__()
        self.patch, self.blocks, self.first = patch, blocks, channels[0]
        first, last = channels[0], channels[-1]
        sides = [side // patch // 2**level for level in range(len(channels))]
        width = 4 * first
        self.time = nn.Sequential(nn.Linear(first, width), nn.SiLU(), nn.Linear(width, width))
        self.label = nn.Embedding(classes, width) if classes > 1 else None
        self.facts = nn.Linear(facts, width, bias=False) if facts else None
        self.stem = nn.Conv2d(3 * patch**2, first, 3, padding=1)

        def attention(count: int, level: int) -> nn.Module:
            return Attention(count) if sides[level] <= attention_side else nn.Identity()

        self.down, self.down_attention, self.shrink = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        inputs = [first, *channels[:-1]]
        for level, (before, here) in enumerate(zip(inputs, channels, strict=True)):
            self.down.extend(Block(before if i == 0 else here, here, width) for i in range(blocks))
            self.down_attention.append(attention(here, level))
        self.shrink.extend(nn.Conv2d(here, here, 3, stride=2, padding=1) for here in channels[:-1])
        self.middle = nn.ModuleList([Block(last, last, width), attention(last, -1), Block(last, last, width)])
        self.up, self.up_attention, self.grow = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for level, here in reversed(list(enumerate(channels))):
            self.up.extend(Block(2 * here, here, width) for _ in range(blocks))
            self.up_attention.append(attention(here, level))
        self.grow.extend(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(reversed(channels)))
        self.out = nn.Sequential(_norm(first), nn.SiLU(), _zero(nn.Conv2d(first, 3 * patch**2, 3, padding=1)))

    def forward(self, x: Tensor, time: Tensor, label: Tensor, facts: Tensor | None = None) -> Tensor:
        """Return v (B, 3, S, S) for images of that shape, times (B,) in [0, 1], labels (B,), facts (B, F) if any."""
        told = self.time(waves(time, self.first))
        if self.label is not None:
            told = told + self.label(label)
        if self.facts is not None and facts is not None:
            told = told + self.facts(facts)
        told = functional.silu(told)  # (B, width)
        x = self.stem(functional.pixel_unshuffle(x, self.patch))  # (B, C, S / patch, S / patch)
        kept: list[Tensor] = []
        for number, block in enumerate(self.down):
            level, place = divmod(number, self.blocks)
            if level and place == 0:
                x = self.shrink[level - 1](x)
            x = block(x, told)
            kept.append(x)
            if place == self.blocks - 1:
                x = self.down_attention[level](x)
        x = self.middle[2](self.middle[1](self.middle[0](x, told)), told)
        for number, block in enumerate(self.up):
            level, place = divmod(number, self.blocks)
            if level and place == 0:
                x = self.grow[level - 1](x)
            x = block(torch.cat([x, kept.pop()], 1), told)
            if place == self.blocks - 1:
                x = self.up_attention[level](x)
        return functional.pixel_shuffle(self.out(x), self.patch)


class Block(nn.Module):
    """Two normalised convolutions around a scale and shift by the time, plus the input."""

    def __init__(self, before: int, after: int, width: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_norm(before), nn.SiLU(), nn.Conv2d(before, after, 3, padding=1))
        self.told = nn.Linear(width, 2 * after)
        self.norm = _norm(after)
        self.second = _zero(nn.Conv2d(after, after, 3, padding=1))
        self.skip = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        """Return (B, after, h, w) for x (B, before, h, w)."""
        scale, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        inner = self.norm(self.first(x)) * (1 + scale) + shift
        out: Tensor = self.skip(x) + self.second(functional.silu(inner))
        return out


class Attention(nn.Module):
    """Self-attention over all places of a map, heads of 64 channels, plus the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = max(1, channels // HEAD_WIDTH)
        self.norm = _norm(channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.out = _zero(nn.Conv2d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return a map of the shape of x (B, C, h, w)."""
        B, C, h, w = x.shape
        asked = self.ask(self.norm(x)).reshape(B, 3, self.heads, C // self.heads, h * w)
        q, k, v = asked.transpose(-1, -2).unbind(1)  # each (B, heads, h·w, C / heads)
        seen = functional.scaled_dot_product_attention(q, k, v)
        out: Tensor = x + self.out(seen.transpose(-1, -2).reshape(B, C, h, w))
        return out


def waves(time: Tensor, count: int) -> Tensor:
    """Return cosines and sines of times (B,) in [0, 1] at count / 2 frequencies, (B, count) (Vaswani et al. 2017)."""
    half = count // 2
    frequencies = torch.exp(-math.log(10_000) / half * torch.arange(half, device=time.device))
    angles = 1000 * time[:, None] * frequencies
    return torch.cat([angles.cos(), angles.sin()], 1)


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels // 4) if channels >= 8 else 1, channels)


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """Return the layer with weights 0, so that its block begins as the identity."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
