"""Make ``mini-sd``: ``python -m cytobench.generators.mini_sd.train --out FOLDER``.

Four stages, each of which goes on where it was killed: ``tokenizer``, ``autoencoder``, ``text+unet``, and ``decoder``,
which the U-Net does not need. With steps the outcome depends on the seed alone; with minutes the steps are chosen once
from the pace of the machine and kept in FOLDER/plan.json. The finished pipeline lies in FOLDER/pipeline.
"""

import argparse
import copy
from pathlib import Path
from typing import Any

import torch

from cytobench import device, interrupts
from cytobench.errors import CytobenchError
from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.mini_sd import (
    autoencoder,
    decoder,
    diffusion,
    folder,
    networks,
    smears,
    texts,
)
from cytobench.generators.mini_sd.plan import Plan, Stage
from cytobench.progress import Tick, say

HELD_OUT = 256
"""Images on which the finished autoencoder is measured."""


def main(arguments: list[str] | None = None) -> int:
    """Run the stages that are not done yet and return an exit code."""
    asked = _parser().parse_args(arguments)
    try:
        with interrupts.deferred():
            make(asked)
    except CytobenchError as error:
        say(str(error))
        return error.exit_code
    return 0


def make(asked: argparse.Namespace) -> None:
    """Make the pipeline's folder, going on with what an earlier call left."""
    chosen = device.choose(asked.device)
    place, seed, out = torch.device(chosen.kind), int(asked.seed), Path(asked.out)
    plan = Plan(out, seed=seed, images=asked.images, batch=asked.batch)
    pool = smears.pool_of(asked.images, seed=seed)
    reader = texts.tokenizer(out / "tokenizer")
    say(f"tokenizer: {len(reader)} tokens")
    if asked.stage == "tokenizer":
        return

    def encode(config: GeneratorConfig, partial: Path, tick: Tick) -> Any:
        return autoencoder.train(pool.images, config=config, seed=seed, partial=partial, tick=tick, device=place)

    stage = Stage("autoencoder", 2e-3, asked.autoencoder_steps, asked.autoencoder_minutes)
    encoder = plan.run(stage, encode, networks.autoencoder(seed))
    if asked.stage == "autoencoder":
        return
    captions = texts.texts_of(pool, reader, seed=seed)

    def diffuse(config: GeneratorConfig, partial: Path, tick: Tick) -> Any:
        return diffusion.train(
            pool.images, captions, encoder, diffusion.fresh(len(reader), seed=seed), config=config, seed=seed,
            partial=partial, tick=tick, device=place,
        )  # fmt: skip

    stage = Stage("text+unet", 7e-4, asked.diffusion_steps, asked.diffusion_minutes)
    drawer = plan.run(stage, diffuse, diffusion.fresh(len(reader), seed=seed))
    if asked.stage == "text+unet":
        return

    def sharpen(config: GeneratorConfig, partial: Path, tick: Tick) -> Any:
        return decoder.train(encoder, pool.images, config=config, seed=seed, partial=partial, tick=tick, device=place)

    stage = Stage("decoder", 1e-3, asked.decoder_steps, asked.decoder_minutes)
    painter = plan.run(stage, sharpen, copy.deepcopy(encoder))
    held_out = smears.pool_of(HELD_OUT, seed=seed, part="held out").images
    made = {
        "seed": seed,
        "phantom_images": asked.images,
        "batch": asked.batch,
        **plan.facts(),
        "processor": chosen.name,
        "autoencoder_psnr_db": round(autoencoder.psnr(painter, held_out, place), 2),
    }
    folder.write(
        out / "pipeline",
        {"vae": painter, "tokenizer": reader, "scheduler": networks.scheduler(), **dict(drawer.items())},
        tokenizer=out / "tokenizer",
        made=made,
        minutes=plan.minutes(),
    )
    say(f"{out / 'pipeline'} is done; held-out PSNR {made['autoencoder_psnr_db']} dB")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="train", description="Make mini-sd, the embedded base model.")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoints and of the finished pipeline")
    parser.add_argument("--stage", choices=("tokenizer", "autoencoder", "text+unet", "decoder"), default="decoder",
                        help="the last stage to run; those before it run first")  # fmt: skip
    parser.add_argument("--images", type=int, default=4096, help="phantom images to learn from")
    parser.add_argument("--batch", type=int, default=16, help="images per step")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    for stage, steps in (("autoencoder", 1500), ("diffusion", 6000), ("decoder", 2000)):
        parser.add_argument(f"--{stage}-steps", type=int, default=steps, help=f"{steps} unless said otherwise")
        parser.add_argument(f"--{stage}-minutes", type=float, help="as many steps as fit into this time instead")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
