"""How long drawing one image takes with the WBC-USID benchmark's U-Net, as published and as the paper profile has it.

``pytest tests/speed/test_sampling.py -s``
"""

import time
from collections.abc import Callable

import torch
from diffusers import UNet2DModel

from cytobench.generators import arithmetic
from cytobench.generators.ddpm import Ddpm
from cytobench.generators.unet import UNet
from cytobench.progress import say

SIDE, IMAGES, REPEATS = 64, 2, 3
STEPS = 1000


def seconds(work: Callable[[], object]) -> float:
    """Return the shortest of some runs after one to warm up."""
    work()
    taken = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


@torch.no_grad()
def test_twenty_evaluations_against_a_thousand() -> None:
    """An evaluation of each network is timed, and multiplied by how often it is asked."""
    config = Ddpm.profile("paper", SIDE)
    kinds = len(config.channels)
    published = UNet2DModel(
        sample_size=SIDE, block_out_channels=config.channels, layers_per_block=2, attention_head_dim=8,
        down_block_types=("AttnDownBlock2D",) * kinds, up_block_types=("AttnUpBlock2D",) * kinds,
    ).eval()  # fmt: skip
    device = torch.device("cpu")
    layout = arithmetic.layout("auto", device)
    ours = UNet(
        config.channels, blocks=config.blocks, patch=config.patch, side=SIDE, attention_side=config.attention_side,
        classes=1,
    ).to(memory_format=layout).eval()  # fmt: skip
    noise = torch.randn(IMAGES, 3, SIDE, SIDE)
    time_, label = torch.full((IMAGES,), 0.5), torch.zeros(IMAGES, dtype=torch.long)

    def evaluated() -> torch.Tensor:
        with arithmetic.autocast("auto", device):
            drawn: torch.Tensor = ours(noise.contiguous(memory_format=layout), time_, label)
        return drawn

    one_published = seconds(lambda: published(noise, 500))
    one_ours = seconds(evaluated)
    before, now = STEPS * one_published / IMAGES, config.evaluations * one_ours / IMAGES
    say(
        f"one image: {before:.1f} s in {STEPS} evaluations as published, {now:.2f} s in {config.evaluations} of ours, "
        f"{before / now:.0f} times as fast; one evaluation {one_published / one_ours:.2f} times"
    )
