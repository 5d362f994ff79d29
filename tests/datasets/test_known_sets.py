from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cytobench import registry
from cytobench.datasets.downloads.fetch import Download
from cytobench.datasets.known_set import KnownSet, known
from cytobench.datasets.labels import apply, merge, taxonomy
from cytobench.datasets.layouts.kinds import Boxes, Folders, Npz, Table
from cytobench.datasets.layouts.listing import listing
from cytobench.errors import DataFault, IntegrityFault, UsageFault
from tests.datasets.known_layouts import lay_out, touch, voc

PUBLIC = [name for name in registry.names("dataset") if known(name).draw is None]
GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "public-sets.md"


def made(**changes: Any) -> KnownSet:
    return KnownSet(**{"title": "x", "licence": "x", "classes": {"Ba": "basophil", "Eo": "eosinophil"}, **changes})


def labels(facts: KnownSet, path: Path) -> Counter[str]:
    return Counter(entry.label for entry in listing(facts, path).entries)


@pytest.mark.parametrize("name", PUBLIC)
def test_a_set_laid_out_as_published_is_read_from_anywhere_in_it(name: str, tmp_path: Path) -> None:
    facts = known(name)
    place = lay_out(name, facts, tmp_path / "get")
    found = listing(facts, place)
    assert {entry.label for entry in found.entries} == set(facts.classes.values())
    assert found.root == listing(facts, tmp_path / "get").root
    assert listing(facts, place.parent).entries == found.entries
    assert all((found.root / entry.file).is_file() for entry in found.entries) or found.arrays is not None


@pytest.mark.parametrize("name", PUBLIC)
def test_a_set_s_description_is_complete(name: str) -> None:
    facts = known(name)
    assert facts.registration or facts.downloads
    assert facts.layout.hint
    assert facts.flaws
    assert set(facts.classes.values()) <= set(taxonomy())
    assert name in GUIDE.read_text(encoding="utf-8").replace("`", " ").split()


@pytest.mark.parametrize("name", [name for name in PUBLIC if known(name).counts])
def test_counts_cover_every_class(name: str) -> None:
    facts = known(name)
    assert set(facts.counts) == set(facts.classes.values())
    assert sum(facts.counts.values()) == facts.images


@pytest.mark.parametrize("name", PUBLIC)
def test_another_folder_is_refused_with_what_was_looked_for(name: str, tmp_path: Path) -> None:
    touch(tmp_path / "holiday" / "beach.jpg")
    with pytest.raises(DataFault) as fault:
        listing(known(name), tmp_path)
    assert fault.value.exit_code == 3
    assert known(name).layout.hint in fault.value.problems[0]
    assert "holiday" in fault.value.problems[1]


@pytest.mark.parametrize("name", [name for name in PUBLIC if len(set(known(name).classes.values())) > 1])
def test_a_plain_folder_per_class_is_enough(name: str, tmp_path: Path) -> None:
    facts = known(name)
    for label in facts.classes.values():
        touch(tmp_path / label / "1.png")
    assert set(labels(facts, tmp_path)) == set(facts.classes.values())


def test_the_munich_set_has_fifteen_classes_and_five_after_its_merge(tmp_path: Path) -> None:
    facts = known("aml")
    found = [entry.label for entry in listing(facts, lay_out("aml", facts, tmp_path)).entries]
    assert len(set(found)) == 15
    five = Counter(apply(found, merge("aml", facts, "five")))
    assert five == {"basophil": 2, "eosinophil": 2, "lymphocyte": 4, "monocyte": 2, "neutrophil": 4, "": 16}


def test_folders_of_a_published_split_give_the_parts(tmp_path: Path) -> None:
    facts = known("raabin")
    place = lay_out("raabin", facts, tmp_path)
    touch(place / "TestB" / "Neutrophil" / "1.png")
    touch(place / "TestB" / "Lymphocyte" / "1.png")
    found = listing(facts, place)
    assert Counter(entry.split for entry in found.entries) == {"train": 10, "test": 10}
    assert {entry.file.split("/")[0] for entry in found.entries} == {"Train", "TestA"}


def test_one_part_of_a_published_split_is_an_unsplit_set(tmp_path: Path) -> None:
    facts = known("raabin")
    place = lay_out("raabin", facts, tmp_path) / "Train"
    found = listing(facts, place)
    assert {entry.split for entry in found.entries} == {""}
    assert "only Train is here" in " ".join(found.notes)


def test_patients_are_read_from_file_names(tmp_path: Path) -> None:
    names = ("C100P61ThinF_IMG_20150918_144104_cell_1.png", "C6NThinF_IMG_1_cell_2.png", "other.png")
    for name in names:
        touch(tmp_path / "Uninfected" / name)
        touch(tmp_path / "Parasitized" / name)
    found = listing(known("nih-malaria"), tmp_path)
    assert [entry.group for entry in found.entries] == ["C100P61", "C6N", ""]


