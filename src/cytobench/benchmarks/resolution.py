"""The resolution of what a user asks for: names looked up, files surveyed, weights found, all before any work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cytobench import registry
from cytobench.benchmarks import recipes, scenery
from cytobench.benchmarks.fidelity.contract import Found, find_all
from cytobench.benchmarks.lookup import DEFAULT_DATA, Data, classes_of, find_sets
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.spec import (
    POOLED,
    BackboneSpec,
    GeneratorSpec,
    Profile,
    Protocol,
    RunSpec,
    fitted,
    load_profile,
    load_protocol,
)
from cytobench.benchmarks.steps.step import RunStep
from cytobench.datasets.scan import Survey
from cytobench.datasets.splits import Fold
from cytobench.errors import UsageFault
from cytobench.progress import say
from cytobench.store import Store

OWN = "own"
"""What ``--extractor`` calls the run's own network."""


class Resolved(NamedTuple):
    """A run that can be planned."""

    spec: RunSpec
    images: dict[str, RunStep]
    """The step that makes each set's pixels, by set."""
    surveys: dict[str, Survey]
    """Listed files by the key of the step that decodes them."""
    weights: dict[str, Path | None]
    """Files of starting weights, of backbones and extractors, by hash."""
    extractors: tuple[Found, ...] = ()
    """What looks at synthetic images."""
    own_network: bool = True
    """Whether a network of the run that learned from real ones looks, too."""
    around: RunStep | None = None
    """The step that makes the pixels of what lies around the central cells of scenes."""


def resolve(order: Order, store: Store) -> Resolved:
    """Look everything up that an order names, and survey its files; archives are unpacked into the store.

    Raises:
        UsageFault: Unknown names or values (with the nearest ones).
        DataFault: Files that can't be opened, classes that do not agree.
        IntegrityFault: Hostile archives and manifests, edited frozen splits.
        EnvironmentFault: Weights that are not there.
    """
    profile_name = order.profile or ("standard" if order.data else "demo")
    protocol, profile = load_protocol(order.protocol), load_profile(profile_name)
    order = _completed(order, protocol, profile_name)
    for name in order.generators:
        if name not in registry.found("generator"):
            raise registry.unknown("generator", name, registry.names("generator"))
    names_of_settings = list(Profile.model_fields)
    settings, others = recipes.split_settings(order.settings, order.generators, names_of_settings)
    given = recipes.presets(protocol.settings.get(profile_name, {}), order.generators)
    before, sizes = recipes.split_settings(given, order.generators, names_of_settings)
    staged, others = scenery.split_settings(others)
    profile = _with_settings(profile, {**sizes, **others})
    asked = order.extractors or profile.extractors
    if protocol.pairs == "none":
        _check_measured(order, asked)
        order = order.model_copy(update={"data": order.data or (Data(name=DEFAULT_DATA[0]),)})
    fold = _fold(order.fold)
    sets = find_sets(
        _without(order, order.distractors),
        image_size=profile.image_size,
        drawn_per_class=profile.drawn_per_class,
        store=store,
    )
    classes = classes_of(order.classes, sets)
    _check_names(order, [one.name for one in sets])
    backbones, weights = _backbones(order, profile)  # imports torch, so it comes after all that can fail fast
    learned_from = (protocol.learned_from, *(("whole",) if protocol.held_out else ()))
    wanted = recipes.Wanted(order.generators, settings, before, order.vary, profile, learned_from)
    composed, around = scenery.resolve(order, wanted, staged, sets, store)
    looking = find_all([text for text in asked if text != OWN])
    spec = RunSpec(
        protocol_name=order.protocol,
        protocol=protocol,
        profile=profile_name,
        image_size=profile.image_size,
        classes=classes,
        sets=tuple(one.spec for one in sets),
        fold=fold,
        generators=_generators(order, wanted, [one.name for one in sets], (POOLED,) if protocol.pooled else classes),
        synthetic=profile.synthetic,
        scenery=composed,
        train_per_class=profile.train_per_class,
        train_of_class=profile.train_of_class,
        backbones=backbones,
        training=_training(profile),
        seeds=order.seeds or profile.seeds,
        seed=order.seed,
        device=order.device,
    )
    images = {one.name: one.step for one in sets}
    read = (*sets, around) if around else sets
    surveys = {one.step.key: one.survey for one in read if one.survey is not None}
    return Resolved(
        spec,
        images,
        surveys,
        weights | {one.spec.sha256: one.path for one in looking},
        looking,
        own_network=OWN in asked or not asked,
        around=around.step if around else None,
    )


