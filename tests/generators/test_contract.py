"""Every generator of the registry keeps the same contract."""

import inspect
import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError

from cytobench import registry
from cytobench.errors import CytobenchError, Interrupted, TrialFault, UsageFault
from cytobench.generators import sampling
from cytobench.generators.contract import GeneratorConfig, Profile
from tests.generators.toy import discs

SIZE, STEPS, CHUNK = 32, 7, 3
NAMES = registry.names("generator")
WITH_DRAWING = [name for name in NAMES if registry.load("generator", name).config_type.drawing]
TOLD_CLASSES = [name for name in NAMES if registry.load("generator", name).conditioning == "class"]


def small(name: str, **changes: Any) -> Any:
    plugin = registry.load("generator", name)
    config = plugin.profile("demo", SIZE).model_copy(update={"steps": STEPS, "batch": 4, "chunk": CHUNK} | changes)
    return plugin(config, image_size=SIZE, classes=classes_of(name), device=torch.device("cpu"))


def classes_of(name: str) -> int:
    return 2 if name in TOLD_CLASSES else 1


def fitted(generator: Any, partial: Path, *, seed: int = 0, stop_after: int | None = None) -> Any:
    steps = 0

    def tick(count: int, note: str) -> None:
        nonlocal steps
        steps += count
        if steps == stop_after:
            raise Interrupted(2)

    images, labels = discs(12, SIZE), np.arange(12) % generator.classes
    images[labels == 1] //= 2
    generator.fit(images, labels, seed=seed, partial=partial, tick=tick)
    return generator


