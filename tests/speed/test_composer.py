"""Scenes per second against a composer as people write it with Pillow; run by hand:
`pytest tests/speed/test_composer.py -s`.

Both make the same scenes: 64 pixels, 10 to 20 cells around one. Nothing here passes or fails by a time.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageChops

from cytobench.composers.composer import Composer, Optics, Scenes
from cytobench.composers.levels import Level
from cytobench.composers.library import Library, cut
from cytobench.composers.optics import transmittance
from cytobench.composers.placement import place
from cytobench.composers.rendering import render
from cytobench.datasets.phantom import SITES, draw, draw_red_cells

COUNT = 512
LEVEL = Level(number=(10, 20), visible=0.3)
WAYS = [None, *(getattr(Image.Transpose, name) for name in ("ROTATE_90", "ROTATE_180", "ROTATE_270"))]


def medians(works: dict[str, Callable[[], object]], *, rounds: int = 3) -> dict[str, float]:
    """Return the median processor seconds of each piece of work, in turns: other work on the machine does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(rounds + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if turn:
                seconds[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


class PillowComposer:
    """What people write: RGBA crops pasted with their masks one by one; overlaps counted on pasted masks."""

    def __init__(self, ours: Composer, libraries: list[Library], background: tuple[int, ...]) -> None:
        self.ours, self.background = ours, (background[0], background[1], background[2])
        self.crops: list[Image.Image] = []
        for library in libraries:
            light = np.clip(library.background * transmittance(library.dense), 0, 255)
            alpha = np.clip(library.dense.max(axis=3) / 0.15, 0, 1) * 255
            rgba = np.concatenate([light, alpha[..., None]], axis=3).astype(np.uint8)
            self.crops += [Image.fromarray(one) for one in rgba]
        self.masks = [Image.fromarray(mask) for library in libraries for mask in library.masks]
        self.inset = [(ours.stock.side - crop.width) // 2 for crop in self.crops]

    def turned(self, picture: Image.Image, turn: int) -> Image.Image:
        """Return a picture turned as ours are."""
        if turn >= 4:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        way = WAYS[turn % 4]
        return picture.transpose(way) if way is not None else picture

    def pasted(self, scenes: Scenes) -> np.ndarray:
        """Return pictures of cells at given places: the pasting alone."""
        placed = scenes.placed
        images = []
        for row in np.stack([placed.cells, placed.turns, placed.tops, placed.lefts], axis=2).tolist():
            scene = Image.new("RGB", (64, 64), self.background)
            for cell, turn, top, left in row:
                if cell >= 0:
                    crop, inset = self.turned(self.crops[cell], turn), self.inset[cell]
                    scene.paste(crop, (left + inset, top + inset), crop)
            images.append(np.asarray(scene))
        return np.stack(images)

    def composed(self, count: int) -> np.ndarray:
        """Return pictures with positions drawn again while cells overlap too much, and the occluded share of each."""
        rng = np.random.default_rng(0)
        white, total = self.ours.stock.white, len(self.crops)
        images = []
        for number in range(count):
            scene = Image.new("RGB", (64, 64), self.background)
            masks: list[tuple[Image.Image, int]] = []
            for rank in range(1 + int(rng.integers(10, 21))):
                is_white = rank == 0 or rng.random() < LEVEL.white
                cell = int(rng.integers(0, white) if is_white else rng.integers(white, total))
                cell = number % white if rank == 0 else cell
                while True:
                    turn, angle = int(rng.integers(8)), rng.uniform(0, 2 * np.pi)
                    reach = 0 if rank == 0 else 64 * (LEVEL.distance + LEVEL.spread * rng.uniform(-1, 1))
                    crop = self.turned(self.crops[cell], turn)
                    x, y = (int(32 - crop.width / 2 + reach * one) for one in (np.cos(angle), np.sin(angle)))
                    mask = Image.new("1", (64, 64))
                    mask.paste(self.turned(self.masks[cell], turn), (x, y))
                    own = mask.histogram()[255]
                    shares = [
                        ImageChops.logical_and(mask, other).histogram()[255] / max(1, min(own, area))
                        for other, area in masks
                    ]
                    if own and max(shares, default=0) <= LEVEL.overlap:
                        break
                scene.paste(crop, (x, y), crop)
                masks.append((mask, own))
            for k, (mask, _) in enumerate(masks):
                others = Image.new("1", (64, 64))
                for j, (other, _) in enumerate(masks):
                    others = ImageChops.logical_or(others, other) if j != k else others
                ImageChops.logical_and(mask, others).histogram()
            images.append(np.asarray(scene))
        return np.stack(images)


def test_scenes_per_second() -> None:
    """The pasting alone at given places, then the whole job: places, overlaps, pictures, occlusion."""
    optics, site = Optics(image_size=64), SITES["a"]
    smears = [draw(label, range(12), site=site, size=96, seed=0).images for label in ("neutrophil", "monocyte")]
    white = cut(np.concatenate(smears), ["cell"] * 24, [str(k) for k in range(24)], diameter=optics.pixels(13))
    pictures = draw_red_cells(range(40), site=site, size=96, seed=0).images
    red = cut(pictures, ["red"] * 40, [str(k) for k in range(40)], diameter=optics.pixels(7.2))
    ours = Composer(white, red, LEVEL, optics=optics, seed=0)
    scenes = ours.draw("cell", range(COUNT))
    theirs = PillowComposer(ours, [white, red], tuple(int(one) for one in white.background))
    assert np.abs(theirs.pasted(scenes)[:, 30:34, 30:34].astype(float) - scenes.images[:, 30:34, 30:34]).mean() < 25
    cells = (scenes.placed.cells >= 0).sum(axis=1).mean()
    centres, numbers = scenes.placed.cells[:, 0], np.arange(COUNT)
    corners = ours.corners("cell", numbers)
    few = 24
    seconds = medians(
        {
            "Pillow pastes": lambda: theirs.pasted(scenes),
            "here": lambda: render(ours._sheets, scenes.placed, ours._behind, corners, size=64),
            "places here": lambda: place(ours.stock, centres, numbers, LEVEL, size=64, seed=0, name="cell"),
            "Pillow, the whole job": lambda: theirs.composed(few),
            "here, the whole job": lambda: ours.draw("cell", range(COUNT)),
        }
    )
    rate = {name: (few if name == "Pillow, the whole job" else COUNT) / value for name, value in seconds.items()}
    told = ", ".join(f"{name} {round(one):,}" for name, one in rate.items())
    print(f"\n{cells:.1f} cells a scene; scenes a second and core: {told}")  # noqa: T201
    print(f"pictures at given places: {rate['here'] / rate['Pillow pastes']:.1f}×")  # noqa: T201
    print(f"the whole job: {rate['here, the whole job'] / rate['Pillow, the whole job']:.1f}×")  # noqa: T201
