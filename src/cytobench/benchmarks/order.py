"""What a user asks for, and its resolution: names looked up, files surveyed, weights found, all before any work."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cytobench import registry
from cytobench.benchmarks.spec import (
    BackboneSpec,
    Frozen,
    GeneratorSpec,
    Profile,
    RunSpec,
    SetSpec,
    fitted,
    load_profile,
    load_protocol,
)
from cytobench.benchmarks.steps.sets import DrawImages, ReadImages
from cytobench.benchmarks.steps.step import RunStep
from cytobench.datasets.known_set import KnownSet, is_known, known, renamed
from cytobench.datasets.readers import MANIFEST_COLUMNS, read
from cytobench.datasets.scan import Survey, survey
from cytobench.datasets.splits import Choices
from cytobench.device import Asked
from cytobench.errors import DataFault, UsageFault
from cytobench.progress import say
from cytobench.seeds import seed_for

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")  # it becomes part of file names
DEFAULT_DATA = ("phantom-a", "phantom-b")
DEFAULT_PROTOCOL = "cross-dataset"


class Data(Frozen):
    """One ``--data NAME=PATH``."""

    name: str
    """As on boards."""
    path: str = ""
    """Folder or file; empty for a drawn set."""
    manifest: str = ""
    """A manifest laid over the folder."""


class Order(Frozen):
    """The options of ``cytobench run``, as given; a run folder keeps them so that ``resume`` can ask again."""

    generator: str = ""
    """Empty: no synthetic set."""
    backbones: tuple[str, ...]
    """Names or aliases."""
    data: tuple[Data, ...] = ()
    """Empty: the embedded phantom."""
    columns: dict[str, str] = {}
    """Names of manifest columns."""
    protocol: str = DEFAULT_PROTOCOL
    """Which experiment."""
    profile: str = ""
    """Empty: demo without data, standard with."""
    classes: tuple[str, ...] = ()
    """Empty: all, and all sets must agree; ``common``: those that every set has; or a list."""
    duplicates: dict[str, str] = {}
    """Choice by set name; the empty name is for all."""
    contradictions: dict[str, str] = {}
    """Likewise."""
    rare: dict[str, str] = {}
    """Likewise."""
    generate_from: str = ""
    """The set that the generator learns from; empty: the first."""
    weights: dict[str, str] = {}
    """hub, none or a file, by backbone; the empty name is for all."""
    settings: dict[str, str] = {}
    """``--set``: overrides of the profile, as ``training.epochs``."""
    seeds: int = 0
    """0: the profile's."""
    seed: int = 0
    """Root of all named seeds."""
    device: Asked = "auto"
    """Where to compute."""


class Resolved(NamedTuple):
    """A run that can be planned."""

    spec: RunSpec
    images: dict[str, RunStep]
    """The step that makes each set's pixels, by set."""
    surveys: dict[str, Survey]
    """Listed files by the key of the step that decodes them."""
    weights: dict[str, Path | None]
    """Files of starting weights by hash."""


def resolve(order: Order) -> Resolved:
    """Look everything up that an order names, and survey its files.

    Raises:
        UsageFault: Unknown names or values (with the nearest ones).
        DataFault: Files that can't be opened, classes that do not agree.
        EnvironmentFault: Weights that are not there.
    """
    profile_name = order.profile or ("standard" if order.data else "demo")
    protocol, profile = load_protocol(order.protocol), load_profile(profile_name)
    profile, generator_settings = _with_settings(profile, order.settings)
    if order.generator and order.generator not in registry.found("generator"):
        raise registry.unknown("generator", order.generator, registry.names("generator"))
    images, surveys, labels, facts = _sets(order, profile)
    classes = _classes(order.classes, labels)
    names = tuple(images)
    _check_names(order, names)
    backbones, weights = _backbones(order, profile)  # imports torch, so it comes after all that can fail fast
    spec = RunSpec(
        protocol_name=order.protocol,
        protocol=protocol,
        profile=profile_name,
        image_size=profile.image_size,
        classes=classes,
        sets=tuple(
            SetSpec(name=name, nature=facts[name].nature, images_key=images[name].key, choices=_choices(order, name))
            for name in names
        ),
        generator=_generator(order, profile, generator_settings, names),
        synthetic=profile.synthetic,
        train_per_class=profile.train_per_class,
        backbones=backbones,
        training=_training(profile),
        seeds=order.seeds or profile.seeds,
        seed=order.seed,
        device=order.device,
    )
    return Resolved(spec, images, surveys, weights)


