"""Cells in large images: a file of annotations for each image, and an entry with a box for each cell."""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from cytobench.datasets.decode import SMALLEST, WIDEST
from cytobench.datasets.layouts.kinds import Boxes
from cytobench.datasets.layouts.search import find, within
from cytobench.datasets.readers.listing import IMAGE_ENDINGS, SPLITS, Box, Entry, Listing
from cytobench.errors import DataFault, IntegrityFault

LARGEST = 4_000_000  # bytes of one annotation file; published ones have some kilobytes


class Cell(NamedTuple):
    """One annotated cell."""

    label: str
    left: int
    """Pixels, as the others; what lies outside the image is not cut off yet."""
    top: int
    right: int
    bottom: int


class Annotated(NamedTuple):
    """The cells of one image and the image's size, pixels."""

    cells: tuple[Cell, ...]
    width: int
    height: int
    strange: int = 0
    """Lines that name no cell."""


def boxes(path: Path, layout: Boxes) -> Listing | None:
    """List the annotated cells below a folder; None when there are no annotations.

    Cells of one image share a group, so that a split never tears them apart. Cells too small or too narrow to be
    decoded, and squares around points that reach over the edge, are left out and counted.

    Raises:
        DataFault: Annotations that can't be read, all of them.
        IntegrityFault: XML with a document type, which may hold harmful entities.
    """
    notes_folder = find(path, layout.annotations, layout.skip)
    images = within(notes_folder.parent, layout.images) if notes_folder else None
    if not notes_folder or not notes_folder.is_dir() or not images or not images.is_dir():
        return None
    root = notes_folder.parent
    pictures = {file.stem: file.name for file in sorted(images.iterdir()) if file.suffix.lower() in IMAGE_ENDINGS}
    parts = _parts(root, layout.lists)
    entries: list[Entry] = []
    problems: list[str] = []
    tally: Counter[str] = Counter()
    for file in sorted(notes_folder.glob("*.xml" if layout.form == "voc" else "*.txt")):
        if file.name.startswith("."):
            continue
        picture = pictures.pop(file.stem, "")
        if not picture:
            tally["annotation files without an image"] += 1
            continue
        try:
            found = voc(_text(file), file.name) if layout.form == "voc" else points(_text(file), layout)
        except ValueError as error:
            problems.append(f"{file.name}: {error}")
            continue
        kept = [
            (cell.label, box) for cell in found.cells if (box := _usable(cell, found, whole=layout.form == "points"))
        ]
        tally["cells at the edge or too small"] += len(found.cells) - len(kept)
        tally["lines that name no cell"] += found.strange
        entries += [
            Entry(f"{images.name}/{picture}", label, parts.get(file.stem, ""), group=file.stem, box=Box(*box))
            for label, box in kept
        ]
    if problems:
        raise DataFault(f"annotations in {notes_folder} can't be read", problems=problems, fix="get these files again")
    tally["images without annotations"] = len(pictures)
    notes = [f"{count} {what} passed over" for what, count in tally.items() if count]
    if any(not entry.split for entry in entries) and any(entry.split for entry in entries):
        notes.append("the published split does not name every image and is not used")
        entries = [entry._replace(split="") for entry in entries]
    return Listing(root, tuple(entries), 0, tuple(notes))


def voc(text: str, name: str = "the annotation") -> Annotated:
    """Parse Pascal VOC XML; its file name and path are not used.

    Raises:
        ValueError: Not well-formed, no size, or a box that is no box.
        IntegrityFault: It declares a document type.
    """
    if "<!doctype" in text.casefold() or "<!entity" in text.casefold():
        raise IntegrityFault(f"{name} declares a document type, which is never parsed", fix="get the files again")
    try:
        tree = ElementTree.fromstring(text)  # entities can't be declared without what was refused above
    except ElementTree.ParseError as error:
        raise ValueError(f"no well-formed XML: {error}") from error
    width, height = _number(tree, "size/width"), _number(tree, "size/height")
    if width < 1 or height < 1:
        raise ValueError(f"an image of {width}×{height} pixels")
    cells = [
        Cell(
            (one.findtext("name") or "").strip(),
            *(_number(one, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")),
        )
        for one in tree.iter("object")
    ]
    return Annotated(tuple(cells), width, height)


def points(text: str, layout: Boxes) -> Annotated:
    """Parse lines of ``x y label``; each cell is the square of the layout's side around its point."""
    half = layout.side // 2
    cells: list[Cell] = []
    strange = 0
    for line in filter(None, (line.split() for line in text.splitlines())):
        if len(line) == 3 and all(word.isascii() and word.isdigit() and len(word) < 7 for word in line[:2]):
            left, top = int(line[0]) - half, int(line[1]) - half
            cells.append(Cell(line[2], left, top, left + layout.side, top + layout.side))
        else:
            strange += 1
    return Annotated(tuple(cells), layout.width, layout.height, strange)


def _usable(cell: Cell, image: Annotated, *, whole: bool) -> tuple[int, int, int, int] | None:
    """Return left, top, width and height within the image; None where no useful picture is left."""
    left, top = max(0, cell.left), max(0, cell.top)
    right, bottom = min(image.width, cell.right), min(image.height, cell.bottom)
    width, height = right - left, bottom - top
    if whole and (left, top, right, bottom) != (cell.left, cell.top, cell.right, cell.bottom):
        return None
    if min(width, height) < SMALLEST or max(width, height) > WIDEST * min(width, height):
        return None
    return left, top, width, height


def _number(node: ElementTree.Element, where: str) -> int:
    text = node.findtext(where)
    try:
        return int(float(text or ""))
    except (ValueError, OverflowError):
        raise ValueError(f"{where} is {text!r}, no number") from None


def _text(file: Path) -> str:
    if file.stat().st_size > LARGEST:
        raise ValueError(f"larger than {LARGEST // 1_000_000} MB, no annotation of one image")
    return file.read_text(encoding="utf-8-sig")  # UnicodeDecodeError is a ValueError


def _parts(root: Path, lists: str) -> Mapping[str, str]:
    """Return image -> part from train.txt, val.txt and test.txt; nothing where train or test is missing."""
    folder: Path | None = root
    for name in filter(None, lists.split("/")):
        folder = within(folder, name) if folder else None
    if not lists or not folder:
        return {}
    named = {part: list(_lines(folder / f"{part}.txt")) for part in ("train", "val", "test")}
    if not named["train"] or not named["test"]:
        return {}
    return {image: SPLITS[part] for part, images in named.items() for image in images}


def _lines(file: Path) -> Iterator[str]:
    if file.is_file():
        yield from (line.split()[0] for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip())
