"""Annotations as COCO writes them (Lin et al., ECCV 2014), masks as run lengths that pycocotools reads."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytobench.composers.scene import Scene


def run_lengths(mask: NDArray[np.bool_]) -> dict[str, list[int]]:
    """Return a mask (H, W) as lengths of runs, column by column, of pixels that are out, in, out, …

    >>> run_lengths(np.array([[0, 1], [0, 1], [1, 0]], bool))
    {'size': [3, 2], 'counts': [2, 3, 1]}
    """
    flat = mask.ravel(order="F")
    turns = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    counts = np.diff(np.concatenate([[0], turns, [flat.size]])).tolist()
    return {"size": list(mask.shape), "counts": [0, *counts] if flat[0] else counts}


def coco_image(number: int, file: str, scene: Scene) -> dict[str, Any]:
    """Return the entry of a picture."""
    height, width = scene.image.shape[:2]
    return {"id": number, "file_name": file, "width": width, "height": height}


def coco_cells(number: int, first: int, scene: Scene, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries of a picture's cells, the central one first.

    Args:
        number: The picture's.
        first: Number of the first cell.
        scene: What is annotated.
        classes: Names, in the order of the categories, which begin at 1.
    """
    return [
        {
            "id": first + rank,
            "image_id": number,
            "category_id": classes.index(label) + 1,
            "segmentation": run_lengths(mask),
            "area": int(mask.sum()),
            "bbox": box.tolist(),
            "iscrowd": 0,
            "central": rank == 0,
            "occluded": round(float(occluded), 4),
            "cell": cell,
        }
        for rank, (mask, box, label, occluded, cell) in enumerate(
            zip(scene.masks, scene.boxes, scene.labels, scene.occluded, scene.cells, strict=True)
        )
    ]


def coco_categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries of the classes."""
    return [{"id": number, "name": name, "supercategory": "blood cell"} for number, name in enumerate(classes, start=1)]