def test_the_masks_and_mixed_pictures_of_lisc_are_passed_over(tmp_path: Path) -> None:
    facts = known("lisc")
    place = lay_out("lisc", facts, tmp_path)
    for label in [*facts.classes, "mixt"]:
        touch(place.parent / "Ground Truth Segmentation" / label / "1_expert.bmp")
    touch(place / "mixt" / "1.bmp")
    found = listing(facts, tmp_path)
    assert len(found.entries) == 10
    assert any("1 files passed over" in note and "mixt: 1" in note for note in found.notes)


def test_labels_that_differ_in_case_or_plural_are_read_and_told(tmp_path: Path) -> None:
    for label in ("BASOPHILS", "Eosinophil"):
        touch(tmp_path / label / "1.png")
    found = listing(made(), tmp_path)
    assert Counter(entry.label for entry in found.entries) == {"basophil": 1, "eosinophil": 1}
    assert "'BASOPHILS' as basophil" in " ".join(found.notes)


def test_what_is_left_out_or_missing_is_told(tmp_path: Path) -> None:
    for name in ("Ba/1.png", "Eo/1.png", "Artefacts/1.png", "Artefacts/2.png"):
        touch(tmp_path / name)
    found = listing(made(counts={"basophil": 1, "eosinophil": 3}), tmp_path)
    assert len(found.entries) == 2
    assert found.notes == (
        "2 images left out, not of the set's classes (Artefacts: 2)",
        "not the published number of images: eosinophil 1 instead of 3",
    )


def test_several_sets_below_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    for name in ("a/Ba/1.png", "a/Eo/1.png", "b/Ba/1.png", "b/Eo/1.png"):
        touch(tmp_path / name)
    with pytest.raises(DataFault, match="several folders"):
        listing(made(), tmp_path)


def test_other_files_under_a_published_name_are_noticed(tmp_path: Path) -> None:
    touch(tmp_path / "Ba" / "1.png")
    touch(tmp_path / "Eo" / "2.png")
    with pytest.raises(DataFault, match="labelled basophil here, eosinophil in"):
        listing(made(first={"file": "1.jpg", "label": "eosinophil"}), tmp_path)


def test_a_table_with_half_of_its_images_is_read_and_told(tmp_path: Path) -> None:
    facts = known("jtsc")
    place = lay_out("jtsc", facts, tmp_path)
    (place / "Dataset 1" / "501.bmp").unlink()
    found = listing(facts, place)
    assert len(found.entries) == 9
    assert found.notes[0] == "1 of 10 images that Class Labels of Dataset 1.csv names are not here"


@pytest.mark.parametrize("file", ["../1", "/etc/1", "..\\1"])
def test_a_table_that_names_other_folders_is_refused(file: str, tmp_path: Path) -> None:
    facts = known("jtsc")
    place = lay_out("jtsc", facts, tmp_path)
    touch(place / "Class Labels of Dataset 1.csv", f"image ID,class label\n{file},1\n")
    with pytest.raises(IntegrityFault):
        listing(facts, place)


def test_cells_in_photographs_have_boxes_groups_and_published_parts(tmp_path: Path) -> None:
    facts = known("bccd")
    found = listing(facts, lay_out("bccd", facts, tmp_path))
    first = found.entries[0]
    assert (first.file, first.split, first.group) == ("JPEGImages/BloodImage_00001.jpg", "train", "BloodImage_00001")
    assert {entry.box for entry in found.entries} == {(10, 20, 100, 120)}
    assert Counter(entry.split for entry in found.entries) == {"train": 3, "val": 3, "test": 3}


def test_boxes_are_cut_at_the_edge_and_useless_ones_are_counted(tmp_path: Path) -> None:
    facts = known("bccd")
    place = lay_out("bccd", facts, tmp_path)
    cells = [("WBC", -5, 460, 40, 490), ("RBC", 5, 5, 5, 9), ("RBC", 0, 0, 400, 20), ("RBC", 0, 0, 40, 40)]
    touch(place / "Annotations" / "BloodImage_00001.xml", voc(*cells))
    found = listing(facts, place)
    assert [entry.box for entry in found.entries if entry.split == "train"] == [(0, 460, 40, 20), (0, 0, 40, 40)]
    assert "2 cells at the edge or too small passed over" in found.notes


