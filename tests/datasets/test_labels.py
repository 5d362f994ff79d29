from collections import Counter
from pathlib import Path

import pytest

from cytobench.datasets.known_set import known
from cytobench.datasets.labels import apply, merge, parse_map, suggest, taxonomy
from cytobench.datasets.layouts.listing import folded
from cytobench.errors import CytobenchError, DataFault, UsageFault

FIVE = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")


@pytest.mark.parametrize(
    ("label", "meaning"),
    [
        ("Baso", "basophil"),
        ("Neutrophils", "neutrophil"),
        ("SNE", "neutrophil"),
        ("lymph", "lymphocyte"),
        ("EOS.", "eosinophil"),
        ("Monozyten", "monocyte"),
        ("Neutrófilo", "neutrophil"),
        ("Eosinophyl", "eosinophil"),
        ("typical_lymphocyte", "lymphocyte"),
    ],
)
def test_a_label_with_one_clear_meaning_gets_a_suggestion(label: str, meaning: str) -> None:
    assert suggest([label], FIVE) == {label: meaning}


@pytest.mark.parametrize(
    "label", ["MYO", "ig", "platelet", "granulocyte", "artefact", "", "typicl lymphocyte!", "class 1"]
)
def test_an_unclear_or_foreign_label_gets_none(label: str) -> None:
    allowed = ("typical_lymphocyte", "atypical_lymphocyte", *FIVE[:2])
    assert suggest([label], allowed) == {}


def test_the_finest_allowed_class_is_suggested() -> None:
    assert suggest(["SNE", "BNE"], ("neutrophil", "segmented_neutrophil")) == {
        "SNE": "segmented_neutrophil",
        "BNE": "neutrophil",
    }


def test_classes_outside_the_taxonomy_can_be_suggested_by_their_own_name() -> None:
    assert suggest(["Big Cells"], ("big_cell",)) == {"Big Cells": "big_cell"}


def test_no_word_of_the_taxonomy_means_two_classes_and_every_parent_is_there() -> None:
    words = Counter(
        key for name, entry in taxonomy().items() for key in {folded(name), *(folded(one) for one in entry.synonyms)}
    )
    assert [word for word, count in words.items() if count > 1] == []
    assert {entry.parent for entry in taxonomy().values()} - {""} <= set(taxonomy())


def test_a_map_renames_drops_and_keeps_the_rest() -> None:
    given = parse_map("lab = Baso:basophil, Smudge: ,")
    assert given.name == "lab"
    assert apply(["Baso", "Smudge", "mono"], given) == ("basophil", "", "mono")


def test_a_named_merge_leaves_out_what_it_does_not_name() -> None:
    given = parse_map("pbc=five")
    assert apply(["neutrophil", "platelet"], given) == ("neutrophil", "")
    assert given == merge("pbc", known("pbc"), "five")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.toml", 'Baso = "basophil"\n"Smudge cell" = ""\n'),
        ("map.csv", "label,class\nBaso,basophil\nSmudge cell,\n"),
        ("map.csv", "\ufeffclass,label\r\nbasophil,Baso\r\n,Smudge cell\r\n"),
    ],
)
def test_a_map_can_be_a_file(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    assert parse_map(f"lab={tmp_path / name}").pairs == {"Baso": "basophil", "Smudge cell": ""}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lab", "a set's name and a map"),
        ("=a:b", "a set's name and a map"),
        ("lab=", "a set's name and a map"),
        ("lab=a:b,c", "'c' is no LABEL:CLASS"),
        ("lab=:b", "is no LABEL:CLASS"),
        ("lab=a:b,a:c", "names 'a' twice"),
        ("lab=a:b,b:c", "two steps"),
        ("lab=a:b,b:a", "two steps"),
        ("lab=,:,", "is no LABEL:CLASS"),
        ("pbc=six", "it has five"),
        ("nowhere=five", "there is no dataset 'nowhere'"),
        ("lab=nothing.csv", "no label map"),
    ],
)
def test_a_map_that_could_mean_anything_else_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageFault, match=said):
        parse_map(text)


def test_a_label_may_be_mapped_to_itself() -> None:
    assert parse_map("lab=Baso:basophil,basophil:basophil").pairs == {"Baso": "basophil", "basophil": "basophil"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("map.toml", "a = 1"),
        ("map.toml", 'a = "b"\na = "c"'),
        ("map.toml", "[[["),
        ("map.csv", "from,to\na,b\n"),
        ("map.csv", "label,class\na\n"),
        ("map.csv", "label,class\na,b,c\n"),
        ("map.csv", "label,class\na,b\na,c\n"),
        ("map.csv", "label,class\n"),
        ("map.csv", ""),
    ],
)
def test_a_damaged_file_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CytobenchError) as fault:
        parse_map(f"lab={tmp_path / name}")
    assert fault.value.exit_code in (2, 3)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataFault):
        parse_map(f"lab={tmp_path / 'map.csv'}")


def test_a_map_that_names_absent_labels_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageFault) as fault:
        apply(["Baso", "Eos"], parse_map("lab=baso:basophil,Eosin:eosinophil,xyz:"))
    assert fault.value.problems == ("'Eosin'; did you mean 'Eos'?", "'baso'; did you mean 'Baso'?", "'xyz'")
