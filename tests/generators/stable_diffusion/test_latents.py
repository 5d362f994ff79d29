"""What a base sees of pictures, and their way back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.generators.stable_diffusion import latents
from cytobench.generators.stable_diffusion.base import find_base, load_pipeline
from tests.generators.toy import discs


def disc(side: int, part: float) -> NDArray[np.uint8]:
    """Return a picture (1, side, side, 3) of a dark disc whose diameter is a part of the side."""
    rows, columns = np.mgrid[:side, :side] - (side - 1) / 2
    grey = np.where(np.hypot(rows, columns) < part * side / 2, 60, 220).astype(np.uint8)
    return np.repeat(grey[None, :, :, None], 3, axis=3)


def diameter(image: NDArray[np.float64]) -> float:
    """Return the diameter of the disc of an image (S, S), from its area."""
    share = (220 - image).sum() / 160
    return float(2 * np.sqrt(share / np.pi))


@pytest.mark.parametrize(("size", "canvas"), [(64, 512), (64, 64), (64, 96), (128, 64)])
def test_a_cell_keeps_its_share_of_the_picture_there_and_back(size: int, canvas: int) -> None:
    image = disc(size, 0.5)
    there = latents.to_base(image, canvas)
    assert there.shape == (1, 3, canvas, canvas)
    seen = (there[0, 0].double().numpy() + 1) * 127.5
    assert diameter(seen) == pytest.approx(canvas / 2, abs=canvas / size)  # a pixel of the smaller picture
    back = latents.from_base(there, size)
    assert back.shape == image.shape
    assert diameter(back[0, ..., 0].astype(np.float64)) == pytest.approx(size / 2, abs=1)


def test_shrinking_smooths() -> None:
    checks = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    image = np.repeat(checks[None, :, :, None], 3, axis=3)
    shrunk = latents.from_base(latents.to_base(image, 64), 16).astype(int)[0, 2:-2, 2:-2]
    assert np.abs(shrunk - 127.5).max() < 16  # without smoothing, every second pixel would be all there is


def test_a_size_that_fits_changes_no_pixel() -> None:
    images = discs(3, 32)
    np.testing.assert_array_equal(latents.from_base(latents.to_base(images, 32), 32), images)


def test_latents_are_those_of_every_turn(tiny_base: Path) -> None:
    vae = load_pipeline(find_base(str(tiny_base)), torch.device("cpu"), torch.float32).vae
    images = discs(latents.AT_ONCE + 2, 32)
    once = latents.encoded(vae, images, canvas=32, turns=False)
    turned = latents.encoded(vae, images, canvas=32, turns=True)
    assert once.mean.shape == (1, len(images), 4, 16, 16)
    assert turned.deviation.shape == (8, len(images), 4, 16, 16)
    torch.testing.assert_close(turned.mean[0], once.mean[0])
    mirrored = latents.encoded(vae, np.ascontiguousarray(images[:, :, ::-1]), canvas=32, turns=False)
    torch.testing.assert_close(turned.mean[1], mirrored.mean[0])
    distribution = vae.encode(latents.to_base(images[:1], 32)).latent_dist
    torch.testing.assert_close(once.mean[0, :1], distribution.mean * vae.config.scaling_factor)


def test_latents_are_drawn_around_their_mean() -> None:
    moments = latents.Moments(torch.arange(4.0).reshape(2, 2, 1, 1, 1), torch.full((2, 2, 1, 1, 1), 0.5))
    many = 4000
    drawn = moments.drawn(torch.ones(many).long(), torch.zeros(many).long(), torch.Generator().manual_seed(0))
    assert float(drawn.mean()) == pytest.approx(2, abs=0.05)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.05)


def test_a_prompt_is_embedded_as_diffusers_does(tiny_base: Path) -> None:
    pipeline = load_pipeline(find_base(str(tiny_base)), torch.device("cpu"), torch.float32)
    prompts = ("a cell", "a blood cell, its nucleus round")
    with torch.no_grad():
        ours = latents.embedded(pipeline.text_encoder, latents.tokens(pipeline.tokenizer, prompts))
        theirs, _ = pipeline.encode_prompt(list(prompts), torch.device("cpu"), 1, False)
    torch.testing.assert_close(ours, theirs)
