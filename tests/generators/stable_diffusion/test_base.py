"""Finding a base model: every way in which it is not there, not whole or not of the kind."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.generators.stable_diffusion.base import canvas_of, find_base, load_pipeline, load_tokenizer
from tests.generators.stable_diffusion.tiny import SIDE, write_base

HUB = "some-lab/some-diffusion"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def copy(tiny_base: Path, tmp_path: Path) -> Path:
    """Return a tiny base of one's own, to break."""
    return Path(shutil.copytree(tiny_base, tmp_path / "mine"))


@pytest.fixture
def hub(tmp_path: Path, tiny_base: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the snapshot of a hub's cache that holds the tiny base, with no network."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    place = tmp_path / "hub" / f"models--{HUB.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    return Path(shutil.copytree(tiny_base, place / "snapshots" / COMMIT))


def edit_index(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    index = json.loads((folder / "model_index.json").read_text())
    change(index)
    (folder / "model_index.json").write_text(json.dumps(index))


def test_a_folder_is_found_and_loaded_without_its_checker(copy: Path) -> None:
    found = find_base(str(copy))
    assert (found.name, found.revision, found.origin, found.licence) == ("mine", "", "web-scale, unknown", "not stated")
    assert str(copy.parent) not in repr(found.facts())
    pipeline = load_pipeline(found, torch.device("cpu"), torch.bfloat16)
    assert canvas_of(pipeline) == SIDE
    assert pipeline.safety_checker is None
    assert (pipeline.unet.dtype, pipeline.vae.dtype) == (torch.bfloat16, torch.float32)
    assert not any(one.requires_grad for part in (pipeline.unet, pipeline.text_encoder) for one in part.parameters())


def test_the_embedded_base_says_what_it_has_seen() -> None:
    found = find_base("mini-sd")
    assert (found.name, found.origin, found.licence) == ("mini-sd", "phantom smears", "Apache-2.0")


@pytest.mark.parametrize("file", [UNET, "scheduler/scheduler_config.json"])
def test_the_hash_is_of_the_files(file: str, copy: Path, tiny_base: Path) -> None:
    assert find_base(str(copy)).sha256 == find_base(str(tiny_base)).sha256
    content = bytearray((copy / file).read_bytes())
    content[-2] ^= 1
    (copy / file).write_bytes(content)
    assert find_base(str(copy)).sha256 != find_base(str(tiny_base)).sha256


def test_the_licence_is_read_from_the_card(copy: Path) -> None:
    (copy / "README.md").write_text("---\ntags: [x]\nlicense: openrail++\n---\n# A base\n")
    assert find_base(str(copy)).licence == "openrail++"


def test_half_precision_files_will_do(tmp_path: Path) -> None:
    found = find_base(str(write_base(tmp_path / "half", variant="fp16")))
    assert found.variant == "fp16"
    assert load_pipeline(found, torch.device("cpu"), torch.float32).unet.dtype == torch.float32


@pytest.mark.fault(65)
def test_truncated_weights_are_refused(copy: Path) -> None:
    content = (copy / UNET).read_bytes()
    (copy / UNET).write_bytes(content[: len(content) // 2])
    with pytest.raises(IntegrityFault, match=r"unet.*truncated"):
        find_base(str(copy))


@pytest.mark.fault(43)
def test_pickled_weights_are_not_read(copy: Path) -> None:
    (copy / UNET).unlink()
    (copy / "unet/diffusion_pytorch_model.bin").write_bytes(b"a pickle")
    with pytest.raises(UsageFault, match=r"diffusion_pytorch_model\.bin"):
        find_base(str(copy))


def test_missing_weights_are_named(copy: Path) -> None:
    (copy / UNET).unlink()
    with pytest.raises(EnvironmentFault, match="no weights of unet"):
        find_base(str(copy))


@pytest.mark.parametrize("missing", [[None, None], [], None, "x"])
def test_a_base_without_a_text_encoder_is_refused(missing: object, copy: Path) -> None:
    edit_index(copy, lambda index: index.update(text_encoder=missing))
    with pytest.raises(UsageFault, match="no text_encoder"):
        find_base(str(copy))


def test_another_kind_of_pipeline_is_refused(copy: Path) -> None:
    edit_index(copy, lambda index: index.update(_class_name="StableDiffusionXLPipeline"))
    with pytest.raises(UsageFault, match="is a StableDiffusionXLPipeline"):
        find_base(str(copy))


def test_a_torn_index_is_refused(copy: Path) -> None:
    (copy / "model_index.json").write_text('{"_class_name": ')
    with pytest.raises(IntegrityFault, match="torn"):
        find_base(str(copy))


def test_components_that_do_not_fit_are_refused(copy: Path) -> None:
    config = json.loads((copy / "unet/config.json").read_text())
    (copy / "unet/config.json").write_text(json.dumps(config | {"cross_attention_dim": 24}))
    with pytest.raises(IntegrityFault, match="can't be loaded"):
        load_pipeline(find_base(str(copy)), torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("part", ["tokenizer", "scheduler"])
@pytest.mark.parametrize("emptied", [True, False])
def test_a_missing_vocabulary_is_not_made_up(part: str, emptied: bool, copy: Path) -> None:
    shutil.rmtree(copy / part)
    if emptied:
        (copy / part).mkdir()
    with pytest.raises(EnvironmentFault, match=f"no whole {part}"):
        find_base(str(copy))


def test_a_torn_vocabulary_is_refused(copy: Path) -> None:
    for file in (copy / "tokenizer").glob("*.json"):
        file.write_text(file.read_text()[:40])
    with pytest.raises(IntegrityFault, match="tokenizer"):
        load_tokenizer(find_base(str(copy)))


@pytest.mark.parametrize("name", ["no/such/folder", "mini-sdd", "/no/such", "../x"])
def test_a_name_that_is_nothing_is_refused(name: str) -> None:
    with pytest.raises(EnvironmentFault, match="there is no base model"):
        find_base(name)


def test_the_cache_is_enough_and_names_the_commit(hub: Path) -> None:
    found = find_base(HUB)
    assert (found.folder, found.name, found.revision) == (hub, HUB, COMMIT)
    assert find_base(HUB, revision=COMMIT) == found


@pytest.mark.fault(64)
@pytest.mark.parametrize(("name", "revision"), [("other-lab/diffusion", ""), (HUB, "f" * 40)])
def test_what_is_not_in_the_cache_comes_with_the_command_that_gets_it(name: str, revision: str, hub: Path) -> None:
    with pytest.raises(EnvironmentFault, match="not in the cache") as caught:
        find_base(name, revision=revision)
    assert f"hf download {name}{' --revision ' + revision if revision else ''}`" in caught.value.fix


def test_a_download_that_was_broken_off_is_not_taken_for_whole(hub: Path) -> None:
    (hub / UNET).unlink()
    with pytest.raises(EnvironmentFault, match="not whole in the cache"):
        find_base(HUB)
