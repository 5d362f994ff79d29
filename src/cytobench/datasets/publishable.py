"""Whether the files of a set can be named in a file that others will use on other systems."""

import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from cytobench.errors import DataFault, IntegrityFault


def check(root: Path, files: Sequence[str]) -> None:
    """Refuse files that lie outside the set's folder, and names that some systems can't tell apart.

    Args:
        root: The set's folder.
        files: Paths below it.

    Raises:
        IntegrityFault: A link leads out of the folder: what it means elsewhere is not known.
        DataFault: Names that differ in case or Unicode form alone.
    """
    inside = root.resolve()
    leaving = [file for file in dict.fromkeys(files) if not (root / file).resolve().is_relative_to(inside)]
    if leaving:
        raise IntegrityFault(
            f"{len(leaving)} images are links to files outside {root}",
            problems=leaving,
            fix="put the files themselves into the folder",
        )
    alike: dict[str, list[str]] = defaultdict(list)
    for file in dict.fromkeys(files):
        alike[unicodedata.normalize("NFC", file).casefold()].append(file)
    same = [" = ".join(names) for names in alike.values() if len(names) > 1]
    if same:
        raise DataFault(
            f"{len(same)} names differ in case or accents' form alone; some systems take them for one file",
            problems=same,
            fix="rename these files",
        )
