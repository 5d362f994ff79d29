"""Look up the sets of images that an order names: survey their files, name their classes, collect what was chosen."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from cytobench import registry
from cytobench.benchmarks.spec import Frozen, SetSpec, fitted
from cytobench.benchmarks.steps.sets import DrawImages, ReadImages
from cytobench.benchmarks.steps.step import RunStep
from cytobench.datasets import made
from cytobench.datasets.archives.stored import folder_of
from cytobench.datasets.awkward import Choices
from cytobench.datasets.frozen import thaw
from cytobench.datasets.frozen.identity import REFERENCE, Identity
from cytobench.datasets.known_set import KnownSet, is_known, known
from cytobench.datasets.labels import apply, parse_map, suggest
from cytobench.datasets.layouts.listing import listing
from cytobench.datasets.readers import COLUMNS, Listing, read
from cytobench.datasets.scan import Survey, survey
from cytobench.errors import DataFault, UsageFault
from cytobench.progress import say
from cytobench.seeds import seed_for
from cytobench.store import Store

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")  # it becomes part of file names
SHELF = "published"  # below the output folder: where frozen sets lie
DEFAULT_DATA = ("phantom-a", "phantom-b")


class Data(Frozen):
    """One ``--data NAME=PATH``."""

    name: str
    """As on boards."""
    path: str = ""
    """Folder, file or archive; empty for a drawn set."""
    manifest: str = ""
    """A manifest laid over the folder."""


class SetOptions(Frozen):
    """The options that say which images are meant and what to do about awkward ones."""

    data: tuple[Data, ...] = ()
    """Empty: the embedded phantom."""
    columns: dict[str, str] = {}
    """Names of manifest columns."""
    label_map: dict[str, str] = {}
    """By set name: a named merge, a file, or ``old:new,old:new``."""
    frame: int | None = None
    """Frame of multi-frame files; None refuses them."""
    classes: tuple[str, ...] = ()
    """Empty: all, and all sets must agree; ``common``: those that every set has; or a list."""
    duplicates: dict[str, str] = {}
    """Choice by set name; the empty name is for all."""
    contradictions: dict[str, str] = {}
    """Likewise."""
    rare: dict[str, str] = {}
    """Likewise."""
    near: dict[str, str] = {}
    """Likewise."""
    seed: int = 0
    """Root of all named seeds."""
    verify: bool = True
    """Whether every file of a frozen set is compared with its manifest before the set is used."""

    @property
    def chosen(self) -> dict[str, dict[str, str]]:
        """The choices about awkward images, by option."""
        return {option: getattr(self, option) for option in Choices.model_fields}


class FoundSet(NamedTuple):
    """A set that was looked up."""

    name: str
    facts: KnownSet
    described: bool
    """Whether a plug-in describes it, so that its labels are of the common taxonomy."""
    step: RunStep
    """What makes its pixels."""
    labels: dict[str, str]
    """Label on the disk -> class, for those that are not the same; empty text leaves out."""
    counts: dict[str, int]
    """Images of each class; of a drawn set 0."""
    choices: Choices
    survey: Survey | None
    """None for a drawn set."""

    @property
    def spec(self) -> SetSpec:
        """The set as a run's specification has it."""
        return SetSpec(
            name=self.name, nature=self.facts.nature, images_key=self.step.key, labels=self.labels, choices=self.choices
        )


def name_and_path(text: str) -> tuple[str, str]:
    """Return the two sides of ``NAME=PATH``; a frozen set's identity alone is both."""
    name, _, path = text.partition("=")
    found = REFERENCE.fullmatch(text)
    return (found["name"], text) if found else (name, path)


def absolute(text: str) -> Path:
    """Return an absolute path, so that a run can be resumed from any folder.

    Raises:
        UsageFault: It begins with the home of somebody who is not there.
    """
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError as error:
        raise UsageFault(f"{text}: {error}", fix="write the path out") from None


def frozen_or_place(path: str) -> str:
    """Return an absolute path; of a frozen set's identity, which is looked up below ``--out``, the text itself."""
    if not path or (REFERENCE.fullmatch(path) and not Path(path).exists()):
        return path
    return str(absolute(path))


