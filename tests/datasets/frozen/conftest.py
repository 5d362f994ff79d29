"""A small frozen set that is made in a blink: noise with labels, of a synthetic and of a drawn set."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cytobench.datasets.decode import from_array
from cytobench.datasets.frozen.edition import SEEN, Edition, Published
from cytobench.datasets.frozen.identity import Identity
from cytobench.datasets.frozen.write import Written, write
from cytobench.datasets.imageset import COLUMNS, ImageSet, Nature, name_rows
from cytobench.seeds import seed_for

SIZE = 16  # pixels
PARTS = {"train": 2, "val": 1, "test": 1}  # images per class
Freeze = Callable[..., Written]


def published(name: str, nature: Nature = "synthetic", classes: tuple[str, ...] = ("baso", "eosino phil")) -> Published:
    """Return a set of noise that claims to have been drawn."""
    rng = np.random.default_rng(seed_for(name))
    rows = [(label, split, k) for split, count in PARTS.items() for label in classes for k in range(count)]
    pixels = rng.integers(0, 256, (len(rows), SIZE, SIZE, 3), dtype=np.uint8)
    table = pd.DataFrame("", index=range(len(rows)), columns=list(COLUMNS))
    table["row"] = [str(row) for row in range(len(rows))]
    table["file"] = [f"{label}/{split}/{k:05d}" for label, split, k in rows]
    table["label"], table["split"] = [row[0] for row in rows], [row[1] for row in rows]
    table["origin"] = nature
    table["partition"] = ["b" if row[1] == "test" else "a" for row in rows]
    if nature == "synthetic":
        table["generator_run"] = [f"generator/{half * 24}" for half in table["partition"]]
    table["pixel_sha256"] = [from_array(one, SIZE).sha256 for one in pixels]
    table["id"] = name_rows(table)
    seen = [(f"generator/{half * 24}", "lab", "baso", f"{number:064d}") for number, half in enumerate("aabb")]
    return Published(
        ImageSet(name, nature, classes, table, pixels), ("Noise.",), pd.DataFrame(seen, columns=list(SEEN))
    )


def edition(version: int = 1, **changes: object) -> Edition:
    """Return the facts about a set called noise."""
    facts = {"identity": Identity("noise", version), "title": "Noise", "licence": "CC0-1.0", "command": "cytobench run"}
    return Edition.model_validate({**facts, **changes})


def board(folder: Path) -> None:
    """Write what a board would be."""
    (folder / "board/records/0").mkdir(parents=True)
    (folder / "board/README.md").write_text("# Board\n")
    (folder / "board/records/0/record.json").write_text(json.dumps({"score": 0.5}))


@pytest.fixture
def freeze(tmp_path: Path) -> Freeze:
    """Return a maker of frozen sets; keyword arguments replace what is written."""

    def make(
        *sets: Published, version: int = 1, shelf: str = "shelf", annotations: dict[str, bytes] | None = None,
        extras: Callable[[Path], None] = board, **changes: object,
    ) -> Written:  # fmt: skip
        chosen = sets or (published("x-vae"),)
        facts = edition(version, **changes)
        return write(tmp_path / shelf, facts, chosen, extras=extras, annotations=annotations or {})

    return make
