"""Drawing: what decides a picture and what does not."""

from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from cytobench.generators.stable_diffusion import drawing
from cytobench.generators.stable_diffusion.base import find_base, load_pipeline
from cytobench.generators.stable_diffusion.drawing import Manner, Sampler, draw

MANNER = Manner(sampler="dpm-solver++", evaluations=4, guidance=2.0, canvas=32, precision="float32")


@pytest.fixture(scope="module")
def pipeline(tiny_base: Path) -> Any:
    return load_pipeline(find_base(str(tiny_base)), torch.device("cpu"), torch.float32)


def drawn(pipeline: Any, count: int = 3, **changes: Any) -> torch.Tensor:
    return draw(pipeline, "a cell", count, MANNER._replace(**changes), torch.Generator().manual_seed(0))


@pytest.mark.parametrize("sampler", get_args(Sampler))
def test_every_sampler_draws_and_leaves_the_pipeline_as_it_was(sampler: Sampler, pipeline: Any) -> None:
    before = pipeline.scheduler
    pictures = drawn(pipeline, sampler=sampler)
    assert pictures.shape == (3, 3, 32, 32)
    assert bool(pictures.isfinite().all())
    assert torch.equal(drawn(pipeline, sampler=sampler), pictures)
    assert pipeline.scheduler is before


def test_samplers_steps_guidance_and_canvas_matter(pipeline: Any) -> None:
    plain = drawn(pipeline)
    for other in ({"sampler": "ddim"}, {"evaluations": 5}, {"guidance": 1.0}, {"guidance": 4.0}):
        assert not torch.allclose(drawn(pipeline, **other), plain, atol=1e-4)
    assert drawn(pipeline, canvas=64).shape == (3, 3, 64, 64)


def test_it_is_what_plain_diffusers_draws(pipeline: Any) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    sampler = DDIMScheduler.from_config(pipeline.scheduler.config, clip_sample=False)
    plain = StableDiffusionPipeline(**(pipeline.components | {"scheduler": sampler}), requires_safety_checker=False)
    plain.set_progress_bar_config(disable=True)
    noise = torch.randn((3, 4, 16, 16), generator=torch.Generator().manual_seed(0))
    theirs = plain(
        "a cell", num_images_per_prompt=3, latents=noise, num_inference_steps=4, guidance_scale=2.0, output_type="pt"
    ).images
    ours = (drawn(pipeline, sampler="ddim") / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_how_many_are_decoded_at_once_does_not_matter(pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = drawn(pipeline)
    monkeypatch.setattr(drawing, "_decoded_together", lambda canvas: 1)
    torch.testing.assert_close(drawn(pipeline), whole, atol=1e-5, rtol=0)
