"""The embedded base as a user gets it: whole, small, loadable by plain diffusers, and a painter of smears."""

from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.generators.mini_sd import (
    autoencoder,
    byte_pairs,
    captions,
    folder,
    smears,
    texts,
)
from cytobench.store import read_json

FOLDER = Path(str(resources.files("cytobench") / "generators/mini_sd/pipeline"))


@pytest.fixture(scope="module")
def pipeline() -> Any:
    from diffusers import StableDiffusionPipeline

    loaded = StableDiffusionPipeline.from_pretrained(FOLDER, local_files_only=True)
    loaded.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def held_out() -> NDArray[np.uint8]:
    return smears.pool_of(44, seed=0, part="held out").images


def test_every_file_is_the_one_that_was_made() -> None:
    assert folder.hashes(FOLDER) == read_json(FOLDER / folder.FACTS)["sha256"]
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) <= 15e6


def test_long_prompts_are_cut_and_short_ones_come_back(pipeline: Any) -> None:
    long = pipeline.tokenizer("a white blood cell, " * 60, truncation=True)["input_ids"]
    assert len(long) == 77
    text = "a microscope image of a white blood cell in a peripheral blood smear"
    numbers = pipeline.tokenizer(text)["input_ids"]
    assert pipeline.tokenizer.decode(numbers, skip_special_tokens=True) == text
    assert len(numbers) == len(text.split()) + 2
    odd = "Größe µm 37 °C"
    assert pipeline.tokenizer.decode(pipeline.tokenizer(odd)["input_ids"], skip_special_tokens=True).replace(
        " ", ""
    ) == odd.lower().replace(" ", "")


def test_the_vocabulary_is_the_one_that_its_words_give() -> None:
    lines = (FOLDER / "tokenizer/merges.txt").read_text(encoding="utf-8").splitlines()[1:]
    assert [tuple(line.split()) for line in lines] == byte_pairs.learn(texts.words(), most=texts.MERGES)


def test_captions_of_training_cost_about_a_token_a_word(pipeline: Any) -> None:
    shapes = [line for lines in (captions.SHAPES, captions.GRANULES) for words in lines.values() for line in words]
    for line in (*shapes, *captions.PICTURES, *captions.SMEARS):
        assert len(pipeline.tokenizer.tokenize(line)) == len(line.replace("-", " - ").split())


def test_the_autoencoder_gives_unseen_cells_back(pipeline: Any, held_out: NDArray[np.uint8]) -> None:
    assert autoencoder.psnr(pipeline.vae, held_out, torch.device("cpu")) > 28
    latents = autoencoder.latents_of(pipeline.vae, held_out, torch.device("cpu"))
    assert latents.mean((0, 2, 3)).abs().max() < 0.2
    assert (latents.std((0, 2, 3)) - 1).abs().max() < 0.2


def test_unadapted_samples_look_like_smears(pipeline: Any, held_out: NDArray[np.uint8]) -> None:
    drawn = pipeline(
        ["a microscope image of a white blood cell in a stained blood smear"] * 8,
        num_inference_steps=20,
        guidance_scale=2.0,
        generator=[torch.Generator().manual_seed(number) for number in range(8)],
        output_type="np",
    ).images
    noise, true = np.random.default_rng(0).random((8, 64, 64, 3)), held_out / 255
    assert drawn.std((1, 2)).mean(1).min() > 0.05, "a sample is flat"
    assert np.abs(drawn[0] - drawn[1]).mean() > 0.02, "all samples are the same"
    assert np.linalg.norm(looks(drawn) - looks(true)) < 0.25 * np.linalg.norm(looks(noise) - looks(true))


def looks(images: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return colours' means and deviations and the steps between neighbours of images (N, H, W, 3) in [0, 1]: (9,)."""
    edges = np.abs(np.diff(images, axis=2)).mean((0, 1, 2))
    return np.concatenate([images.mean((0, 1, 2)), images.std((1, 2)).mean(0), edges]).astype(np.float64)