def find_sets(options: SetOptions, *, image_size: int, drawn_per_class: int, store: Store) -> tuple[FoundSet, ...]:
    """Look every set up and survey its files; archives are unpacked into the store.

    Raises:
        UsageFault: Names that are none, or twice; labels or choices that do not exist.
        DataFault: Files that can't be opened, layouts that are not understood.
        IntegrityFault: Hostile archives and manifests, edited frozen splits.
    """
    sets = options.data or tuple(Data(name=name) for name in DEFAULT_DATA)
    _check_names(options, [one.name for one in sets])
    return tuple(
        _on_disk(one, options, image_size, store)
        if one.path
        else _drawn(one.name, options, image_size, drawn_per_class)
        for one in sets
    )


def classes_of(asked: Sequence[str], sets: Sequence[FoundSet]) -> tuple[str, ...]:
    """Return the label space of a run, sorted.

    Sets of the common taxonomy that differ share the classes that all of them have, and this is said.

    Raises:
        UsageFault: A class that no set has.
        DataFault: Sets that differ, with the difference and what their labels may mean; fewer than two classes.
    """
    has = {one.name: set(one.counts) for one in sets}
    union, common = set().union(*has.values()), set.intersection(*has.values())
    if tuple(asked) == ("common",):
        chosen = common
    elif asked:
        for label in asked:
            if label not in union:
                raise registry.unknown("class", label, sorted(union))
        chosen = set(asked)
    elif union == common:
        chosen = union
    elif all(one.described for one in sets) and len(common) > 1:
        chosen = common
        say(f"note: classes that all sets have: {', '.join(sorted(common))} (--classes a,b,c names others)")
    else:
        raise _different(sets, union)
    if len(chosen) < 2:
        raise DataFault(f"only {len(chosen)} class to tell apart: {sorted(chosen)}", fix="give at least two classes")
    return tuple(sorted(chosen))


class _Listed(NamedTuple):
    """Files that were found, and what is known of them."""

    facts: KnownSet
    described: bool
    listing: Listing


def _listed(one: Data, options: SetOptions, place: Path) -> _Listed:
    """Return what lies at a path: an archive's content, the layout that a description tells of, or one of our own."""
    described = is_known(one.name)
    facts = known(one.name) if described else KnownSet(title=one.name, licence="unknown")
    for column in options.columns:
        if column not in COLUMNS:
            raise UsageFault(
                f"--column {column}: a manifest's columns are {', '.join(COLUMNS)}", fix="name one of them"
            )
    if one.manifest:
        found = read(place, columns=options.columns, manifest=Path(one.manifest))
    elif described:
        found = listing(facts, place)
    else:
        found = read(place, columns=options.columns)
    if facts.nature != "real":
        found = found._replace(entries=tuple(entry._replace(origin=facts.nature) for entry in found.entries))
    return _Listed(facts, described, found)


def _thawed(one: Data, options: SetOptions, folder: Path, expected: Identity | None) -> _Listed:
    """Return a frozen set, proven unless that was declined."""
    if one.manifest:
        raise UsageFault(f"{one.name} is a frozen set, its split is never replaced", fix="leave --manifest out")
    found = thaw.thaw(folder, one.name, expected=expected, verified=options.verify)
    state = "untouched" if options.verify else "not verified, as --no-verify asks"
    say(f"note: {one.name} is {found.facts.title}, {state}")
    return _Listed(found.facts, False, found.listing)


def _remade(one: Data, options: SetOptions, folders: Sequence[Path]) -> _Listed:
    """Return what ``generate`` or ``compose`` drew into folders, proven unless that was declined."""
    if one.manifest:
        raise UsageFault(f"{one.name} was drawn by cytobench, which tells its images", fix="leave --manifest out")
    found = [made.read_made(folder, verified=options.verify) for folder in folders]
    titles = dict.fromkeys(each.title for each in found)
    facts = KnownSet(title="; ".join(titles), licence="unknown", nature="synthetic")
    state = "untouched" if options.verify else "not verified, as --no-verify asks"
    say(f"note: {one.name} is {facts.title}, {state}")
    return _Listed(facts, False, made.joined(found))


