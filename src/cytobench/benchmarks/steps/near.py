"""The step that looks for pictures that are nearly alike."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets.assignment import clusters
from cytobench.datasets.decode import resize
from cytobench.datasets.imageset import TABLE, read_pixels, read_table, write_table
from cytobench.progress import task

SIDE = 64  # pixels; to which images are brought that are smaller or larger than the search can do
PAIRS, CLUSTERS = "pairs.csv", "clusters.csv"


class FindNear(RunStep):
    """Find the near-copies within one set."""

    kind: ClassVar[str] = "near"
    code: ClassVar[tuple[str, ...]] = ("cytobench.benchmarks.steps.near", "cytobench.datasets.near.copies")

    name: str
    """The set, for people."""

    def title(self) -> str:
        """Return what is done."""
        return f"look for near-copies in {self.name}"

    def run(self, context: Context, folder: Path) -> None:
        """Write the pairs, and the cluster of every picture that has a near-copy."""
        images = context.folder(self.inputs["images"])
        find(images, folder, self.title())


def find(images: Path, folder: Path, title: str) -> None:
    """Write pairs and clusters of the near-copies among decoded images.

    Exact copies are near-copies, too, but are dealt with by their pixels' hash, and left out here.

    Args:
        images: The artefact with the table and the pixels.
        folder: Where to write.
        title: For progress.
    """
    from cytobench.datasets.near.copies import STEPS, near_copies

    table = read_table(images / TABLE)
    pixels = read_pixels(images)
    with task(title, STEPS) as work:
        found = near_copies(_searchable(pixels), tick=work.advance)
    name = dict(zip(table["row"].astype(int), table["id"], strict=True))
    picture = dict(zip(table["row"].astype(int), table["pixel_sha256"], strict=True))
    pairs = pd.DataFrame(
        [
            (name[one.first], name[one.second], f"{one.similarity:.4f}", str(one.orientation))
            for one in found
            if picture[one.first] != picture[one.second]
        ],
        columns=["first", "second", "similarity", "orientation"],
    ).astype(str)
    write_table(folder / PAIRS, pairs)
    write_table(
        folder / CLUSTERS,
        pd.DataFrame(clusters(zip(pairs["first"], pairs["second"], strict=True)), columns=["id", "near"]),
    )


def between(one: NDArray[np.uint8], other: NDArray[np.uint8], *, title: str) -> list[tuple[int, int]]:
    """Return the rows of pictures of two sets that are nearly alike: (row of one, row of the other)."""
    from cytobench.datasets.near.copies import STEPS, near_copies_between

    with task(title, STEPS) as work:
        found = near_copies_between(_searchable(one), _searchable(other), tick=work.advance)
    return [(pair.first, pair.second) for pair in found]


def _searchable(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images at a side that can be searched; antialiased where they are brought to another."""
    from cytobench.datasets.near.copies import LARGEST, SMALLEST

    if SMALLEST <= pixels.shape[1] <= LARGEST:
        return pixels
    return np.stack([resize(Image.fromarray(image), SIDE) for image in pixels])


def read_clusters(folder: Path) -> dict[str, str]:
    """Return the cluster of every picture that has a near-copy, by id."""
    rows = read_table(folder / CLUSTERS)
    return dict(zip(rows["id"], rows["near"], strict=True))
