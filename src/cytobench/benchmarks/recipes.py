"""Which generators a run fits: plug-ins, their settings, and the settings that are varied from one to the next."""

import itertools
import json
import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cytobench import registry
from cytobench.benchmarks.spec import GeneratorSpec, LearnedFrom, Profile, fitted
from cytobench.errors import UsageFault
from cytobench.progress import say

if TYPE_CHECKING:
    from cytobench.generators.contract import LookedUp

ALL = "generator"
"""The head of settings that are every generator's, as ``generator.steps``."""

SECONDS = "seconds"
"""A setting that every generator has beside its own: the time that it may take, instead of ``steps``."""

EPOCHS = "epochs"
"""Likewise: how often it sees as many images as there are, instead of ``steps``."""

LENGTHS = ("steps", SECONDS, EPOCHS)
"""How long a generator learns: one of these takes the place of another."""


class Wanted(NamedTuple):
    """The generators of a run as they are asked for, whatever set they learn from."""

    generators: Sequence[str]
    """Plug-ins."""
    settings: Mapping[str, str]
    """Texts by name, as ``generator.steps``, or ``ddpm.steps`` for one of them."""
    before: Mapping[str, str]
    """Likewise, those of the protocol, which the others go before."""
    varied: Mapping[str, str]
    """Likewise, values with commas between them."""
    profile: Profile
    """Whose configurations are the beginning."""
    learned_from: Sequence[LearnedFrom] = ("half",)
    """What every one learns from; once for each of these, the second time held out."""


def presets(tables: Mapping[str, Any], generators: Sequence[str]) -> dict[str, str]:
    """Return the settings of a protocol as ``--set`` would give them, without those of generators that are not run.

    Args:
        tables: Values, or tables of them by their first word.
        generators: Those of the run.
    """
    found: dict[str, str] = {}
    for head, value in tables.items():
        named = {f"{head}.{tail}": one for tail, one in value.items()} if isinstance(value, dict) else {head: value}
        found |= {name: json.dumps(one, ensure_ascii=False) for name, one in named.items()}  # scalars as in TOML
    strangers = registry.found("generator").keys() - set(generators)
    return {name: text for name, text in found.items() if name.partition(".")[0] not in strangers}


