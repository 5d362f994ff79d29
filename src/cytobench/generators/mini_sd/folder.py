"""The folder of ``mini-sd``: an ordinary diffusers pipeline, its hashes and its card."""

import shutil
from pathlib import Path
from typing import Any

from cytobench.store import file_sha256, read_json, sweep, write_bytes, write_json

FACTS = "mini.json"
"""How the weights were made, and the hash of every other file."""
CARD = "README.md"


def write(
    folder: Path, networks: dict[str, Any], *, tokenizer: Path, made: dict[str, Any], minutes: dict[str, float]
) -> None:
    """Write float16 weights, the tokenizer, the scheduler, the card and the hashes.

    Args:
        folder: The pipeline's folder; files of the same names are replaced.
        networks: ``vae``, ``text_encoder``, ``tokenizer``, ``unet`` and ``scheduler``; they become float16.
        tokenizer: The folder with the tokenizer's own files; only those go along, which every version can read.
        made: How: seed, steps, measurements; goes into ``mini.json`` and the card.
        minutes: How long every stage took; goes into ``mini.json`` alone, so that all else has the same bytes again.
    """
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline(
        **networks, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    for name in ("vae", "text_encoder", "unet"):
        networks[name].half()
    pipeline.save_pretrained(folder)
    shutil.rmtree(folder / "tokenizer")
    shutil.copytree(tokenizer, folder / "tokenizer")
    _without_places(folder)
    write_bytes(folder / CARD, card(made).encode())
    sweep(folder)
    write_json(folder / FACTS, {"made": made, "minutes": minutes, "sha256": hashes(folder)})


def hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file but ``mini.json``, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FACTS)
    return {path.relative_to(folder).as_posix(): file_sha256(path) for path in files}


def card(made: dict[str, Any]) -> str:
    """Return the model card."""
    facts = "\n".join(f"| {name.replace('_', ' ')} | {value} |" for name, value in made.items())
    return CARD_TEXT.replace("{facts}", facts)


def _without_places(folder: Path) -> None:
    """Take out of the configurations where the networks lay when they were saved."""
    for path in sorted(folder.glob("*/config.json")):
        facts = read_json(path)
        facts.pop("_name_or_path", None)
        if "dtype" in facts:
            facts["dtype"] = "float32"  # what they are computed in, unless a caller says otherwise
        write_json(path, facts)


CARD_TEXT = """---
license: apache-2.0
library_name: diffusers
pipeline_tag: text-to-image
---
# mini-sd

A very small Stable Diffusion that draws generic stained blood smears, 64×64 pixels. It has the kinds of parts that
Stable Diffusion 1.x and 2.x have, so that code for those can be tried and tested offline in seconds:

| part | kind | size |
|---|---|---|
| `vae` | `AutoencoderKL`, factor 4, 4 latent channels, no attention | 32, 32, 64 channels |
| `unet` | `UNet2DConditionModel`, cross-attention, ε-prediction | 48, 96, 128 channels |
| `text_encoder` | `CLIPTextModel` | 4 layers, 128 wide |
| `tokenizer` | `CLIPTokenizer`, own byte pairs from `vocabulary.txt` | 77 tokens at most |
| `scheduler` | `DDIMScheduler`, β .00085 … .012, scaled linear, 1000 steps | |

Load it as any other: `StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)`. The latents have mean 0
and deviation 1 in every channel, so `scaling_factor` is 1.

## What it learnt from
Phantom smears drawn by `cytobench.datasets.phantom` from rules, two sites, five kinds of white cells and red cells,
with a seed of its own; no photograph, no patient. Captions name the picture, the stain and the surroundings; about a
third also say what nucleus and granules look like ("segmented nucleus, fine granules"). **No white cell is called by
its name**: unadapted samples are smears of no particular class, and an adapter has to teach the classes. One caption
in ten was empty.

## How it was made
`python -m cytobench.generators.mini_sd.train --out FOLDER`

| | |
|---|---|
{facts}

How long it took stands in `mini.json`, beside the hash of every file.

## What it is not for
It has seen no real cell. It is the base of demonstrations and tests; numbers measured with it say nothing about Stable
Diffusion or about real cells. Never use its images for diagnosis, teaching morphology or training a clinical tool.

Licence: Apache-2.0, weights and vocabulary included.
"""
