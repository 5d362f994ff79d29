"""Weights to start from: none, the published ones, or a file; found before anything is trained, and never made up."""

import re
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from cytobench import checkpoint
from cytobench.classifiers.backbone import Backbone, HubFile, State, UrlFile
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.store import atomic, disk_faults, file_sha256

SECONDS = 10.0
"""How long a server may stay silent."""


class Weights(NamedTuple):
    """Where a network starts."""

    origin: str
    """``none``, ``hub:<id>@<revision or tag>`` or ``file:<file name>``; holds no path of this machine."""
    sha256: str | None
    """Of the file; None for a random start."""
    path: Path | None
    """The file; None for a random start."""


NONE = Weights("none", None, None)
"""A random start, which has to be asked for."""


def find(backbone: Backbone, asked: str) -> Weights:
    """Return the weights that were asked for, downloaded if need be, and prove that they can be read.

    Args:
        backbone: What they are for.
        asked: ``none``, ``hub`` or a path to a safetensors or PyTorch file.

    Raises:
        CytobenchError: As :func:`locate`.
    """
    return locate(asked, backbone.published, model=backbone.model)


def locate(asked: str, published: Callable[[], HubFile | UrlFile | None], *, model: str) -> Weights:
    """Return the weights of a network that were asked for, as :func:`find` does of a backbone.

    Args:
        asked: ``none``, ``hub`` or a path to a safetensors or PyTorch file.
        published: Tells where the published ones lie, or that there are none; asked only where these are wanted.
        model: What the network is called, for people.

    Raises:
        UsageFault: The model has no published weights, or the file is of another kind.
        EnvironmentFault: The file is missing, or can be neither found in the cache nor downloaded.
        IntegrityFault: The file is truncated, or is not what its name says.
    """
    if asked == "none":
        return NONE
    if asked == "hub":
        found = _fetched(published(), model)
    else:
        path = Path(asked).expanduser()
        if not path.is_file():
            raise EnvironmentFault(
                f"there is no weights file {asked}", fix="name an existing file, or ask for `hub` or `none`"
            )
        found = Weights(f"file:{path.name}", file_sha256(path), path)
    read(found)
    return found


def read(weights: Weights) -> State:
    """Return the tensors of a weights file by name, on the CPU.

    Raises:
        UsageFault: Not a file name that this reads.
        IntegrityFault: The file is truncated, holds anything but tensors, or has changed since it was found.
    """
    assert weights.path is not None
    if weights.path.suffix == ".safetensors":
        state = checkpoint.load(weights.path).tensors
    elif weights.path.suffix in (".pth", ".pt", ".bin"):
        state = _read_torch(weights.path)
    else:
        raise UsageFault(
            f"{weights.path.name} is no weights file that can be read",
            fix="give a .safetensors, .pth, .pt or .bin file",
        )
    if file_sha256(weights.path) != weights.sha256:
        raise IntegrityFault(
            f"{weights.path} has changed since the run was planned", fix="start the run again, with the file left alone"
        )
    broken = sorted(name for name, tensor in state.items() if not bool(torch.isfinite(tensor).all()))
    if broken:
        raise IntegrityFault(
            f"{weights.path} holds values that are not numbers", problems=broken, fix="get the file again"
        )
    return state


def _read_torch(path: Path) -> State:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a broken or hostile pickle can raise anything; nothing of it was run
        raise IntegrityFault(
            f"{path} is truncated, or holds more than tensors: {str(error).splitlines()[0]}",
            fix="get the file again, or convert it to safetensors where you trust it",
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if (
        not isinstance(content, dict)
        or not content
        or not all(isinstance(one, torch.Tensor) for one in content.values())
    ):
        raise IntegrityFault(f"{path} holds no weights by name", fix="give a file with a state_dict")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _fetched(place: HubFile | UrlFile | None, model: str) -> Weights:
    if place is None:
        raise UsageFault(f"nobody has published weights of {model!r}", fix="ask for `none` or for a file of your own")
    return _from_hub(place) if isinstance(place, HubFile) else _from_url(place)


def _from_hub(place: HubFile) -> Weights:
    from huggingface_hub import constants, hf_hub_download

    try:
        try:
            path = Path(hf_hub_download(place.repo, place.filename, local_files_only=True))
        except FileNotFoundError:
            if not constants.HF_HUB_OFFLINE:
                _knock(constants.ENDPOINT)
            path = Path(hf_hub_download(place.repo, place.filename, etag_timeout=SECONDS))
    except Exception as error:  # its exceptions differ from release to release; all mean that the file is not to be had
        raise _unreachable(
            f"{place.repo} on the Hugging Face hub", f"hf download {place.repo} {place.filename}", error
        ) from error
    return Weights(f"hub:{place.repo}@{path.parent.name}", file_sha256(path), path)  # snapshots/<commit>/<file>


def _knock(url: str) -> None:
    """Fail at once where there is no network; the hub's own client would try again for half a minute."""
    with suppress(urllib.error.HTTPError):  # an answer is an answer
        urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=SECONDS).close()


def _from_url(place: UrlFile) -> Weights:
    path = Path(torch.hub.get_dir()) / "checkpoints" / place.url.rsplit("/", 1)[1]
    if not path.is_file():
        try:
            with (
                disk_faults(path.parent),
                urllib.request.urlopen(place.url, timeout=SECONDS) as reply,
                atomic(path) as file,
            ):
                while piece := reply.read(1 << 20):
                    file.write(piece)
        except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
            raise _unreachable(place.url, f"curl --create-dirs -o {path} {place.url}", error) from error
    sha256 = file_sha256(path)
    promised = re.search(r"-([0-9a-f]{8,64})\.", path.name)
    if promised and not sha256.startswith(promised[1]):
        raise IntegrityFault(
            f"{path} is not what its name promises: SHA-256 {sha256[:16]}… instead of {promised[1]}…",
            fix="delete it and repeat the command",
        )
    return Weights(f"hub:{place.name}@{place.tag}", sha256, path)


def _unreachable(what: str, command: str, error: Exception) -> EnvironmentFault:
    return EnvironmentFault(
        f"the weights {what} are not in the cache and can't be downloaded ({type(error).__name__})",
        fix=f"run `{command}` where there is a network, or start from random weights with `--weights none`",
    )
