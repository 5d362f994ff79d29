"""COCO annotations of published scenes: checked against the images, one file for each part (Lin et al., ECCV 2014)."""

import json
from collections.abc import Mapping
from math import isfinite
from typing import Any

from cytobench.datasets.frozen.edition import Published, picture_path
from cytobench.datasets.frozen.formats import SPLIT_NAMES
from cytobench.errors import DataFault

PARTS = ("images", "annotations", "categories")


def adopt(content: bytes, one: Published, source: str) -> dict[str, bytes]:
    """Return a COCO file as one for each part of a set, by path below the set's folder.

    An image's ``file_name`` becomes its published path, so that loaders take the set's folder as their root.

    Args:
        content: The file's bytes; ``file_name`` is what the set calls an image, with or without ``.png``.
        one: The set that it annotates.
        source: Its name, for messages.

    Raises:
        DataFault: It is no COCO file, or does not fit the images; all problems are listed.
    """
    try:
        facts = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataFault(f"{source} can't be read as JSON: {error}", fix="write it again") from error
    if not isinstance(facts, dict) or not all(_are_objects(facts.get(part)) for part in PARTS):
        raise DataFault(f"{source} has no lists {', '.join(PARTS)} of objects", fix="give a COCO file of instances")
    places = _places(one)
    height, width = one.images.pixels.shape[1:3]
    problems = _twice(facts) + [
        f"image {image.get('id')}: {why}"
        for image in facts["images"]
        if (why := _of_image(image, places, height, width))
    ]
    images = {image.get("id") for image in facts["images"]}
    classes = {category.get("id") for category in facts["categories"]}
    problems += [
        f"annotation {cell.get('id')}: {why}"
        for cell in facts["annotations"]
        if (why := _of_cell(cell, images, classes, height, width))
    ]
    if problems:
        raise DataFault(
            f"{source} does not fit the images of {one.name}", problems=problems, fix="correct these entries"
        )
    return {instances(one.name, split): _part(facts, places, split) for split in one.parts}


def instances(name: str, split: str) -> str:
    """Return where the annotations of a part of a set lie below the published folder, as COCO calls them."""
    return f"annotations/{name}/instances_{SPLIT_NAMES[split]}.json"


def _are_objects(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(one, dict) for one in given)


def _places(one: Published) -> dict[str, tuple[str, str]]:
    """Return the part and the published path of every image, by what it is called in the set."""
    rows = one.images.table[["label", "split", "file"]].itertuples(index=False)
    found = {file: (split, picture_path(one.name, split, label, file)) for label, split, file in rows}
    return found | {f"{file}.png": place for file, place in found.items()}


def _twice(facts: Mapping[str, Any]) -> list[str]:
    problems = []
    for part in PARTS:
        ids = [entry.get("id") for entry in facts[part]]
        if not all(type(one) is int for one in ids) or len(set(ids)) != len(ids):
            problems.append(f"{part}: ids are not whole numbers, each used once")
    return problems


def _of_image(image: Mapping[str, Any], places: Mapping[str, Any], height: int, width: int) -> str:
    if image.get("file_name") not in places:
        return f"there is no {image.get('file_name')!r} in the set"
    if (image.get("height"), image.get("width")) != (height, width):
        return f"its size is not {width}×{height} pixels"
    return ""


def _of_cell(cell: Mapping[str, Any], images: set[Any], classes: set[Any], height: int, width: int) -> str:
    """Say what is wrong with one annotated cell."""
    if cell.get("image_id") not in images or cell.get("category_id") not in classes:
        return "its image or its category is not in the file"
    box = cell.get("bbox")
    if not _are_numbers(box, 4):
        return "its bbox is not four numbers"
    left, top, wide, high = box  # type: ignore[misc]  # proven above
    if not (wide > 0 and high > 0 and left >= 0 and top >= 0 and left + wide <= width and top + high <= height):
        return f"its bbox {box} is no part of {width}×{height} pixels"
    match cell.get("segmentation"):
        case None | str():
            return "" if "segmentation" not in cell else "its segmentation is neither polygons nor run lengths"
        case {"size": [h, w], "counts": list(counts)}:
            fits = (h, w) == (height, width) and all(type(n) is int and n >= 0 for n in counts) and sum(counts) == h * w
        case {"size": [h, w], "counts": str()}:
            fits = (h, w) == (height, width)
        case list(polygons):
            fits = all(_are_numbers(one, None) and len(one) >= 6 and len(one) % 2 == 0 for one in polygons)
        case _:
            fits = False
    return "" if fits else "its segmentation does not fit the image"


def _are_numbers(given: object, count: int | None) -> bool:
    if not isinstance(given, list) or (count is not None and len(given) != count):
        return False
    return all(type(one) in (int, float) and isfinite(one) for one in given)


def _part(facts: Mapping[str, Any], places: Mapping[str, tuple[str, str]], split: str) -> bytes:
    images = [
        {**image, "file_name": places[image["file_name"]][1]}
        for image in facts["images"]
        if places[image["file_name"]][0] == split
    ]
    kept = {image["id"] for image in images}
    cells = [cell for cell in facts["annotations"] if cell["image_id"] in kept]
    rest = {name: value for name, value in facts.items() if name not in PARTS}
    told = {**rest, "images": images, "annotations": cells, "categories": facts["categories"]}
    return (json.dumps(told, ensure_ascii=False, allow_nan=False) + "\n").encode()
