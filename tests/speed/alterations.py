"""What is done to an original file's pixels before it is planted as a near-duplicate."""

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageEnhance
from PIL.Image import Transpose

Alteration = Callable[[Image.Image], Image.Image]


def recompressed(image: Image.Image) -> Image.Image:
    """Return the image as JPEG of quality 75 shows it."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def turned(how: Transpose) -> Alteration:
    """Return one of the seven symmetries of the square."""
    return lambda image: image.transpose(how)


def resized(factor: float) -> Alteration:
    """Return a resampling of the whole file."""
    return lambda image: image.resize(
        (round(image.width * factor), round(image.height * factor)), Image.Resampling.BICUBIC
    )


def seen_through(zoom: float, right: float = 0.0, down: float = 0.0) -> Alteration:
    """Return a zoom about the centre and a shift in parts of the side; what was outside repeats the margin."""

    def view(image: Image.Image) -> Image.Image:
        margin = round(0.15 * image.width)
        wide = Image.fromarray(np.pad(np.asarray(image), ((margin, margin), (margin, margin), (0, 0)), mode="edge"))
        side = image.width / zoom
        left = margin + (image.width - side) / 2 - right * image.width
        top = margin + (image.height - side) / 2 - down * image.height
        return wide.resize(image.size, Image.Resampling.BICUBIC, box=(left, top, left + side, top + side))

    return view


def lit(brightness: float, contrast: float) -> Alteration:
    """Return other brightness and contrast, as factors."""
    return lambda image: ImageEnhance.Contrast(ImageEnhance.Brightness(image).enhance(brightness)).enhance(contrast)


def both(first: Alteration, second: Alteration) -> Alteration:
    """Return one alteration after the other."""
    return lambda image: second(first(image))


GEOMETRIC: dict[str, Alteration] = {
    "mirrored": turned(Transpose.FLIP_LEFT_RIGHT),
    "upside down": turned(Transpose.FLIP_TOP_BOTTOM),
    "turned 90°": turned(Transpose.ROTATE_90),
    "turned 180°": turned(Transpose.ROTATE_180),
    "turned 270°": turned(Transpose.ROTATE_270),
    "transposed": turned(Transpose.TRANSPOSE),
    "transversed": turned(Transpose.TRANSVERSE),
    "resized +10 %": resized(1.1),
    "resized −10 %": resized(0.9),
    "zoomed +10 %": seen_through(1.1),
    "zoomed −10 %": seen_through(0.9),
    "shifted 3 %": seen_through(1.0, 0.03, -0.03),
}
ALTERATIONS: dict[str, Alteration] = {
    "unchanged": lambda image: image,
    **GEOMETRIC,
    "JPEG 75": recompressed,
    "brighter +10 %": lit(1.1, 1.0),
    "darker −10 %": lit(0.9, 1.0),
    "contrast +15 %": lit(1.0, 1.15),
    "contrast −15 %": lit(1.0, 0.85),
    **{f"{name}, JPEG 75": both(change, recompressed) for name, change in GEOMETRIC.items()},
}
