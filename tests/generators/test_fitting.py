"""The loop's own arithmetic; what it promises as a whole is in test_contract."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from cytobench.errors import UsageFault
from cytobench.generators import fitting
from cytobench.generators.contract import GeneratorConfig
from tests.generators.toy import discs

CONFIG = GeneratorConfig(steps=5, batch=3, learning_rate=0.1, chunk=1)


def line(seen: list[torch.Tensor]) -> fitting.Learner:
    network = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(network.parameters(), lr=CONFIG.learning_rate)

    def learn(images: torch.Tensor, labels: torch.Tensor, source: torch.Generator) -> torch.Tensor:
        seen.append(images)
        return torch.zeros(())

    return fitting.Learner({"network": network}, {"network": optimizer}, learn)


def run(learner: fitting.Learner, partial: Path, *, count: int = 6, config: GeneratorConfig = CONFIG) -> list[int]:
    ticks: list[int] = []
    images = discs(count, 8) if count else np.zeros((0, 8, 8, 3), np.uint8)
    fitting.fit(
        learner,
        images,
        np.zeros(count, np.int64),
        config=config,
        side=8,
        seed=0,
        partial=partial,
        tick=lambda steps, note: ticks.append(steps),
        device=torch.device("cpu"),
    )
    return ticks


def test_the_rate_rises_then_falls_to_nothing() -> None:
    rates = [fitting.rate(step, 100, fitting.warm_up(100)) for step in range(101)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert max(rates) == 1.0
    assert rates[5:] == sorted(rates[5:], reverse=True)
    assert rates[100] == pytest.approx(0, abs=1e-12)


def test_the_eight_turns_are_the_symmetries_of_the_square() -> None:
    image = torch.arange(9).reshape(1, 1, 3, 3)
    turned = fitting.turned(image.expand(8, 1, 3, 3), torch.arange(8))
    theirs = [np.rot90(one, k) for k in range(4) for one in (image[0, 0].numpy(), image[0, 0].numpy()[:, ::-1])]
    assert {one.numpy().tobytes() for one in turned[:, 0]} == {np.ascontiguousarray(one).tobytes() for one in theirs}


def test_initial_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(0)
    one = fitting.seeded(3, lambda: nn.Linear(2, 2).weight)
    after = torch.rand(())
    torch.manual_seed(1)
    two = fitting.seeded(3, lambda: nn.Linear(2, 2).weight)
    torch.manual_seed(0)
    assert torch.equal(one, two)
    assert torch.equal(torch.rand(()), after), "the global source was moved"


def test_the_average_follows_weights_and_counts() -> None:
    live, average = nn.BatchNorm1d(2), nn.BatchNorm1d(2)
    nn.init.constant_(live.weight, 3.0)
    assert live.num_batches_tracked is not None
    assert average.num_batches_tracked is not None
    live.num_batches_tracked.fill_(7)
    fitting.follow(average, live, 0.75)
    assert average.weight.tolist() == [1.5, 1.5]
    assert average.num_batches_tracked.item() == 7


def test_a_step_sees_whole_images_in_range(tmp_path: Path) -> None:
    seen: list[torch.Tensor] = []
    ticks = run(line(seen), tmp_path)
    assert ticks == [1] * 5
    assert all(batch.shape == (3, 3, 8, 8) for batch in seen)
    assert len({batch.numpy().tobytes() for batch in seen}) == 5, "every step has its own batch"
    assert -1 <= float(torch.stack(seen).min()) < float(torch.stack(seen).max()) <= 1


def test_saves_when_the_time_has_come_and_resumes_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_SAVES", -1.0)
    run(line([]), tmp_path)
    seen: list[torch.Tensor] = []
    assert run(line(seen), tmp_path) == [5]
    assert seen == []


def test_another_fits_checkpoint_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "SECONDS_BETWEEN_SAVES", -1.0)
    run(line([]), tmp_path)
    assert run(line([]), tmp_path, count=7) == [1] * 5
    assert run(line([]), tmp_path, config=CONFIG.model_copy(update={"batch": 2})) == [1] * 5


def test_refuses_no_images(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="no images"):
        run(line([]), tmp_path, count=0)
