"""From the unpacked download of a known set to a list of its images, wherever in it the user points.

A set's layout is looked for first. Where it is not found, a folder per class is enough, because that is the form in
which sets are passed on. Nothing is dropped in silence: what was passed over, read loosely or is missing is noted.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from cytobench.datasets.known_set import KnownSet, renamed
from cytobench.datasets.layouts.boxes import boxes
from cytobench.datasets.layouts.kinds import Boxes, Folders, Npz, Table
from cytobench.datasets.layouts.search import children, find, glance, levels, matches, within
from cytobench.datasets.readers import read
from cytobench.datasets.readers.folder import images_below
from cytobench.datasets.readers.listing import Entry, Listing, composed
from cytobench.datasets.readers.manifest import read_rows
from cytobench.datasets.readers.npz import read_npz
from cytobench.errors import DataFault, IntegrityFault, UsageFault


class Labels:
    """What a set's own labels mean; its classes' names are always understood."""

    def __init__(self, classes: Mapping[str, str]) -> None:
        self._exact = {**{label: label for label in classes.values()}, **classes}
        loose: dict[str, set[str]] = {}
        for raw, label in self._exact.items():
            loose.setdefault(folded(raw), set()).add(label)
        self._loose = {key: labels.pop() for key, labels in loose.items() if len(labels) == 1}

    def class_of(self, raw: str) -> str:
        """Return the class of a label, also where it differs in case, punctuation or a plural s; empty if none."""
        return self._exact.get(raw) or self._loose.get(folded(raw), "")

    def is_exact(self, raw: str) -> bool:
        """Tell whether the label is spelt as the set spells it."""
        return raw in self._exact


def folded(name: str) -> str:
    """Return a name without case, spaces, punctuation and a plural s, for comparison."""
    plain = re.sub(r"[\W_]+", "", name.casefold())
    return plain[:-1] if len(plain) > 4 and plain.endswith("s") else plain


def listing(facts: KnownSet, path: Path) -> Listing:
    """List the images of a known set, with its classes as labels.

    Args:
        facts: The set; with no classes its folders are taken as they are.
        path: The unpacked download, a folder above it, the folder of its class folders, an archive or a manifest.

    Raises:
        UsageFault: Nothing at that path, or several archives to choose from.
        DataFault: Nothing in it looks like the set, or it contradicts what was published.
        IntegrityFault: A table or annotation that reaches outside its folder or is unsafe to parse.
    """
    if not path.exists():
        raise UsageFault(f"there is nothing at {path}", fix="check the path given with --data NAME=PATH")
    if not facts.classes:
        return read(path, columns={})
    if path.is_file() and path.suffix.lower() != ".npz":  # a manifest may carry classes that were merged
        found = read(path, columns={})
        return found._replace(entries=renamed(found.entries, facts.classes))
    raw = read_npz(path) if path.is_file() else _in_folder(facts, path)
    named = _named(facts, raw) if raw else None
    if named is None or not named.entries:
        raise DataFault(
            f"{path} does not look like {facts.title}",
            problems=[
                f"looked for: {facts.layout.hint or 'a folder for each of ' + ', '.join(facts.classes)}",
                f"found: {glance(path) if path.is_dir() else path.name}",
            ],
            fix="unpack the download and name its folder: --data NAME=FOLDER",
        )
    _check_landmarks(facts, named)
    return named


def folders(labels: Labels, need: int, path: Path, layout: Folders) -> Listing | None:
    """List a folder per class: at the shallowest place where ``need`` classes are; None when there is none."""
    for level in levels(path, layout.skip):
        places = [
            folder
            for folder in level
            if len({labels.class_of(composed(child.name)) for child in children(folder)} - {""}) >= need
        ]
        if places:
            return _class_folders(path, places, layout)
    return None


def table(path: Path, layout: Table) -> Listing | None:
    """List the rows of a label table beside a folder of images; None when there is none.

    Raises:
        DataFault: A column is missing, or an image is named twice.
        IntegrityFault: A row names something outside the folder.
    """
    file = find(path, layout.table, layout.skip)
    folder = within(file.parent, layout.folder) if file and layout.folder else file and file.parent
    if not file or not folder or not folder.is_dir():
        return None
    rows = read_rows(file).rename(columns=lambda name: str(name).strip().casefold())
    wanted = [layout.file_column.casefold(), layout.label_column.casefold()]
    if missing := [name for name in wanted if name not in rows.columns]:
        raise DataFault(f"{file} has no column {', '.join(missing)}", fix="get the published table again")
    names = [f"{str(value).strip().zfill(layout.digits)}{layout.ending}" for value in rows[wanted[0]]]
    if outside := [name for name in names if Path(name).name != name or "\\" in name]:
        raise IntegrityFault(f"{file} names paths outside its folder", problems=outside, fix="get the table again")
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataFault(f"{file} names images twice", problems=twice, fix="keep one row of each")
    pairs = list(zip(names, map(str, rows[wanted[1]]), strict=True))
    entries = [
        Entry(
            f"{folder.name}/{name}" if folder != file.parent else name, label.strip(), group=_group(layout.group, name)
        )
        for name, label in pairs
        if (folder / name).is_file() and not matches(name, layout.skip)
    ]
    absent = len(pairs) - len(entries)
    notes = [f"{absent} of {len(pairs)} images that {file.name} names are not here"] if absent else []
    return Listing(file.parent, tuple(entries), 0, tuple(notes))


def npz(path: Path, layout: Npz) -> Listing | None:
    """List the one archive of the set that lies below a folder; None when there is none.

    Raises:
        UsageFault: There are several.
    """
    found = [file for name in layout.files if (file := find(path, name, layout.skip))]
    if len(found) > 1:
        raise UsageFault(
            f"{path} holds {', '.join(file.name for file in found)}", fix=f"name one of them, as --data NAME={found[0]}"
        )
    return read_npz(found[0]) if found else None


def _in_folder(facts: KnownSet, path: Path) -> Listing | None:
    layout, labels = facts.layout, Labels(facts.classes)
    need = min(2, len(set(facts.classes.values())))  # one folder of a common name proves nothing
    found: Listing | None = None
    if isinstance(layout, Table):
        found = table(path, layout)
    elif isinstance(layout, Boxes):
        found = boxes(path, layout)
    elif isinstance(layout, Npz):
        found = npz(path, layout)
    if found and found.entries:
        return found
    plain = layout if isinstance(layout, Folders) else Folders(skip=layout.skip, group=layout.group)
    return folders(labels, need, path, plain)


class _Chosen(NamedTuple):
    """Folders of class folders, and the part of the published split that each stands for."""

    root: Path
    parts: Mapping[Path, str]
    notes: tuple[str, ...]


def _class_folders(path: Path, places: list[Path], layout: Folders) -> Listing:
    chosen = _choose(path, places, layout.splits)
    entries: list[Entry] = []
    ignored = 0
    passed: Counter[str] = Counter()
    for place, part in chosen.parts.items():
        for folder in children(place):
            if matches(folder.name, layout.skip):
                passed[folder.name] += len(images_below(folder).images)
                continue
            found = images_below(folder)
            ignored += found.ignored
            for file in found.images:
                if matches(file.name, layout.skip) or any(
                    matches(one, layout.skip) for one in file.relative_to(folder).parts
                ):
                    passed[folder.name] += 1
                    continue
                name = file.relative_to(chosen.root).as_posix()
                entries.append(Entry(name, composed(folder.name), part, _group(layout.group, file.name)))
    said = (
        [f"{sum(passed.values())} files passed over, as the set's description says ({_told(passed)})"] if passed else []
    )
    return Listing(chosen.root, tuple(entries), ignored, (*chosen.notes, *said))


def _choose(path: Path, places: list[Path], splits: Mapping[str, str]) -> _Chosen:
    part_of = {folded(name): part for name, part in splits.items()}
    parts = {place: part_of[folded(place.name)] for place in places if folded(place.name) in part_of}
    if len(places) > 1 and (not parts or len({folded(place.name) for place in parts}) < len(parts)):
        raise DataFault(
            f"{path} holds several folders with these classes",
            problems=[place.relative_to(path).as_posix() for place in places],
            fix="name one of them with --data NAME=FOLDER",
        )
    others = [place.name for place in places if parts and place not in parts]
    notes = [f"folders passed over, no part of the published split: {', '.join(others)}"] if others else []
    if not {"train", "test"} <= set(parts.values()):
        if parts:
            notes.append(f"only {', '.join(place.name for place in parts)} is here: the published split is not used")
        parts = dict.fromkeys(parts or places, "")
    root = Path(os.path.commonpath([place.parent for place in parts])) if len(parts) > 1 else next(iter(parts))
    return _Chosen(root, parts, tuple(notes))


def _named(facts: KnownSet, found: Listing) -> Listing:
    labels = Labels(facts.classes)
    meaning = {raw: labels.class_of(raw) for raw in {entry.label for entry in found.entries}}
    entries = tuple(entry._replace(label=meaning[entry.label]) for entry in found.entries if meaning[entry.label])
    notes = list(found.notes)
    if loose := sorted(raw for raw, label in meaning.items() if label and not labels.is_exact(raw)):
        notes.append(f"labels read by their sense: {', '.join(f'{raw!r} as {meaning[raw]}' for raw in loose)}")
    if strange := Counter(entry.label for entry in found.entries if not meaning[entry.label]):
        notes.append(f"{sum(strange.values())} images left out, not of the set's classes ({_told(strange)})")
    notes += _differences(facts, Counter(entry.label for entry in entries))
    return found._replace(entries=entries, notes=tuple(notes))


def _differences(facts: KnownSet, here: Counter[str]) -> list[str]:
    if differing := [label for label in facts.counts if here[label] != facts.counts[label]]:
        told = ", ".join(f"{label} {here[label]} instead of {facts.counts[label]}" for label in differing)
        return [f"not the published number of images: {told}"]
    if facts.images and here.total() != facts.images:
        return [f"not the published number of images: {here.total()} instead of {facts.images}"]
    return []


def _check_landmarks(facts: KnownSet, found: Listing) -> None:
    for mark in filter(None, (facts.first, facts.last)):
        same = {entry.label for entry in found.entries if Path(entry.file).stem == Path(mark.file).stem}
        if same and mark.label not in same:
            raise DataFault(
                f"{mark.file} is labelled {', '.join(sorted(same))} here, {mark.label} in {facts.title}",
                fix="get the published files again, or use another name with --data NAME=PATH for a set of your own",
            )


def _group(pattern: str, name: str) -> str:
    found = re.search(pattern, name) if pattern else None
    return (found[1] or "") if found else ""


def _told(counts: Mapping[str, int]) -> str:
    names: Collection[str] = sorted(counts)[:8]
    return ", ".join(f"{name}: {counts[name]}" for name in names) + (", …" if len(counts) > len(names) else "")
