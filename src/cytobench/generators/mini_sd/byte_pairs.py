"""A CLIP vocabulary of our own: byte pairs learnt from a list of words, in the files that ``CLIPTokenizer`` reads.

Sennrich et al. 2016 (byte-pair encoding), Radford et al. 2019 (on bytes, so that any text can be written),
Radford et al. 2021 (lower case, a mark at the end of every word).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from cytobench.store import write_bytes, write_json

START, END = "<|startoftext|>", "<|endoftext|>"
LAST = "</w>"
"""Marks the end of a word."""

WRITTEN_LAST = "tokenizer_config.json"
"""The file that means that the others are there."""

Pair = tuple[str, str]


def alphabet() -> dict[int, str]:
    """Return the visible character that stands for each byte: itself where it has one, the next free one elsewhere."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    unseen = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + place) for place, byte in enumerate(unseen)}


def learn(words: Iterable[str], *, most: int) -> list[Pair]:
    """Return the merges in the order in which they were learnt; equally frequent pairs in the order of the alphabet.

    Args:
        words: Words as often as they should count, in lower case.
        most: Merges at the most; fewer when every word is one token before.
    """
    letters = alphabet()
    counts = Counter(words)
    spelt = {
        word: [*(letters[byte] for byte in word.encode()[:-1]), letters[word.encode()[-1]] + LAST] for word in counts
    }
    merges: list[Pair] = []
    while len(merges) < most:
        pairs = _pairs(spelt, counts)
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        spelt = {word: joined(parts, best) for word, parts in spelt.items()}
    return merges


def joined(parts: list[str], pair: Pair) -> list[str]:
    """Return a word's parts with every occurrence of a pair made one.

    >>> joined(["b", "a", "b", "a</w>"], ("b", "a"))
    ['ba', 'b', 'a</w>']
    """
    done: list[str] = []
    place = 0
    while place < len(parts):
        if tuple(parts[place : place + 2]) == pair:
            done.append("".join(pair))
            place += 2
        else:
            done.append(parts[place])
            place += 1
    return done


def vocabulary(merges: Iterable[Pair]) -> dict[str, int]:
    """Return every token's number in CLIP's order: bytes, bytes that end a word, merges, the two marks."""
    letters = list(alphabet().values())
    tokens = [*letters, *(letter + LAST for letter in letters), *("".join(pair) for pair in merges), START, END]
    return {token: number for number, token in enumerate(dict.fromkeys(tokens))}


def write(folder: Path, merges: list[Pair], *, longest: int) -> None:
    """Write the files of a ``CLIPTokenizer``.

    Args:
        folder: Where.
        merges: As :func:`learn` returns them.
        longest: Tokens of a prompt, the two marks included.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "vocab.json", vocabulary(merges))
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges)]
    write_bytes(folder / "merges.txt", ("\n".join(lines) + "\n").encode())
    write_json(
        folder / "special_tokens_map.json", {"bos_token": START, "eos_token": END, "pad_token": END, "unk_token": END}
    )
    facts = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": longest, "bos_token": START, "eos_token": END,
        "pad_token": END, "unk_token": END, "do_lower_case": True,
    }  # fmt: skip
    write_json(folder / WRITTEN_LAST, facts)


def _pairs(spelt: Mapping[str, list[str]], counts: Mapping[str, int]) -> Counter[Pair]:
    found: Counter[Pair] = Counter()
    for word, parts in spelt.items():
        for pair in pairwise(parts):
            found[pair] += counts[word]
    return found
