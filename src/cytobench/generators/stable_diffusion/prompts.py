"""What a text-to-image model is told to draw: a morphological prompt per class, with what else is asked for.

A class has the prompt under its own name, in the user's file or in ours, and never that of a coarser class.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from cytobench.datasets import labels
from cytobench.errors import UsageFault
from cytobench.generators.stable_diffusion.prompt_files import ClassPrompt, filled, pieces, read, shipped, wording

LONGEST = 77  # tokens that the text encoder of Stable Diffusion reads, its start and end among them
SHORT_WORD = 5  # letters; so short a word of English is one token of CLIP's

NOTHING: Mapping[str, str] = MappingProxyType({})


class Tokenizer(Protocol):
    """What a tokenizer of transformers is, for us."""

    model_max_length: int
    """Tokens that its text encoder reads."""

    def __call__(self, text: str, *, truncation: bool, verbose: bool) -> Mapping[str, Any]:
        """Return the tokens as ``input_ids``, with those that start and end a text."""
        ...


def prompt_for(label: str, *, site: str = "", attributes: Mapping[str, str] = NOTHING, file: str = "") -> str:
    """Return the prompt of a class.

    Args:
        label: The class, as the taxonomy or the user's own file spells it.
        site: Where the smear was made; empty leaves it open.
        attributes: Value by attribute, both spelled as in WBCAtt; the others keep the words of the class.
        file: The user's own TOML file, whose prompts go before ours; empty for none.

    Raises:
        UsageFault: A class without a prompt, an attribute or value that is not known or has no place in the prompt,
            granules that are both asked for and denied, a file that can't be read.
    """
    known = {**shipped(), **(read(Path(file)) if file else {})}
    if label not in known:
        raise _missing(label, known)
    prompt = known[label].prompt
    asked = {name: _words_of(name, value) for name, value in attributes.items()}
    if site.strip():
        asked["site"] = f"from {site}"
    places = [piece.field for piece in pieces(prompt) if piece.field]
    if homeless := [name for name in asked if name not in places]:
        raise UsageFault(
            f"the prompt of {label} has no place for {', '.join(homeless)}",
            fix=f"its fields are {', '.join(places) or 'none'}; or write a prompt with more into a file of your own",
        )
    return filled(prompt, _without_denied_granules(label, prompt, asked))


def check_length(prompt: str, tokenizer: Tokenizer) -> int:
    """Return how many tokens a prompt has, its start and end among them.

    Raises:
        UsageFault: They are more than the text encoder reads, so that the rest would be cut off unsaid.
    """
    count = len(tokenizer(prompt, truncation=False, verbose=False)["input_ids"])
    most = min(LONGEST, tokenizer.model_max_length)
    if count > most:
        raise UsageFault(
            f"this prompt has {count} tokens and the text encoder reads {most}: {prompt}",
            fix="say less, or ask for fewer attributes",
        )
    return count


def most_tokens(prompt: str) -> int:
    """Return a bound on the tokens of CLIP's tokenizer for a prompt in English, its start and end among them.

    Without the vocabulary, every sign and every word of at most five letters counts as one token, a longer word as one
    for each three letters begun. Words of medicine come apart into pieces of three or four letters (pro·my·elo·cyte),
    plain long words are one or two, so this counts too many. :func:`check_length` counts exactly.
    """
    words = re.findall(r"[a-z]+|\d|[^\w\s]+|_", prompt.lower())
    return 2 + sum(1 if len(word) <= SHORT_WORD else -(-len(word) // 3) for word in words)


def _words_of(name: str, value: str) -> str:
    allowed = wording().get(name)
    if allowed is None:
        raise UsageFault(f"there is no attribute {name!r}", fix=f"attributes are {', '.join(wording())}")
    if value not in allowed:
        raise UsageFault(f"{name} can't be {value!r}", fix=f"its values are {', '.join(allowed)}")
    return allowed[value]


def _without_denied_granules(label: str, prompt: str, asked: Mapping[str, str]) -> dict[str, str]:
    """Return the words for a cell without granules with their kind and colour left out; other words as they are."""
    words = {piece.field: piece.words for piece in pieces(prompt) if piece.field} | dict(asked)
    if words.get("granularity") != wording()["granularity"]["no"]:
        return words
    if coloured := [name for name in ("granule_type", "granule_colour") if asked.get(name)]:
        raise UsageFault(
            f"a {label} without granules can't have a {' or '.join(coloured)}",
            fix="ask for granularity yes too, or for nil granules",
        )
    return words | {"granule_type": "", "granule_colour": ""}


def _missing(label: str, known: Mapping[str, ClassPrompt]) -> UsageFault:
    near = labels.suggest([label], known).get(label)
    return UsageFault(
        f"the class {label!r} has no prompt" + (f"; {near!r} has one" if near else ""),
        fix=f'write [{label}] and below it prompt = "…" into a file, and give --set generator.prompts=FILE.toml'
        + (f"; or map the label with --label-map, if it means {near}" if near else ""),
    )
