"""Steps on this machine: runs that share steps share the work."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cytobench.benchmarks.executors.local import local
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import prepare
from cytobench.benchmarks.steps.leaks import CheckAncestry
from cytobench.store import held


def test_what_another_run_computes_is_left_to_it_and_the_rest_goes_on(
    order: Callable[..., Order], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = prepare(order(generators=(), protocol="same-dataset"), tmp_path / "out")
    first, second = made.plan.trials
    store, lost = made.context.store, dict[str, str]()
    lock = store.root / "locks" / f"{first.kind}-{first.key}.lock"
    with held(lock, wait=False):
        going = threading.Thread(target=lambda: lost.update(local(made.plan, made.context)))
        going.start()
        for _ in range(600):
            if store.is_done(second):
                break
            time.sleep(0.1)
        assert store.is_done(second)
        assert not store.is_done(first)
        time.sleep(1.5)
        assert going.is_alive(), "it waits for the other run"
    going.join(timeout=60)
    assert not going.is_alive()
    assert lost == {}
    assert all(store.is_done(step) for step in made.plan.steps)
    said = capsys.readouterr().err
    assert said.count("waiting for another run: train two-layers on x") == 1


def test_nothing_is_trained_while_another_run_checks_the_sets(order: Callable[..., Order], tmp_path: Path) -> None:
    made = prepare(order(generators=(), protocol="cross-dataset"), tmp_path / "out")
    check = next(step for step in made.plan.steps if isinstance(step, CheckAncestry))
    store = made.context.store
    with held(store.root / "locks" / f"{check.kind}-{check.key}.lock", wait=False):
        going = threading.Thread(target=lambda: local(made.plan, made.context))
        going.start()
        before = made.plan.steps[: made.plan.steps.index(check)]
        for _ in range(300):
            if all(store.is_done(step) for step in before):
                break
            time.sleep(0.1)
        assert all(store.is_done(step) for step in before)
        time.sleep(2)
        assert not (store.root / made.plan.trials[0].kind).exists()
    going.join(timeout=60)
    assert all(store.is_done(step) for step in made.plan.steps)
