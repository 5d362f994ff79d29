from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from cytobench.classifiers import course as course_module
from cytobench.classifiers.augment import Augmentation
from cytobench.classifiers.backbone import Backbone
from cytobench.classifiers.network import Network, build
from cytobench.classifiers.precision import Precision
from cytobench.classifiers.predict import logits
from cytobench.classifiers.selection import Scores
from cytobench.classifiers.train import Fitted, Training, fit
from cytobench.classifiers.weights import NONE
from cytobench.errors import DataFault, Interrupted, TrialFault

CPU = torch.device("cpu")
FP32 = Precision(False, False, {})
Coloured = tuple[NDArray[np.uint8], NDArray[np.int64]]
TRAIN, VAL = np.arange(33), np.arange(33, 48)
SPEC = Training(epochs=4, batch=8, learning_rate=0.05, patience=10, schedule="cosine", weight_decay=0.01)


def _quiet(_count: int, _note: str) -> None:
    pass


def _fit(
    network: Network,
    data: Coloured,
    partial: Path,
    *,
    spec: Training = SPEC,
    tick: Callable[[int, str], None] = _quiet,
    precision: Precision = FP32,
    train: NDArray[np.int64] = TRAIN,
    seed: int = 0,
) -> Fitted:
    return fit(
        network,
        *data,
        train,
        VAL,
        spec=spec,
        precision=precision,
        seed=seed,
        device=CPU,
        partial=partial,
        tick=tick,
    )


def _bytes(network: Network) -> list[bytes]:
    return [tensor.contiguous().numpy().tobytes() for tensor in network.state_dict().values()]


def _stopping(after: int) -> Callable[[int, str], None]:
    """Return a tick that asks to stop at its n-th call, be it in a step or in a validation."""
    calls = iter(range(after))

    def tick(_count: int, _note: str) -> None:
        if next(calls, None) is None:
            raise Interrupted(2)

    return tick


@pytest.mark.parametrize(
    ("optimizer", "precision"),
    [("sgd", FP32), ("sgd", Precision(True, True, {})), ("adamw", Precision(False, True, {}))],
)
def test_a_training_stopped_anywhere_ends_with_the_same_bytes(
    optimizer: str, precision: Precision, tiny: Backbone, coloured: Coloured, tmp_path: Path
) -> None:
    spec = Training.model_validate(SPEC.model_dump() | {"optimizer": optimizer, "learning_rate": 0.02})
    whole = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    expected = _fit(whole, coloured, tmp_path / "whole", spec=spec, precision=precision)
    rng = np.random.default_rng(0)
    for trial in range(6):
        partial = tmp_path / str(trial)
        for stop in [*rng.integers(0, 9, 3).tolist(), 10**6]:
            network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
            torch.manual_seed(int(rng.integers(1000)))  # the global state must not matter
            try:
                found = _fit(network, coloured, partial, spec=spec, precision=precision, tick=_stopping(stop))
            except Interrupted:
                assert stop < 10**6
                continue
        assert found == expected
        assert _bytes(network) == _bytes(whole)


