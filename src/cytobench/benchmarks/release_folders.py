"""Folders that ``generate`` and ``compose`` wrote, as sets to be published: the parts of one level are one set."""

import itertools
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.benchmarks import scene_folder
from cytobench.benchmarks.compose import RATIOS
from cytobench.benchmarks.offer import Offer, story_of
from cytobench.datasets.assignment import assign
from cytobench.datasets.decode import SMALLEST, decode
from cytobench.datasets.frozen.coco import adopt
from cytobench.datasets.frozen.edition import SEEN, Published, mask_path
from cytobench.datasets.frozen.manifest import problem_of_path
from cytobench.datasets.imageset import COLUMNS, ImageSet, name_rows
from cytobench.datasets.made import Made, read_made
from cytobench.datasets.splits import SPLITS
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.progress import task
from cytobench.registry import unknown
from cytobench.seeds import seed_for

OWN = frozenset({"command", "key", "part"})  # in which the folders of one set may differ


def of_folders(folders: Sequence[Path], *, sets: Sequence[str]) -> Offer:
    """Read folders, undamaged; those of one level are the parts of one set.

    Args:
        folders: Each holds scenes of one part, or what a generator drew; that is dealt into parts by its seed.
        sets: Which sets to take; empty takes all.

    Raises:
        UsageFault: No such set; two folders of one part, or of one set that were made with other settings.
        IntegrityFault: A folder was altered, shows cells of photographs, or shares cells with one of another part.
    """
    found = sorted((read_made(folder, verified=True) for folder in dict.fromkeys(folders)), key=_place)
    offered = dict.fromkeys(one.set_name for one in found)
    for name in sets:
        if name not in offered:
            raise unknown("data set", name, sorted(offered))
    taken = [one for one in found if one.set_name in (sets or offered)]
    _refuse_photographs(taken)
    _refuse_shared_cells(taken)
    groups = {name: [one for one in taken if one.set_name == name] for name in dict.fromkeys(sets or offered)}
    published = tuple(_published(name, group) for name, group in groups.items())
    coco: dict[str, bytes] = {}
    for one in published:
        for made in groups[one.name]:
            coco |= _annotations(made, one) if made.scenes else {}

    def masks(to: Path) -> None:
        for made in taken:
            for entry in made.listing.entries if made.scenes else ():
                place = to / mask_path(made.set_name, entry.split, entry.label, Path(entry.file).stem)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(made.folder / scene_folder.MASKS / entry.label / Path(entry.file).name, place)

    return Offer(published, "; ".join(dict.fromkeys(one.facts["command"] for one in taken)), masks, coco)


def _place(one: Made) -> tuple[str, int]:
    """Return where a folder stands among others, in whatever order they were named."""
    return one.set_name, SPLITS.index(one.facts["part"]) if one.scenes else 0


def _refuse_photographs(found: Sequence[Made]) -> None:
    for one in found:
        sources = sorted(set(one.cells.loc[~one.cells["origin"].isin(("synthetic", "phantom")), "set"]))
        if sources:
            raise IntegrityFault(
                f"{one.folder} shows cells that were cut out of photographs of {', '.join(sources)}; only what was "
                "drawn is published",
                fix="compose scenes of drawn cells: --cells NAME=FOLDER of what `cytobench generate` wrote",
            )


def _refuse_shared_cells(found: Sequence[Made]) -> None:
    """Refuse scenes of two parts that show the same cell, or one that was behind the other's."""
    for one, other in itertools.permutations([one for one in found if one.scenes], 2):
        if one.facts["part"] == other.facts["part"]:
            continue
        shared = one.cells[
            one.cells["pixel_sha256"].isin({*other.cells["pixel_sha256"], *other.learned["pixel_sha256"]})
        ]
        if len(shared):
            raise IntegrityFault(
                f"{one.folder.name} ({one.facts['part']}) and {other.folder.name} ({other.facts['part']}) share "
                f"{len(shared)} cells; no part may show what another does",
                problems=[f"{row.set}: {row.label} {row.pixel_sha256}" for row in shared.itertuples()],
                fix="compose both from the same cells with the same --seed",
            )


