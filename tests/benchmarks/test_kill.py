"""Kill a run at random moments: what comes out after a restart is what would have come out anyway."""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cytobench.benchmarks.order import Order
from cytobench.errors import EnvironmentFault
from tests.benchmarks.conftest import carry_out, contents

Orders = Callable[..., Order]
KINDS = ("images", "split", "generator", "synthetic", "trial", "record")


def in_child(order: Order, out: Path) -> int:
    """Start a run in a forked process (PyTorch is imported already) and return its number."""
    child = os.fork()
    if child == 0:
        try:
            sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  # the child dies with it
            carry_out(order, out)
        finally:
            os._exit(0)
    return child


def kill_and_restart(order: Order, tmp_path: Path, times: int) -> None:
    torch.set_num_threads(1)
    carry_out(order, tmp_path / "never killed")
    expected = contents(tmp_path / "never killed", KINDS)
    moments = random.Random(20260101)
    early = 0
    for number in range(times):
        out = tmp_path / f"killed {number}"
        files = moments.randrange(len(written(tmp_path / "never killed")))  # so many, and a random moment more
        child = in_child(order, out)
        while len(written(out)) < files:
            time.sleep(0.002)
        time.sleep(moments.uniform(0, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        early += not list((out / "runs").glob("*/board/index.html"))
        carry_out(order, out)
        assert contents(out, KINDS) == expected, f"kill number {number}"
        assert not list(out.rglob(".tmp-*"))
    assert early > times // 2, "most kills must come before the end to mean anything"


def written(out: Path) -> list[Path]:
    """Return the finished steps of a run, however far it is."""
    return list((out / "store").glob("*/*/done.json"))


def test_a_run_killed_at_eight_random_moments_ends_with_the_same_bytes(order: Orders, tmp_path: Path) -> None:
    kill_and_restart(order(), tmp_path, 8)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_run_killed_at_three_hundred_random_moments_ends_with_the_same_bytes(order: Orders, tmp_path: Path) -> None:
    kill_and_restart(order(), tmp_path, 300)


@pytest.mark.parametrize("nth", [1, 5, 20, 40, 60])
def test_a_disk_that_is_full_at_the_nth_write_loses_nothing(
    order: Orders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nth: int
) -> None:
    sync, count = os.fsync, 0

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count >= nth:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(EnvironmentFault, match=r"no space left|can't be written") as caught:
        carry_out(order(), tmp_path / "out")
    assert caught.value.exit_code == 4
    assert "free" in str(caught.value)
    monkeypatch.setattr("os.fsync", sync)
    kept = {path: path.read_bytes() for path in (tmp_path / "out/store").rglob("done.json")}
    carry_out(order(), tmp_path / "out")
    assert {path: path.read_bytes() for path in kept} == kept
    carry_out(order(), tmp_path / "reference")
    assert contents(tmp_path / "out", KINDS) == contents(tmp_path / "reference", KINDS)
