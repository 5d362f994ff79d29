"""Where the cells of scenes lie: drawn for many scenes at once, overlaps counted pixel by pixel.

A position is drawn again while the cell would lie on another one by more than the level allows, or would hide too much
of the central one. The pixels are only counted where the boxes do not settle it.
"""

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cytobench.composers import bitmaps
from cytobench.composers.draws import key_for, uniforms
from cytobench.composers.levels import Level
from cytobench.errors import UsageFault

T = TypeVar("T", bound=np.generic)
Indices = NDArray[np.int64]

TURNS = 8  # the symmetries of a square: no pixel of a cell is ever interpolated
TRIES = 64  # positions of one cell
BATCHES = tuple(np.array_split(np.arange(TRIES), [1, 4, 16]))  # tried together; the first that fits is taken
ROUNDS = 20  # beginnings of one scene
REASONS = ("outside of the image", "on another cell", "on the central cell")


class Stock(NamedTuple):
    """All masks that scenes are made of, white cells first, in squares of one side."""

    bits: bitmaps.Bits
    """(N, 8, side, words): each cell turned in all eight ways."""
    boxes: Indices
    """(N, 8, 4): top, left, bottom, right of the mask within the square, the last two not included."""
    white: int
    """How many are white."""

    @property
    def side(self) -> int:
        """Side of the squares, pixels."""
        return int(self.bits.shape[2])


class Placed(NamedTuple):
    """Cells in B scenes, the central one first."""

    cells: Indices
    """(B, n): which of the stock; -1 where the scene has no more."""
    turns: Indices
    """(B, n): 0 to 7, see :func:`turned`."""
    tops: Indices
    """(B, n): first row of the cell's square in the picture."""
    lefts: Indices
    """(B, n): first column."""
    areas: Indices
    """(B, n): pixels of the mask within the picture."""
    visible: NDArray[np.float64]
    """(B,): share of the central cell on which no other lies."""

    def some(self, rows: slice) -> "Placed":
        """Return some of the scenes."""
        return Placed(
            self.cells[rows], self.turns[rows], self.tops[rows], self.lefts[rows], self.areas[rows], self.visible[rows]
        )


def turned(squares: NDArray[T], turn: int) -> NDArray[T]:
    """Return squares (N, side, side, …) turned by ``turn % 4`` quarters, mirrored before from 4 on."""
    flipped = squares[:, :, ::-1] if turn >= 4 else squares
    return np.rot90(flipped, turn % 4, axes=(1, 2))


def stock(white: NDArray[np.bool_], others: NDArray[np.bool_]) -> Stock:
    """Return the stock of white cells (N, side, side) and others (M, side, side); sides may differ."""
    side = max(white.shape[1], others.shape[1])
    masks = np.concatenate([centred(white, side), centred(others, side)])
    all_turns = np.stack([turned(masks, turn) for turn in range(TURNS)], axis=1)  # (N, 8, side, side)
    rows, columns = (np.asarray(all_turns.any(axis=axis)) for axis in (3, 2))
    boxes = [rows.argmax(2), columns.argmax(2), side - rows[:, :, ::-1].argmax(2), side - columns[:, :, ::-1].argmax(2)]
    return Stock(bitmaps.packed(all_turns), np.stack(boxes, axis=2), len(white))