def _on_disk(one: Data, options: SetOptions, image_size: int, store: Store) -> FoundSet:
    place, expected = thaw.place_of(one.path, store.root.parent / SHELF)
    place = folder_of(place, store)
    frozen = thaw.frozen_at(place)
    drawn = () if frozen else made.folders_at(place)
    if not frozen and not drawn:
        thaw.refuse_part(one.path)
        made.refuse_part(Path(one.path))
    if frozen:
        listed = _thawed(one, options, frozen, expected)
    else:
        listed = _remade(one, options, drawn) if drawn else _listed(one, options, place)
    facts, described, found = listed.facts, listed.described, survey(listed.listing)
    for note in (*found.listing.notes, *(f"known flaw: {flaw}" for flaw in facts.flaws)):
        say(f"note: {one.name}: {note}")
    raw = Counter(entry.label for entry in found.listing.entries)
    labels = _labels(one.name, facts, sorted(raw), options.label_map)
    counts: Counter[str] = Counter()
    for label, count in raw.items():
        counts[labels.get(label, label)] += count
    counts.pop("", None)
    step = ReadImages(name=one.name, survey=found.sha256, image_size=image_size, frame=options.frame)
    choices = _choices(one.name, facts, options)
    return FoundSet(one.name, facts, described, step, labels, dict(counts), choices, found)


def _drawn(name: str, options: SetOptions, image_size: int, per_class: int) -> FoundSet:
    facts = known(name)
    if facts.draw is None:
        raise UsageFault(f"{name} is not drawn: where is it?", fix=f"--data {name}=PATH")
    seed = seed_for(options.seed, "draw", name)
    step = DrawImages(name=name, per_class=per_class, image_size=image_size, seed=seed)
    labels = _labels(name, facts, sorted(set(facts.classes.values())), options.label_map)
    counts = {labels.get(label, label): 0 for label in facts.classes.values()}
    counts.pop("", None)
    return FoundSet(name, facts, True, step, labels, counts, _choices(name, facts, options), None)


def _labels(name: str, facts: KnownSet, raw: Sequence[str], label_map: Mapping[str, str]) -> dict[str, str]:
    """Return what becomes of each label on the disk, for those that change: the description first, then the map."""
    described = {label: facts.classes.get(label, label) for label in raw}
    wanted = {label: label for label in described.values()}
    if name in label_map:
        between = sorted(wanted)
        given = parse_map(f"{name}={label_map[name]}")
        wanted = dict(zip(between, apply(between, given), strict=True))
        said = ", ".join(f"{old} -> {new or 'left out'}" for old, new in sorted(wanted.items()) if old != new)
        say(f"note: {name}: --label-map: {said or 'nothing changes'}")
    named = {label: wanted[class_] for label, class_ in described.items()}
    return {label: final for label, final in named.items() if label != final}


def _different(sets: Sequence[FoundSet], union: set[str]) -> DataFault:
    problems, maps = [], []
    for one in sets:
        absent, other = sorted(union - set(one.counts)), set().union(*(set(o.counts) for o in sets if o is not one))
        if absent:
            problems.append(f"{one.name} has no {', '.join(absent)}")
        probable = suggest(sorted(set(one.counts) - other), sorted(other))
        if probable:
            maps.append(f"--label-map {one.name}=" + ",".join(f"{old}:{new}" for old, new in sorted(probable.items())))
    fix = "--classes common takes those that all have, --classes a,b,c names them"
    if maps:
        fix = f"if these are the same cells, say so: {' '.join(maps)}; or {fix}"
    return DataFault("the sets do not have the same classes", problems=problems, fix=fix)


def _check_names(options: SetOptions, names: Sequence[str]) -> None:
    for name in names:
        if not NAME.fullmatch(name):
            raise UsageFault(
                f"--data {name[:80]!r} is no name for a set",
                fix="up to 64 letters, digits, '.', '_', '+' and '-', a letter or digit first",
            )
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UsageFault(f"--data names {twice[0]!r} twice", fix="give each set its own name")
    for given in (*options.chosen.values(), options.label_map):
        for name in given:
            if name not in names and (name or given is options.label_map):
                raise registry.unknown("data set", name, list(names))


def _choices(name: str, facts: KnownSet, options: SetOptions) -> Choices:
    """Return what was chosen for a set: by its name, for all, or by its description."""
    chosen = {}
    for option, given in options.chosen.items():
        value = given.get(name, given.get(""))
        if value is None and option in facts.choices:
            value = facts.choices[option]
            otherwise = f"--{option} {name}=… to choose otherwise"
            say(f"note: {name}: --{option} {value} (its description chooses so; {otherwise})")
        if value is not None:
            chosen[option] = value
    return fitted(Choices, chosen, f"what was chosen for {name} ({', '.join(f'--{option}' for option in chosen)})")