def _with_settings(profile: Profile, settings: Mapping[str, str]) -> tuple[Profile, dict[str, Any]]:
    """Return the profile with ``--set`` applied, and what was set of the generator."""
    values = profile.model_dump()
    generator: dict[str, Any] = {}
    for name, text in settings.items():
        head, _, tail = name.partition(".")
        place = generator if head == "generator" else values.get(head) if tail else values
        if not isinstance(place, dict) or not name or (head == "generator" and not tail):
            raise UsageFault(
                f"--set {name or text!r}: there is no such setting", fix=f"settings are generator.*, {', '.join(sorted(values))}"
            )
        place[tail or head] = _value(text)
    return fitted(Profile, values, "the profile with --set"), generator


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _sets(
    order: Order, profile: Profile
) -> tuple[dict[str, RunStep], dict[str, Survey], dict[str, set[str]], dict[str, KnownSet]]:
    images: dict[str, RunStep] = {}
    surveys: dict[str, Survey] = {}
    labels: dict[str, set[str]] = {}
    facts: dict[str, KnownSet] = {}
    for one in order.data or tuple(Data(name=name) for name in DEFAULT_DATA):
        if not NAME.fullmatch(one.name):
            raise UsageFault(
                f"--data {one.name[:80]!r} is no name for a set",
                fix="up to 64 letters, digits, '.', '_', '+' and '-', a letter or digit first",
            )
        if one.name in images:
            raise UsageFault(f"--data names {one.name!r} twice", fix="give each set its own name")
        if one.path:
            facts[one.name] = known(one.name) if is_known(one.name) else KnownSet(title=one.name, licence="unknown")
            found = survey_data(one, order.columns, facts[one.name])
            step = ReadImages(name=one.name, survey=found.sha256, image_size=profile.image_size)
            surveys[step.key] = found
            images[one.name], labels[one.name] = step, {entry.label for entry in found.listing.entries}
        else:
            facts[one.name] = known(one.name)
            if facts[one.name].draw is None:
                raise UsageFault(f"{one.name} is not drawn: where is it?", fix=f"--data {one.name}=PATH")
            images[one.name] = DrawImages(
                name=one.name,
                per_class=profile.drawn_per_class,
                image_size=profile.image_size,
                seed=seed_for(order.seed, "draw", one.name),
            )
            labels[one.name] = set(facts[one.name].classes.values())
    return images, surveys, labels, facts


def check_columns(columns: Mapping[str, str]) -> None:
    """Refuse ``--column`` for what no manifest has.

    Raises:
        UsageFault: With the nearest name.
    """
    for name in columns:
        if name not in MANIFEST_COLUMNS:
            raise UsageFault(f"--column {name}: a manifest's columns are {', '.join(MANIFEST_COLUMNS)}", fix="name one of them")


def survey_data(one: Data, columns: Mapping[str, str], facts: KnownSet) -> Survey:
    """List and hash the files of one ``--data``, with the labels that its description gives them."""
    check_columns(columns)
    listing = read(Path(one.path), columns=columns, manifest=Path(one.manifest) if one.manifest else None)
    entries = renamed(listing.entries, facts.classes)
    if facts.nature != "real":
        entries = tuple(entry._replace(origin=facts.nature) for entry in entries)
    listing = listing._replace(entries=entries)
    if facts.images and len(listing.entries) != facts.images and not one.manifest:
        say(f"note: {one.name} has {len(listing.entries)} images here; the published set has {facts.images}")
    for flaw in facts.flaws:
        say(f"note: known of {one.name}: {flaw}")
    return survey(listing)


def _classes(asked: Sequence[str], labels: Mapping[str, set[str]]) -> tuple[str, ...]:
    union, common = set().union(*labels.values()), set.intersection(*labels.values())
    if tuple(asked) == ("common",):
        chosen = common
    elif asked:
        for label in asked:
            if label not in union:
                raise registry.unknown("class", label, sorted(union))
        chosen = set(asked)
    elif union != common:
        raise DataFault(
            "the sets do not have the same classes",
            problems=[f"{name} has no {', '.join(sorted(union - own))}" for name, own in labels.items() if union - own],
            fix="--classes common takes those that all have, --classes a,b,c names them",
        )
    else:
        chosen = union
    if len(chosen) < 2:
        raise DataFault(f"only {len(chosen)} class to tell apart: {sorted(chosen)}", fix="give at least two classes")
    return tuple(sorted(chosen))


def _check_names(order: Order, names: tuple[str, ...]) -> None:
    chosen = {"duplicates": order.duplicates, "contradictions": order.contradictions, "rare": order.rare}
    for option, values in chosen.items():
        for name in values:
            if name and name not in names:
                raise registry.unknown("data set", name, list(names))
        for value in values.values():
            fitted(Choices, {option: value}, f"--{option}")
    if order.generate_from and order.generate_from not in names:
        raise registry.unknown("data set", order.generate_from, list(names))
    for name in order.weights:
        if name and name not in order.backbones:
            raise registry.unknown("backbone", name, list(order.backbones))


def _choices(order: Order, name: str) -> Choices:
    chosen = {"duplicates": order.duplicates, "contradictions": order.contradictions, "rare": order.rare}
    values = {option: given.get(name, given.get("")) for option, given in chosen.items()}
    return Choices.model_validate({option: value for option, value in values.items() if value})


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


def synthetic_name(set_name: str, generator: str) -> str:
    """Return what boards call the set that a generator draws after another one."""
    return f"{set_name}-{generator}"


def _generator(
    order: Order, profile: Profile, settings: Mapping[str, Any], names: tuple[str, ...]
) -> GeneratorSpec | None:
    if not order.generator:
        if settings or order.generate_from:
            raise UsageFault("settings of a generator are given, but no generator", fix="--generator NAME")
        return None
    kind = registry.load("generator", order.generator)
    config = kind.profile(profile.generators, profile.image_size).model_dump(mode="json")
    config = fitted(kind.config_type, {**config, **settings}, f"generator {order.generator}").model_dump(mode="json")
    learned = order.generate_from or names[0]
    if synthetic_name(learned, order.generator) in names:
        raise UsageFault(
            f"--data {synthetic_name(learned, order.generator)} is what the synthetic set will be called",
            fix="give that set another name",
        )
    return GeneratorSpec(name=order.generator, config=config, trained_on=learned)
