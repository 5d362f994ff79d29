import io
import resource
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


@pytest.mark.fault(1, 2, 3, 4, 9, 12)
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
        (stored(picture("a"), "GIF", save_all=True, append_images=[picture("b")]), "--frame 0"),
    ],
)
def test_what_can_not_be_used_is_refused_with_its_reason(content: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        decode(content, 16)


@pytest.mark.fault(9)
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "WEBP", "GIF"])
def test_a_frame_can_be_chosen(kind: str) -> None:
    """Several frames are refused until one is chosen, in every format that can hold them."""
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    several = stored(picture("a"), kind, save_all=True, append_images=[picture("b")], **options)
    with pytest.raises(Unreadable, match="several frames"):
        decode(several, 24)
    if kind != "GIF":  # 256 colours are not the picture's
        assert np.array_equal(decode(several, 24, frame=1).pixels, np.asarray(picture("b")))
    with pytest.raises(Unreadable, match="no frame 2"):
        decode(several, 24, frame=2)


def test_a_camera_s_preview_behind_the_picture_is_no_second_frame() -> None:
    """Multi-picture JPEGs, as phones write them through an eyepiece, are read as JPEGs."""
    several = stored(picture("a"), "MPO", save_all=True, append_images=[picture("b")], quality=95)
    plain = decode(stored(picture("a"), "JPEG", quality=95), 24)
    assert np.array_equal(decode(several, 24).pixels, plain.pixels)


@pytest.mark.fault(5, 7)
def test_cmyk_and_grey_are_made_rgb_and_said_so() -> None:
    assert decode(stored(picture("a").convert("CMYK"), "JPEG"), 24).notes == ("CMYK made RGB",)
    grey = decode(stored(picture("a").convert("L")), 24)
    assert grey.notes == ("grey made RGB",)
    assert np.array_equal(grey.pixels[..., 0], grey.pixels[..., 2])


@pytest.mark.fault(6)
def test_sixteen_bits_keep_all_256_levels() -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    result = decode(stored(Image.fromarray(ramp)), 16)
    assert np.array_equal(result.pixels[..., 0].reshape(-1), np.arange(256))
    assert result.notes == ("16-bit scaled to 8-bit",)


@pytest.mark.parametrize("kind", ["TIFF", "PNG"])
def test_sixteen_bit_grey_of_every_container_is_scaled(kind: str) -> None:
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    assert np.array_equal(decode(stored(Image.fromarray(ramp), kind), 16).pixels[..., 1].reshape(-1), np.arange(256))


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (stored(picture("a"), "BMP"), ()),
        (stored(picture("a"), "TIFF", compression="tiff_lzw"), ()),
        (stored(picture("a"), "PPM"), ()),
        (stored(picture("a"), "WEBP", lossless=True), ()),
        (stored(picture("a"), "JPEG2000", irreversible=False), ()),
        (stored(picture("a").quantize(16)), ("P made RGB",)),
        (stored(picture("a").convert("1")), ("grey made RGB",)),
        (stored(picture("a").convert("LAB"), "TIFF"), ("LAB made RGB",)),
        (stored(picture("a").convert("YCbCr"), "TIFF"), ("YCbCr made RGB",)),
    ],
)
def test_every_mode_and_container_of_microscopes_is_read(content: bytes, note: tuple[str, ...]) -> None:
    found = decode(content, 24)
    assert found.notes == note
    if not note:
        assert np.array_equal(found.pixels, np.asarray(picture("a")))


def test_floating_point_pixels_are_refused_with_advice() -> None:
    with pytest.raises(Unreadable, match="export it as 8 or 16 bit"):
        decode(stored(Image.fromarray(np.zeros((16, 16), np.float32)), "TIFF"), 16)


def test_a_box_is_cut_out_of_the_whole_picture_and_must_lie_in_it() -> None:
    """The hash is of the part, so that two cells of one field are two pictures."""
    field = Image.new("RGB", (100, 50))
    field.paste(picture("a"), (60, 20))
    found = decode(stored(field), 24, box=(60, 20, 24, 24))
    assert np.array_equal(found.pixels, np.asarray(picture("a")))
    assert found.sha256 == decode(stored(picture("a")), 24).sha256
    with pytest.raises(Unreadable, match="leaves the picture"):
        decode(stored(field), 24, box=(90, 20, 24, 24))


@pytest.mark.fault(4)
def test_a_bomb_is_refused_from_its_header_without_its_memory() -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Unreadable, match="megapixels"):
        decode(bomb(), 16)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes; decoded it has 7.5 GB


@pytest.mark.fault(8)
def test_transparency_is_laid_onto_white() -> None:
    result = decode(stored(Image.new("RGBA", (16, 16), (10, 20, 30, 0))), 16)
    assert (result.pixels == 255).all()
    assert result.notes == ("transparency laid onto white",)


@pytest.mark.fault(10)
@pytest.mark.parametrize("kind", ["TIFF", "PNG"])  # Pillow turns the first by itself
def test_rotation_of_the_camera_is_applied_before_hashing(kind: str) -> None:
    image = picture("a")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode(stored(image, kind, exif=exif), 24)
    assert turned.sha256 == decode(stored(image.transpose(Image.Transpose.ROTATE_270)), 24).sha256


def test_the_central_square_is_taken() -> None:
    wide = Image.new("RGB", (48, 24))
    wide.paste(picture("a"), (12, 0))
    assert np.array_equal(decode(stored(wide), 24).pixels, np.asarray(picture("a")))
