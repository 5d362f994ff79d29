"""From a file's bytes to square RGB pixels, or to a sentence that says why not."""

import hashlib
import io
import threading
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

SMALLEST = 8  # pixels; nothing below shows a cell
WIDEST = 4.0  # longest side over shortest
LARGEST = 50_000_000  # pixels of one image, decided from its header before anything is decoded
LARGE = 20_000_000  # pixels; images above take their turn, so that several threads do not fill memory
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000", "PPM")  # no others are ever tried
Image.MAX_IMAGE_PIXELS = LARGEST
_ALONE = threading.RLock()
DRAWN_BY = "cytobench: drawn by"
"""Name of the text in a PNG that tells it from a photograph."""


class Decoded(NamedTuple):
    """One image, ready for the cache."""

    pixels: NDArray[np.uint8]
    """(size, size, 3)"""
    sha256: str
    """Of the upright full-resolution RGB pixels and their shape, so that containers and metadata do not count."""
    notes: tuple[str, ...]
    """What had to be converted."""
    shape: tuple[int, int]
    """Height and width of the original, pixels."""
    drawn_by: str = ""
    """Which generator drew it, as cytobench writes it into the pictures that it exports; empty for photographs."""


class Unreadable(Exception):
    """The bytes are no image that can be used; the text says why."""


def decode(content: bytes, size: int, *, frame: int | None = None, box: Sequence[int] | None = None) -> Decoded:
    """Decode an image, turn it upright, make it RGB, crop it to the central square and resize it.

    Args:
        content: The file's bytes.
        size: Side of the result, pixels.
        frame: Which frame of a multi-frame file to take, from 0; None refuses such files.
        box: Left, top, width and height of the part to take, pixels of the upright picture; None takes the whole.

    Raises:
        Unreadable: Empty, truncated, no image, too large, too small or too narrow, several frames.
    """
    if not content:
        raise Unreadable("the file is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata; sizes are checked below
            image: Image.Image = Image.open(io.BytesIO(content), formats=FORMATS)
            _check_shape(image, largest_only=box is not None)
            with in_turn(image.width * image.height > LARGE):
                return _decoded(image, size, frame, box)
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(f"larger than {LARGEST / 1e6:.0f} megapixels") from None
    except UnidentifiedImageError:
        raise Unreadable("no image format that can be read") from None
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them trip over
        raise Unreadable(f"truncated or damaged: {str(error) or type(error).__name__}") from None


def in_turn(large: bool) -> AbstractContextManager[object]:
    """Return what lets only one thread at a time work on something large; small things need not wait."""
    return _ALONE if large else nullcontext()


def _decoded(image: Image.Image, size: int, frame: int | None, box: Sequence[int] | None) -> Decoded:
    _choose_frame(image, frame)
    image.load()
    ImageOps.exif_transpose(image, in_place=True)
    if box is not None:
        image = _part(image, box)
    drawn_by = str(image.info.get(DRAWN_BY, ""))
    rgb, notes = _to_rgb(image)
    return Decoded(resize(rgb, size), _pixel_sha256(np.asarray(rgb)), notes, (rgb.height, rgb.width), drawn_by)


def _pixel_sha256(rgb: NDArray[np.uint8]) -> str:
    """Return the hash of (H, W, 3) pixels and their shape, without a copy of them."""
    sha = hashlib.sha256(f"{rgb.shape[0]}x{rgb.shape[1]}".encode())
    sha.update(np.ascontiguousarray(rgb).data)
    return sha.hexdigest()


def resize(image: Image.Image, size: int) -> NDArray[np.uint8]:
    """Return the central square of an RGB image at ``size`` pixels, antialiased (Lanczos)."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = (left, top, left + side, top + side)
    if side != size:
        return np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box=square), dtype=np.uint8)
    return np.asarray(image.crop(square), dtype=np.uint8)


def from_array(array: NDArray[np.uint8], size: int) -> Decoded:
    """Return an image that is in memory already: (H, W), (H, W, 1) or (H, W, 3) uint8."""
    _check_shape(Image.new("1", (array.shape[1], array.shape[0])))
    rgb = np.ascontiguousarray(np.broadcast_to(array.reshape(*array.shape[:2], -1), (*array.shape[:2], 3)))
    notes = () if array.ndim == 3 and array.shape[2] == 3 else ("grey made RGB",)
    return Decoded(resize(Image.fromarray(rgb), size), _pixel_sha256(rgb), notes, (rgb.shape[0], rgb.shape[1]))


def _choose_frame(image: Image.Image, frame: int | None) -> None:
    if image.format == "MPO":  # a camera's JPEG with previews behind the picture
        return
    try:
        image.seek(1)  # frames are not counted: a hostile file may hold millions
    except EOFError:
        image.seek(0)
        return
    if frame is None:
        raise Unreadable("has several frames; --frame 0 takes the first of every such file")
    try:
        image.seek(frame)
    except EOFError:
        raise Unreadable(f"has several frames, but no frame {frame} (they are numbered from 0)") from None
    _check_shape(image, largest_only=True)  # each frame has its own size


def _part(image: Image.Image, box: Sequence[int]) -> Image.Image:
    left, top, width, height = box
    if left + width > image.width or top + height > image.height:
        raise Unreadable(
            f"the box {left} {top} {width} {height} leaves the picture of {image.width}×{image.height} pixels"
        )
    part = image.crop((left, top, left + width, top + height))
    _check_shape(part)
    return part


def _check_shape(image: Image.Image, *, largest_only: bool = False) -> None:
    width, height = image.size
    if width * height > LARGEST:
        raise Unreadable(f"{width}×{height} pixels is larger than {LARGEST / 1e6:.0f} megapixels")
    if largest_only:
        return
    if min(width, height) < SMALLEST:
        raise Unreadable(f"{width}×{height} pixels; the minimum is {SMALLEST}×{SMALLEST}")
    if max(width, height) > WIDEST * min(width, height):
        raise Unreadable(f"{width}×{height} pixels; at most {WIDEST:.0f} times as long as wide")


def _to_rgb(image: Image.Image) -> tuple[Image.Image, tuple[str, ...]]:
    mode = image.mode
    if mode == "RGB" and "transparency" not in image.info:
        return image, ()
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB"), ("transparency laid onto white",)
    if mode == "F":
        raise Unreadable("floating-point pixels have no agreed white; export it as 8 or 16 bit")
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image, dtype=np.float64)
        return Image.fromarray(np.clip(np.rint(values / 257.0), 0, 255).astype(np.uint8)).convert("RGB"), (
            "16-bit scaled to 8-bit",
        )
    return image.convert("RGB"), (f"{'grey' if mode in ('L', '1') else mode} made RGB",)


def drawn_png(pixels: NDArray[np.uint8], drawn_by: str) -> bytes:
    """Return a picture (H, W, 3) as PNG that says that it is no photograph; the same bytes for the same picture."""
    facts = PngInfo()
    facts.add_text(DRAWN_BY, drawn_by)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="PNG", pnginfo=facts)
    return content.getvalue()
