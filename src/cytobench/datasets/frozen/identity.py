"""What a frozen set is called: ``name@vN#root-hash``. The hash stands for every byte of it."""

import re
from typing import NamedTuple

from cytobench.errors import UsageFault

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")  # part of folders' and archives' names, on every system
WHOLE_HASH = 64  # hex digits
REFERENCE = re.compile(rf"(?P<name>{NAME.pattern})@v(?P<version>[1-9][0-9]{{0,8}})(?:#(?P<root>[0-9a-f]{{8,64}}))?")


class Identity(NamedTuple):
    """One version of one set."""

    name: str
    version: int
    """From 1; a version is superseded by a later one, never edited."""
    root: str = ""
    """SHA-256 of the manifest, which holds that of every file, as 64 hex digits; as text it may be cut or left out."""

    def __str__(self) -> str:
        return f"{self.name}@v{self.version}" + (f"#{self.root}" if self.root else "")

    @property
    def folder(self) -> str:
        """The name of its folder and, with an ending, of its archive."""
        return f"{self.name}-v{self.version}"

    def means(self, other: "Identity") -> bool:
        """Tell whether another, whole identity is what this one, perhaps with a cut hash or none, asks for."""
        return self[:2] == other[:2] and other.root.startswith(self.root)


def parse(text: str) -> Identity:
    """Return an identity as typed.

    Raises:
        UsageFault: It is none.

    >>> parse("blood@v2#0123abcd")
    Identity(name='blood', version=2, root='0123abcd')
    """
    found = REFERENCE.fullmatch(text)
    if not found:
        raise UsageFault(f"{text!r} is no frozen set's identity", fix="NAME@vN or NAME@vN#HASH, as blood@v1")
    return Identity(found["name"], int(found["version"]), found["root"] or "")


def named(name: str, version: int) -> Identity:
    """Return the identity of a set that is still to be written.

    Raises:
        UsageFault: No usable name, or a version below 1.
    """
    if not NAME.fullmatch(name):
        raise UsageFault(
            f"--name {name!r} can't name a published set",
            fix="up to 63 small letters, digits, '.', '_' and '-', a letter or digit first",
        )
    if not REFERENCE.fullmatch(f"{name}@v{version}"):
        raise UsageFault(f"--version {version} is none", fix="a whole number from 1 on")
    return Identity(name, version)
