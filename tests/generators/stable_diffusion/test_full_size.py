"""Stable Diffusion 2.1-base in its full size, with random weights: 1.3 thousand million of them.

Needs 12 GB of disk and, on a processor, 20 GB of memory and minutes; on a GPU, seconds.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from cytobench.generators.lora_sd import LoraSd
from tests.generators.stable_diffusion.tiny import write_tokenizer
from tests.generators.toy import discs


def write_full_size(folder: Path) -> Path:
    """Write a folder with the architecture of Stable Diffusion 2.1-base, random weights in half precision."""
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    write_tokenizer(folder / "tokenizer")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=64, cross_attention_dim=1024, attention_head_dim=(5, 10, 20, 20), use_linear_projection=True
        )
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=768,
            down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        )  # fmt: skip
        text_encoder = CLIPTextModel(
            CLIPTextConfig(
                hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16,
                hidden_act="gelu", projection_dim=512,
            )
        )  # fmt: skip
    scheduler = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", skip_prk_steps=True, steps_offset=1,
        set_alpha_to_one=False,
    )  # fmt: skip
    pipeline = StableDiffusionPipeline(
        vae, text_encoder, CLIPTokenizer.from_pretrained(folder / "tokenizer"), unet, scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    for part in (unet, vae, text_encoder):
        torch.nn.Module.to(part, torch.float16)
    pipeline.save_pretrained(folder)
    return folder


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_full_size_is_trained_saved_loaded_and_drawn(tmp_path: Path) -> None:
    from diffusers import StableDiffusionPipeline

    folder = write_full_size(tmp_path / "base")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    config = LoraSd.profile("standard", 64).model_copy(
        update={"base": str(folder), "steps": 2, "chunk": 1, "evaluations": 2, "turns": False}
        | ({} if device.type == "cuda" else {"batch": 1, "checkpointing": True})
    )
    made = LoraSd(config, image_size=64, classes=1, device=device, class_names=("neutrophil",))
    assert made.shape.parts == ("unet", "text_encoder")
    made.fit(discs(4, 64), np.zeros(4, np.int64), seed=0, partial=tmp_path / "partial", tick=lambda count, note: None)
    made.save(tmp_path / "saved")
    images = made.sample(0, [0], seed=0)
    assert images.shape == (1, 64, 64, 3)
    loaded = LoraSd.load(tmp_path / "saved", device)
    np.testing.assert_array_equal(loaded.sample(0, [0], seed=0), images)
    del made, loaded
    plain = StableDiffusionPipeline.from_pretrained(folder, safety_checker=None, local_files_only=True)
    plain.load_lora_weights(tmp_path / "saved")
    assert plain.get_list_adapters() == {"unet": ["default_0"], "text_encoder": ["default_0"]}
