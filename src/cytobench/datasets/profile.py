"""What a set looks like, in numbers and as a sheet of examples: colours, light, focus, outliers.

Computed from the decoded pixels, so nothing is opened twice. Luminance is Rec. 601's.
"""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cytobench.datasets.assignment import shuffled

LUMINANCE = np.array([0.299, 0.587, 0.114], dtype=np.float32)
DARK, BRIGHT = 20.0, 250.0  # mean luminance, 0 … 255; an image beyond shows no cell
OUTLYING = 6.0  # robust standard deviations below the set's median focus
EXAMPLES = 12  # images per class on a sheet


class Looks(NamedTuple):
    """Measurements of N images."""

    colour: NDArray[np.float32]
    """(N, 3) mean red, green, blue, 0 … 255."""
    light: NDArray[np.float32]
    """(N,) mean luminance, 0 … 255."""
    contrast: NDArray[np.float32]
    """(N,) standard deviation of luminance, 0 … 127.5."""
    focus: NDArray[np.float32]
    """(N,) standard deviation of the luminance's Laplacian over its contrast; higher is sharper."""


def measure(pixels: NDArray[np.uint8], chunk: int = 256) -> Looks:
    """Return the measurements of images (N, H, W, 3)."""
    parts = [_measure(pixels[start : start + chunk]) for start in range(0, len(pixels), chunk)]
    return Looks(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _measure(pixels: NDArray[np.uint8]) -> Looks:
    images = pixels.astype(np.float32)
    grey = images @ LUMINANCE  # (N, H, W)
    inner = grey[:, 1:-1, 1:-1]
    laplacian = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:] - 4 * inner
    contrast = grey.std(axis=(1, 2))
    focus = laplacian.std(axis=(1, 2)) / np.maximum(contrast, 1.0)
    return Looks(images.mean(axis=(1, 2)), grey.mean(axis=(1, 2)), contrast, focus)


def profile(table: pd.DataFrame, pixels: NDArray[np.uint8]) -> dict[str, Any]:
    """Return what a scanned set looks like: per class and over all, and which images stand apart.

    Args:
        table: With columns ``row``, ``file`` and ``label``.
        pixels: (N, H, W, 3)
    """
    rows = table["row"].to_numpy().astype(np.int64)
    looks = Looks(*(values[rows] for values in measure(pixels)))
    labels, files = table["label"].to_numpy(), table["file"].to_numpy()
    spread = 1.4826 * float(np.median(np.abs(looks.focus - np.median(looks.focus))))  # of a normal distribution
    blurred = looks.focus < np.median(looks.focus) - OUTLYING * max(spread, 1e-6)
    return {
        "classes": {str(label): _summary(looks, labels == label) for label in sorted(set(labels))},
        "all": _summary(looks, np.ones(len(labels), dtype=bool)),
        "nearly black": list(files[looks.light < DARK]),
        "nearly white": list(files[looks.light > BRIGHT]),
        "far less sharp than the rest": list(files[blurred]),
    }


def _summary(looks: Looks, chosen: NDArray[np.bool_]) -> dict[str, Any]:
    return {
        "images": int(chosen.sum()),
        "colour": [round(float(value), 1) for value in looks.colour[chosen].mean(axis=0)],
        "light": _mean_sd(looks.light[chosen]),
        "contrast": _mean_sd(looks.contrast[chosen]),
        "focus": _mean_sd(looks.focus[chosen]),
    }


def _mean_sd(values: NDArray[np.float32]) -> list[float]:
    return [round(float(values.mean()), 2), round(float(values.std()), 2)]


def sheet(table: pd.DataFrame, pixels: NDArray[np.uint8], *, seed: int) -> Image.Image:
    """Return a sheet of examples, a row per class with its name, chosen by seed.

    It shows the user's own pictures and belongs on the user's disk.
    """
    side, name_width = pixels.shape[1], 180
    classes = sorted(set(table["label"]))
    image = Image.new("RGB", (name_width + EXAMPLES * side, len(classes) * side), "white")
    pen = ImageDraw.Draw(image)
    for line, label in enumerate(classes):
        of_class = table[table["label"] == label]
        pen.text((6, line * side + side // 2 - 6), f"{label[:22]} ({len(of_class)})", fill="black")
        ordered = sorted(zip(of_class["id"], of_class["row"], strict=True), key=lambda pair: shuffled(pair[0], seed))
        for column, (_, row) in enumerate(ordered[:EXAMPLES]):
            image.paste(Image.fromarray(pixels[int(row)]), (name_width + column * side, line * side))
    return image
