"""Hostile images: each lies as one file among four good ones."""

import os
import zlib
from pathlib import Path

from PIL import Image

from tests.faults.corpus import RAN, few, hostile, image
from tests.faults.payloads import chunk, deflated_gigabyte, flat_tiff, gif, good_png, jp2, pickled, png, stored

image("pickle_named_png", 3, pickled, 3)
image("nothing_named_png", 3, lambda _: b"", 1)
image("png_cut_off", 3, lambda _: stored(Image.new("RGB", (64, 64)))[:70], 2)
image("png_of_50000_by_50000", 3, lambda _: png(50_000, 50_000), 4)
image("png_of_two_thousand_million_rows", 3, lambda _: png(1, 2**31 - 1), 4)
image("png_with_a_gigabyte_of_text", 3, lambda _: good_png(chunk(b"zTXt", b"Comment\0\0" + deflated_gigabyte())), 2)
image("png_with_a_gigabyte_of_profile", 3, lambda _: good_png(chunk(b"iCCP", b"icc\0\0" + deflated_gigabyte())))
image("png_that_states_a_gigabyte_chunk", 3, lambda _: good_png(b"\x3f\xff\xff\xffzTXt"), 2)
image("gif_of_a_million_frames", 3, lambda _: gif(1_000_000), 9, ending="gif")
image(
    "tiff_with_a_strip_of_four_gigabytes",
    3,
    lambda _: flat_tiff(width=9000, height=9000, length=2**32 - 1),
    2,
    ending="tif",
)
image("tiff_with_a_strip_beyond_its_end", 3, lambda _: flat_tiff(offset=2**32 - 9), 2, ending="tif")
image("tiff_whose_directories_loop", 0, lambda _: flat_tiff(following=8), ending="tif")
image("jp2_of_tiles_without_number", 3, lambda _: jp2(size=(9000, 9000), tile=(1, 1)), 2, ending="jp2")
image("jp2_of_a_size_without_end", 3, lambda _: jp2(size=(2**31, 2**31)), 4, ending="jp2")
image("ppm_of_a_size_without_end", 3, lambda _: b"P6 99999999 99999999 255\n", 4, ending="ppm")
image(
    "svg_named_png", 3, lambda _: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>', 3
)
image(
    "pdf_named_png",
    3,
    lambda _: b"%PDF-1.4\n1 0 obj<</OpenAction<</S/Launch/F(gs)>>>>endobj\ntrailer<</Root 1 0 R>>",
    3,
)


def _postscript(place: Path, head: bytes) -> bytes:
    run = f"(mkdir {place / RAN}) (w) file closefile\n(%pipe%mkdir {place / RAN}) (r) file\n"
    return head + b"\n%%BoundingBox: 0 0 64 64\n" + run.encode() + b"showpage\n%%EOF\n"


image("postscript_named_png", 3, lambda place: _postscript(place, b"%!PS-Adobe-3.0"), 3)
image("eps_named_jpg", 3, lambda place: _postscript(place, b"%!PS-Adobe-3.0 EPSF-3.0"), 3, ending="jpg")


@hostile("images", 3, 4)
def sparse_ten_gigabytes_named_png(place: Path) -> Path:
    with (few(place) / "a" / "large.png").open("wb") as file:
        file.truncate(10 * 1000**3)
    return place / "set"


@hostile("images", 0, 4)
def three_pictures_just_below_the_cap(place: Path) -> Path:
    """Each is allowed; decoded side by side they would take gigabytes."""
    side = 7040
    few(place)
    for number in range(3):
        rows = bytes([0, *([number] * (side // 8))]) * side
        (place / "set/a" / f"large{number}.png").write_bytes(
            png(side, side, bits=1, colour=0, data=zlib.compress(rows, 1))
        )
    return place / "set"


@hostile("images", 3, 12)
def pictures_of_one_pixel_and_of_one_line(place: Path) -> Path:
    for name, size in (("dot", (1, 1)), ("line", (900, 8))):
        Image.new("RGB", size).save((place / "set" if (place / "set").exists() else few(place)) / f"a/{name}.png")
    return place / "set"


@hostile("images", 3, 36)
def links_pipes_and_devices_named_png(place: Path) -> Path:
    import socket

    folder = few(place) / "a"
    os.mkfifo(folder / "pipe.png")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "dangling.png").symlink_to(place / "nowhere")
    (folder / "itself.png").symlink_to(folder / "itself.png")
    before = Path.cwd()
    os.chdir(folder)  # the path of a socket has at most 108 characters
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket.png")
    os.chdir(before)
    return place / "set"


@hostile("images", 3, 34)
def a_folder_that_links_to_itself(place: Path) -> Path:
    (few(place) / "a" / "again").symlink_to(place / "set" / "a")
    return place / "set"


@hostile("images", 3, 34)
def two_folders_that_link_to_each_other(place: Path) -> Path:
    (few(place) / "a" / "there").symlink_to(place / "set" / "b")
    (place / "set" / "b" / "back").symlink_to(place / "set" / "a")
    return place / "set"
