"""What was measured of synthetic sets, as Markdown and CSV."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from cytobench.leaderboards.exports import neutral, plain, to_markdown
from cytobench.leaderboards.fidelity import FidelityFacts, FidelityRecord, Reading
from cytobench.leaderboards.fidelity_tables import HOW, board_tables

COLUMNS = ("synthetic", "training", "extractor", "images", "n", "figure")


def markdown(facts: FidelityFacts) -> str:
    """Return one set's figures as a page: what is wrong first."""
    tables = board_tables([FidelityRecord("", facts, "")])
    title = f"# Fidelity of {plain(facts.synthetic)}"
    lead = f"{facts.images['synthetic']:,} images of {facts.image_size} pixels, {len(facts.classes)} classes."
    return "\n\n".join([title, lead, *(to_markdown(one).strip("\n") for one in tables), plain(HOW)]) + "\n"


def to_csv(measured: Sequence[FidelityFacts]) -> str:
    """Return one line for each figure, in full precision; nothing acts as a formula."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    limits = [f"{what}{part}" for what in ("value", "floor") for part in ("", "_low", "_high")]
    writer.writerow([*COLUMNS, *limits, "note"])
    for facts in measured:
        for line in facts.lines:
            row = (facts.synthetic, str(facts.number + 1), line.extractor, line.scope, str(line.n), line.metric)
            writer.writerow([*map(neutral, row), *_numbers(line.found), *_numbers(line.floor), neutral(line.note)])
    return text.getvalue()


def _numbers(found: Reading | None) -> list[float | str]:
    return ["", "", ""] if found is None else [found.value, found.low, found.high]


def to_json(record: FidelityRecord) -> dict[str, Any]:
    """Return a record in full precision, with its key and hash."""
    return {"key": record.key, "sha256": record.sha256, **record.facts.model_dump(mode="json", by_alias=True)}
