"""Carry out an order from end to end: resolve, plan, lock, compute, write the board.

Repeating an order goes on where it stopped.
"""

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, NamedTuple

from cytobench import interrupts, registry
from cytobench.benchmarks import report
from cytobench.benchmarks.budget import within
from cytobench.benchmarks.estimate import Estimate
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.plan import Plan, build, tuning
from cytobench.benchmarks.resolution import Resolved, resolve
from cytobench.benchmarks.steps.step import Context
from cytobench.code_version import code_version
from cytobench.device import choose
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.progress import duration, say
from cytobench.store import Store, digest, disk_faults, free_bytes, held, read_json, sweep, write_bytes, write_json

ORDER, SPEC, PLAN, COMMAND = "order.json", "spec.json", "plan.json", "command.txt"
RUNS = "runs"
SPARE_BYTES = 200 << 20  # left free beside what the plan writes


class Prepared(NamedTuple):
    """A run that is known in every detail and not begun."""

    order: Order
    resolved: Resolved
    plan: Plan
    context: Context
    folder: Path


def prepare(order: Order, out: Path) -> Prepared:
    """Resolve and plan an order; nothing is trained, only the arithmetic of each backbone is chosen (seconds, kept).

    Raises:
        CytobenchError: Anything that would stop the run and can be known now.
    """
    writable(out)
    store = Store(out / "store")
    resolved = resolve(order, store)
    device = choose(order.device)
    context = Context(store, device, resolved.surveys, weights=resolved.weights)
    with disk_faults(out):
        context.tuned |= {name: step.outcome(context) for name, step in tuning(resolved.spec, device).items()}
        resolved = within(resolved, context)
    plan = build(resolved, device, context.tuned)
    drawing = "+".join(dict.fromkeys(one.name for one in resolved.spec.generators)) or "real"
    name = f"{order.protocol}-{drawing}-{digest([step.key for step in plan.steps])[:10]}"
    return Prepared(order, resolved, plan, context, out / RUNS / name)


def dry_run(prepared: Prepared) -> dict[str, Any]:
    """Return the plan with its estimates."""
    plan, context, spec = prepared.plan, prepared.context, prepared.resolved.spec
    estimate = Estimate(plan, context)
    waiting = [step for step in plan.steps if not context.store.is_done(step)]
    seconds = {step.reference: estimate.seconds(step) for step in waiting}
    return {
        "run": prepared.folder.name,
        "steps": len(plan.steps),
        "done": len(plan.steps) - len(waiting),
        "sets": [
            {"name": side.name, "nature": side.nature, **estimate.sizes(side.split)._asdict()} for side in plan.sides
        ],
        "labels": {one.name: one.labels for one in spec.sets if one.labels},
        "choices": {one.name: one.choices.model_dump(mode="json") for one in spec.sets},
        "backbones": [one.model_dump() for one in prepared.resolved.spec.backbones],
        "trials": len(plan.trials),
        "records": len(plan.records),
        "measurements": len(plan.fidelity),
        "classes": list(prepared.resolved.spec.classes),
        "estimated_seconds_of_trials": round(sum(seconds.values())),
        "estimated_bytes": sum(estimate.bytes(step) for step in waiting),
        "free_bytes": free_bytes(context.store.root),
        "waiting": [{"step": step.reference, "title": step.title()} for step in waiting],
    }


def run(prepared: Prepared, *, command: str, executor: str = "local") -> report.Outcome:
    """Compute what is not there yet and write the board.

    Raises:
        LockedFault: Another process is at this run.
        Interrupted: A stop was asked for; repeating the command goes on.
        CytobenchError: Bad data, a leak, no disk.
    """
    folder = prepared.folder
    with interrupts.deferred(), disk_faults(folder), held(folder / "run.lock", wait=False):
        sweep(folder)
        _write_down(prepared, command)
        _room(prepared)
        lost = registry.load("executor", executor)(prepared.plan, prepared.context)
        return report.write(prepared.resolved.spec, prepared.plan, prepared.context, folder, command, lost)


def resume(folder: Path) -> tuple[Order, Path]:
    """Return the order of a run and the place that it lies in, when nothing that decides its numbers has changed.

    Raises:
        UsageFault: No such run, or its configuration, data or code are not what they were; with the differences.
    """
    if not (folder / ORDER).is_file():
        raise UsageFault(f"{folder} is no run", fix="`cytobench status` lists the runs of a folder")
    try:
        order = Order.model_validate(read_json(folder / ORDER))
        for name in (SPEC, PLAN):
            read_json(folder / name)
        (folder / COMMAND).read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise IntegrityFault(f"{folder} was edited or is torn: {error}", fix="repeat the command of the run") from error
    return order, folder.parent.parent


