"""What this machine can do for a run, and what is in the way."""

import importlib.util
import os
import platform
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from cytobench import registry
from cytobench.device import processor_name, versions
from cytobench.errors import CytobenchError
from cytobench.store import free_bytes


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def examine(out: Path) -> list[Finding]:
    """Look at interpreter, packages, device, disk, weights cache and plug-ins."""
    import torch

    return [
        Finding("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        Finding("packages", True, ", ".join(f"{name} {version}" for name, version in versions().items() if version)),
        Finding("processor", True, f"{processor_name()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"),
        _gpu(),
        _disk("output folder", out),
        _disk("temporary folder", Path(tempfile.gettempdir())),
        _cache(),
        *(_plugins(kind) for kind in registry.ROOMS),
    ]


def as_json(found: list[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON values."""
    return [one._asdict() for one in found]


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        return Finding("gpu", True, f"{torch.cuda.get_device_name(0)}, CUDA {torch.version.cuda}")
    return Finding("gpu", True, f"none usable (PyTorch is built for CUDA {torch.version.cuda}); runs use the CPU")


def _disk(name: str, place: Path) -> Finding:
    try:
        place.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(name, False, f"{place} can't be written: {error.strerror}")
    free = free_bytes(place)
    return Finding(name, free > 2e9, f"{place}: {free / 1e9:.1f} GB free")


def _cache() -> Finding:
    spec = importlib.util.find_spec("huggingface_hub")
    if spec is None:
        return Finding("weights cache", False, "huggingface_hub is not installed")
    from huggingface_hub.constants import HF_HUB_CACHE, HF_HUB_OFFLINE

    models = sorted(
        path.name.removeprefix("models--").replace("--", "/") for path in Path(HF_HUB_CACHE).glob("models--*")
    )
    offline = " (HF_HUB_OFFLINE is set)" if HF_HUB_OFFLINE else ""
    return Finding(
        "weights cache", True, f"{len(models)} models{offline}" + (f": {', '.join(models[:5])}" if models else "")
    )


def _plugins(kind: str) -> Finding:
    try:
        names = registry.names(kind)
    except CytobenchError as error:
        return Finding(f"{kind}s", False, str(error))
    broken = []
    for name in names:
        try:
            registry.load(kind, name)
        except CytobenchError as error:
            broken.append(error.message)
    return Finding(f"{kind}s", not broken, "; ".join(broken) or ", ".join(names))
