"""The device, its precision and its determinism: chosen once, said and recorded."""

import os
import platform
from typing import Any, Literal, NamedTuple

from cytobench.errors import EnvironmentFault
from cytobench.progress import say

Asked = Literal["auto", "cpu", "cuda"]


class Device(NamedTuple):
    """Where the arithmetic is done."""

    kind: Literal["cpu", "cuda"]
    name: str
    """The processor's own name."""
    threads: int
    """Threads of one operation on the CPU; the same count gives the same bytes."""


def choose(asked: Asked) -> Device:
    """Return the device for a run and make its arithmetic deterministic.

    Raises:
        EnvironmentFault: ``cuda`` was asked for and there is none.
    """
    import torch

    available = torch.cuda.is_available()
    if asked == "cuda" and not available:
        raise EnvironmentFault(
            "--device cuda was asked for, but PyTorch sees no usable GPU",
            fix="check the driver with `cytobench doctor`, or run with --device cpu",
        )
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False  # fp32 means fp32
    torch.backends.cudnn.deterministic = True
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_deterministic_debug_mode("error")  # as use_deterministic_algorithms, which loads a compiler first
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # nothing reads what it did not write
    if available and asked != "cpu":
        return Device("cuda", torch.cuda.get_device_name(0), torch.get_num_threads())
    if asked == "auto":
        say(f"no GPU: running on the CPU with {torch.get_num_threads()} threads; the plan shows the estimated time")
    return Device("cpu", processor_name(), torch.get_num_threads())


def processor_name() -> str:
    """Return the CPU's name as the operating system knows it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123  # a kernel file, not a path of ours
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> dict[str, Any]:
    """Return the versions that a number depends on, without importing the packages."""
    from importlib.metadata import PackageNotFoundError, version

    packages = ("cytobench", "torch", "torchvision", "timm", "diffusers", "numpy", "scikit-learn", "pillow")
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found