def unchanged(folder: Path, prepared: Prepared) -> None:
    """Refuse to go on with a run that is no longer the same.

    Raises:
        UsageFault: With every difference.
    """
    before, now = read_json(folder / SPEC), facts(prepared)
    if prepared.folder == folder.parent / folder.name and before == now:
        return
    differences = [f"{name}: was {a}, is {b}" for name, a, b in _differences(before, now)]
    raise UsageFault(
        f"{folder.name} can't be resumed: what it is made from has changed",
        problems=differences or ["the code of a plug-in"],
        fix="undo the change, or start a new run by repeating the command: " + (folder / COMMAND).read_text().strip(),
    )


def facts(prepared: Prepared) -> dict[str, Any]:
    """Return all that decides a run's numbers: specification, data and code."""
    steps = {(step.kind, *step.modules()) for step in prepared.plan.steps}
    code = {f"{kind} ({modules[-1]})": code_version(*modules) for kind, *modules in sorted(steps)}
    return {
        "run": prepared.resolved.spec.model_dump(mode="json"),
        "extractors": [one.spec.model_dump(mode="json") for one in prepared.resolved.extractors],
        "code": code,
        "device": prepared.context.device._asdict(),
    }


def writable(out: Path) -> None:
    """Prove that the output folder can be written before anything is computed.

    Raises:
        EnvironmentFault: It can't.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=out) as probe:  # it has no name, so that a kill leaves nothing
            probe.write(b"cytobench")
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        raise EnvironmentFault(
            f"{out} can't be written: {error.strerror} ({free_bytes(out) / 1e6:.0f} MB free)",
            fix="choose a writable folder with --out",
        ) from error


def _write_down(prepared: Prepared, command: str) -> None:
    folder = prepared.folder
    write_json(folder / ORDER, prepared.order.model_dump(mode="json"))
    write_json(folder / SPEC, facts(prepared))
    steps = [{"step": step.reference, "title": step.title()} for step in prepared.plan.steps]
    records, measured = ([step.reference for step in some] for some in (prepared.plan.records, prepared.plan.fidelity))
    write_json(folder / PLAN, {"steps": steps, "records": records, "fidelity": measured})
    write_bytes(folder / COMMAND, f"{command}\n".encode())


def _room(prepared: Prepared) -> None:
    estimate = Estimate(prepared.plan, prepared.context)
    needed = SPARE_BYTES + sum(
        estimate.bytes(step) for step in prepared.plan.steps if not prepared.context.store.is_done(step)
    )
    free = free_bytes(prepared.folder)
    if free < needed:
        raise EnvironmentFault(
            f"the disk of {prepared.folder} has {free / 1e6:.0f} MB free; this run needs about {needed / 1e6:.0f} MB",
            fix="free some space, or choose another disk with --out",
        )


def _differences(before: Any, now: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted({*before, *now}):
            yield from _differences(before.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for number, (a, b) in enumerate(zip(before, now, strict=True)):
            yield from _differences(a, b, f"{name}[{number}]")
    elif before != now:
        yield name, before, now


@contextmanager
def resumable(prepared: Prepared) -> Iterator[None]:
    """Say how to go on when the block is stopped."""
    from cytobench.errors import Interrupted

    try:
        yield
    except Interrupted:
        say(f"stopped; go on with: cytobench resume {shlex.quote(str(prepared.folder))}")
        raise


def summary(plan: dict[str, Any]) -> str:
    """Return a dry run as text for people."""
    lines = [
        f"run {plan['run']}: {plan['steps']} steps, {plan['done']} of them done",
        f"classes: {', '.join(plan['classes'])}",
        *(
            f"set {s['name']} ({s['nature']}): {s['train']} train, {s['val']} val, {s['test']} test"
            for s in plan["sets"]
        ),
        *(
            f"labels of {name}: " + ", ".join(f"{old} -> {new or 'left out'}" for old, new in labels.items())
            for name, labels in plan["labels"].items()
        ),
        *(f"backbone {b['asked']}: {b['library']}/{b['model']}, weights {b['weights']}" for b in plan["backbones"]),
        f"{plan['trials']} trials, {plan['records']} records, {plan['measurements']} measurements of synthetic sets",
        f"estimated: trials about {duration(plan['estimated_seconds_of_trials'])}; "
        f"disk {plan['estimated_bytes'] / 1e6:.0f} MB of {plan['free_bytes'] / 1e6:.0f} MB free",
    ]
    return "\n".join(lines)
