"""A Stable Diffusion of a few thousand random weights, as a folder that diffusers reads."""

import json
import re
import string
from pathlib import Path

import torch

from cytobench.generators.stable_diffusion.prompt_files import shipped

SIDE = 32
"""Of its pictures, pixels; its latents are 16 × 16."""


def write_tokenizer(folder: Path) -> None:
    """Write a vocabulary of letters and the words of our prompts, as CLIP's tokenizer reads it."""
    words = sorted({word for one in shipped().values() for word in re.findall("[a-z]+", one.prompt)} | {"cell"})
    letters = [*string.ascii_lowercase, *string.digits, *",.-;:()/'"]
    vocabulary = [*letters, *(f"{one}</w>" for one in letters)]
    merges = []
    for word in words:
        whole = word[0]
        for place, letter in enumerate(word[1:], start=2):
            end = "</w>" if place == len(word) else ""
            merges.append(f"{whole} {letter}{end}")
            whole = f"{whole}{letter}{end}"
            vocabulary.append(whole)
    vocabulary += ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(
        json.dumps({word: number for number, word in enumerate(dict.fromkeys(vocabulary))})
    )
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *dict.fromkeys(merges)]) + "\n")
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "pad_token": "<|endoftext|>"})
    )


def write_base(folder: Path, *, prediction: str = "epsilon", variant: str | None = None) -> Path:
    """Write the whole folder and return it."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    write_tokenizer(folder / "tokenizer")
    tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=SIDE // 2, block_out_channels=(8, 16), layers_per_block=1, cross_attention_dim=16,
            attention_head_dim=2, norm_num_groups=4, in_channels=4, out_channels=4,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        )  # fmt: skip
        vae = AutoencoderKL(
            block_out_channels=(8, 8), latent_channels=4, norm_num_groups=4, sample_size=SIDE, scaling_factor=0.5,
            down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        )  # fmt: skip
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=len(tokenizer),
                hidden_size=16,
                intermediate_size=32,
                num_hidden_layers=2,
                num_attention_heads=2,
                max_position_embeddings=77,
                projection_dim=16,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        )
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        set_alpha_to_one=False, prediction_type=prediction,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, tokenizer, unet, scheduler, safety_checker=None, feature_extractor=None,
        requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(folder, variant=variant)
    return folder
