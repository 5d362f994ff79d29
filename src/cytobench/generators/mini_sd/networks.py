"""The networks of ``mini-sd``: Stable Diffusion's own kinds, small, with freshly drawn weights.

64-pixel images ↔ latents (4, 16, 16); text of at most 77 tokens, 128 values each. Rombach et al. 2022 (latent
diffusion), Radford et al. 2021 (the text encoder).
"""

from typing import Any

import torch

from cytobench.generators.fitting import seeded

WIDTH = 128
"""Values per token."""
TOKENS = 77
"""Tokens of a prompt, the two marks included."""
NOISE_STEPS = 1000
BETAS = (0.00085, 0.012)
"""First and last β of the schedule, Stable Diffusion's 1.x and 2.x-base alike."""

QUIET = -8.0
"""Logarithm of the latents' variance before training."""


def autoencoder(seed: int) -> Any:
    """Return an ``AutoencoderKL``: images (B, 3, 64, 64) ↔ latents (B, 4, 16, 16).

    Its latents begin with little noise: at the usual deviation of 1 the noise drowns what an untrained encoder says.
    """
    from diffusers import AutoencoderKL

    network = seeded(
        seed,
        lambda: AutoencoderKL(
            sample_size=64,
            latent_channels=4,
            block_out_channels=(32, 32, 64),
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            layers_per_block=1,
            norm_num_groups=8,
            mid_block_add_attention=False,
            scaling_factor=1.0,
        ),
    )
    with torch.no_grad():
        network.quant_conv.bias[4:] = QUIET
    return network


def unet(seed: int) -> Any:
    """Return a ``UNet2DConditionModel`` on latents (B, 4, 16, 16) and texts (B, 77, 128)."""
    from diffusers import UNet2DConditionModel

    return seeded(
        seed,
        lambda: UNet2DConditionModel(
            sample_size=16,
            in_channels=4,
            out_channels=4,
            layers_per_block=1,
            block_out_channels=(48, 96, 128),
            down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=WIDTH,
            attention_head_dim=2,  # the number of heads, for historical reasons
            use_linear_projection=True,
            norm_num_groups=16,
        ),
    )


def text_encoder(seed: int, *, vocabulary: int, first: int, last: int) -> Any:
    """Return a ``CLIPTextModel`` of 4 layers.

    Args:
        seed: Of its initial weights.
        vocabulary: How many tokens there are.
        first: Number of the token that begins every text.
        last: Number of the token that ends and fills up every text.
    """
    from transformers import CLIPTextConfig, CLIPTextModel

    config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        projection_dim=WIDTH,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=TOKENS,
        hidden_act="quick_gelu",
        bos_token_id=first,
        eos_token_id=last,
        pad_token_id=last,
    )
    return seeded(seed, lambda: CLIPTextModel(config))


def scheduler() -> Any:
    """Return the sampler that the folder names: DDIM on Stable Diffusion's schedule."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        num_train_timesteps=NOISE_STEPS,
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        clip_sample=False,
        set_alpha_to_one=False,
        steps_offset=1,
    )
