"""COCO: run lengths by hand and against a reader of our own, categories, boxes."""

import json

import numpy as np
import pytest

from cytobench.composers.annotations import Annotations, run_lengths
from cytobench.composers.library import Library
from tests.composers.conftest import composer


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (["00", "00"], [4]),
        (["11", "11"], [0, 4]),
        (["01", "01", "10"], [2, 3, 1]),
        (["100", "101"], [0, 2, 3, 1]),
    ],
)
def test_run_lengths_go_down_the_columns_and_begin_outside(rows: list[str], counts: list[int]) -> None:
    mask = np.array([[letter == "1" for letter in row] for row in rows])
    assert run_lengths(mask) == {"size": list(mask.shape), "counts": counts}


def decoded(segmentation: dict[str, list[int]]) -> np.ndarray:
    """Read run lengths as pycocotools' ``frUncompressedRLE`` does."""
    height, width = segmentation["size"]
    flat = np.repeat(np.arange(len(segmentation["counts"])) % 2, segmentation["counts"])
    return flat.reshape(width, height).T.astype(bool)


def test_masks_survive_and_boxes_hold_them(white: Library, red: Library) -> None:
    scenes = composer(white, red, "complex").draw("neutrophil", [0, 1])
    first, scene = scenes.one(0), scenes.one(1)
    told = Annotations(["erythrocyte", "lymphocyte", "neutrophil"])
    told.add("a.png", first)
    told.add("b.png", scene)
    content = json.loads(json.dumps(told.content()))
    assert content["images"][1] == {"id": 2, "file_name": "b.png", "width": 64, "height": 64}
    assert [one["id"] for one in content["annotations"]] == list(range(1, len(first.labels) + len(scene.labels) + 1))
    entries = [one for one in content["annotations"] if one["image_id"] == 2]
    assert [one["central"] for one in entries] == [True, *[False] * (len(entries) - 1)]
    names = {one["id"]: one["name"] for one in content["categories"]}
    assert names[entries[0]["category_id"]] == "neutrophil"
    for entry, mask in zip(entries, scene.masks, strict=True):
        assert np.array_equal(decoded(entry["segmentation"]), mask)
        left, top, width, height = entry["bbox"]
        assert mask[top : top + height, left : left + width].sum() == mask.sum() == entry["area"]
