import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from cytobench.datasets.decode import Unreadable, decode, from_array
from tests.conftest import picture


def stored(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_rgb_pixels_of_the_right_size_pass_unchanged() -> None:
    image = picture("a")
    assert np.array_equal(decode(stored(image), 24).pixels, np.asarray(image))


def test_the_hash_is_of_pixels_not_of_files() -> None:
    image = picture("a")
    png, bmp = decode(stored(image), 16), decode(stored(image, "BMP"), 16)
    assert png.sha256 == bmp.sha256 == from_array(np.asarray(image), 16).sha256
    assert png.sha256 != decode(stored(picture("b")), 16).sha256


def bomb() -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (stored(picture("a"))[:200], "truncated"),
        (stored(picture("a"), "JPEG")[:200], "truncated"),
        (b"this is text", "no image format"),
        (bomb(), "megapixels"),
        (stored(Image.new("RGB", (1, 1))), "minimum"),
        (stored(Image.new("RGB", (200, 20))), "times as long"),
        (stored(picture("a"), "GIF", save_all=True, append_images=[picture("b")]), "2 frames"),
    ],
)
def test_what_can_not_be_used_is_refused_with_its_reason(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        decode(content, 16)


def test_a_frame_can_be_chosen() -> None:
    several = stored(picture("a"), "TIFF", save_all=True, append_images=[picture("b")])
    assert np.array_equal(decode(several, 24, frame=1).pixels, np.asarray(picture("b")))


def test_cmyk_and_grey_are_made_rgb_and_said_so() -> None:
    assert decode(stored(picture("a").convert("CMYK"), "JPEG"), 24).notes == ("CMYK made RGB",)
    grey = decode(stored(picture("a").convert("L")), 24)
    assert grey.notes == ("grey made RGB",)
    assert np.array_equal(grey.pixels[..., 0], grey.pixels[..., 2])


def test_sixteen_bits_keep_all_256_levels() -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    result = decode(stored(Image.fromarray(ramp)), 16)
    assert np.array_equal(result.pixels[..., 0].reshape(-1), np.arange(256))
    assert result.notes == ("16-bit scaled to 8-bit",)


def test_transparency_is_laid_onto_white() -> None:
    result = decode(stored(Image.new("RGBA", (16, 16), (10, 20, 30, 0))), 16)
    assert (result.pixels == 255).all()
    assert result.notes == ("transparency laid onto white",)


def test_rotation_of_the_camera_is_applied_before_hashing() -> None:
    image = picture("a")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(stored(image, "TIFF", exif=exif), 24)
    assert turned.sha256 == decode(stored(image.transpose(Image.Transpose.ROTATE_270)), 24).sha256


def test_the_central_square_is_taken() -> None:
    wide = Image.new("RGB", (48, 24))
    wide.paste(picture("a"), (12, 0))
    assert np.array_equal(decode(stored(wide), 24).pixels, np.asarray(picture("a")))
