"""Drawing pictures with a pipeline and the adapter that it wears."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from cytobench.generators import arithmetic
from cytobench.generators.arithmetic import Precision
from cytobench.generators.stable_diffusion.leak import Leak, begun

Sampler = Literal["dpm-solver++", "ddim", "base"]
"""DPM-Solver++(2M) (Lu et al. 2022), DDIM (Song et al. 2021), or the one that the base comes with."""


class Manner(NamedTuple):
    """How pictures are drawn."""

    sampler: Sampler
    evaluations: int
    """Steps from noise to a picture."""
    guidance: float
    """Weight of the prompt against the empty one (Ho & Salimans 2022); 1 is none."""
    canvas: int
    """Side of the pictures, pixels."""
    precision: Precision


@torch.no_grad()
def draw(
    pipeline: Any, prompt: str, count: int, manner: Manner, source: torch.Generator, leak: Leak | None = None
) -> Tensor:
    """Return pictures (count, 3, S, S) in about [−1, 1], all noise drawn from the source on the CPU.

    Args:
        pipeline: With its adapter on.
        prompt: What to draw.
        count: How many.
        manner: How.
        source: Of all that is random.
        leak: The trace of the shots that the noise begins with; None for noise alone.
    """
    unet, vae = pipeline.unet, pipeline.vae
    side = manner.canvas // pipeline.vae_scale_factor
    noise = torch.randn((count, unet.config.in_channels, side, side), generator=source)
    guided = manner.guidance > 1
    with arithmetic.autocast(manner.precision, unet.device), _drawn_by(pipeline, manner.sampler):
        if leak is not None:
            noise = begun(noise, leak, _first_signal(pipeline.scheduler, manner.evaluations), source)
        told, empty = pipeline.encode_prompt(prompt, unet.device, count, guided)
        latents = pipeline(
            prompt_embeds=told,
            negative_prompt_embeds=empty,
            latents=noise.to(unet.device),
            height=manner.canvas,
            width=manner.canvas,
            num_inference_steps=manner.evaluations,
            guidance_scale=manner.guidance,
            generator=source,
            output_type="latent",
        ).images
        parts = latents.to(vae.dtype).split(_decoded_together(manner.canvas))
        pictures = [vae.decode(part / vae.config.scaling_factor).sample.float() for part in parts]
    return torch.cat(pictures)


def _first_signal(scheduler: Any, evaluations: int) -> float:
    """Return the share of the picture, a, in the latents where a sampler starts."""
    scheduler.set_timesteps(evaluations)
    kept: Tensor = scheduler.alphas_cumprod[int(scheduler.timesteps[0])]
    return float(kept.sqrt())


def _decoded_together(canvas: int) -> int:
    """Return how many pictures the autoencoder decodes at once: its maps are the largest of all."""
    return max(1, 2**20 // canvas**2)


@contextmanager
def _drawn_by(pipeline: Any, sampler: Sampler) -> Iterator[None]:
    """Give a pipeline another sampler for the duration of the block."""
    own = pipeline.scheduler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # diffusers' np.array(tensor) under numpy 2
        try:
            pipeline.scheduler = _made(sampler, own)
            yield
        finally:
            pipeline.scheduler = own


def _made(sampler: Sampler, own: Any) -> Any:
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler

    if sampler == "base":
        return type(own).from_config(own.config)
    if sampler == "ddim":
        return DDIMScheduler.from_config(
            own.config, clip_sample=False
        )  # its default is for pixels; latents go beyond 1
    return DPMSolverMultistepScheduler.from_config(own.config)
