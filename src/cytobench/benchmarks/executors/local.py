"""Carry out a plan on this machine, one step after another."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path

from cytobench import interrupts
from cytobench.benchmarks.estimate import Estimate
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import FitGenerator
from cytobench.benchmarks.steps.training import Train
from cytobench.errors import LockedFault, TrialFault
from cytobench.progress import duration, say
from cytobench.registry import plugin

SECONDS_BETWEEN_LOOKS = 1.0
"""At what others have done, where nothing is left that can be computed meanwhile."""


@plugin("executor", "local")
def local(plan: Plan, context: Context) -> dict[str, str]:
    """Run every step that is not done yet, in this process; return why steps failed, by reference.

    A step that another run computes at this moment is left to it, and the next that is ready is taken: runs that share
    steps share the work. Nothing is fitted or trained before all sets are read, split and checked. A step that fails
    for a reason of its own (a generator whose loss is no number) takes only those with it that need it.
    """
    left = {step.reference: step for step in plan.steps if not context.store.is_done(step)}
    total = len(plan.steps)
    if len(left) < total:
        say(f"{total - len(left)} of {total} steps are done already")
    estimate = Estimate(plan, context)
    lost: dict[str, str] = {}
    said = ""
    first = list(itertools.takewhile(lambda one: not isinstance(one, FitGenerator | Train), plan.steps))

    def begin(step: RunStep) -> None:
        ahead = estimate.seconds_of(list(left.values()))
        time_left = f" · about {duration(ahead)} left in all" if ahead else ""
        say(f"[{total - len(left) + 1}/{total}] {step.title()}{time_left}")

    while left:
        interrupts.check()
        elsewhere = None
        now = [one for one in first if one.reference in left] or list(left.values())
        for step in [one for one in now if not left.keys() & set(one.inputs.values())]:
            try:
                _carried_out(step, context, lost, begin)
            except LockedFault:
                elsewhere = elsewhere or step
                continue
            del left[step.reference]
            break
        else:
            assert elsewhere is not None  # a plan has no circles
            if said != elsewhere.reference:
                say(f"waiting for another run: {elsewhere.title()}")
                said = elsewhere.reference
            time.sleep(SECONDS_BETWEEN_LOOKS)
    return lost


def _carried_out(step: RunStep, context: Context, lost: dict[str, str], begin: Callable[[RunStep], None]) -> None:
    """Compute a step, or enter into ``lost`` why it has no outcome.

    Args:
        step: Its inputs are done or lost.
        context: Of the run.
        lost: Why steps failed.
        begin: Says that it begins.

    Raises:
        LockedFault: Another run computes it.
    """
    reason = next((lost[one] for one in step.inputs.values() if one in lost), "")
    if reason:
        lost[step.reference] = reason
        return

    def work(folder: Path) -> None:
        begin(step)
        step.run(context, folder)

    try:
        context.store.compute(step, work, wait=False)
    except TrialFault as fault:
        lost[step.reference] = f"{step.title()}: {fault.message}"
        say(f"failed: {lost[step.reference]}")
