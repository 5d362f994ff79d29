"""Following a page of the documentation to the letter."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent.parent.parent / "docs"


def follow(page: str, where: Path, *, commands: int) -> None:
    """Carry out every command of a page of ``docs/`` in that folder; none may fail."""
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    asked = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    assert len(asked) == commands, "a command was added to the page or taken from it: look whether it is still followed"
    for command in asked:
        words = shlex.split(command)
        assert words[0] == "cytobench"
        found = subprocess.run(
            [sys.executable, "-m", *words], capture_output=True, text=True, cwd=where, check=False,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        assert found.returncode == 0, f"{command}\n{found.stderr}"