def _published(name: str, found: Sequence[Made]) -> Published:
    """Return the folders of one set as that."""
    if "/" in name or problem_of_path(name):
        raise IntegrityFault(f"{found[0].folder} calls its set {name!r}, which is no name", fix="make the folder again")
    parts = [str(one.facts["part"]) if one.scenes else "" for one in found]
    if len(set(parts)) != len(parts):
        raise UsageFault(
            f"two folders are the {max(parts, key=parts.count) or 'whole'} part of {name}", fix="leave one of them out"
        )
    settings = [{key: value for key, value in one.facts.items() if key not in OWN} for one in found]
    differing = sorted(
        {key for one in settings for key in one.keys() | settings[0] if one.get(key) != settings[0].get(key)}
    )
    if differing:
        raise UsageFault(
            f"the folders of {name} were made with other settings: {', '.join(differing)}",
            fix="publish them one by one, or make them with the same settings",
        )
    tables, pixels = zip(*(_images(one) for one in found), strict=True)
    table = pd.concat(tables, ignore_index=True)
    if not found[0].scenes:
        table["id"] = name_rows(table)
        table["split"] = assign(table, SPLITS, RATIOS, seed_for(int(found[0].facts["seed"]), "split", name))
    table["file"] = [
        f"{label}/{split}/{Path(file).stem}"
        for label, split, file in zip(table["label"], table["split"], table["file"], strict=True)
    ]
    table["row"], table["id"] = [str(row) for row in range(len(table))], name_rows(table)
    classes = tuple(sorted(set(table["label"])))
    seen = pd.concat(
        [rows for one, part in zip(found, tables, strict=True) for rows in
         (one.cells.assign(generator_run=part["generator_run"].iloc[0]), one.learned)], ignore_index=True
    )  # fmt: skip
    images = ImageSet(name, "synthetic", classes, table, np.concatenate(pixels))
    story = tuple(sentence for one in found for sentence in _story(one, len(images.pixels)))
    return Published(images, tuple(dict.fromkeys(story)), seen[list(SEEN)].drop_duplicates())


def _images(one: Made) -> tuple[pd.DataFrame, NDArray[np.uint8]]:
    """Return the rows of a folder, columns ``COLUMNS``, and its pictures (N, S, S, 3) as they were drawn."""
    entries, ancestry = one.listing.entries, one.listing.ancestry
    assert ancestry is not None
    table = pd.DataFrame("", index=range(len(entries)), columns=list(COLUMNS))
    for column in ("file", "label", "split", "origin", "pixel_sha256"):
        table[column] = [getattr(entry, column) for entry in entries]
    table["generator_run"] = ancestry.runs
    side = decode((one.folder / entries[0].file).read_bytes(), SMALLEST).shape[0]
    pictures = np.empty((len(entries), side, side, 3), np.uint8)
    with task(f"read {one.folder.name}", len(entries)) as work:
        for number, entry in enumerate(entries):
            found = decode((one.folder / entry.file).read_bytes(), side)
            if found.shape != (side, side) or found.sha256 != entry.pixel_sha256:
                raise IntegrityFault(f"{one.folder / entry.file} is not what was drawn", fix="make the folder again")
            pictures[number] = found.pixels
            work.advance()
    return table, pictures


def _annotations(made: Made, one: Published) -> dict[str, bytes]:
    """Return a folder's COCO file by its published path, of that path's part alone."""
    part = str(made.facts["part"])
    content = json.loads((made.folder / scene_folder.ANNOTATIONS).read_text(encoding="utf-8"))
    for image in content["images"]:
        label, _, file = image["file_name"].rpartition("/")
        image["file_name"] = f"{label}/{part}/{file}"
    table = one.images.table
    alone = one._replace(images=replace(one.images, table=table[table["split"] == part]))
    return adopt(json.dumps(content).encode(), alone, str(made.folder / scene_folder.ANNOTATIONS))


def _story(one: Made, images: int) -> list[str]:
    if not one.scenes:
        told = story_of(one.facts["generator"], one.learned, one.facts["nature"])
        return [*told, f"One generator drew all {images:,} images; their parts were dealt by its seed."]
    level, origins = one.facts["level"], {"phantom": "the embedded source drew", "synthetic": "a generator drew"}
    kinds = zip(one.cells["set"], one.cells["origin"], strict=True)
    cells = " and ".join(
        f"{count:,} cells of {name} that {origins[origin]}" for (name, origin), count in sorted(Counter(kinds).items())
    )
    lines = [
        f"{one.facts['title'][0].upper()}{one.facts['title'][1:]}: {level['title']}. A label is the class of the cell "
        "in the middle.",
        f"Its {one.facts['part']} part is composed of {cells}; no other part shows one of them.",
        "`masks/` numbers the cells of each scene, 1 is the one in the middle; `annotations/` has whole masks, boxes, "
        "classes and occluded shares.",
    ]
    for name, rows in one.learned.groupby("set"):
        count = rows["pixel_sha256"].nunique()
        lines.append(f"What drew cells of the {one.facts['part']} part had learned from {count:,} images of {name}.")
    return lines
