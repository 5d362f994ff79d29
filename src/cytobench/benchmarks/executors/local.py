"""Carry out a plan on this machine, one step after another."""

import time

from cytobench import interrupts
from cytobench.benchmarks.estimate import Estimate
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.steps.step import Context
from cytobench.progress import duration, say
from cytobench.registry import plugin


@plugin("executor", "local")
def local(plan: Plan, context: Context) -> None:
    """Run every step that is not done yet, in this process."""
    waiting = [step for step in plan.steps if not context.store.is_done(step)]
    done = len(plan.steps) - len(waiting)
    if done:
        say(f"{done} of {len(plan.steps)} steps are done already")
    estimate = Estimate(plan, context)
    for number, step in enumerate(waiting, start=done + 1):
        interrupts.check()
        left = estimate.seconds_from(step)
        say(f"[{number}/{len(plan.steps)}] {step.title()}" + (f" · about {duration(left)} left in all" if left else ""))
        began = time.monotonic()
        context.store.compute(step, lambda folder, step=step: step.run(context, folder))  # type: ignore[misc]
        context.note_seconds(step, time.monotonic() - began)