def split_settings(
    settings: Mapping[str, str], generators: Sequence[str], others: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return ``--set`` in two: what is set of generators, and everything else.

    Args:
        settings: Texts by name, as ``generator.steps`` or ``ddpm.steps``.
        generators: Those of the run.
        others: Names of the other settings, for the message.

    Raises:
        UsageFault: A generator's settings are given, but no generator; or the head alone.
    """
    mine = {name: text for name, text in settings.items() if name.partition(".")[0] in (ALL, *generators)}
    for name in mine:
        if not name.partition(".")[2]:
            raise UsageFault(
                f"--set {name!r}: there is no such setting", fix=f"settings are {ALL}.*, {', '.join(sorted(others))}"
            )
    return mine, {name: text for name, text in settings.items() if name not in mine}


def resolve(
    wanted: Wanted, *, trained_on: str, classes: tuple[str, ...], only: tuple[str, ...] = ()
) -> tuple[GeneratorSpec, ...]:
    """Return the generators of a run: every one with every combination of the values that are varied.

    Args:
        wanted: As asked for.
        trained_on: The set that they learn from.
        classes: The label space.
        only: Names of the only files that they may see; empty: all.

    Raises:
        UsageFault: A setting that does not fit, or two sets of one name.
    """
    for name in wanted.varied:
        if name.partition(".")[0] not in (ALL, *wanted.generators) or not name.partition(".")[2]:
            raise UsageFault(
                f"--vary {name!r}: only settings of a generator can be varied", fix=f"as --vary {ALL}.steps=100,1000"
            )
    found = []
    notes: dict[str, None] = {}  # each is said once
    for name in wanted.generators:
        for values in _combinations(_of(name, wanted.varied)):
            mine = _laid(*_layers(name, wanted.before), *_layers(name, wanted.settings), values)
            seconds, epochs = _amount(mine.pop(SECONDS, "0"), SECONDS), _amount(mine.pop(EPOCHS, "0"), EPOCHS)
            known = _looked_up(name, mine, wanted.profile, classes)
            notes |= dict.fromkeys(known.notes)
            plain = "-".join([trained_on, name, *(f"{key}{_plain(text)}" for key, text in values.items())])
            found += [
                GeneratorSpec(
                    name=name,
                    set_name=f"{plain}-held-out" if again else plain,
                    base=known.base,
                    varied={key: value_of(text) for key, text in values.items()},
                    seconds=seconds,
                    epochs=epochs,
                    learned_from=learned,
                    config=known.config.model_dump(mode="json"),
                    trained_on=trained_on,
                    only=only,
                )
                for again, learned in enumerate(wanted.learned_from)
            ]
    for note in notes:
        say(f"note: {note}")
    twice = [one.set_name for one in found if sum(other.set_name == one.set_name for other in found) > 1]
    if twice:
        raise UsageFault(f"two synthetic sets would be called {twice[0]}", fix="name each generator and value once")
    return tuple(found)


def listed(file: Path) -> tuple[str, ...]:
    """Return the names of images that a text file lists, one a line; what follows a # is a remark.

    Raises:
        UsageFault: It can't be read, or names none.
    """
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise UsageFault(
            f"--shots-from {file}: {error}", fix="a text file with the name of an image in each line"
        ) from error
    found = tuple(dict.fromkeys(line for line in lines if line))
    if not found:
        raise UsageFault(f"--shots-from {file} names no image", fix="write the name of an image into each line")
    return found


def value_of(text: str) -> Any:
    """Return a value as TOML reads it, nothing for ``null``, which TOML does not have, or the text itself."""
    if text.strip() == "null":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text


def _amount(text: str, of: str) -> float:
    value = value_of(text)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        what = "time" if of == SECONDS else "number of epochs"
        raise UsageFault(f"{ALL}.{of}={text}: it is no {what}", fix=f"{of}, as {ALL}.{of}=20")
    return float(value)


def _of(generator: str, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of one generator without their heads, its own before everyone's."""
    return _laid(*_layers(generator, settings))


def _layers(generator: str, settings: Mapping[str, str]) -> list[dict[str, str]]:
    """Return everyone's settings without their head, then those of one generator."""
    return [
        {name.partition(".")[2]: text for name, text in settings.items() if name.partition(".")[0] == head}
        for head in (ALL, generator)
    ]


def _laid(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return settings laid over one another, the last on top; a length that a layer gives covers all below.

    Raises:
        UsageFault: Two lengths in one layer.
    """
    found: dict[str, str] = {}
    for layer in layers:
        lengths = [name for name in LENGTHS if name in layer]
        if len(lengths) > 1:
            raise UsageFault(
                f"{' and '.join(lengths)} of a generator are given at once", fix="say once how long it learns"
            )
        if lengths:
            found = {name: text for name, text in found.items() if name not in LENGTHS}
        found |= layer
    return found


def _combinations(varied: Mapping[str, str]) -> list[dict[str, str]]:
    values = [[text.strip() for text in texts.split(",") if text.strip()] for texts in varied.values()]
    if not all(values):
        raise UsageFault("--vary names no values", fix=f"as --vary {ALL}.steps=100,1000")
    return [dict(zip(varied, one, strict=True)) for one in itertools.product(*values)]


def _looked_up(name: str, settings: Mapping[str, str], profile: Profile, classes: tuple[str, ...]) -> "LookedUp":
    """Return a generator's configuration, with all that it names found where it names anything."""
    from cytobench.generators.contract import LookedUp  # with torch, as every generator is

    kind = registry.load("generator", name)
    config = kind.profile(profile.generators, profile.image_size).model_dump(mode="json")
    chosen = {**config, **{key: value_of(text) for key, text in settings.items()}}
    fits = fitted(kind.config_type, chosen, f"generator {name}")
    if not hasattr(kind, "looked_up"):
        return LookedUp(fits, base="", notes=())
    found: LookedUp = kind.looked_up(fits, classes)
    return found


def _plain(text: str) -> str:
    """Return a value as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.]+", "-", text).strip("-.")[-24:]
