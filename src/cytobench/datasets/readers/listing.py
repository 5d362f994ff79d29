"""What every reader returns: images as listed, with nothing decoded yet."""

import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".ppm", ".pgm"})
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
LONGEST_LABEL = 200  # characters
COMPOSED = "composer/"  # what the name of a composition begins with: its images show what it used
JOINERS = "\u200c\u200d"  # not printable by themselves, and part of words in some scripts
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Box(NamedTuple):
    """A part of a picture, pixels from its upper left corner."""

    left: int
    top: int
    width: int
    height: int


class Entry(NamedTuple):
    """One image as listed; ``position`` is its row in an npz, -1 for a file.

    ``pixel_sha256`` is what its pixels were when the manifest was frozen; empty when nobody says. ``box`` is where the
    cell lies in a larger picture; None takes the whole.
    """

    file: str
    label: str
    split: str = ""
    group: str = ""
    origin: str = "real"
    shot: bool = False
    position: int = -1
    pixel_sha256: str = ""
    partition: str = ""
    box: Box | None = None


class Seen(NamedTuple):
    """One image that was used to make others."""

    run: str
    """The fit that learned from it; or, beginning with ``COMPOSED``, the composition that a cell was cut out for."""
    set: str
    """Its set, as that was called."""
    label: str
    pixel_sha256: str
    group: str = ""
    """Its patient or slide; empty where nobody says."""


class Ancestry(NamedTuple):
    """What synthetic images were made from, as it was written down with them."""

    runs: tuple[str, ...]
    """What made each entry: a fit that drew it or a composition; empty for what neither did."""
    seen: tuple[Seen, ...]
    """What each of these used; rows of other runs are of what was before all of them."""


class Listing(NamedTuple):
    """What a reader found."""

    root: Path
    """What the entries' files are relative to; the archive itself for an npz."""
    entries: tuple[Entry, ...]
    ignored: int
    """Files of the operating system and hidden files that were passed over."""
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, NDArray[Any]] | None = None
    """The images of an npz, by array name."""
    ancestry: Ancestry | None = None
    """Where the images come from; None where nobody says."""


def of_the_system(name: str) -> bool:
    """Tell whether a file or folder is the operating system's, not the user's."""
    return name.startswith(".") or name.lower() in SYSTEM_FILES or name == "__MACOSX"


def is_image(name: str) -> bool:
    """Tell whether a file has an image's ending and is the user's."""
    return Path(name).suffix.lower() in IMAGE_ENDINGS and not of_the_system(name)


def problem_of_label(label: str) -> str:
    """Say why a text is no name of a class; empty when it is.

    Line ends and signs that turn a line round or speak to a terminal would let a name pass for something else.
    """
    if len(label) > LONGEST_LABEL:
        return f"is longer than {LONGEST_LABEL} characters"
    return "" if all(one.isprintable() or one in JOINERS for one in label) else "holds signs that can't be shown"


def composed(name: str) -> str:
    """Return a label in Unicode's composed form, so that two spellings of one name are one class."""
    return unicodedata.normalize("NFC", name.strip())
