"""The loss of an adapter, by hand, and what may not change its outcome."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cytobench.errors import TrialFault, UsageFault
from cytobench.generators.stable_diffusion import adapters, latents, tuning
from cytobench.generators.stable_diffusion.base import find_base, load_pipeline
from tests.generators.stable_diffusion.tiny import write_base
from tests.generators.toy import discs

MANNER = tuning.Manner(
    steps=3, batch=4, micro_batch=0, learning_rate=1e-2, weight_decay=1e-2, warm=0, gamma=5.0, checkpointing=False,
    text_encoder=True, precision="float32",
)  # fmt: skip
SHAPE = adapters.Shape(2, 2, True)


class Tuned:
    """A tiny pipeline, what its adapter was after training, and the losses on the way."""

    def __init__(self, folder: Path, partial: Path, prompts: tuple[str, ...] = ("a cell",), **changes: Any) -> None:
        self.manner = MANNER._replace(**changes)
        self.pipeline = load_pipeline(find_base(str(folder)), torch.device("cpu"), torch.float32)
        parameters = adapters.put_on(self.pipeline, SHAPE._replace(text_encoder=self.manner.text_encoder))
        adapters.begin(parameters, SHAPE.rank, seed=0)
        self.before = adapters.taken_off(parameters)
        images = discs(6, 32)
        moments = latents.encoded(self.pipeline.vae, images, canvas=32, turns=True)
        classes = torch.arange(len(images)) % len(prompts)
        lesson = tuning.Lesson(moments, classes, latents.tokens(self.pipeline.tokenizer, prompts), "x")
        self.notes: list[str] = []
        tuning.tune(
            self.pipeline, parameters, lesson, self.manner, seed=0, partial=partial,
            tick=lambda _, note: self.notes.append(note),
        )  # fmt: skip
        self.after = adapters.taken_off(parameters)


def difference(one: Tuned, other: Tuned) -> float:
    """Return how far two adapters lie apart, as a part of the way that the first one went.

    Adam makes full steps of gradients that are nothing but rounding, so single numbers may differ.
    """
    apart, gone = (
        sum(float(((tensor - reference[name]) ** 2).sum()) for name, tensor in one.after.items())
        for reference in (other.after, one.before)
    )
    return float((apart / gone) ** 0.5)


@pytest.mark.parametrize("text_encoder", [True, False])
def test_only_the_adapter_learns(text_encoder: bool, tiny_base: Path, tmp_path: Path) -> None:
    tuned = Tuned(tiny_base, tmp_path, text_encoder=text_encoder)
    bare = load_pipeline(find_base(str(tiny_base)), torch.device("cpu"), torch.float32)
    assert all(not torch.equal(tensor, tuned.before[name]) for name, tensor in tuned.after.items())
    assert any(name.startswith("text_encoder.") for name in tuned.after) is text_encoder
    for part in ("unet", "text_encoder", "vae"):
        ours = {
            name.replace(".base_layer", ""): one for name, one in getattr(tuned.pipeline, part).state_dict().items()
        }
        assert all(torch.equal(one, ours[name]) for name, one in getattr(bare, part).state_dict().items())


def test_less_memory_changes_nothing(tiny_base: Path, tmp_path: Path) -> None:
    whole = Tuned(tiny_base, tmp_path / "whole")
    assert difference(whole, Tuned(tiny_base, tmp_path / "parts", micro_batch=1)) < 0.01
    saving = Tuned(tiny_base, tmp_path / "saving", checkpointing=True)
    assert difference(whole, saving) < 0.01
    assert not saving.pipeline.unet.is_gradient_checkpointing


def test_learning_lowers_the_loss(tiny_base: Path, tmp_path: Path) -> None:
    def last(rate: float) -> float:
        notes = Tuned(tiny_base, tmp_path / str(rate), steps=30, batch=8, learning_rate=rate, gamma=None).notes
        return float(notes[-1].removeprefix("loss "))

    assert last(0.05) < 0.97 * last(1e-9)  # of the same pictures and noise


def test_classes_are_told_apart_by_their_prompts(tiny_base: Path, tmp_path: Path) -> None:
    same = Tuned(tiny_base, tmp_path / "same", ("a cell", "a cell"))
    assert difference(same, Tuned(tiny_base, tmp_path / "one", ("a cell",))) < 0.01
    other = Tuned(tiny_base, tmp_path / "other", ("a cell", "a nucleus"))
    assert difference(same, other) > 0.2


def test_the_bases_own_prediction_is_learnt(tmp_path: Path) -> None:
    folder = write_base(tmp_path / "v", prediction="v_prediction")
    of_v = Tuned(folder, tmp_path / "pv", gamma=None)
    folder.joinpath("scheduler/scheduler_config.json").write_text(
        folder.joinpath("scheduler/scheduler_config.json").read_text().replace("v_prediction", "epsilon")
    )
    of_noise = Tuned(folder, tmp_path / "pe", gamma=None)
    assert of_v.notes != of_noise.notes


def test_another_prediction_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="'sample'"):
        Tuned(write_base(tmp_path / "s", prediction="sample"), tmp_path)


def test_the_noise_levels_are_the_bases_own(tiny_base: Path) -> None:
    scheduler = load_pipeline(find_base(str(tiny_base)), torch.device("cpu"), torch.float32).scheduler
    a, s = tuning.signal_and_noise(scheduler).double()
    betas = np.linspace(0.00085**0.5, 0.012**0.5, 1000) ** 2  # Stable Diffusion's
    np.testing.assert_allclose(a**2, np.cumprod(1 - betas), rtol=1e-4)
    np.testing.assert_allclose(a**2 + s**2, 1, rtol=1e-6)


def test_the_weights_are_min_snr() -> None:
    a = torch.tensor([0.999, 0.9, 0.3, 0.0])
    s = (1 - a**2).sqrt()
    snr = (a / s) ** 2
    weights = tuning.weights(a, s, 5.0, "epsilon")
    torch.testing.assert_close(weights[:3], snr[:3].clamp(max=5) / snr[:3])
    assert weights[3] == 1
    torch.testing.assert_close(tuning.weights(a, s, 5.0, "v_prediction"), (snr + 1).clamp(max=5) / (snr + 1))
    assert tuning.weights(a, s, None, "epsilon").tolist() == [1] * 4


@pytest.mark.fault(61)
def test_too_little_memory_says_what_needs_less(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(tuning, "train", full)
    with pytest.raises(TrialFault, match="4 pictures at once") as caught:
        Tuned(tiny_base, tmp_path)
    assert caught.value.reason == "memory"
    assert "micro_batch=1" in caught.value.fix
