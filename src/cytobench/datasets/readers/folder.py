"""A folder per class: ``root/<class>/**/<image>``."""

import os
from pathlib import Path
from typing import NamedTuple

from cytobench.datasets.readers.listing import IMAGE_ENDINGS, Entry, Listing, composed, of_the_system
from cytobench.errors import DataFault


class Below(NamedTuple):
    """The files below a folder."""

    images: list[Path]
    ignored: int
    """Files of the operating system."""
    other: list[Path]
    """Files without an image's ending."""


def read_folder(root: Path) -> Listing:
    """List a folder per class.

    Raises:
        DataFault: A class without an image, no class at all, or a link that leads back.
    """
    ignored = 0
    entries: list[Entry] = []
    empty: list[str] = []
    strange: list[str] = []
    loose: list[str] = []
    for place in sorted(root.iterdir()):
        if of_the_system(place.name):
            ignored += 1
        elif place.is_dir() and not place.name.strip():
            empty.append(f"{place.name!r} is no class name")
        elif place.is_dir():
            found = images_below(place)
            ignored += found.ignored
            strange += [path.relative_to(root).as_posix() for path in found.other]
            entries += [Entry(path.relative_to(root).as_posix(), composed(place.name)) for path in found.images]
            if not found.images:
                empty.append(f"{place.name}/ holds no image")
        elif place.suffix.lower() in IMAGE_ENDINGS:
            loose.append(place.name)
        else:
            strange.append(place.name)
    beside = f"{len(loose)} images, as {loose[0]}, lie in no folder of a class" if loose else ""
    if empty or not entries:
        raise DataFault(
            f"{root} is not a folder per class with images in each",
            problems=empty or [beside or f"{root} holds no folder with images"],
            fix="put images into folders named after their class, none of them empty, or name a --manifest NAME=FILE",
        )
    notes = [f"{len(strange)} files without an image's ending passed over, as {strange[0]}"] if strange else []
    if beside:
        notes.append(f"{beside}: passed over")
    return Listing(root, tuple(entries), ignored, tuple(notes))


def images_below(folder: Path) -> Below:
    """Return the files below a folder, sorted; a link that leads back up is not followed.

    Raises:
        DataFault: There is such a link.
    """
    images: list[Path] = []
    other: list[Path] = []
    ignored = 0
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        stat = os.stat(place)  # noqa: PTH116  # os.walk gives text
        if (stat.st_dev, stat.st_ino) in seen:
            raise DataFault(f"{place} is a link that leads back to a folder above it", fix="remove the link")
        seen.add((stat.st_dev, stat.st_ino))
        folders.sort()
        for name in sorted(files):
            if of_the_system(name):
                ignored += 1
            elif Path(name).suffix.lower() in IMAGE_ENDINGS:
                images.append(Path(place) / name)
            else:
                other.append(Path(place) / name)
    return Below(images, ignored, other)
