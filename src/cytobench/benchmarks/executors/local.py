"""Carry out a plan on this machine, one step after another."""

from cytobench import interrupts
from cytobench.benchmarks.estimate import Estimate
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.steps.step import Context
from cytobench.errors import TrialFault
from cytobench.progress import duration, say
from cytobench.registry import plugin


@plugin("executor", "local")
def local(plan: Plan, context: Context) -> dict[str, str]:
    """Run every step that is not done yet, in this process; return why steps failed, by reference.

    A step that fails for a reason of its own (a generator whose loss is no number) takes only those with it that need
    it.
    """
    waiting = [step for step in plan.steps if not context.store.is_done(step)]
    done = len(plan.steps) - len(waiting)
    if done:
        say(f"{done} of {len(plan.steps)} steps are done already")
    estimate = Estimate(plan, context)
    lost: dict[str, str] = {}
    for position, step in enumerate(waiting):
        interrupts.check()
        reason = next((lost[one] for one in step.inputs.values() if one in lost), "")
        if reason:
            lost[step.reference] = reason
            continue
        left = estimate.seconds_of(waiting[position:])
        say(
            f"[{done + position + 1}/{len(plan.steps)}] {step.title()}"
            + (f" · about {duration(left)} left in all" if left else "")
        )
        try:
            context.store.compute(step, lambda folder, step=step: step.run(context, folder))  # type: ignore[misc]
        except TrialFault as fault:
            lost[step.reference] = f"{step.title()}: {fault.message}"
            say(f"failed: {lost[step.reference]}")
    return lost
