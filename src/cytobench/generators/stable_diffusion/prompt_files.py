"""Files of prompts: a TOML table for each class, and the words of WBCAtt's attributes.

A prompt is a sentence with fields. ``{nucleus_shape:round}`` is an attribute of WBCAtt (Tsutsui et al. 2023) with the
words that stand there when nobody asks for a value; ``{site}`` and other fields without words then leave nothing.
"""

import functools
import re
import string
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator

from cytobench.errors import UsageFault

FILES = ("general", "aml", "pbc")
LARGEST = 1_000_000  # bytes of a file with prompts


class ClassPrompt(BaseModel):
    """The prompt of a class."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    """One sentence with fields: ``{site}`` and attributes, as ``{cell_shape:round}`` with the words of this class."""

    @field_validator("prompt")
    @classmethod
    def _has_known_fields(cls, text: str) -> str:
        names = [piece.field for piece in pieces(text) if piece.field]
        if strange := sorted(set(names) - {"site", *wording()}):
            raise ValueError(f"unknown field {', '.join(strange)}; fields are site, {', '.join(wording())}")
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"{', '.join(twice)} stands there twice")
        if not re.search(r"\w", filled(text, {"site": ""})):
            raise ValueError("it says nothing")
        return text


class Piece(NamedTuple):
    """A part of a prompt: plain text, then a field."""

    text: str
    field: str
    """Empty when only text is left."""
    words: str
    """What stands in the field's place when no value is asked for."""


def pieces(prompt: str) -> list[Piece]:
    """Return the text and the fields of a prompt, in order.

    Raises:
        ValueError: Braces that do not fit.
    """
    found = []
    for text, field, words, conversion in string.Formatter().parse(prompt):
        if conversion or field == "" or "{" in (words or ""):
            raise ValueError("a field is {name} or {name:words}, with nothing else in it")
        found.append(Piece(text, field or "", words or ""))
    return found


def filled(prompt: str, words: Mapping[str, str]) -> str:
    """Return a prompt with words by field; others keep their own, and the punctuation around empty fields closes up."""
    text = "".join(
        piece.text + (words.get(piece.field, piece.words) if piece.field else "") for piece in pieces(prompt)
    )
    text = re.sub(r"\s+(?=[,;:.])", "", " ".join(text.split()))
    return re.sub(r"(?:[,;:]\s*)+(?=[,;:.])", "", text).strip(" ,;:")


@functools.cache
def wording() -> Mapping[str, Mapping[str, str]]:
    """Return the words of every value of every attribute of WBCAtt."""
    text = (_folder() / "attributes.toml").read_text(encoding="utf-8")
    return TypeAdapter(dict[str, dict[str, str]]).validate_python(tomllib.loads(text))


@functools.cache
def shipped() -> Mapping[str, ClassPrompt]:
    """Return our prompts by class; no class has two."""
    found: dict[str, ClassPrompt] = {}
    for name in FILES:
        file = _folder() / f"{name}.toml"
        ours = read(file)
        if twice := sorted(found.keys() & ours.keys()):
            raise UsageFault(f"{file}: {', '.join(twice)} has a prompt in another file too", fix="keep one of them")
        found |= ours
    return MappingProxyType(found)


def read(file: Path) -> dict[str, ClassPrompt]:
    """Read a file with a table for each class: ``[basophil]``, then ``prompt = "…"``.

    Raises:
        UsageFault: It is not there or not of this form, with every entry that is wrong.
    """
    example = 'write [basophil], below it prompt = "blood smear: a basophil, {cell_shape:round}"'
    if not file.is_file():
        raise UsageFault(f"there is no file {file} with prompts", fix="check --set generator.prompts=FILE.toml")
    if file.suffix.lower() != ".toml" or file.stat().st_size > LARGEST:
        raise UsageFault(f"{file} is no TOML file of at most {LARGEST // 1_000_000} MB", fix=example)
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8-sig"))
        return TypeAdapter(dict[str, ClassPrompt]).validate_python(table)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise UsageFault(f"{file} holds prompts that can't be used", problems=problems, fix=example) from error
    except (OSError, ValueError, RecursionError) as error:  # the faults of tomllib and of Unicode are ValueErrors
        raise UsageFault(f"{file} can't be read as TOML: {error}", fix=example) from error


def _folder() -> Path:
    return Path(__file__).parent / "prompts"