def weights(generator: Any, folder: Path) -> dict[str, bytes]:
    generator.save(folder)
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("name", NAMES)
class TestContract:
    def test_has_the_members(self, name: str) -> None:
        plugin = registry.load("generator", name)
        assert plugin.conditioning in ("none", "class", "prompt")
        assert issubclass(plugin.config_type, GeneratorConfig)

    @pytest.mark.parametrize("profile", get_args(Profile))
    @pytest.mark.parametrize("size", [28, 32, 64, 128])
    def test_has_every_profile_at_every_size(self, name: str, profile: Profile, size: int) -> None:
        plugin = registry.load("generator", name)
        config = plugin.profile(profile, size)
        assert isinstance(config, plugin.config_type)
        plugin(config, image_size=size, classes=classes_of(name), device=torch.device("cpu"))

    def test_every_field_is_explained(self, name: str) -> None:
        config = registry.load("generator", name).config_type
        explained: set[str] = set()
        for owner in config.__mro__[: config.__mro__.index(GeneratorConfig) + 1]:
            source = inspect.getsource(owner)
            for field in inspect.get_annotations(owner):
                if field in config.model_fields:
                    after = source.split(f"\n    {field}: ")[1].split("\n")[1]
                    assert after.startswith('    """'), f"{field} has no docstring"
                    explained.add(field)
        assert explained == set(config.model_fields)

    def test_refuses_unknown_keys(self, name: str) -> None:
        plugin = registry.load("generator", name)
        values = plugin.profile("demo", SIZE).model_dump() | {"stepz": 3}
        with pytest.raises(ValidationError, match="stepz"):
            plugin.config_type(**values)

    def test_samples_do_not_depend_on_what_else_is_asked_for(self, name: str, tmp_path: Path) -> None:
        generator = fitted(small(name), tmp_path / "partial")
        many = generator.sample(0, range(3 * CHUNK + 1), seed=5)
        assert many.shape == (3 * CHUNK + 1, SIZE, SIZE, 3)
        assert many.dtype == np.uint8
        for order in ([0, 1, 2], [7, 2, 2, 9], [4]):
            np.testing.assert_array_equal(generator.sample(0, order, seed=5), many[order])
        assert len(np.unique(many.reshape(len(many), -1), axis=0)) == len(many)
        assert not np.array_equal(generator.sample(0, [0], seed=6), many[:1])
        if generator.classes > 1:
            other = generator.sample(1, [0, 4], seed=5)
            generator.sample(0, [0], seed=5)
            np.testing.assert_array_equal(generator.sample(1, [4, 0], seed=5), other[::-1])

    def test_survives_saving(self, name: str, tmp_path: Path) -> None:
        generator = fitted(small(name), tmp_path / "partial")
        before = generator.sample(0, [0, 4], seed=1)
        generator.save(tmp_path / "saved")
        loaded = registry.load("generator", name).load(tmp_path / "saved", torch.device("cpu"))
        np.testing.assert_array_equal(loaded.sample(0, [0, 4], seed=1), before)
        assert weights(loaded, tmp_path / "again") == weights(generator, tmp_path / "saved")

    @pytest.mark.parametrize("stops", [(1,), (3, 5), (STEPS,)])
    def test_resumes_to_the_same_bytes(self, name: str, stops: tuple[int, ...], tmp_path: Path) -> None:
        straight = weights(fitted(small(name), tmp_path / "a"), tmp_path / "straight")
        for stop in stops:
            with pytest.raises(Interrupted):
                fitted(small(name), tmp_path / "b", stop_after=stop)
        assert weights(fitted(small(name), tmp_path / "b"), tmp_path / "resumed") == straight

    def test_another_seed_gives_other_weights(self, name: str, tmp_path: Path) -> None:
        one = weights(fitted(small(name), tmp_path / "p", seed=1), tmp_path / "one")
        other = weights(fitted(small(name), tmp_path / "p", seed=2), tmp_path / "other")
        tensors = {file for file in one if file.endswith(".safetensors")}
        assert tensors
        assert any(one[file] != other[file] for file in tensors)

    def test_names_the_step_at_which_the_loss_is_no_number(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from cytobench.generators import fitting

        real = fitting.rate

        def poisoned(step: int, steps: int, warm: int) -> float:
            return float("nan") if step == 2 else real(step, steps, warm)

        monkeypatch.setattr(fitting, "rate", poisoned)
        with pytest.raises(
            TrialFault, match=r"step [23] is nan"
        ):  # weights are no numbers from the middle of step 2 on
            fitted(small(name), tmp_path / "partial")

    def test_refuses_to_draw_before_it_is_fitted(self, name: str) -> None:
        with pytest.raises(CytobenchError, match="no weights"):
            small(name).sample(0, [0], seed=0)

    @pytest.mark.parametrize("indices", [[], [-1]])
    def test_refuses_indices_that_mean_nothing(self, name: str, indices: list[int], tmp_path: Path) -> None:
        generator = fitted(small(name, steps=1), tmp_path)
        with pytest.raises(UsageFault, match="numbered from 0"):
            generator.sample(0, indices, seed=0)

    def test_low_precision_stays_near(self, name: str, tmp_path: Path) -> None:
        def drawn(precision: str) -> NDArray[np.int64]:
            generator = fitted(small(name, precision=precision), tmp_path / precision)
            images: NDArray[np.int64] = generator.sample(0, [0, 1], seed=0).astype(np.int64)
            return images

        difference = np.abs(drawn("float32") - drawn("bfloat16"))
        assert 0 < difference.mean() < 12


@pytest.mark.parametrize("name", TOLD_CLASSES)
def test_the_label_decides_what_is_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bright or dim smears, from the same noise."""
    noise_of = sampling.noise_source
    monkeypatch.setattr(sampling, "noise_source", lambda seed, label, number: noise_of(seed, 0, number))
    generator = fitted(small(name, steps=60), tmp_path)
    bright, dim = (generator.sample(label, range(6), seed=0).mean() for label in (0, 1))
    assert bright - dim > 3


@pytest.mark.parametrize("name", WITH_DRAWING)
class TestDrawing:
    """Settings that matter only when images are drawn."""

    def test_the_weights_do_not_depend_on_them_and_every_image_does(self, name: str, tmp_path: Path) -> None:
        plain = fitted(small(name), tmp_path / "p")
        config = plain.config
        other: dict[str, Any] = {"evaluations": 3, "guidance": 3.0, "shift": 1.0, "spacing": 1.0}
        other["sampler"] = "ddim" if name == "lora-sd" else "ancestral"
        changes = {setting: other[setting] for setting in config.drawing}
        changed = fitted(small(name, **changes), tmp_path / "q")
        one, two = weights(plain, tmp_path / "one"), weights(changed, tmp_path / "two")
        names = [file for file in one if file.endswith(".safetensors")]
        assert names
        assert [one[file] for file in names] == [two[file] for file in names]
        before = plain.sample(0, [0], seed=1)
        for setting, value in changes.items():
            plain.config = config.model_copy(update={setting: value})
            assert not np.array_equal(plain.sample(0, [0], seed=1), before), f"{setting} changes nothing"
        plain.config = config.model_copy(update=changes)
        np.testing.assert_array_equal(plain.sample(0, [0], seed=1), changed.sample(0, [0], seed=1))

    def test_what_was_never_said_of_them_is_not_written_down(self, name: str, tmp_path: Path) -> None:
        plugin = registry.load("generator", name)
        values = small(name).config.model_dump()
        silent = plugin.config_type(
            **{key: value for key, value in values.items() if key not in plugin.config_type.drawing}
        )
        generator = plugin(silent, image_size=SIZE, classes=classes_of(name), device=torch.device("cpu"))
        fitted(generator, tmp_path / "p").save(tmp_path / "saved")
        written = json.loads((tmp_path / "saved" / "generator.json").read_text())["config"]
        assert set(written) == set(values) - set(plugin.config_type.drawing)
        plugin.load(tmp_path / "saved", torch.device("cpu"))
