"""The scenes of a run: what was asked for, and the steps that put cells into them."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cytobench.benchmarks import recipes
from cytobench.benchmarks.lookup import Data, FoundSet, SetOptions, find_sets
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.spec import LevelSpec, RunSpec, Scenery, SceneSpec, fitted
from cytobench.benchmarks.steps.scenes import AROUND, CENTRES, ComposeScenes, CutCells, DealAround, ScenePart
from cytobench.benchmarks.steps.step import RunStep
from cytobench.benchmarks.steps.training import Side
from cytobench.composers.composer import Optics
from cytobench.composers.levels import Level, level_of
from cytobench.errors import UsageFault
from cytobench.progress import say
from cytobench.seeds import seed_for
from cytobench.store import Store


class Settings(NamedTuple):
    """``--set level.*`` and ``optics.*``, as values."""

    level: dict[str, Any]
    """Laid over every level."""
    optics: dict[str, Any]


def split_settings(settings: Mapping[str, str]) -> tuple[Settings, dict[str, str]]:
    """Return what is set of scenes, and everything else."""
    heads: dict[str, dict[str, Any]] = {name: {} for name in Settings._fields}
    others = {}
    for name, text in settings.items():
        head, _, tail = name.partition(".")
        if head in heads and tail:
            heads[head][tail] = recipes.value_of(text)
        else:
            others[name] = text
    return Settings(**heads), others


def resolve(
    order: Order, wanted: recipes.Wanted, settings: Settings, sets: Sequence[FoundSet], store: Store
) -> tuple[Scenery | None, FoundSet | None]:
    """Return the scenes of a run, and the set of what lies around their central cells.

    Args:
        order: The run.
        wanted: Its generators, which draw what lies around, too.
        settings: Of scenes.
        sets: All that it reads or draws.
        store: Where archives are unpacked.

    Raises:
        UsageFault: Levels or settings that do not fit; settings without scenes.
        CytobenchError: As of any set.
    """
    if not order.composers:
        if order.distractors or settings.level or settings.optics:
            raise UsageFault("settings of scenes are given, but no composer", fix="--composer base,complex")
        return None, None
    cells = next(one for one in sets if one.name == (order.generate_from or sets[0].name))
    around = _surroundings(cells, order, wanted, store)
    if around and around.name in {one.name for one in sets}:
        raise UsageFault(f"--distractors {around.name} is one of the sets already", fix="leave it out of --data")
    classes = tuple(sorted(around.counts)) if around else ()
    once = wanted._replace(learned_from=wanted.learned_from[:1])
    spec = Scenery(
        levels=_levels(order.composers, settings),
        optics=_optics(wanted.profile.image_size, settings),
        cells=cells.name,
        around=around.spec if around else None,
        classes=classes,
        generators=recipes.resolve(once, trained_on=around.name, classes=classes) if around else (),
    )
    return spec, around


def _levels(asked: Sequence[str], settings: Settings) -> tuple[LevelSpec, ...]:
    """Return levels by their names or numbers on the dial.

    Raises:
        UsageFault: No such level, or one twice; settings that do not fit.
    """
    twice = [text for text in asked if list(asked).count(text) > 1]
    if twice:
        raise UsageFault(f"--composer names {twice[0]} twice", fix="name each level once")
    found = [(text, fitted(Level, level_of(text).model_dump() | settings.level, f"level {text}")) for text in asked]
    return tuple(LevelSpec(asked=text, level=level.model_dump(mode="json")) for text, level in found)


def _optics(image_size: int, settings: Settings) -> dict[str, Any]:
    """Return the size of things.

    Raises:
        UsageFault: Settings that do not fit.
    """
    found = fitted(Optics, {"image_size": image_size} | settings.optics, "--set optics")
    if found.image_size != image_size:
        raise UsageFault("the scenes of a run are as large as its images", fix=f"--set image_size={found.image_size}")
    return found.model_dump(mode="json")


def _surroundings(cells: FoundSet, order: Order, wanted: recipes.Wanted, store: Store) -> FoundSet | None:
    """Return what lies around the cells of a set: as named, or as its description says; None for nothing.

    Raises:
        CytobenchError: As of any set.
    """
    chosen = order.distractors or (Data(name=cells.facts.distractors) if cells.facts.distractors else None)
    if chosen is None:
        say("note: no --distractors: all cells around a cell are white cells")
        return None
    maps = {name: text for name, text in order.label_map.items() if name == chosen.name}
    told = SetOptions(data=(chosen,), label_map=maps, frame=order.frame, seed=order.seed, verify=order.verify)
    size = {"image_size": wanted.profile.image_size, "drawn_per_class": wanted.profile.drawn_per_class}
    return find_sets(told, **size, store=store)[0]


class Composed(NamedTuple):
    """Scenes of one set of cells: the steps that make them, and a side for each level."""

    steps: list[RunStep]
    sides: tuple[Side, ...]


def dealt(spec: RunSpec, images: RunStep) -> tuple[DealAround, Side]:
    """Return the step that deals what lies around the central cells, and its set as a side."""
    scenery = spec.scenery
    assert scenery is not None
    assert scenery.around is not None
    one = scenery.around
    step = DealAround(
        inputs={"images": images.reference},
        name=one.name,
        classes=scenery.classes,
        labels=one.labels,
        ratios=spec.protocol.ratios,
        seed=seed_for(spec.seed, "split", one.name),
    )
    return step, Side(one.name, one.nature, images.reference, step.reference)


def compose(spec: RunSpec, cells: Side, around: Side | None, parts: Sequence[ScenePart], number: int = 0) -> Composed:
    """Return the scenes of some cells at every level of a run.

    Args:
        spec: The run.
        cells: The white cells; part by part, they become the scenes of the same part.
        around: What lies around them; None: other white cells alone.
        parts: Which parts, and how many scenes of each.
        number: Which of several independent trainings drew the cells.
    """
    scenery = spec.scenery
    assert scenery is not None
    inputs = {f"{CENTRES} images": cells.images, f"{CENTRES} split": cells.split}
    if around is not None:
        inputs |= {f"{AROUND} images": around.images, f"{AROUND} split": around.split}
    photographs = "real" in (cells.nature, around.nature if around is not None else "")
    cuts = {
        part.split: CutCells(
            inputs=inputs,
            name=cells.name,
            around=around.name if around is not None else "",
            part=part.split,
            classes=spec.classes,
            optics=scenery.optics,
            seed=spec.seed,
        )
        for part in parts
    }
    made = [
        ComposeScenes(
            inputs={split: step.reference for split, step in cuts.items()},
            name=f"{cells.name}-{one.asked}",
            asked=one.asked,
            level=one.level,
            optics=scenery.optics,
            cells=cells.name,
            around=around.name if around is not None else "",
            number=number,
            photographs=photographs,
            classes=spec.classes,
            parts=tuple(parts),
            seed=spec.seed,
        )
        for one in scenery.levels
    ]
    sides = tuple(
        Side(
            step.name,
            "synthetic",
            step.reference,
            step.reference,
            cells.generator,
            cells.nature_of_training or cells.nature,
            SceneSpec(
                cells=cells.name,
                around=around.name if around is not None else "",
                level=one,
                optics=scenery.optics,
                photographs=photographs,
            ),
        )
        for step, one in zip(made, scenery.levels, strict=True)
    )
    return Composed([*cuts.values(), *made], sides)
