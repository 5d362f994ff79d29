"""The page "use your own images" is followed to the letter, on a folder that a lab might have."""

from pathlib import Path

import pytest

from tests.conftest import picture
from tests.docs.pages import follow


@pytest.mark.timeout(900)
def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    for label in ("Baso", "Neut", "Smudge"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(12):
            picture(label, number, size=40).save(tmp_path / "images" / label / f"{number}.png")
    follow("how-to/own-images.md", tmp_path, commands=6)
    assert (tmp_path / "cytobench-runs/scans/lab/examples.png").exists()
    assert "split_sha256" in (tmp_path / "lab-split.csv").read_text()
    assert len(list((tmp_path / "cytobench-runs/runs").glob("*/board/index.html"))) == 2
