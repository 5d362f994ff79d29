"""How soon the door opens; run by hand: `pytest tests/speed -s`. Prints medians and their ratio."""

import statistics
import subprocess
import sys
import time

ROUNDS = 5


def seconds(*words: str) -> float:
    """Return the median wall-clock seconds of a whole process."""
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], check=True, capture_output=True)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def test_help_and_list_beside_importing_what_a_run_needs() -> None:
    bare = seconds("-c", "pass")
    help_ = seconds("-m", "cytobench", "--help")
    listed = seconds("-m", "cytobench", "list", "backbones")
    eager = seconds("-c", "import torch, timm, torchvision, pandas, diffusers")
    print(f"\nbare Python {bare:.3f} s, --help {help_:.3f} s, list {listed:.3f} s, eager imports {eager:.2f} s")  # noqa: T201
    print(f"eager / --help = {eager / help_:.0f}×")  # noqa: T201