def test_points_become_squares_and_those_over_the_edge_are_counted(tmp_path: Path) -> None:
    facts = known("chula")
    place = lay_out("chula", facts, tmp_path)
    touch(place / "Label" / "BloodImage_00001.txt", "100 90 0\n10 90 0\nnonsense\n\n600 440 6\n")
    found = listing(facts, place)
    mine = [(entry.label, entry.box) for entry in found.entries if entry.group == "BloodImage_00001"]
    assert mine == [("erythrocyte", (60, 50, 80, 80)), ("ovalocyte", (560, 400, 80, 80))]
    assert {"1 cells at the edge or too small passed over", "1 lines that name no cell passed over"} <= set(found.notes)


def test_xml_with_a_document_type_is_never_parsed(tmp_path: Path) -> None:
    facts = known("bccd")
    place = lay_out("bccd", facts, tmp_path)
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + voc(("&b;", 0, 0, 40, 40))
    touch(place / "Annotations" / "BloodImage_00002.xml", bomb)
    with pytest.raises(IntegrityFault, match=r"BloodImage_00002\.xml"):
        listing(facts, place)


@pytest.mark.parametrize(
    "text", ["<annotation>", "<annotation/>", voc(("RBC", "nan", 0, 9, 9)), voc(("RBC", "1e999", 0, 9, 9))]
)
def test_damaged_annotations_are_named(text: str, tmp_path: Path) -> None:
    facts = known("bccd")
    place = lay_out("bccd", facts, tmp_path)
    touch(place / "Annotations" / "BloodImage_00002.xml", text)
    with pytest.raises(DataFault) as fault:
        listing(facts, place)
    assert fault.value.problems[0].startswith("BloodImage_00002.xml: ")


def test_bloodmnist_keeps_its_published_parts_and_one_size_is_chosen(tmp_path: Path) -> None:
    facts = known("bloodmnist")
    place = lay_out("bloodmnist", facts, tmp_path)
    found = listing(facts, place)
    assert Counter(entry.split for entry in found.entries) == {"train": 16, "val": 16, "test": 16}
    assert listing(facts, place / "bloodmnist.npz").entries == found.entries
    (place / "bloodmnist_64.npz").write_bytes((place / "bloodmnist.npz").read_bytes())
    with pytest.raises(UsageFault, match=r"bloodmnist\.npz, bloodmnist_64\.npz"):
        listing(facts, place)


def test_a_manifest_may_carry_merged_classes(tmp_path: Path) -> None:
    touch(tmp_path / "1.png")
    touch(tmp_path / "2.png")
    touch(tmp_path / "split.csv", "path,label,split\n1.png,neutrophil,train\n2.png,BAS,test\n")
    assert labels(known("aml"), tmp_path / "split.csv") == {"neutrophil": 1, "basophil": 1}


def test_a_set_without_classes_takes_its_folders_as_they_are(make_folder: Callable[..., Path]) -> None:
    assert labels(made(classes={}), make_folder({"a": 1, "b": 2})) == {"a": 1, "b": 2}


def test_a_missing_path_is_the_users_fault(tmp_path: Path) -> None:
    with pytest.raises(UsageFault):
        listing(made(), tmp_path / "nothing")


@pytest.mark.parametrize(
    "changes",
    [
        {"counts": {"monocyte": 1}},
        {"counts": {"basophil": 1, "eosinophil": 1}, "images": 3},
        {"merges": {"m": {"Ba": "x"}}},
        {"choices": {"rare": "sometimes"}},
        {"choices": {"colour": "drop"}},
        {"first": {"file": "a", "label": "Ba"}},
        {"classes": {"basophil": "eosinophil", "Ba": "basophil"}},
        {"layout": {"kind": "tree"}},
        {"layout": {"group": "no group"}},
        {"layout": {"group": "("}},
        {"layout": {"kind": "boxes", "images": "a", "annotations": "b", "form": "points"}},
        {"layout": {"splits": {"Train": "training"}}},
        {"cells": "green"},
        {"surprise": 1},
    ],
)
def test_a_description_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        made(**changes)


def test_the_kinds_of_layout_are_told_apart_by_name() -> None:
    kinds = {name: type(known(name).layout) for name in ("aml", "jtsc", "bccd", "bloodmnist")}
    assert kinds == {"aml": Folders, "jtsc": Table, "bccd": Boxes, "bloodmnist": Npz}


def test_every_size_of_bloodmnist_has_the_checksum_that_medmnist_publishes() -> None:
    info = pytest.importorskip("medmnist.info").INFO["bloodmnist"]
    expected = tuple(
        Download(url=info[f"url{size}"], file=f"bloodmnist{size}.npz", md5=info[f"MD5{size}"])
        for size in ("", "_64", "_128", "_224")
    )
    assert known("bloodmnist").downloads == expected
