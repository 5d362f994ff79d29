"""How many steps of a generator's training fit into the seconds that it is given: a league at equal compute.

``--set generator.seconds=600`` gives every generator the same time for all its fits on one partition; one that is
fitted once per class has to share it among them. A step is timed once on a device and kept, so that a run that is
repeated has the same plan. Epochs become steps here, too.
"""

from cytobench import registry
from cytobench.benchmarks.epochs import learned_images, shown
from cytobench.benchmarks.resolution import Resolved
from cytobench.benchmarks.spec import GeneratorSpec
from cytobench.benchmarks.steps.pace import TimeStep
from cytobench.benchmarks.steps.step import Context
from cytobench.benchmarks.steps.synthesis import classwise, divided
from cytobench.errors import UsageFault
from cytobench.progress import duration, say


def within(resolved: Resolved, context: Context) -> Resolved:
    """Return a run whose generators have as many steps as their seconds allow, or as their epochs are.

    Raises:
        UsageFault: Not one step fits.
    """
    spec = resolved.spec
    found = tuple(_timed(one, resolved, spec.drawn_classes, context) for one in spec.generators)
    timed = spec.model_copy(update={"generators": found})
    if spec.scenery:
        around = tuple(_timed(one, resolved, spec.scenery.classes, context) for one in spec.scenery.generators)
        timed = timed.model_copy(update={"scenery": spec.scenery.model_copy(update={"generators": around})})
    return resolved._replace(spec=timed)


def _timed(one: GeneratorSpec, resolved: Resolved, classes: tuple[str, ...], context: Context) -> GeneratorSpec:
    fits = len(classes) if classwise(one) else 1
    if one.seconds:
        return _within(one, resolved.spec.image_size, classes, fits, context)
    return shown(one, learned_images(resolved, one), fits) if one.epochs else one


def _within(
    one: GeneratorSpec, image_size: int, classes: tuple[str, ...], fits: int, context: Context
) -> GeneratorSpec:
    from cytobench.generators.flops import flops

    step = TimeStep(
        generator=one.name,
        config={name: value for name, value in divided(one)[0].items() if name != "steps"},
        image_size=image_size,
        classes=classes[:1] if fits > 1 else classes,
        device=f"{context.device.name}, {context.device.threads} threads",
    )
    each = step.outcome(context)
    steps = int(one.seconds / fits / each)
    if steps < 1:
        raise UsageFault(
            f"{one.set_name}: a step takes {each:.2f} s and {one.seconds:g} s are for {fits} fit(s)",
            fix="give more with generator.seconds, or make its network smaller",
        )
    kind = registry.load("generator", one.name)
    config = kind.config_type.model_validate({**one.config, "steps": steps})
    names = step.classes
    cost = flops(kind, config, image_size=image_size, classes=len(names), class_names=names)
    share = f" for each of {fits} classes" if fits > 1 else ""
    say(f"note: {one.set_name}: {duration(one.seconds)} are {steps:,} steps{share}, {each:.3f} s each here")
    return one.model_copy(
        update={
            "config": {**one.config, "steps": steps},
            "fits": fits,
            "training_flops": steps * fits * cost.step,
            "image_flops": cost.image,
        }
    )
