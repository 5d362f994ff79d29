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


class Annotations:
    """What COCO tells of pictures, taken in one after the other.

    Args:
        classes: Names of the cells' classes, in the order of the categories, which begin at 1.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = list(classes)
        self.images: list[dict[str, Any]] = []
        self.cells: list[dict[str, Any]] = []

    def add(self, file: str, scene: Scene) -> None:
        """Take in a picture and its cells, the central one first."""
        height, width = scene.image.shape[:2]
        number = len(self.images) + 1
        self.images.append({"id": number, "file_name": file, "width": width, "height": height})
        told = zip(scene.masks, scene.boxes, scene.labels, scene.occluded, scene.cells, strict=True)
        for rank, (mask, box, label, occluded, cell) in enumerate(told):
            self.cells.append(
                {
                    "id": len(self.cells) + 1,
                    "image_id": number,
                    "category_id": self.classes.index(label) + 1,
                    "segmentation": run_lengths(mask),
                    "area": int(mask.sum()),
                    "bbox": box.tolist(),
                    "iscrowd": 0,
                    "central": rank == 0,
                    "occluded": round(float(occluded), 4),
                    "cell": cell,
                }
            )

    def content(self) -> dict[str, Any]:
        """Return everything as it stands in the file."""
        categories = [
            {"id": number, "name": name, "supercategory": "blood cell"}
            for number, name in enumerate(self.classes, start=1)
        ]
        return {"images": self.images, "annotations": self.cells, "categories": categories}
