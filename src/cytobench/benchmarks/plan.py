"""The plan of a run: every step in order, known and counted before anything is computed."""

from collections.abc import Mapping
from typing import NamedTuple

from cytobench.benchmarks import scenery
from cytobench.benchmarks.fidelity.contract import ExtractorSpec
from cytobench.benchmarks.resolution import Resolved
from cytobench.benchmarks.spec import GeneratorSpec, LearnedFrom, RunSpec, SetSpec
from cytobench.benchmarks.steps.features import CLASSIFIER, ExtractFeatures
from cytobench.benchmarks.steps.fidelity import REAL, SYNTHETIC, MeasureFidelity, role
from cytobench.benchmarks.steps.leaks import CheckAncestry
from cytobench.benchmarks.steps.near import FindNear
from cytobench.benchmarks.steps.scenes import ScenePart
from cytobench.benchmarks.steps.sets import FreezeSplit
from cytobench.benchmarks.steps.step import RunStep
from cytobench.benchmarks.steps.synthesis import (
    EVERYTHING,
    WHOLE,
    DrawSynthetic,
    FitGenerator,
    Part,
    classwise,
    divided,
)
from cytobench.benchmarks.steps.testing import Test
from cytobench.benchmarks.steps.training import ChoosePrecision, Side, Train, Tuned
from cytobench.datasets.splits import PARTITIONS
from cytobench.device import Device
from cytobench.seeds import seed_for

Column = tuple[Side, ...]
"""A set as trials of different seeds learn from it: one side for all, or one for each training of its generator."""


_Made = tuple[GeneratorSpec, Side, list[FitGenerator], DrawSynthetic]
"""A generator, what it learned from, its fits and what they drew."""


class Plan(NamedTuple):
    """Steps whose inputs come before them."""

    steps: tuple[RunStep, ...]
    sides: tuple[Side, ...]
    """Every set that is trained and tested on; of a generator that is trained several times, what the first drew."""

    @property
    def records(self) -> tuple[Test, ...]:
        """The steps that a board is made of."""
        return tuple(step for step in self.steps if isinstance(step, Test))

    @property
    def fidelity(self) -> tuple[MeasureFidelity, ...]:
        """The steps that measure synthetic sets."""
        return tuple(step for step in self.steps if isinstance(step, MeasureFidelity))

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
    check = CheckAncestry(
        inputs={side.name: side.split for side in sides} | {f"{side.name} images": side.images for side in sides},
        sets=tuple((side.name, side.nature) for side in sides),
        strict=any(one.choices.near == "refuse" for one in spec.sets),
    )
    steps: list[RunStep] = [*images, *near.values(), *splits, *([check] if spec.protocol.pairs == "all" else [])]
    columns: list[Column] = [(side,) for side in sides]
    around = None
    if spec.scenery and spec.scenery.around and resolved.around:
        deal, around = scenery.dealt(spec, resolved.around)
        steps += [resolved.around, deal]
    if spec.scenery and not spec.generators:
        learned = next(side for side in sides if side.name == spec.scenery.cells)
        composed = scenery.compose(spec, learned, around, _scene_parts(spec, 0))
        steps += composed.steps
        columns += [(side,) for side in composed.sides]
    drawings: list[_Made] = []
    for rank, generator in enumerate(spec.generators):
        learned = next(side for side in sides if side.name == generator.trained_on)
        made = [
            synthesis(spec, generator, learned, _parts(spec, generator.learned_from, number), number)
            for number in range(spec.synthetic.fits)
        ]
        steps += [step for fits, drawn in made for step in (*fits, drawn)]
        drawings += [(generator, learned, fits, drawn) for fits, drawn in made]
        drawn_sides = tuple(
            Side(drawn.name, "synthetic", drawn.reference, drawn.reference, generator, learned.nature)
            for _, drawn in made
        )
        if spec.scenery is None:
            columns.append(drawn_sides)
            continue
        levels: list[Column] = [() for _ in spec.scenery.levels]
        for number, side in enumerate(drawn_sides):
            beside = around
            if around is not None:
                fits, red = _around(spec, rank, around, number)
                steps += [*fits, red]
                beside = Side(red.name, "synthetic", red.reference, red.reference)
            composed = scenery.compose(spec, side, beside, _scene_parts(spec, number), number)
            steps += composed.steps
            levels = [(*before, one) for before, one in zip(levels, composed.sides, strict=True)]
        columns += levels
    steps += _trials(spec, columns, device, tuned)
    trials = [step for step in steps if isinstance(step, Train)]
    for made_by in drawings:
        steps += _fidelity(resolved, made_by, trials, device)
    return Plan(tuple({step.reference: step for step in steps}.values()), tuple(column[0] for column in columns))


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


def _parts(spec: RunSpec, learned_from: LearnedFrom, number: int) -> tuple[Part, ...]:
    """Return what training number ``number`` of a generator draws; only the first draws what is tested on."""
    a, b = PARTITIONS
    a = {"half": a, "whole": WHOLE, "everything": EVERYTHING}[learned_from]
    if spec.protocol.pairs == "none":
        return (Part("train", a, spec.synthetic.train),)
    learned = (Part("train", a, spec.synthetic.train), Part("val", a, spec.synthetic.val))
    tested = number == 0 and spec.protocol.pairs != "photographed"
    return (*learned, Part("test", b, spec.synthetic.test)) if tested else learned


