"""The composer: cells in, scenes with the whole truth about them out.

Scene k of a class is a function of (cells, level, seed, k) alone, and everything random in it but the number of its
neighbours is the same at every level: Complex scene k is Base scene k with cells added.
"""

from collections.abc import Iterator, Sequence
from copy import copy
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from cytobench import registry
from cytobench.composers.draws import key_for, uniforms
from cytobench.composers.levels import Level
from cytobench.composers.library import Library, matched
from cytobench.composers.placement import Placed, centred, place, stock, turned
from cytobench.composers.rendering import ROAM, backdrop, render, sheets
from cytobench.composers.scene import Scene
from cytobench.errors import UsageFault

BLOCK = 256  # scenes that are made at a time


class Optics(BaseModel):
    """The size of things; lengths on the slide in µm."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_size: Annotated[int, Field(ge=16, le=1024)] = 64
    """Side of the scenes, pixels."""
    field: Annotated[float, Field(ge=15, le=200)] = 32.0
    """Side of the scenes, µm."""
    cell_diameter: Annotated[float, Field(gt=1, le=60)] = 13.0
    """Of the median white cell, µm."""
    distractor_diameter: Annotated[float, Field(gt=1, le=60)] = 7.2
    """Of the median distractor, µm: a red cell's."""

    def pixels(self, length: float) -> float:
        """Return a length, µm, in pixels."""
        return length * self.image_size / self.field


class Scenes(NamedTuple):
    """A batch of scenes of one class; index it with :meth:`one`."""

    images: NDArray[np.uint8]
    """(B, S, S, 3)."""
    placed: Placed
    covered: NDArray[np.int64]
    """(B, n): pixels of each cell on which others lie."""
    composer: "Composer"

    def one(self, row: int) -> Scene:
        """Return one scene."""
        return self.composer.truth(self, row)


class Composer:
    """Makes scenes of cells.

    Args:
        cells: White cells: each is the centre of some scenes and a neighbour in others.
        distractors: What else lies around; None for white cells alone.
        level: How hard the scenes are.
        optics: The size of things.
        seed: Of all draws.

    Raises:
        UsageFault: A cell that is larger than the scenes.
    """

    def __init__(self, cells: Library, distractors: Library | None, level: Level, *, optics: Optics, seed: int) -> None:
        self.level, self.optics, self.seed = level, optics, seed
        libraries = (cells,) if distractors is None else (cells, matched(distractors, cells))
        others = libraries[1].masks if len(libraries) > 1 else cells.masks[:0]
        self.stock = stock(cells.masks, others)
        if cells.masks.shape[1] > optics.image_size:
            raise UsageFault(
                f"the largest cell is {cells.masks.shape[1]} pixels wide, the scenes are {optics.image_size}",
                fix="a larger field, so that cells are smaller",
            )
        self.masks = np.concatenate([centred(one.masks, self.stock.side) for one in libraries])
        self.labels = tuple(label for one in libraries for label in one.labels)
        self.names = tuple(name for one in libraries for name in one.names)
        self._sheets = sheets(libraries, self.stock.side)
        self._behind = backdrop(cells.background, cells.grain, optics.image_size, key_for(seed, "background"))
        self._of_class = {
            label: self._shuffled(label, np.flatnonzero(np.array(cells.labels) == label))
            for label in dict.fromkeys(cells.labels)
        }

    def _shuffled(self, label: str, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return rows[np.argsort(uniforms(key_for(self.seed, label, "centres"), rows), kind="stable")]

    def at(self, level: Level) -> "Composer":
        """Return the composer of the same scenes at another level."""
        other = copy(self)
        other.level = level
        return other

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes of the central cells."""
        return tuple(self._of_class)

    def draw(self, label: str, indices: Sequence[int]) -> Scenes:
        """Return scenes of a class by their numbers.

        Raises:
            UsageFault: No such class; a scene that can't be made as the level wants it.
        """
        if label not in self._of_class:
            raise registry.unknown("class", label, list(self._of_class))
        numbers = np.asarray(indices, np.int64)
        centres = self._of_class[label][numbers % len(self._of_class[label])]
        placed = place(
            self.stock, centres, numbers, self.level, size=self.optics.image_size, seed=self.seed, name=label
        )
        strength = None
        if self.level.drift:
            colours = np.arange(3)
            u, v = (uniforms(key_for(self.seed, label, f"drift {half}"), numbers[:, None], colours) for half in "ab")
            normal = np.sqrt(-2 * np.log1p(-u)) * np.cos(2 * np.pi * v)  # Box & Muller 1958
            strength = np.exp(self.level.drift * normal).astype(np.float32)
        blur = self.optics.pixels(self.level.defocus)
        found = render(
            self._sheets,
            placed,
            self._behind,
            self.corners(label, numbers),
            size=self.optics.image_size,
            strength=strength,
            blur=blur,
        )
        return Scenes(found.images, placed, found.covered, self)

    def corners(self, label: str, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return where in the background scenes begin, (B, 2), 0 to ``ROAM``: the same at every level."""
        shares = uniforms(key_for(self.seed, label, "grain"), numbers[:, None], np.arange(2))
        return (shares * (ROAM + 1)).astype(np.int64)

    def blocks(self, label: str, indices: Sequence[int]) -> Iterator[Scenes]:
        """Yield the scenes of a class a block at a time, so that memory stays small."""
        for first in range(0, len(indices), BLOCK):
            yield self.draw(label, indices[first : first + BLOCK])

    def truth(self, scenes: Scenes, row: int) -> Scene:
        """Return one scene of a batch with the truth about it."""
        placed, size = scenes.placed, self.optics.image_size
        here = np.flatnonzero(placed.cells[row] >= 0)
        masks = np.zeros((len(here), size, size), np.bool_)
        for mask, rank in zip(masks, here.tolist(), strict=True):
            cell, turn = placed.cells[row, rank], int(placed.turns[row, rank])
            square = turned(self.masks[cell : cell + 1], turn)[0]
            _paste(mask, square, int(placed.tops[row, rank]), int(placed.lefts[row, rank]))
        which = placed.cells[row, here].tolist()
        return Scene(
            scenes.images[row],
            masks,
            np.stack([_extent(mask) for mask in masks]),
            tuple(self.labels[cell] for cell in which),
            scenes.covered[row, here] / placed.areas[row, here],
            tuple(self.names[cell] for cell in which),
        )


def _paste(picture: NDArray[np.bool_], square: NDArray[np.generic], top: int, left: int) -> None:
    size, side = len(picture), len(square)
    rows, cols = (slice(max(at, 0), min(at + side, size)) for at in (top, left))
    picture[rows, cols] = square[rows.start - top : rows.stop - top, cols.start - left : cols.stop - left]


def _extent(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    rows, cols = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    return np.array([cols[0], rows[0], cols[-1] - cols[0] + 1, rows[-1] - rows[0] + 1])
