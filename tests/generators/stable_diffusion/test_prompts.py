"""Prompts: every known class has one, fields say what is asked for, and none is longer than a text encoder reads."""

import json
import re
from pathlib import Path

import pytest
from transformers import CLIPTokenizer

from cytobench import registry
from cytobench.datasets.labels import taxonomy
from cytobench.errors import UsageFault
from cytobench.generators.stable_diffusion.prompt_files import ClassPrompt, pieces, read, shipped, wording
from cytobench.generators.stable_diffusion.prompts import LONGEST, check_length, most_tokens, prompt_for

DOCS = Path(__file__).parents[3] / "docs"
ROW = {  # of an eosinophil, as WBCAtt publishes it
    "cell_size": "big",
    "cell_shape": "irregular",
    "nucleus_shape": "segmented-multilobed",
    "nuclear_cytoplasmic_ratio": "low",
    "chromatin_density": "densely",
    "cytoplasm_vacuole": "no",
    "cytoplasm_texture": "clear",
    "cytoplasm_colour": "light blue",
    "granule_type": "round",
    "granule_colour": "red",
    "granularity": "yes",
}


@pytest.fixture
def letters(tmp_path: Path) -> CLIPTokenizer:
    """Return a CLIP tokenizer that has learnt no merges, so that every letter is a token."""
    signs = "abcdefghijklmnopqrstuvwxyz"
    words = ["<|startoftext|>", "<|endoftext|>", *signs, *(f"{sign}</w>" for sign in signs)]
    (tmp_path / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    found = CLIPTokenizer.from_pretrained(tmp_path, model_max_length=LONGEST)
    assert isinstance(found, CLIPTokenizer)
    return found


def longest_of(label: str) -> str:
    """Return a class's prompt with the longest words that each of its fields can have."""
    longest = {
        piece.field: max([piece.words, *wording()[piece.field].values()], key=most_tokens)
        for piece in pieces(shipped()[label].prompt)
        if piece.field not in ("", "site")
    }
    longest["site"] = "from Barcelona"
    if "granularity" in longest:  # "without" would leave out the kind and the colour
        longest["granularity"] = "with"
    return "".join(piece.text + longest.get(piece.field, "") for piece in pieces(shipped()[label].prompt))


@pytest.mark.parametrize(("name", "count"), [("aml", 15), ("pbc", 8)])
def test_every_class_of_a_known_set_has_a_prompt(name: str, count: int) -> None:
    classes = registry.load("dataset", name)["classes"].values()
    assert len({prompt_for(label) for label in classes}) == count


def test_every_class_of_the_taxonomy_has_a_prompt_and_no_other_has() -> None:
    assert set(shipped()) == set(taxonomy())


def test_no_two_classes_share_a_prompt() -> None:
    assert len({prompt_for(label) for label in shipped()}) == len(shipped())


@pytest.mark.parametrize("label", sorted(taxonomy()))
def test_a_prompt_reads_as_a_sentence(label: str) -> None:
    text = prompt_for(label)
    assert text.startswith("blood smear: ")
    assert not re.search(r"[{}]|\s\s|\s[,;:.]|[,;:]\s*[,;:]|[ ,;:]$", text)


@pytest.mark.parametrize("label", sorted(taxonomy()))
def test_no_prompt_is_too_long_with_every_field_filled(label: str) -> None:
    assert most_tokens(longest_of(label)) <= LONGEST


def test_the_bound_counts_short_words_signs_and_thirds_of_long_words() -> None:
    assert most_tokens("") == 2
    assert most_tokens("a pale cell, 12") == 2 + 3 + 1 + 2
    assert most_tokens("promyelocyte") == 2 + 4
    assert most_tokens("Munich") == 2 + 2


def test_white_cells_have_a_place_for_every_attribute_and_the_site() -> None:
    for label in ("neutrophil", "eosinophil", "basophil", "lymphocyte", "monocyte", "myeloblast"):
        assert {piece.field for piece in pieces(shipped()[label].prompt)} - {""} == {*wording(), "site"}


def test_asked_attributes_replace_the_words_of_the_class() -> None:
    assert prompt_for("eosinophil", site="Munich", attributes=ROW) == (
        "blood smear from Munich: eosinophil, larger than most, irregular; nucleus split into many lobes, dense "
        "chromatin, no nucleoli; ample clear light blue unvacuolated cytoplasm with round red granules"
    )


@pytest.mark.parametrize(("attribute", "value"), [(name, value) for name in wording() for value in wording()[name]])
def test_every_published_value_changes_some_prompt(attribute: str, value: str) -> None:
    row = {"granularity": "yes"} if attribute.startswith("granule_") else {}
    labels = ("eosinophil", "lymphocyte", "monocyte")
    texts = [prompt_for(label, attributes=row | {attribute: value}) for label in labels]
    assert texts != [prompt_for(label, attributes=row) for label in labels]


def test_a_cell_without_granules_has_none_of_any_kind() -> None:
    assert prompt_for("neutrophil", attributes={"granularity": "no"}).endswith("cytoplasm without granules")
    nil = {"granularity": "no", "granule_type": "nil", "granule_colour": "nil"}
    assert prompt_for("neutrophil", attributes=nil).endswith("cytoplasm without granules")
    asked = {"granularity": "yes", "granule_type": "coarse", "granule_colour": "purple"}
    assert prompt_for("lymphocyte", attributes=asked).endswith("cytoplasm with coarse purple granules")


def test_granules_that_are_asked_for_and_denied_are_refused() -> None:
    with pytest.raises(UsageFault, match=r"lymphocyte without granules can't have a granule_type"):
        prompt_for("lymphocyte", attributes={"granule_type": "coarse"})


def test_an_unknown_attribute_is_met_with_all_that_there_are() -> None:
    with pytest.raises(UsageFault, match="no attribute 'nucleus'") as caught:
        prompt_for("monocyte", attributes={"nucleus": "round"})
    assert all(name in caught.value.fix for name in ROW)


def test_an_unknown_value_is_met_with_the_allowed_ones() -> None:
    with pytest.raises(UsageFault, match="cell_size can't be 'huge'") as caught:
        prompt_for("monocyte", attributes={"cell_size": "huge"})
    assert caught.value.fix == "its values are big, small"


def test_an_attribute_without_a_place_is_refused() -> None:
    with pytest.raises(UsageFault, match="prompt of erythrocyte has no place for nucleus_shape"):
        prompt_for("erythrocyte", attributes={"nucleus_shape": "unsegmented-round"})


@pytest.mark.parametrize(
    ("label", "near"), [("NGS", "'segmented_neutrophil' has one"), ("hairy_cell", "has no prompt")]
)
def test_a_class_without_a_prompt_says_how_to_add_one(label: str, near: str) -> None:
    with pytest.raises(UsageFault, match=near) as caught:
        prompt_for(label)
    assert f"[{label}]" in caught.value.fix
    assert "--set generator.prompts=FILE.toml" in caught.value.fix
    assert caught.value.exit_code == 2


def test_ones_own_file_goes_before_ours_and_adds_classes(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[hairy_cell]\nprompt = "smear {site}: hairy cell, {cell_shape:ragged}"\n[monocyte]\nprompt = "mono"\n'
    )
    assert prompt_for("hairy_cell", file=str(file)) == "smear: hairy cell, ragged"
    assert prompt_for("monocyte", file=str(file)) == "mono"
    assert prompt_for("basophil", file=str(file)) == prompt_for("basophil")
    assert prompt_for("monocyte") != "mono"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('[a]\nprompt = "{nucleus}"', "unknown field nucleus; fields are site, cell_size"),
        ('[a]\nprompt = "{cell_size} and {cell_size:big}"', "stands there twice"),
        ('[a]\nprompt = "a {cell_size"', "a.prompt: "),
        ('[a]\nprompt = "a {site!r}"', "a field is"),
        ('[a]\nprompt = "a {}"', "a field is"),
        ('[a]\nprompt = "{site}, {cell_size}."', "says nothing"),
        ('[a]\ntext = "x"', "a.text: Extra inputs"),
        ('a = "x"', "a: "),
        ("[a", "can't be read as TOML"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_with_its_entry(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(UsageFault) as caught:
        read(file)
    assert problem in str(caught.value)
    assert "mine.toml" in caught.value.message


def test_only_toml_is_read(tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="there is no file"):
        prompt_for("monocyte", file=str(tmp_path / "none.toml"))
    (tmp_path / "mine.yaml").write_text("a: !!python/object:os.system x")
    with pytest.raises(UsageFault, match="no TOML file"):
        prompt_for("monocyte", file=str(tmp_path / "mine.yaml"))


def test_a_prompt_is_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        ClassPrompt(prompt="a cell").prompt = "b"


def test_length_is_counted_with_the_tokenizer(letters: CLIPTokenizer) -> None:
    assert check_length("pale cell", letters) == 8 + 2
    assert check_length("a" * (LONGEST - 2), letters) == LONGEST
    with pytest.raises(UsageFault, match=r"has 78 tokens and the text encoder reads 77") as caught:
        check_length("a" * (LONGEST - 1), letters)
    assert caught.value.exit_code == 2


def test_a_shorter_text_encoder_sets_the_limit(letters: CLIPTokenizer) -> None:
    letters.model_max_length = 9
    with pytest.raises(UsageFault, match="has 10 tokens and the text encoder reads 9"):
        check_length("pale cell", letters)


def test_the_page_shows_every_attribute_with_its_words() -> None:
    page = (DOCS / "how-to" / "prompts.md").read_text(encoding="utf-8")
    for name, values in wording().items():
        said = ", ".join(f"`{value}` {words or '(nothing)'}" for value, words in values.items())
        assert f"| `{name}` | {said} |" in page
