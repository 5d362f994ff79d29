"""The plan of a run: every step in order, known and counted before anything is computed."""

from collections.abc import Mapping
from typing import NamedTuple

from cytobench import registry
from cytobench.benchmarks.order import Resolved, synthetic_name
from cytobench.benchmarks.spec import GeneratorSpec, RunSpec, SetSpec
from cytobench.benchmarks.steps.near import FindNear
from cytobench.benchmarks.steps.sets import CheckSets, FreezeSplit
from cytobench.benchmarks.steps.step import RunStep
from cytobench.benchmarks.steps.synthesis import DrawSynthetic, FitGenerator
from cytobench.benchmarks.steps.testing import Test
from cytobench.benchmarks.steps.training import ChoosePrecision, Side, Train, Tuned
from cytobench.datasets.splits import PARTITIONS
from cytobench.device import Device
from cytobench.seeds import seed_for


class Plan(NamedTuple):
    """Steps whose inputs come before them."""

    steps: tuple[RunStep, ...]
    sides: tuple[Side, ...]
    """Every set that is trained and tested on."""

    @property
    def records(self) -> tuple[Test, ...]:
        """The steps that a board is made of."""
        return tuple(step for step in self.steps if isinstance(step, Test))

    @property
    def trials(self) -> tuple[Train, ...]:
        """The trainings of backbones."""
        return tuple(step for step in self.steps if isinstance(step, Train))

    def count(self, kind: type[RunStep]) -> int:
        """Return how many steps are of a kind."""
        return sum(isinstance(step, kind) for step in self.steps)


def tuning(spec: RunSpec, device: Device) -> dict[str, ChoosePrecision]:
    """Return the steps that choose the arithmetic of each backbone, by its name."""
    return {
        backbone.asked: ChoosePrecision(
            backbone=backbone,
            image_size=spec.image_size,
            classes=len(spec.classes),
            batch=spec.training["batch"],
            device=f"{device.name}, {device.threads} threads",
            asked=spec.training["precision"],
        )
        for backbone in spec.backbones
    }


def build(resolved: Resolved, device: Device, tuned: Mapping[str, Tuned]) -> Plan:
    """Return the plan of a resolved run on a device.

    All sets are read, split and checked, each by itself and against one another, before the first training.

    Args:
        resolved: The run.
        device: Where it is computed.
        tuned: The arithmetic of each backbone, by its name.
    """
    spec = resolved.spec
    images = [resolved.images[one.name] for one in spec.sets]
    near = {
        one.name: FindNear(inputs={"images": step.reference}, name=one.name)
        for one, step in zip(spec.sets, images, strict=True)
        if one.nature == "real"  # every drawn cell is drawn anew
    }
    splits = [_split(spec, one, step, near.get(one.name)) for one, step in zip(spec.sets, images, strict=True)]
    sides = [
        Side(one.name, one.nature, step.reference, split.reference)
        for one, step, split in zip(spec.sets, images, splits, strict=True)
    ]
    check = CheckSets(
        inputs={side.name: side.split for side in sides} | {f"{side.name} images": side.images for side in sides},
        sets=tuple((side.name, side.nature) for side in sides),
        strict=any(one.choices.near == "refuse" for one in spec.sets),
    )
    steps: list[RunStep] = [*images, *near.values(), *splits, *([check] if spec.protocol.pairs == "all" else [])]
    if spec.generator:
        fits, drawn = _synthesis(spec, spec.generator, {side.name: side for side in sides})
        steps += [*fits, drawn]
        learned = next(side.nature for side in sides if side.name == spec.generator.trained_on)
        sides.append(Side(drawn.name, "synthetic", drawn.reference, drawn.reference, spec.generator, learned))
    steps += _trials(spec, sides, device, tuned)
    return Plan(tuple({step.reference: step for step in steps}.values()), tuple(sides))


def _split(spec: RunSpec, one: SetSpec, images: RunStep, near: FindNear | None) -> FreezeSplit:
    return FreezeSplit(
        inputs={"images": images.reference} | ({"near": near.reference} if near else {}),
        name=one.name,
        nature=one.nature,
        classes=spec.classes,
        labels=one.labels,
        ratios=spec.protocol.ratios,
        fold=spec.fold,
        seed=seed_for(spec.seed, "split", one.name),
        choices=one.choices,
        train_per_class=spec.train_per_class if one.nature == "real" else 0,
        train_of_class=spec.train_of_class if one.nature == "real" else {},
    )


def _synthesis(
    spec: RunSpec, generator: GeneratorSpec, sides: dict[str, Side]
) -> tuple[list[FitGenerator], DrawSynthetic]:
    source = sides[generator.trained_on]
    classwise = registry.load("generator", generator.name).conditioning == "none"
    groups = [(label,) for label in spec.classes] if classwise else [spec.classes]
    fits = {
        f"{partition}/{group[0]}" if classwise else partition: FitGenerator(
            inputs={"images": source.images, "split": source.split},
            generator=generator.name,
            config=generator.config,
            image_size=spec.image_size,
            set_name=source.name,
            nature=source.nature,
            classes=group,
            partition=partition,
            seed=spec.seed,
        )
        for partition in PARTITIONS
        for group in groups
    }
    drawn = DrawSynthetic(
        inputs={role: fit.reference for role, fit in fits.items()},
        name=synthetic_name(source.name, generator.name),
        generator=generator.name,
        image_size=spec.image_size,
        classes=spec.classes,
        train=spec.synthetic.train,
        val=spec.synthetic.val,
        test=spec.synthetic.test,
        seed=spec.seed,
    )
    return list(fits.values()), drawn


def _trials(spec: RunSpec, sides: list[Side], device: Device, tuned: Mapping[str, Tuned]) -> list[RunStep]:
    steps: list[RunStep] = []
    for backbone in spec.backbones:
        for seed in range(spec.seeds):
            for source in sides:
                trial = Train(
                    inputs={"images": source.images, "split": source.split},
                    backbone=backbone,
                    source=source,
                    image_size=spec.image_size,
                    classes=spec.classes,
                    training=spec.training,
                    autocast=tuned[backbone.asked].autocast,
                    channels_last=tuned[backbone.asked].channels_last,
                    device=f"{device.kind}, {device.threads} threads",
                    seed=1000 * spec.seed + seed,
                )
                steps.append(trial)
                steps += [
                    Test(
                        inputs={"trial": trial.reference, "images": target.images, "split": target.split},
                        trial=trial,
                        target=target,
                        protocol=spec.protocol_name,
                        profile=spec.profile,
                    )
                    for target in sides
                    if spec.protocol.pairs == "all" or target is source
                ]
    return steps
