"""The page "measure synthetic images" is followed to the letter."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parent.parent / "docs/how-to/evaluate.md"


@pytest.mark.slow
def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    asked = [line.removeprefix("$ ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("$ ")]
    assert len(asked) == 3, "a command was added to the page or taken from it: look whether it is still followed"
    for command in asked:
        words = shlex.split(command)
        assert words[0] == "cytobench"
        found = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, cwd=tmp_path, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert found.returncode == 0, f"{command}\n{found.stderr}"
    assert {path.name for path in (tmp_path / "vae-report").iterdir()} == {
        "README.md",
        "fidelity.csv",
        "fidelity.json",
        "examples.png",
    }
