"""Making mini-sd: the formulas, and that it can be stopped and gone on with."""

from pathlib import Path

import pytest
import torch

from cytobench.generators.contract import GeneratorConfig
from cytobench.generators.mini_sd import (
    autoencoder,
    decoder,
    diffusion,
    folder,
    networks,
    smears,
    train,
)

CPU = torch.device("cpu")
SHORT = [
    "--images",
    "22",
    "--batch",
    "2",
    "--device",
    "cpu",
    "--autoencoder-steps",
    "2",
    "--diffusion-steps",
    "2",
    "--decoder-steps",
    "2",
]


def test_noise_levels_are_those_of_the_scheduler_in_the_folder() -> None:
    torch.testing.assert_close(diffusion.kept(), networks.scheduler().alphas_cumprod, rtol=1e-4, atol=1e-6)


def test_weights_are_min_snr_over_snr() -> None:
    a2 = torch.tensor([0.5, 0.9])  # signal-to-noise ratios 1 and 9
    torch.testing.assert_close(diffusion.weights(a2), torch.tensor([1.0, 5 / 9]))


def test_standard_latents_decode_to_the_same_images() -> None:
    images = smears.pool_of(11, seed=0).images
    network = networks.autoencoder(0)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1
    with torch.no_grad():
        before = network.decode(network.encode(pixels).latent_dist.mean).sample
        autoencoder.standardise(network, images, CPU)
        latents = network.encode(pixels).latent_dist.mean
        after = network.decode(latents).sample
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(4), rtol=0, atol=1e-3)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(4), rtol=1e-3, atol=1e-3)


def test_stage_by_stage_gives_the_folder_of_one_go(tmp_path: Path) -> None:
    assert train.main(["--out", str(tmp_path / "one"), *SHORT]) == 0
    for stage in ("tokenizer", "autoencoder", "text+unet", "decoder"):
        assert train.main(["--out", str(tmp_path / "three"), "--stage", stage, *SHORT]) == 0
    one, three = folder.hashes(tmp_path / "one/pipeline"), folder.hashes(tmp_path / "three/pipeline")
    assert one == three
    assert "unet/diffusion_pytorch_model.safetensors" in one


def test_other_steps_in_a_begun_folder_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train.main(["--out", str(tmp_path), "--stage", "autoencoder", *SHORT]) == 0
    assert train.main(["--out", str(tmp_path), "--stage", "autoencoder", *SHORT[:-6], "--autoencoder-steps", "3"]) == 2
    assert "begun with 2 steps" in capsys.readouterr().err
    assert train.main(["--out", str(tmp_path), *SHORT, "--seed", "1"]) == 2


def test_a_mosaic_is_four_images_at_half_their_size() -> None:
    flat = torch.arange(8.0)[:, None, None, None].expand(8, 3, 4, 4)
    mixed = decoder.mixed_sizes(flat, torch.Generator().manual_seed(0))
    whole = (mixed == flat).flatten(1).all(1)
    assert whole.any()
    assert not whole.all()
    corners = mixed[~whole][:, :, 1::2, 1::2]
    assert (corners == corners.round()).all(), "neighbours of one quarter are of one image"


def test_the_decoder_changes_and_the_latents_stay(tmp_path: Path) -> None:
    images = smears.pool_of(11, seed=0).images
    before = networks.autoencoder(0)
    config = GeneratorConfig(steps=2, batch=2, learning_rate=1e-3, chunk=2)
    after = decoder.train(before, images, config=config, seed=0, partial=tmp_path, tick=lambda *_: None, device=CPU)
    torch.testing.assert_close(
        autoencoder.latents_of(after, images, CPU), autoencoder.latents_of(before, images, CPU), rtol=0, atol=0
    )
    assert not torch.equal(after.decoder.conv_out.weight, before.decoder.conv_out.weight)
