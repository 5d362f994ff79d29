"""The VAE's formulas against torch.distributions, and that it learns."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from cytobench.errors import EnvironmentFault
from cytobench.generators.vae import Prior, Vae, VaeConfig, divergence, gaussian_nats, half_squares
from cytobench.store import file_sha256
from tests.generators.toy import discs, write_squeezenet


def test_divergence_agrees_with_torch() -> None:
    mean, log_variance = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    theirs = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(torch.zeros(()), torch.ones(()))).sum(1)
    torch.testing.assert_close(divergence(mean, log_variance), theirs)


def test_nats_agree_with_torch_at_the_best_variance() -> None:
    real, shown = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))

    def theirs(deviation: torch.Tensor) -> torch.Tensor:
        total: torch.Tensor = Normal(shown, deviation).log_prob(real)  # type: ignore[no-untyped-call]
        return -total.sum((1, 2, 3)).mean()

    best = (real - shown).square().mean().sqrt()
    torch.testing.assert_close(gaussian_nats(real, shown), theirs(best))
    assert theirs(best) < min(theirs(best * 1.05), theirs(best * 0.95))


def test_learning_reduces_the_loss_and_draws_discs(tmp_path: Path) -> None:
    config = VaeConfig(steps=150, batch=16, learning_rate=4e-3, chunk=8, latent=8, width=8, precision="float32")
    model, notes = Vae(config, image_size=16, classes=1, device=torch.device("cpu")), list[str]()
    model.fit(discs(30, 16), np.zeros(30, np.int64), seed=0, partial=tmp_path, tick=lambda _, note: notes.append(note))
    told = [float(note.split()[1]) for note in notes if note]
    assert told[-1] < told[0] - 1
    drawn = model.sample(0, range(8), seed=0) / 255
    assert drawn[:, :2, :2].mean() - drawn[:, 6:10, 6:10].mean() > 0.3
    assert drawn.std(0).mean() > 0.01, "every image is the same"


def test_the_prior_has_the_moments_of_the_mixture() -> None:
    source = torch.Generator().manual_seed(0)
    means = (
        torch.randn(500, 3, generator=source) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 0.3]]) + 2
    )
    variances = torch.rand(500, 3, generator=source)
    prior = Prior(3)
    prior.learn(means, variances)
    drawn = prior(torch.randn(200_000, 3, generator=source))
    mixture = (means + variances.sqrt() * torch.randn(400, 500, 3, generator=source)).flatten(0, 1)
    torch.testing.assert_close(drawn.mean(0), mixture.mean(0), rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.T.cov(), mixture.T.cov(), rtol=0, atol=0.03)


def small(**changes: object) -> VaeConfig:
    return VaeConfig(
        **{"steps": 3, "batch": 8, "learning_rate": 4e-3, "chunk": 4, "latent": 4, "width": 4, "precision": "float32"}
        | changes  # type: ignore[arg-type]
    )


def fitted(config: VaeConfig, place: Path, size: int = 16) -> Vae:
    model = Vae(config, image_size=size, classes=1, device=torch.device("cpu"))
    model.fit(discs(12, size), np.zeros(12, np.int64), seed=0, partial=place, tick=lambda _, __: None)
    return model


def test_half_squares_are_nats_at_variance_one() -> None:
    real, shown = torch.randn(2, 4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    total: torch.Tensor = Normal(shown, torch.ones(())).log_prob(real)  # type: ignore[no-untyped-call]
    constant = real[0].numel() * math.log(2 * math.pi) / 2
    torch.testing.assert_close(half_squares(real, shown), -total.sum((1, 2, 3)).mean() - constant)


def test_a_large_beta_sends_every_image_to_the_prior(tmp_path: Path) -> None:
    def away(beta: float) -> float:
        model = fitted(small(steps=150, beta=beta), tmp_path / str(beta))
        assert isinstance(model.network, torch.nn.Sequential)
        prior = model.network[0]
        assert isinstance(prior, Prior)
        return float((prior.factor - torch.eye(4)).abs().max() + prior.mean.abs().max())

    assert away(300.0) < 0.1
    assert away(0.01) > 1


def test_the_perceptual_distance_takes_part_and_its_network_is_written_down(tmp_path: Path) -> None:
    weights = write_squeezenet(tmp_path / "squeezenet.pth")
    asked = small(perceptual=10.0, features=str(weights), beta=1.0)
    with_it, without = fitted(asked, tmp_path / "a", 28), fitted(small(beta=1.0), tmp_path / "b", 28)
    drawn = with_it.sample(0, range(4), seed=0)
    assert not np.array_equal(drawn, without.sample(0, range(4), seed=0))
    assert with_it.config.features_sha256 == file_sha256(weights)
    with_it.save(tmp_path / "saved")
    weights.unlink()
    loaded = Vae.load(tmp_path / "saved", torch.device("cpu"))
    np.testing.assert_array_equal(loaded.sample(0, range(4), seed=0), drawn)


def test_looking_up_writes_the_hash_or_says_what_is_missing(tmp_path: Path) -> None:
    weights = write_squeezenet(tmp_path / "squeezenet.pth")
    found = Vae.looked_up(small(perceptual=1.0, features=str(weights)), ["a"])
    assert isinstance(found.config, VaeConfig)
    assert found.config.features_sha256 == file_sha256(weights)
    assert "squeezenet.pth" in found.notes[0]
    assert Vae.looked_up(small(), ["a"]).notes == ()
    with pytest.raises(EnvironmentFault, match=r"not at .*nowhere.pth") as caught:
        Vae.looked_up(small(perceptual=1.0, features="nowhere.pth"), ["a"])
    assert caught.value.exit_code == 4
    assert "torchvision" in caught.value.fix
