"""The page "use your own images" is followed to the letter, on a folder that a lab might have."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import picture

PAGE = Path(__file__).parent.parent / "docs/how-to/own-images.md"


def commands() -> list[str]:
    return [line.removeprefix("$ ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("$ ")]


@pytest.mark.timeout(900)
def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    for label in ("Baso", "Neut", "Smudge"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for number in range(12):
            picture(label, number, size=40).save(tmp_path / "images" / label / f"{number}.png")
    asked = commands()
    assert len(asked) == 6, "a command was added to the page or taken from it: look whether it is still followed"
    for command in asked:
        words = shlex.split(command)
        assert words[0] == "cytobench"
        found = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, cwd=tmp_path, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert found.returncode == 0, f"{command}\n{found.stderr}"
    assert (tmp_path / "cytobench-runs/scans/lab/examples.png").exists()
    assert "split_sha256" in (tmp_path / "lab-split.csv").read_text()
    assert len(list((tmp_path / "cytobench-runs/runs").glob("*/board/index.html"))) == 2
