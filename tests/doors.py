"""The code blocks of the documentation's doors, laid out as plug-in folders."""

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
DOORS = {
    "generator": ("how-to/add-a-generator.md", "generators/eigencells.py"),
    "backbone": ("how-to/add-a-backbone.md", "classifiers/backbones/two_layers.py"),
    "dataset": ("how-to/add-a-dataset.md", "datasets/known/clinic.toml"),
    "protocol": ("how-to/add-a-protocol.md", "benchmarks/protocols/half-and-half.toml"),
}


def open_door(door: str, place: Path) -> Path:
    """Write a door's code block to where its page says, below a plug-in folder, and return the file."""
    page, name = DOORS[door]
    text = (DOCS / page).read_text(encoding="utf-8")
    assert f"`{name}`" in text, f"{page} does not say to save its block as {name}"
    found = re.search(rf"```{{code-block}} \w+\n:class: door-{door}\n\n(.*?)```", text, re.S)
    assert found, f"{page} has no code block of class door-{door}"
    file = place / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(found[1], encoding="utf-8")
    return file