def test_an_old_checkpoint_leads_to_the_same_bytes(
    tiny: Backbone, coloured: Coloured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill without warning leaves the last periodic checkpoint."""
    monkeypatch.setattr(course_module, "SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(course_module, "CHECKPOINT_SHARE", 1e9)
    whole = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    expected = _fit(whole, coloured, tmp_path / "whole")
    steps = iter(range(7))

    def killed(_count: int, _note: str) -> None:
        if next(steps, None) is None:
            raise KeyboardInterrupt

    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    with pytest.raises(KeyboardInterrupt):
        _fit(network, coloured, tmp_path / "killed", tick=killed)
    assert (tmp_path / "killed" / course_module.CHECKPOINT).exists()
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    assert _fit(network, coloured, tmp_path / "killed") == expected
    assert _bytes(network) == _bytes(whole)


def test_colours_are_learned_and_the_best_epoch_is_what_is_left(
    network: Network, coloured: Coloured, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"epochs": 12, "augmentation": Augmentation(hue=0)})
    fitted = _fit(network, coloured, tmp_path, spec=spec)
    f1 = [entry["val_macro_f1"] for entry in fitted.history]
    assert max(f1) > 0.9
    assert fitted.best_epoch == int(
        np.lexsort((np.arange(12), np.array([entry["val_loss"] for entry in fitted.history]), -np.array(f1)))[0]
    )
    said = logits(network, coloured[0], VAL, precision=FP32, batch=64, device=CPU).argmax(axis=1)
    assert (said == coloured[1][VAL]).mean() == fitted.history[fitted.best_epoch]["val_accuracy"]
    assert "macro-F1" in fitted.selection


def test_another_seed_is_another_training(tiny: Backbone, coloured: Coloured, tmp_path: Path) -> None:
    one, other = (
        _fit(build(tiny, classes=3, image_size=12, weights=NONE, seed=0), coloured, tmp_path / str(seed), seed=seed)
        for seed in (0, 1)
    )
    assert one.history[0]["train_loss"] != other.history[0]["train_loss"]


def test_training_leaves_the_global_random_state_alone(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    before = torch.get_rng_state()
    _fit(network, coloured, tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_training_ends_when_patience_does(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    spec = SPEC.model_copy(update={"epochs": 50, "patience": 2, "learning_rate": 1e-12})
    fitted = _fit(network, coloured, tmp_path, spec=spec)
    assert len(fitted.history) - 1 - fitted.best_epoch == 2
    assert len(fitted.history) < 50


@pytest.mark.parametrize("count", [10, 24])
def test_small_and_large_sets_are_trained_equally_long_when_an_epoch_is_told(
    count: int, network: Network, coloured: Coloured, tmp_path: Path
) -> None:
    spec = SPEC.model_copy(update={"epochs": 2, "epoch_images": 16})
    fitted = _fit(network, coloured, tmp_path, spec=spec, train=np.arange(count))
    assert fitted.steps == spec.steps(count) == 4


def test_every_step_is_told_with_its_loss(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    told: list[tuple[int, str]] = []
    fitted = _fit(network, coloured, tmp_path, tick=lambda count, note: told.append((count, note)))
    steps = [note for count, note in told if count == 1]
    assert len(steps) == fitted.steps == 4 * 4
    assert all(note.startswith("loss ") for note in steps)


def test_a_single_image_at_the_end_does_not_stop_batch_normalisation(
    network: Network, coloured: Coloured, tmp_path: Path
) -> None:
    network.body.add_module("4", torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.BatchNorm2d(8)))
    spec = SPEC.model_copy(update={"epochs": 1, "balanced": False})
    fitted = _fit(network, coloured, tmp_path, spec=spec, train=np.arange(17))
    assert fitted.steps == 2


def test_a_loss_that_is_no_number_names_its_step(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    def poison(count: int, _note: str) -> None:
        if count:
            next(network.parameters()).data.fill_(float("nan"))

    with pytest.raises(TrialFault, match=r"step 1 \(epoch 0\): the loss is nan") as fault:
        _fit(network, coloured, tmp_path, tick=poison)
    assert fault.value.exit_code == 1


class Small(torch.nn.Module):
    """A network on a device with memory for so many images."""

    def __init__(self, body: torch.nn.Module, limit: int) -> None:
        super().__init__()
        self.body, self.limit = body, limit

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.body(x)
        if self.training and len(x) > self.limit:
            raise torch.OutOfMemoryError
        return result


def test_short_memory_cuts_the_batch_and_keeps_its_gradient(tiny: Backbone, coloured: Coloured, tmp_path: Path) -> None:
    plain, short = (build(tiny, classes=3, image_size=12, weights=NONE, seed=0) for _ in range(2))
    for one in (plain, short):
        one.body.add_module("1", torch.nn.GroupNorm(2, 8))  # batch normalisation would see another batch
        one.body.add_module("3", torch.nn.Identity())
    short.body = Small(short.body, limit=3)
    spec = SPEC.model_copy(update={"epochs": 1})
    expected = _fit(plain, coloured, tmp_path / "plain", spec=spec)
    found = _fit(short, coloured, tmp_path / "short", spec=spec)
    assert (expected.parts, found.parts) == (1, 4)
    for single, cut in zip(plain.parameters(), short.parameters(), strict=True):
        torch.testing.assert_close(single, cut, rtol=1e-4, atol=1e-6)


def test_a_failed_pass_does_not_move_running_means(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    network.body = Small(network.body, limit=4)
    fitted = _fit(network, coloured, tmp_path, spec=SPEC.model_copy(update={"epochs": 1}))
    counter = network.state_dict()["body.body.1.num_batches_tracked"]
    assert (fitted.steps, fitted.parts) == (4, 4)
    assert int(counter) == 3 * 2 + 4, "three batches of 8 in two parts, one of 9 in four"


def test_memory_too_short_for_two_images_fails_the_trial(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    network.body = Small(network.body, limit=1)
    with pytest.raises(TrialFault, match="do not fit into memory"):
        _fit(network, coloured, tmp_path)


def test_wrong_labels_and_too_few_images_are_refused(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    images, labels = coloured
    with pytest.raises(DataFault, match="0 to 2"):
        _fit(network, (images, labels + 1), tmp_path)
    with pytest.raises(DataFault, match="0 to 2"):
        _fit(network, (images, labels - 1), tmp_path)
    with pytest.raises(DataFault, match="too few"):
        _fit(network, coloured, tmp_path, train=TRAIN[:1])


def test_the_defaults_are_those_of_the_published_benchmark() -> None:
    spec = Training()
    assert (spec.optimizer, spec.learning_rate, spec.momentum, spec.batch, spec.epochs, spec.balanced) == (
        "sgd",
        1e-3,
        0.9,
        32,
        100,
        True,
    )
    with pytest.raises(ValidationError):
        Training.model_validate({"learning_rat": 1.0})


def test_the_training_loss_of_an_epoch_is_the_mean_of_its_steps(
    network: Network, coloured: Coloured, tmp_path: Path
) -> None:
    told: list[float] = []
    fitted = _fit(network, coloured, tmp_path, tick=lambda count, note: told.append(float(note[5:])) if count else None)
    means = np.array(told).reshape(4, 4).mean(axis=1)
    assert [entry["train_loss"] for entry in fitted.history] == pytest.approx(means.tolist(), abs=1e-3)


def test_the_best_weights_survive_a_stop_in_a_worse_epoch(
    tiny: Backbone, coloured: Coloured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    _fit(short, coloured, tmp_path / "short", spec=SPEC.model_copy(update={"epochs": 1, "schedule": "constant"}))
    monkeypatch.setattr(
        "cytobench.classifiers.train._validate",
        lambda course, job: Scores(1.0 - 0.1 * len(course.history), 1.0, 1.0),
    )
    spec = SPEC.model_copy(update={"schedule": "constant"})
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    with pytest.raises(Interrupted):
        _fit(network, coloured, tmp_path / "long", spec=spec, tick=_stopping(10))
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    assert _fit(network, coloured, tmp_path / "long", spec=spec).best_epoch == 0
    assert _bytes(network) == _bytes(short)


def test_a_batch_once_cut_stays_cut_after_a_stop(tiny: Backbone, coloured: Coloured, tmp_path: Path) -> None:
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    body, network.body = network.body, Small(network.body, limit=4)
    with pytest.raises(Interrupted):
        _fit(network, coloured, tmp_path, tick=_stopping(1))
    network.body = Small(body, limit=100)
    assert _fit(network, coloured, tmp_path).parts == 2


class Seeds(torch.nn.Module):
    """Notes the random state that dropout would find."""

    def __init__(self, body: torch.nn.Module) -> None:
        super().__init__()
        self.body = body
        self.seen: list[int] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.seen.append(torch.initial_seed())
        result: torch.Tensor = self.body(x)
        return result


def test_every_step_draws_its_own_dropout(network: Network, coloured: Coloured, tmp_path: Path) -> None:
    noting = Seeds(network.body)
    network.body = noting
    fitted = _fit(network, coloured, tmp_path)
    assert len(set(noting.seen)) == len(noting.seen) == fitted.steps


def test_a_resumed_training_makes_only_the_steps_that_were_left(
    tiny: Backbone, coloured: Coloured, tmp_path: Path
) -> None:
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    with pytest.raises(Interrupted):
        _fit(network, coloured, tmp_path, tick=_stopping(11))
    counts: list[int] = []
    network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
    fitted = _fit(network, coloured, tmp_path, tick=lambda count, _note: counts.append(count))
    assert fitted.steps == 16
    assert sum(counts) == 16 - 10, "the 11 calls were 10 steps and 2 validations, the last of them unfinished"


def test_the_learning_rate_follows_its_schedule(tiny: Backbone, coloured: Coloured, tmp_path: Path) -> None:
    losses = []
    for schedule in ("constant", "cosine"):
        network = build(tiny, classes=3, image_size=12, weights=NONE, seed=0)
        spec = SPEC.model_copy(update={"schedule": schedule})
        losses.append(_fit(network, coloured, tmp_path / schedule, spec=spec).history[-1]["train_loss"])
    assert losses[0] != losses[1]
