"""The page "measure synthetic images" is followed to the letter."""

from pathlib import Path

import pytest

from tests.docs.pages import follow


@pytest.mark.slow
def test_every_command_of_the_page_does_what_the_page_says(tmp_path: Path) -> None:
    follow("how-to/evaluate.md", tmp_path, commands=3)
    assert {path.name for path in (tmp_path / "vae-report").iterdir()} == {
        "README.md",
        "fidelity.csv",
        "fidelity.json",
        "examples.png",
    }
