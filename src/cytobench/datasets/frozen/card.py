"""The data card: how the images were made, from what, what for and what not; with the head that hubs read."""

import html
import json
from collections.abc import Sequence

from cytobench.datasets.frozen.edition import MASKS, Edition, Published
from cytobench.datasets.frozen.formats import SPLIT_NAMES, parquet_path
from cytobench.datasets.splits import SPLITS

NOT_FOR = (
    "Diagnosis, or teaching people what cells look like: cells may be drawn that do not exist.",
    "Claims about real cells that were tested on these images alone: state results on photographs beside them.",
    "Testing a classifier on a photograph that a generator of this set has learned from, or on scenes one that has "
    "learned from their cells: `ancestry/` lists them all by the SHA-256 of their pixels. Patients and slides are not "
    "listed, so this proof is image-level.",
)
SOMETIMES = {
    "annotations": "`annotations/` | COCO JSON of scenes",
    MASKS: f"`{MASKS}/SET/PART/CLASS/*.png` | the numbered cells of each scene; 1 is the one in the middle",
    "board": "`board/` | the leaderboard that the set was born with, its records and commands",
}
LIMITS = (
    "Images show what their generators learned from few sites and stains, with these sites' errors and gaps.",
    "Labels are what the generator was asked for, of a scene for the cell in its middle; no haematologist has looked "
    "at each image.",
    "Classes are balanced as drawn, not as in blood.",
)


def card(edition: Edition, sets: Sequence[Published], there: frozenset[str]) -> str:
    """Return the card as Markdown.

    Args:
        edition: The facts.
        sets: Its images.
        there: What lies in the set's folder already: some sets have a board, some masks, some neither.
    """
    name = f"{edition.identity.name}@v{edition.identity.version}"
    old = [f"- **Supersedes** `{edition.supersedes}`."] if edition.supersedes else []
    lines = [
        *_head(edition, sets),
        "",
        f"# {_plain(edition.title)}",
        "",
        f"`{name}`: a frozen benchmark set of drawn blood cells. **No photographs**: every PNG says so in its "
        "metadata. Cite it with the hash in `IDENTITY`, which stands for every byte here.",
        "",
        *old,
        f"- **Licence**: {edition.licence}, see `LICENSE`.",
        *([f"- **By** {_plain('; '.join(edition.creators))}."] if edition.creators else []),
        *([f"- **Published** {edition.date}."] if edition.date else []),
        "",
        "## How it was made, and from what",
        "",
        *(f"- **{one.name}**: {_plain(sentence)}" for one in sets for sentence in one.story),
        "",
        "```console",
        edition.command.replace("```", ""),
        "```",
        "",
        *(
            ["The board that the images were born with, its records and predictions are in `board/`.", ""]
            if "board" in there
            else []
        ),
        "## What is in it",
        "",
        "| set | part | " + " | ".join(_plain(label) for label in _classes(sets)) + " | all |",
        "|---|---|" + "---|" * (len(_classes(sets)) + 1),
        *_counts(sets),
        "",
        "| file | what |",
        "|---|---|",
        "| `images/SET/PART/CLASS/*.png` | the images, as torchvision's ImageFolder reads them |",
        "| `images.csv` | a row per image: label, part, partition, the fit that drew it, hash of its pixels |",
        "| `data/SET/*.parquet` | the same with the images inside, for `datasets.load_dataset` |",
        "| `npz/SET.npz` | the same as MedMNIST stores it |",
        *(f"| {what} |" for place, what in SOMETIMES.items() if place in there),
        "| `ancestry/SET.csv` | what the generators learned from and what scenes are composed of, by hash |",
        "| `croissant.json` | all of this for machines |",
        "| `manifest.jsonl`, `IDENTITY` | the hash of every file, and the hash of those |",
        "| `verify.py` | proves that nothing was changed: `python verify.py` |",
        "",
        "Training images (train, val) are of generators that saw partition a, test images of generators that saw "
        "partition b, a disjoint half of the same training part, wherever a partition is stated.",
        "",
        "## What for",
        "",
        "To train classifiers on drawn cells and to compare them on equal terms; to test what a classifier that was "
        "trained on photographs makes of them.",
        "",
        "## What not for",
        "",
        *(f"- {one}" for one in NOT_FOR),
        "",
        "## Limits",
        "",
        *(f"- {one}" for one in LIMITS),
        "",
    ]
    return "\n".join(lines)


def licence(edition: Edition) -> str:
    """Return the text of the licence file."""
    year = f" {edition.date[:4]}" if edition.date else ""
    owners = "; ".join(edition.creators) or f"The publishers of {edition.identity.name}"
    return (
        f"SPDX-License-Identifier: {edition.licence}\n\nCopyright{year} {owners}\n\n"
        f"The images, tables and texts of this set are licensed under {edition.licence}; the licence's text is at\n"
        f"{edition.licence_url}\n"
    )


def _head(edition: Edition, sets: Sequence[Published]) -> list[str]:
    """Return the YAML head; texts are written as JSON, which is YAML, too."""
    lines = [
        "---",
        f"license: {edition.licence.lower()}",
        f"pretty_name: {json.dumps(edition.title)}",
        "task_categories: [image-classification]",
        "tags: [synthetic, haematology, microscopy, benchmark, cytobench]",
        f"size_categories: [{_size(sum(len(one.images.table) for one in sets))}]",
        "configs:",
    ]
    for number, one in enumerate(sets):
        lines += [
            f"- config_name: {json.dumps(one.name)}",
            *(["  default: true"] if number == 0 else []),
            "  data_files:",
        ]
        for split in one.parts:
            path = json.dumps(parquet_path(one.name, split))
            lines += [f"  - split: {SPLIT_NAMES[split]}", f"    path: {path}"]
    return [*lines, "---"]


def _size(count: int) -> str:
    """Return the hub's name for a number of images."""
    bounds = [(1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M")]
    return next((name for most, name in bounds if count < most), "1M<n<10M")


def _classes(sets: Sequence[Published]) -> list[str]:
    return sorted({label for one in sets for label in one.images.classes})


def _counts(sets: Sequence[Published]) -> list[str]:
    lines = []
    for one in sets:
        for split in SPLITS:
            counts = one.images.counts(split)
            cells = [f"{counts[label]:,}" if label in counts else "–" for label in _classes(sets)]
            lines.append(f"| {one.name} | {split} | " + " | ".join([*cells, f"{sum(counts.values()):,}"]) + " |")
    return lines


def _plain(text: str) -> str:
    """Return text that means nothing to Markdown or HTML."""
    return html.escape(text, quote=False).replace("|", "\\|").replace("\n", " ")
