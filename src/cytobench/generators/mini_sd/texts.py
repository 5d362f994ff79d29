"""The tokenizer of ``mini-sd`` and the texts that it turns into numbers."""

from importlib import resources
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cytobench.datasets.phantom import SITES
from cytobench.generators.mini_sd import byte_pairs, captions
from cytobench.generators.mini_sd.diffusion import Texts
from cytobench.generators.mini_sd.networks import TOKENS
from cytobench.generators.mini_sd.smears import Pool

MERGES = 2000
"""At the most; the list of words gives fewer."""
VERSIONS = 8
"""Captions of every image."""


def words() -> list[str]:
    """Return the words of ``vocabulary.txt`` as CLIP's tokenizer cuts them: letters, or what stands between them."""
    text = resources.files(__package__).joinpath("vocabulary.txt").read_text(encoding="utf-8")
    lines = [line.split("#")[0] for line in text.lower().splitlines()]
    spaced = "".join(letter if letter.isalpha() else " " for letter in " ".join(lines))
    return spaced.split()


def tokenizer(folder: Path) -> Any:
    """Return the ``CLIPTokenizer`` of a folder; learn its vocabulary and write it there first when it is not."""
    from transformers import CLIPTokenizer

    if not (folder / byte_pairs.WRITTEN_LAST).exists():
        byte_pairs.write(folder, byte_pairs.learn(words(), most=MERGES), longest=TOKENS)
    return CLIPTokenizer.from_pretrained(folder, local_files_only=True)


def numbers(reader: Any, texts: list[str]) -> Tensor:
    """Return the tokens' numbers (N, 77) of texts, cut or filled up to 77."""
    found = reader(texts, padding="max_length", max_length=TOKENS, truncation=True)["input_ids"]
    return torch.tensor(found, dtype=torch.int64)


def texts_of(pool: Pool, reader: Any, *, seed: int) -> Texts:
    """Return :data:`VERSIONS` captions of every image of a pool, and the empty one, as tokens' numbers."""
    sites = list(SITES)
    lines = [
        captions.caption(captions.subject_of(pool, number, sites=sites), seed=seed, number=number, version=version)
        for number in range(len(pool.images))
        for version in range(VERSIONS)
    ]
    return Texts(numbers(reader, lines).reshape(len(pool.images), VERSIONS, TOKENS), numbers(reader, [""])[0])