def _completed(order: Order, protocol: Protocol, profile: str) -> Order:
    """Return an order with what its protocol says where it says nothing."""
    chosen = {
        "generator": ("generators", order.generators, protocol.generators),
        "composer": ("composers", order.composers, protocol.composers),
        "backbones": ("backbones", order.backbones, protocol.backbones.get(profile, protocol.backbones.get("", ()))),
    }
    for option, (_, given, otherwise) in chosen.items():
        if otherwise and not given:
            say(f"note: --{option} {','.join(otherwise)}, as protocol {order.protocol} has it")
    found = {field: given or otherwise for field, given, otherwise in chosen.values()}
    return order.model_copy(update=found)


def _check_measured(order: Order, extractors: Sequence[str]) -> None:
    """Refuse what does not go with a protocol that trains no classifier."""
    if order.backbones:
        raise UsageFault(f"protocol {order.protocol} trains no classifier", fix="leave --backbones out")
    if order.composers:
        raise UsageFault(f"protocol {order.protocol} measures single cells", fix="leave --composer out")
    if not order.generators:
        raise UsageFault(f"protocol {order.protocol} measures what generators draw", fix="--generator vae,dcgan,ddpm")
    if not extractors or OWN in extractors:
        raise UsageFault(
            f"protocol {order.protocol} trains no classifier, so that no network of the run can look",
            fix="--extractor inception, or another of `cytobench list extractors`",
        )


def _without(order: Order, one: Data | None) -> Order:
    """Return an order whose label maps are of other sets than one."""
    maps = {name: text for name, text in order.label_map.items() if one is None or name != one.name}
    return order.model_copy(update={"label_map": maps})


def _fold(text: str) -> Fold | None:
    if not text:
        return None
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) and int(of) >= 3):
        raise UsageFault(
            f"--fold {text}: it is no fold", fix="--fold K/N with K from 1 to N and N at least 3, as --fold 1/5"
        )
    return Fold(int(number) - 1, int(of))


def _with_settings(profile: Profile, settings: Mapping[str, str]) -> Profile:
    """Return the profile with ``--set`` applied."""
    values = profile.model_dump()
    for name, text in settings.items():
        head, _, tail = name.partition(".")
        place = values.get(head) if tail else values
        if not isinstance(place, dict) or not name:
            raise UsageFault(
                f"--set {name or text!r}: there is no such setting",
                fix=f"settings are generator.*, {', '.join(sorted(values))}",
            )
        place[tail or head] = recipes.value_of(text)
    return fitted(Profile, values, "the profile with --set")


def _check_names(order: Order, names: list[str]) -> None:
    if order.generate_from and order.generate_from not in names:
        raise registry.unknown("data set", order.generate_from, names)
    for name in order.weights:
        if name and name not in order.backbones:
            raise registry.unknown("backbone", name, list(order.backbones))


def _backbones(order: Order, profile: Profile) -> tuple[tuple[BackboneSpec, ...], dict[str, Path | None]]:
    from cytobench.classifiers import weights
    from cytobench.classifiers.backbone import resolve as resolve_backbone

    if len(set(order.backbones)) != len(order.backbones):
        raise UsageFault("--backbones names one twice", fix="name each once")
    specs: list[BackboneSpec] = []
    paths: dict[str, Path | None] = {}
    resolved = [(name, resolve_backbone(profile.smaller.get(name, name))) for name in order.backbones]
    for name in profile.smaller.keys() & set(order.backbones):
        say(f"note: {name} is {profile.smaller[name]} in this profile")
    for name, backbone in resolved:
        found = weights.find(backbone, order.weights.get(name) or order.weights.get("") or profile.weights)
        if found.sha256 is not None:
            paths[found.sha256] = found.path
        specs.append(
            BackboneSpec(
                asked=name,
                resolved=profile.smaller.get(name, name),
                library=backbone.library,
                model=backbone.model,
                weights=found.origin,
                weights_sha256=found.sha256,
            )
        )
    return tuple(specs), paths


def _training(profile: Profile) -> dict[str, Any]:
    from cytobench.classifiers.train import Training

    return fitted(Training, profile.training, "training").model_dump(mode="json")


def _generators(
    order: Order, wanted: recipes.Wanted, names: Sequence[str], classes: tuple[str, ...]
) -> tuple[GeneratorSpec, ...]:
    if not order.generators:
        if wanted.settings or order.vary or (order.generate_from and not order.composers) or order.shots_from:
            raise UsageFault("settings of a generator are given, but no generator", fix="--generator NAME")
        return ()
    only = recipes.listed(Path(order.shots_from)) if order.shots_from else ()
    found = recipes.resolve(wanted, trained_on=order.generate_from or names[0], classes=classes, only=only)
    for one in found:
        if one.set_name in names:
            raise UsageFault(
                f"--data {one.set_name} is what a synthetic set will be called", fix="give that set another name"
            )
    return found