def centred(squares: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    """Return squares (N, s, s) in the middle of larger ones (N, side, side)."""
    before = (side - squares.shape[1]) // 2
    around = (before, side - squares.shape[1] - before)
    return np.pad(squares, [(0, 0), around, around])


def place(masks: Stock, centres: Indices, scenes: Indices, level: Level, *, size: int, seed: int, name: str) -> Placed:
    """Put neighbours around central cells.

    Args:
        masks: What there is.
        centres: Central cell of each scene, (B,).
        scenes: Number of each scene, (B,): all that its draws depend on, beside seed and name.
        level: How.
        size: Side of the pictures, pixels.
        seed: Of all draws.
        name: Which series of scenes.

    Raises:
        UsageFault: A scene that can't be made as the level wants it.
    """
    table = _Table(masks, centres, scenes, level, size, seed, name)
    for turn in range(ROUNDS):
        table.fill(turn)
        if not len(table.unfinished):
            return table.placed()
    raise table.fault()


class _Table:
    """The state of placing: what lies where, scene by scene."""

    def __init__(
        self, masks: Stock, centres: Indices, scenes: Indices, level: Level, size: int, seed: int, name: str
    ) -> None:
        self.masks, self.scenes, self.level, self.size = masks, scenes, level, size
        self.seed, self.name = seed, name
        self.keys = np.array([self._key(what) for what in ("angle", "distance", "turn of")], np.uint64)[:, None, None]
        least, most = level.number
        count = len(scenes)
        self.wanted = least + (self._draw("number", scenes) * (most - least + 1)).astype(np.int64)
        shape = (count, most + 1)
        self.cells = np.full(shape, -1, np.int64)
        self.turns, self.tops, self.lefts, self.areas = (np.zeros(shape, np.int64) for _ in range(4))
        self.boxes = np.zeros((*shape, 4), np.int64)
        self.bits = np.zeros((*shape, *masks.bits.shape[2:]), np.uint64)
        self.hidden = np.zeros((count, *masks.bits.shape[2:]), np.uint64)
        self.refused = np.zeros(len(REASONS), np.int64)
        self.unfinished = np.arange(count)
        self._choose(centres)
        middle = np.full(count, (size - masks.side) // 2)
        self._put(
            np.arange(count),
            0,
            middle,
            middle,
            self.turns[:, 0],
            *self._seen(centres, self.turns[:, 0], middle, middle),
        )

    def _key(self, what: str) -> int:
        return key_for(self.seed, self.name, what)

    def _draw(self, what: str, *coordinates: Indices | int) -> NDArray[np.float64]:
        return uniforms(self._key(what), *coordinates)

    def _choose(self, centres: Indices) -> None:
        """Draw which cells there are; where they lie is drawn until it fits."""
        total, white = len(self.masks.bits), self.masks.white
        ranks = np.arange(1, self.cells.shape[1])
        scenes = self.scenes[:, None]
        is_white = self._draw("kind", scenes, ranks) < (self.level.white if total > white else 1.0)
        which = self._draw("cell", scenes, ranks)
        chosen = np.where(
            is_white, (which * white).astype(np.int64), white + (which * (total - white)).astype(np.int64)
        )
        chosen = np.where((chosen == centres[:, None]) & (white > 1), (chosen + 1) % max(white, 1), chosen)
        self.cells[:, 0] = centres
        self.cells[:, 1:] = np.where(ranks <= self.wanted[:, None], chosen, -1)
        self.turns[:, 0] = (self._draw("turn", self.scenes) * TURNS).astype(np.int64)

    def fill(self, turn: int) -> None:
        """Place all neighbours of the scenes that are not finished; those where one finds no place stay so."""
        alive = self.unfinished
        self.hidden[alive] = 0
        for rank in range(1, self.cells.shape[1]):
            todo = alive[self.wanted[alive] >= rank]
            for attempts in BATCHES:
                if not len(todo):
                    break
                todo = todo[~self._try(todo, rank, turn, attempts)]
            alive = np.setdiff1d(alive, todo, assume_unique=True)
        self.unfinished = np.setdiff1d(self.unfinished, alive, assume_unique=True)

    def _try(self, rows: Indices, rank: int, turn: int, attempts: Indices) -> NDArray[np.bool_]:
        """Draw positions for one neighbour of some scenes, keep the first that fits, and tell where one does."""
        level, side = self.level, self.masks.side
        drawn = uniforms(self.keys, self.scenes[rows, None], rank, turn, attempts)
        angle, away, way = drawn.reshape(len(drawn), -1)
        reach = (level.distance + level.spread * (2 * away - 1)) * self.size
        corner = (self.size - side) / 2
        tops = np.rint(corner + reach * np.sin(2 * np.pi * angle)).astype(np.int64)
        lefts = np.rint(corner + reach * np.cos(2 * np.pi * angle)).astype(np.int64)
        turns = (way * TURNS).astype(np.int64)
        each = np.repeat(rows, len(attempts))
        bits, boxes, areas = self._seen(self.cells[each, rank], turns, tops, lefts)
        apart = self._apart(each, rank, tops, lefts, bits, boxes, areas)
        shown, hidden = self._shown(each, tops, lefts, bits, boxes)
        fits = ((areas > 0) & apart & shown).reshape(len(rows), len(attempts))
        self.refused += [np.sum(areas == 0), np.sum(~apart), np.sum(~shown)]
        found = fits.any(axis=1)
        first = (np.arange(len(rows)) * len(attempts) + fits.argmax(axis=1))[found]
        self._put(each[first], rank, tops[first], lefts[first], turns[first], bits[first], boxes[first], areas[first])
        self.hidden[each[first]] = hidden[first]
        return np.asarray(found)

    def _seen(
        self, cells: Indices, turns: Indices, tops: Indices, lefts: Indices
    ) -> tuple[bitmaps.Bits, Indices, Indices]:
        """Return masks, boxes and areas of cells within the picture."""
        side, words = self.masks.bits.shape[2:]
        rows = tops[:, None] + np.arange(side)
        inside = ((rows >= 0) & (rows < self.size))[:, :, None]
        bits = np.where(inside, self.masks.bits[cells, turns], np.uint64(0))
        if (lefts < 0).any() or (lefts + side > self.size).any():
            bits = bits & bitmaps.columns(np.maximum(-lefts, 0), np.maximum(self.size - lefts, 0), words)
        corner = np.stack([tops, lefts, tops, lefts], axis=1)
        boxes = np.clip(self.masks.boxes[cells, turns] + corner, 0, self.size)
        return bits, boxes, bitmaps.count(bits)

    def _apart(
        self,
        rows: Indices,
        rank: int,
        tops: Indices,
        lefts: Indices,
        bits: bitmaps.Bits,
        boxes: Indices,
        areas: Indices,
    ) -> NDArray[np.bool_]:
        """Tell where a cell lies on none of the earlier ones by more than is allowed."""
        most = self.level.overlap * np.minimum(areas[:, None], self.areas[rows, :rank])  # (m, rank)
        shared = _shared(boxes[:, None], self.boxes[rows, :rank])
        at, other = np.nonzero(shared > most)
        if not len(at):
            return np.ones(len(rows), np.bool_)
        where = rows[at]
        down, right = self.tops[where, other] - tops[at], self.lefts[where, other] - lefts[at]
        theirs = bitmaps.moved(self.bits[where, other], down, right, self.masks.side)
        over = bitmaps.count(theirs & bits[at]) > most[at, other]
        return np.asarray(np.bincount(at[over], minlength=len(rows)) == 0)

    def _shown(
        self, rows: Indices, tops: Indices, lefts: Indices, bits: bitmaps.Bits, boxes: Indices
    ) -> tuple[NDArray[np.bool_], bitmaps.Bits]:
        """Tell where enough of the central cell stays visible, and return what of it is hidden then."""
        hidden = self.hidden[rows]
        touch = np.flatnonzero(_shared(boxes, self.boxes[rows, 0]) > 0)
        where = rows[touch]
        down, right = tops[touch] - self.tops[where, 0], lefts[touch] - self.lefts[where, 0]
        over = bitmaps.moved(bits[touch], down, right, self.masks.side)
        hidden[touch] |= over & self.bits[where, 0]
        left = self.areas[rows, 0] - bitmaps.count(hidden)
        return np.asarray(left >= self.level.visible * self.areas[rows, 0]), hidden

    def _put(
        self, rows: Indices, rank: int, tops: Indices, lefts: Indices, turns: Indices, bits: bitmaps.Bits,
        boxes: Indices, areas: Indices,
    ) -> None:  # fmt: skip
        self.tops[rows, rank], self.lefts[rows, rank], self.turns[rows, rank] = tops, lefts, turns
        self.bits[rows, rank], self.boxes[rows, rank], self.areas[rows, rank] = bits, boxes, areas

    def placed(self) -> Placed:
        """Return what was found."""
        visible = 1 - bitmaps.count(self.hidden) / np.maximum(self.areas[:, 0], 1)
        return Placed(self.cells, self.turns, self.tops, self.lefts, self.areas, visible)

    def fault(self) -> UsageFault:
        """Return what to say about scenes that can't be made."""
        level, row = self.level, int(self.unfinished[0])
        return UsageFault(
            f"{self.wanted[row]} cells around one do not fit: {ROUNDS} beginnings of scene {self.scenes[row]} of "
            f"{self.name} ended with a cell that found no place in {TRIES} tries",
            problems=[f"{count:,} positions {why}" for count, why in zip(self.refused, REASONS, strict=True) if count],
            fix=f"fewer cells (number, now {list(level.number)}), more overlap (now {level.overlap:g}), less of the "
            f"centre visible (now {level.visible:g}), another distance ({level.distance:g} ± {level.spread:g}), or "
            "smaller cells (a larger field)",
        )


def _shared(one: Indices, other: Indices) -> Indices:
    """Return the area that boxes (..., 4) have in common."""
    top, left = np.maximum(one[..., 0], other[..., 0]), np.maximum(one[..., 1], other[..., 1])
    bottom, right = np.minimum(one[..., 2], other[..., 2]), np.minimum(one[..., 3], other[..., 3])
    return np.asarray(np.maximum(bottom - top, 0) * np.maximum(right - left, 0))
