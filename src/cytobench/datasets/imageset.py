"""What a set of images is: a frozen table and the pixels that it names, decoded once."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.store import atomic

Nature = Literal["real", "phantom", "synthetic"]
"""Photographed through a microscope; drawn by the embedded source; made by a generator."""

COLUMNS = (
    "row",  # of the pixels
    "id",  # from the pixels' hash: tells images apart and nothing about a patient
    "file",  # path below the set's folder; stays on the user's disk, never in a record
    "box",  # left, top, width, height of the cell in a larger picture; empty for the whole
    "label",  # as on the disk until the split is made, then the class
    "split",  # train, val, test, or empty before a split is made
    "partition",  # a or b within train, else empty
    "group",  # patient or slide; empty when unknown
    "origin",  # real, phantom or synthetic
    "shot",  # "1" when some generator was trained on this image
    "file_sha256",
    "pixel_sha256",
    "generator_run",  # the key of the fit that made a synthetic image
)
SYNTHETIC_MARK = "synthetic:"  # boards refuse it on a target that is not named as synthetic
TABLE = "table.csv"
PIXELS = "images.npy"


@dataclass(frozen=True)
class ImageSet:
    """Images of one origin with labels."""

    name: str
    """As the user calls it."""
    nature: Nature
    """What the images are; boards mark everything that is not real."""
    classes: tuple[str, ...]
    """The label space, in the order of the codes."""
    table: pd.DataFrame
    """One row per image, columns ``COLUMNS``, all text; images that are left out have none."""
    pixels: NDArray[np.uint8]
    """(N, H, W, 3), usually a memory map; the table's column ``row`` says which belongs to whom."""

    def rows(self, split: str, partition: str = "") -> NDArray[np.int64]:
        """Return the pixel rows of a split, or of one partition of it, in the table's order."""
        chosen = self.table["split"].to_numpy() == split
        if partition:
            chosen &= self.table["partition"].to_numpy() == partition
        rows: NDArray[np.int64] = self.table["row"].to_numpy()[chosen].astype(np.int64)
        return rows

    def codes(self) -> NDArray[np.int64]:
        """Return the label of every pixel row as an index into ``classes``; -1 where a row is left out."""
        number = {label: code for code, label in enumerate(self.classes)}
        codes = np.full(len(self.pixels), -1, dtype=np.int64)
        codes[self.table["row"].to_numpy().astype(np.int64)] = [number[label] for label in self.table["label"]]
        return codes

    def ids(self, split: str) -> NDArray[np.str_]:
        """Return the ids of a split, in the order of :meth:`rows`."""
        ids: NDArray[np.str_] = self.table["id"].to_numpy(dtype=str)[self.table["split"].to_numpy() == split]
        return ids

    def counts(self, split: str) -> dict[str, int]:
        """Return the number of images of each class in a split, zeros included."""
        found = self.table.loc[self.table["split"] == split, "label"].value_counts()
        return {label: int(found.get(label, 0)) for label in self.classes}


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as UTF-8 CSV with one kind of line end, atomically; the same table gives the same bytes."""
    returns = any(table[name].str.contains("\r", regex=False).any() for name in table.columns)
    with atomic(path) as file:
        text = table.to_csv(index=False, lineterminator="\n")
        if returns:  # pandas does not quote a lone carriage return by itself
            text = table.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL)
        file.write(text.encode("utf-8", "surrogateescape"))


def read_table(path: Path) -> pd.DataFrame:
    """Read a table of text columns; empty stays empty."""
    return pd.read_csv(path, dtype=str, keep_default_na=False, na_filter=False, encoding_errors="surrogateescape")


def read_pixels(folder: Path) -> NDArray[np.uint8]:
    """Return the pixels of an artefact, as a memory map."""
    pixels: NDArray[np.uint8] = np.load(folder / PIXELS, mmap_mode="r", allow_pickle=False)
    return pixels


def name_rows(table: pd.DataFrame) -> list[str]:
    """Return an id for every row: its pixels' hash, numbered from the second copy of the same pixels on.

    The id of a synthetic image says so, so that a record alone shows what was tested on.
    """
    pixels = table["pixel_sha256"]
    copies = pixels.groupby(pixels).cumcount()
    marks = np.where(table["origin"] == "synthetic", SYNTHETIC_MARK, "")
    return [
        f"{mark}{sha[:16]}-{copy + 1}" if copy else f"{mark}{sha[:16]}"
        for mark, sha, copy in zip(marks, pixels, copies, strict=True)
    ]
