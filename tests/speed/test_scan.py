"""How long a scan takes; run by hand: `pytest tests/speed/test_scan.py -s`. Target: 10,000 images in 60 s, 2 cores."""

import time
from pathlib import Path

import numpy as np
from PIL import Image

from cytobench.datasets.phantom import SITES, draw
from cytobench.datasets.readers import read
from cytobench.datasets.scan import ScanStep, scan, survey

IMAGES, SIDE = 10_000, 360  # as many as in the target, as large as PBC's


def test_ten_thousand_images_are_listed_hashed_and_decoded(tmp_path: Path) -> None:
    images = draw("neutrophil", range(40), site=SITES["a"], size=SIDE, seed=0).images
    for number in range(IMAGES):
        folder = tmp_path / "set" / f"class {number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        shifted = np.roll(images[number % len(images)], number // len(images), axis=0)
        Image.fromarray(shifted).save(folder / f"{number}.jpg", quality=90)
    began = time.perf_counter()
    found = survey(read(tmp_path / "set", columns={}))
    listed = time.perf_counter() - began
    scan(ScanStep(survey=found.sha256, image_size=64), found, tmp_path)
    total = time.perf_counter() - began
    told = f"listed and hashed {listed:.1f} s, decoded {total - listed:.1f} s, {IMAGES / total:.0f} images/s"
    print(f"\n{IMAGES} JPEGs of {SIDE} px: {told}")  # noqa: T201
