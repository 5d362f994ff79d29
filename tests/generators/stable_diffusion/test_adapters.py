"""Adapters: put on, exchanged, and read by plain diffusers."""

from pathlib import Path
from typing import Any

import pytest
import torch

from cytobench.errors import IntegrityFault
from cytobench.generators.stable_diffusion import adapters
from cytobench.generators.stable_diffusion.adapters import Shape
from cytobench.generators.stable_diffusion.base import find_base, load_pipeline
from cytobench.generators.stable_diffusion.wardrobe import dressed

CPU = torch.device("cpu")
SHAPES = (Shape(4, 4, True), Shape(4, 9, True), Shape(2, 2, False))


def fresh(tiny_base: Path) -> Any:
    return load_pipeline(find_base(str(tiny_base)), CPU, torch.float32)


def noise(parameters: dict[str, torch.nn.Parameter], seed: int = 0) -> dict[str, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return {name: torch.randn(one.shape, generator=source) * 0.3 for name, one in parameters.items()}


def drawn(pipeline: Any) -> torch.Tensor:
    latents = torch.randn((2, 4, 16, 16), generator=torch.Generator().manual_seed(1))
    images: torch.Tensor = pipeline(
        "a cell", num_images_per_prompt=2, latents=latents, num_inference_steps=3, guidance_scale=2.0, output_type="pt"
    ).images
    return images


@pytest.mark.parametrize("shape", SHAPES)
def test_every_projection_of_the_attention_is_adapted(shape: Shape, tiny_base: Path) -> None:
    pipeline = fresh(tiny_base)
    wanted = {
        f"{part}.{name}" for part in shape.parts for name, _ in getattr(pipeline, part).named_modules()
        if name.endswith(tuple(f".{one}" for one in adapters.ATTENTION[part]))
    }  # fmt: skip
    parameters = adapters.put_on(pipeline, shape)
    found = {name.split(".lora_")[0].replace("text_encoder.text_model.", "text_encoder.") for name in parameters}
    assert found == wanted
    assert len(wanted) == 32 + 8 * shape.text_encoder  # four transformers of two attentions; two layers of text
    assert {one.dtype for one in parameters.values()} == {torch.float32}
    learning = [one for part in ("unet", "text_encoder", "vae") for one in getattr(pipeline, part).parameters()]
    assert sum(one.requires_grad for one in learning) == len(parameters) == 2 * len(wanted)


def test_an_adapter_that_begins_changes_nothing_and_depends_on_the_seed(tiny_base: Path) -> None:
    pipeline = fresh(tiny_base)
    bare = drawn(pipeline)
    parameters = adapters.put_on(pipeline, SHAPES[0])
    adapters.begin(parameters, 4, seed=3)
    assert torch.equal(drawn(pipeline), bare)
    first = adapters.taken_off(parameters)
    adapters.begin(parameters, 4, seed=4)
    assert any(not torch.equal(one, first[name]) for name, one in parameters.items())
    adapters.begin(parameters, 4, seed=3)
    assert all(torch.equal(one, first[name]) for name, one in parameters.items())
    beginnings = torch.cat([one.flatten() for name, one in first.items() if "lora_A" in name])
    assert float(beginnings.std()) == pytest.approx(1 / 4, rel=0.1)


@pytest.mark.parametrize("shape", SHAPES)
def test_plain_diffusers_reads_the_file_and_draws_the_same(shape: Shape, tiny_base: Path, tmp_path: Path) -> None:
    pipeline = fresh(tiny_base)
    parameters = adapters.put_on(pipeline, shape)
    adapters.wear(parameters, noise(parameters))
    adapters.save(tmp_path, adapters.taken_off(parameters), shape)

    from diffusers import StableDiffusionPipeline

    plain = StableDiffusionPipeline.from_pretrained(tiny_base, safety_checker=None, local_files_only=True)
    plain.set_progress_bar_config(disable=True)
    bare = drawn(plain)
    plain.load_lora_weights(tmp_path)
    torch.testing.assert_close(drawn(plain), drawn(pipeline), atol=1e-5, rtol=0)
    assert (drawn(plain) - bare).abs().mean() > 1e-3


def test_the_file_has_the_same_bytes_every_time(tiny_base: Path, tmp_path: Path) -> None:
    tensors = noise(adapters.put_on(fresh(tiny_base), SHAPES[0]))
    for name in ("a", "b"):
        adapters.save(tmp_path / name, tensors, SHAPES[0])
    assert (tmp_path / "a" / adapters.FILE).read_bytes() == (tmp_path / "b" / adapters.FILE).read_bytes()
    loaded = adapters.load(tmp_path / "a")
    assert loaded.keys() == tensors.keys()
    assert all(torch.equal(loaded[name], one) for name, one in tensors.items())


@pytest.mark.parametrize("other", SHAPES[2:])
def test_an_adapter_of_another_shape_is_refused(other: Shape, tiny_base: Path) -> None:
    tensors = noise(adapters.put_on(fresh(tiny_base), other))
    with pytest.raises(IntegrityFault, match="another base"):
        adapters.wear(adapters.put_on(fresh(tiny_base), SHAPES[0]), tensors)


@pytest.mark.parametrize("left", [0, 100])
def test_a_torn_file_is_refused(left: int, tiny_base: Path, tmp_path: Path) -> None:
    adapters.save(tmp_path, noise(adapters.put_on(fresh(tiny_base), SHAPES[2])), SHAPES[2])
    file = tmp_path / adapters.FILE
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(IntegrityFault):
        adapters.load(tmp_path)
    file.unlink()
    with pytest.raises(IntegrityFault, match="missing"):
        adapters.load(tmp_path)


def test_a_base_is_loaded_once_for_all_that_hold_it(tiny_base: Path) -> None:
    base = find_base(str(tiny_base))
    held = dressed(base, SHAPES[0], CPU, "float32")
    assert dressed(base, SHAPES[0], CPU, "bfloat16") is held  # a processor keeps float32 weights in any case
    assert dressed(base, SHAPES[1], CPU, "float32") is not held
