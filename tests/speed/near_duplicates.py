"""How many planted near-duplicates are found among real cells, how many false alarms there are, and how long it takes.

    OMP_NUM_THREADS=1 python -m tests.speed.near_duplicates --data FOLDER [--size 64] [--planted 400] [--sheet FILE.png]

Seeded random files of the folder are altered at full resolution, decoded again and searched for in the whole set. What
is found within the untouched set, files with equal pixels apart, is listed and drawn onto the sheet, for someone to
look at: pairs of one cell photographed twice are findings, pairs of two cells are false alarms.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cytobench.datasets.decode import decode, from_array
from cytobench.datasets.near.copies import NearCopy, near_copies, near_copies_between
from cytobench.progress import say
from tests.speed.alterations import ALTERATIONS

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp")
SHOWN = 160  # pixels of one image on the sheet
T = TypeVar("T")


def main() -> None:
    """Run the measurement that the module describes."""
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--data", type=Path, required=True, help="folder of images, searched with all below it")
    asked.add_argument("--size", type=int, default=64, help="pixels at which images are compared")
    asked.add_argument("--planted", type=int, default=400, help="files that are altered")
    asked.add_argument("--seed", type=int, default=0, help="of the choice of files")
    asked.add_argument("--sheet", type=Path, help="PNG of the pairs found in the untouched set")
    options = asked.parse_args()
    files = sorted(file for file in options.data.rglob("*") if file.suffix.lower() in SUFFIXES)
    pixels = np.stack([decode(file.read_bytes(), options.size).pixels for file in files])
    found, seconds = timed(lambda: near_copies(pixels))
    equal = sum(one.similarity == 1 for one in found)
    near = [one for one in found if one.similarity < 1]
    say(f"{len(files)} images at {options.size} pixels: {seconds:.0f} s, {equal} equal, {len(near)} near-duplicates")
    for one in near:
        say(f"  {files[one.first].name} {files[one.second].name} {one.similarity:.3f} {one.orientation}")
    if options.sheet and near:
        draw(options.sheet, files, near)
    chosen = np.random.default_rng(options.seed).choice(len(files), min(options.planted, len(files)), replace=False)
    report(pixels, files, np.sort(chosen))


def report(pixels: NDArray[np.uint8], files: list[Path], chosen: NDArray[np.int64]) -> None:
    """Plant every alteration of the chosen files and print how many of them are found."""
    originals = [Image.open(files[row]).convert("RGB") for row in chosen]
    size = pixels.shape[1]
    planted = [from_array(np.asarray(change(one)), size).pixels for change in ALTERATIONS.values() for one in originals]
    found, seconds = timed(lambda: near_copies_between(np.stack(planted), pixels))
    similarity = {(one.first, one.second): one.similarity for one in found}
    say(f"{len(planted)} planted: {seconds:.0f} s\n{'alteration':<24}recall  lowest similarity")
    recalls = []
    for number, name in enumerate(ALTERATIONS):
        got = [similarity.get((number * len(chosen) + place, int(row))) for place, row in enumerate(chosen)]
        hits = [one for one in got if one is not None]
        recalls.append(len(hits) / len(chosen))
        say(f"{name:<24}{recalls[-1]:6.1%}  {min(hits, default=0.0):.3f}")
    say(f"{'all':<24}{float(np.mean(recalls)):6.1%}")


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what the work returns and the seconds it took."""
    began = time.perf_counter()
    result = work()
    return result, time.perf_counter() - began


def draw(path: Path, files: list[Path], pairs: list[NearCopy]) -> None:
    """Write the pairs beside one another, the first image above the second."""
    sheet = Image.new("RGB", (SHOWN * len(pairs), 2 * SHOWN))
    for place, pair in enumerate(pairs):
        for down, row in enumerate((pair.first, pair.second)):
            sheet.paste(Image.open(files[row]).convert("RGB").resize((SHOWN, SHOWN)), (place * SHOWN, down * SHOWN))
    sheet.save(path)


if __name__ == "__main__":
    main()