def _scene_parts(spec: RunSpec, number: int) -> tuple[ScenePart, ...]:
    """Return what training number ``number`` of a generator is composed into: as many scenes as it draws cells."""
    return tuple(ScenePart(part.split, part.images) for part in _parts(spec, spec.protocol.learned_from, number))


def _around(spec: RunSpec, rank: int, around: Side, number: int) -> tuple[list[FitGenerator], DrawSynthetic]:
    """Return the fits and the drawing of what lies around the cells of a generator: by another one of its kind."""
    assert spec.scenery is not None
    alike = spec.model_copy(update={"classes": spec.scenery.classes})
    return synthesis(
        alike, spec.scenery.generators[rank], around, _parts(spec, spec.protocol.learned_from, number), number
    )


def synthesis(
    spec: RunSpec, generator: GeneratorSpec, source: Side, parts: tuple[Part, ...], number: int = 0
) -> tuple[list[FitGenerator], DrawSynthetic]:
    """Return the fits that some parts of a synthetic set need, and the step that draws it.

    Args:
        spec: The run.
        generator: One of its generators.
        source: The set that it learns from.
        parts: What is drawn.
        number: Which of several independent trainings.
    """
    each = classwise(generator) and not spec.protocol.pooled
    config, drawing = divided(generator)
    groups = [(label,) for label in spec.classes] if each else [spec.classes]
    fits = {
        f"{partition}/{group[0]}" if each else partition: FitGenerator(
            inputs={"images": source.images, "split": source.split},
            generator=generator.name,
            config=config,
            image_size=spec.image_size,
            set_name=source.name,
            nature=source.nature,
            classes=group,
            partition=partition,
            pooled=spec.protocol.pooled,
            only=generator.only,
            number=number,
            seed=spec.seed,
        )
        for partition in dict.fromkeys(part.partition for part in parts)
        for group in groups
    }
    drawn = DrawSynthetic(
        inputs={role: fit.reference for role, fit in fits.items()},
        name=generator.set_name,
        generator=generator.name,
        image_size=spec.image_size,
        classes=spec.drawn_classes,
        drawing=drawing,
        parts=parts,
        number=number,
        seed=spec.seed,
    )
    return list(fits.values()), drawn


def _trials(spec: RunSpec, columns: list[Column], device: Device, tuned: Mapping[str, Tuned]) -> list[RunStep]:
    steps: list[RunStep] = []
    for backbone in spec.backbones:
        for seed in range(spec.seeds):
            for column in columns:
                source = column[seed % len(column)]
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
                    for target in _targets(spec, columns, column)
                ]
    return steps


def _targets(spec: RunSpec, columns: list[Column], source: Column) -> list[Side]:
    if spec.protocol.pairs == "same":
        return [source[0]]
    return [column[0] for column in columns if spec.protocol.pairs == "all" or column[0].generator is None]


def _fidelity(resolved: Resolved, made: _Made, trials: list[Train], device: Device) -> list[RunStep]:
    """Return the steps that measure one drawing, through the extractors asked for and the run's own network: the first
    that learned from the very real set that the generator did."""
    spec, (generator, learned, fits, drawn) = resolved.spec, made
    asked = [one.spec for one in resolved.extractors]
    inputs: dict[str, str] = {}
    trial = next((one for one in trials if one.source == learned), None)
    if resolved.own_network and trial is not None:
        name = f"classifier/{trial.backbone.asked}"
        asked.append(ExtractorSpec(name=name, model=trial.title(), origin=trial.reference, sha256=""))
        inputs[CLASSIFIER] = trial.reference
    some = {"split": learned.split} if spec.train_per_class or spec.train_of_class else {}  # else shared by all splits
    looks = {
        role(one, side): ExtractFeatures(
            inputs={"images": images, **({} if one.sha256 else inputs), **(some if side == REAL else {})},
            extractor=one,
            name=name,
            device=device.kind,
        )
        for one in asked
        for side, images, name in ((REAL, learned.images, learned.name), (SYNTHETIC, drawn.reference, drawn.name))
    }
    part = next(one.partition for one in drawn.parts if one.split == "train")
    measured = MeasureFidelity(
        inputs={
            **inputs,
            "images": learned.images,
            "split": learned.split,
            SYNTHETIC: drawn.reference,
            **{name: step.reference for name, step in looks.items()},
            **{f"fit {number}": fit.reference for number, fit in enumerate(fits) if fit.partition == part},
        },
        protocol=spec.protocol_name,
        profile=spec.profile,
        name=drawn.name,
        number=drawn.number,
        generator=generator,
        nature=learned.nature,
        classes=spec.classes,
        pooled=spec.protocol.pooled,
        image_size=spec.image_size,
        extractors=tuple(asked),
        seed=spec.seed,
    )
    return [*looks.values(), measured]
