"""The VAE's formulas against torch.distributions, and that it learns."""

from pathlib import Path

import numpy as np
import torch
from torch.distributions import Normal, kl_divergence

from cytobench.generators.vae import Prior, Vae, VaeConfig, divergence, gaussian_nats
from tests.generators.toy import discs


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
