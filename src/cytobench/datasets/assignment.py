"""Deal images to parts: whole units, every class as near to its shares as the units allow.

A unit is what may not be torn apart: the images of a patient or slide, copies of one picture, at any remove.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

TOGETHER = ("group", "pixel_sha256", "near")  # equal entries in one of these columns make rows one unit


def assign(table: pd.DataFrame, parts: Sequence[str], ratios: Sequence[float], seed: int) -> list[str]:
    """Return a part for every row; the same whatever the order of the rows.

    Units of one image are dealt to the part whose share of the class is missing most, so that the counts are within
    one image of the ratios; larger units are dealt first, largest before smaller.

    Args:
        table: Columns ``id``, ``label`` and those of ``TOGETHER`` that it has.
        parts: Names of the parts.
        ratios: Their shares.
        seed: Of the order among units of one size.
    """
    labels, codes = np.unique(table["label"].to_numpy(dtype=str), return_inverse=True)
    numbers = units(table)
    counts = np.zeros((numbers.max(initial=-1) + 1, len(labels)), dtype=np.int64)  # (units, classes)
    np.add.at(counts, (numbers, codes), 1)
    first: dict[int, str] = {}
    for number, name in zip(numbers, table["id"], strict=True):
        first[number] = min(name, first.get(number, name))
    order = sorted(range(len(counts)), key=lambda unit: (-counts[unit].sum(), shuffled(first[unit], seed)))
    target = np.outer(np.asarray(ratios) / sum(ratios), counts.sum(axis=0))  # (parts, classes)
    held = np.zeros_like(target)
    part_of = np.zeros(len(counts), dtype=np.int64)
    for unit in order:
        count = counts[unit]
        missing = target - held
        # The part where adding the unit lowers the squared distance to the targets most, relative to class size.
        gain = ((2 * missing - count) * count / np.maximum(target.sum(axis=0), 1)).sum(axis=1)
        part_of[unit] = int(np.argmax(np.round(gain, 9)))
        held[part_of[unit]] += count
    return [parts[part_of[number]] for number in numbers]


def units(table: pd.DataFrame) -> NDArray[np.int64]:
    """Return the unit of every row: a number that rows share which may not be torn apart."""
    count = len(table)
    edges = [edge for column in TOGETHER if column in table for edge in _chains(table[column])]
    left, right = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def shuffled(name: str, seed: int) -> bytes:
    """Return what to sort names by for a random order that depends on nothing but the name and the seed."""
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()


def _chains(column: pd.Series) -> Iterator[tuple[int, int]]:
    last: dict[str, int] = {}
    for row, value in enumerate(column):
        if value and value in last:
            yield last[value], row
        last[value] = row


def clusters(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return (member, cluster) of everything that pairs join, at any remove; a cluster is named by its first member."""
    pairs = list(pairs)
    members = sorted({member for pair in pairs for member in pair})
    number = {member: position for position, member in enumerate(members)}
    left, right = np.array([[number[a], number[b]] for a, b in pairs], dtype=np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(len(members), len(members)))
    found = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    for member, cluster in zip(members, found, strict=True):
        first.setdefault(int(cluster), member)
    return [(member, first[int(cluster)]) for member, cluster in zip(members, found, strict=True)]
