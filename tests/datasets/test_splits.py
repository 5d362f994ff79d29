import hashlib
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from cytobench.datasets.awkward import Choices
from cytobench.datasets.imageset import COLUMNS, name_rows
from cytobench.datasets.splits import Fold, Split, SplitStep, assignment_sha256, make_split
from cytobench.errors import DataFault, IntegrityFault, UsageFault


def table(labels: list[str], groups: list[str] | None = None, pixels: list[str] | None = None) -> pd.DataFrame:
    rows = pd.DataFrame("", index=range(len(labels)), columns=list(COLUMNS))
    rows["row"] = [str(row) for row in range(len(labels))]
    rows["file"] = [f"{row}.png" for row in range(len(labels))]
    rows["label"], rows["origin"] = labels, "real"
    rows["group"] = groups or [""] * len(labels)
    names = pixels or [f"picture {row}" for row in range(len(labels))]
    rows["pixel_sha256"] = [hashlib.sha256(name.encode()).hexdigest() for name in names]
    rows["id"] = name_rows(rows)
    return rows


def split(rows: pd.DataFrame, *, classes: tuple[str, ...] = ("a", "b"), seed: int = 0, **choices: str) -> Split:
    step = SplitStep(classes=classes, ratios=(0.6, 0.2, 0.2), seed=seed, choices=Choices.model_validate(choices))
    return make_split(rows, step)


def test_counts_follow_the_ratios_and_partitions_halve_train() -> None:
    counts = split(table(["a"] * 50 + ["b"] * 10)).table.groupby(["label", "split"]).size().to_dict()
    expected = {
        ("a", "train"): 30,
        ("a", "val"): 10,
        ("a", "test"): 10,
        ("b", "train"): 6,
        ("b", "val"): 2,
        ("b", "test"): 2,
    }
    assert counts == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(5, 40), min_size=2, max_size=4), st.integers(0, 5))
def test_any_table_is_split_whole_stratified_and_the_same_in_any_order(counts: list[int], seed: int) -> None:
    classes = tuple("abcd"[: len(counts)])
    rows = table([label for label, count in zip(classes, counts, strict=True) for _ in range(count)])
    one = split(rows, classes=classes, seed=seed)
    shuffled = rows.sample(frac=1, random_state=seed).reset_index(drop=True)
    other = split(shuffled, classes=classes, seed=seed)
    assert one.sha256 == other.sha256
    assert set(one.table["id"]) == set(rows["id"])
    for label, count in zip(classes, counts, strict=True):
        for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
            found = ((one.table["label"] == label) & (one.table["split"] == part)).sum()
            assert abs(found - share * count) <= 1
    train = one.table[one.table["split"] == "train"]
    assert set(train["partition"]) <= {"a", "b"}
    assert (one.table.loc[one.table["split"] != "train", "partition"] == "").all()


@pytest.mark.fault(24)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_no_group_and_no_picture_is_in_two_parts(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 200
    rows = table(
        [str(one) for one in rng.choice(["a", "b"], count)],
        [f"p{one}" for one in rng.integers(0, 30, count)],
        [f"x{one}" for one in rng.permutation([*range(count - 10), *range(10)])],
    )
    result = split(rows, seed=seed, contradictions="drop").table
    parts = result["split"] + result["partition"]
    assert parts.groupby(result["group"]).nunique().max() == 1
    assert parts.groupby(result["pixel_sha256"]).nunique().max() == 1


def test_other_seeds_draw_other_splits() -> None:
    rows = table(["a", "b"] * 20)
    assert split(rows, seed=0).sha256 != split(rows, seed=1).sha256


@pytest.mark.fault(23)
def test_a_picture_with_two_labels_stops_unless_it_may_be_dropped() -> None:
    rows = table(["a"] * 10 + ["b"] * 10, pixels=["same", *map(str, range(18)), "same"])
    with pytest.raises(DataFault, match="two different labels") as caught:
        split(rows)
    assert caught.value.problems == ("0.png (a) = 19.png (b)",)
    result = split(rows, contradictions="drop")
    assert len(result.table) == 18
    assert any("--contradictions drop" in note for note in result.notes)


@pytest.mark.fault(21)
def test_copies_stay_together_or_one_is_kept() -> None:
    rows = table(["a"] * 10 + ["b"] * 10, pixels=["same", "same", *map(str, range(18))])
    together = split(rows)
    assert together.table.loc[together.table["file"].isin(["0.png", "1.png"]), "split"].nunique() == 1
    assert any("copies stay in one part" in note for note in together.notes)
    assert len(split(rows, duplicates="first").table) == 19


@pytest.mark.fault(19)
@pytest.mark.parametrize(("choice", "parts"), [("drop", set()), ("train", {"train"}), ("test", {"test"})])
def test_a_class_of_one_image_stops_unless_its_place_is_chosen(choice: str, parts: set[str]) -> None:
    rows = table(["a"] * 10 + ["b"] * 10 + ["c"])
    with pytest.raises(DataFault, match="fewer than 5") as caught:
        split(rows, classes=("a", "b", "c"))
    assert caught.value.problems == ("c: 1",)
    assert "--rare drop" in caught.value.fix
    result = split(rows, classes=("a", "b", "c"), rare=choice)
    assert set(result.table.loc[result.table["label"] == "c", "split"]) == parts
    assert any(f"--rare {choice}" in note for note in result.notes)


def test_a_given_split_is_taken_and_lacks_nothing() -> None:
    rows = table(["a", "b"] * 20)
    rows["split"] = ["train"] * 30 + ["test"] * 10
    result = split(rows)
    assert set(result.table.loc[result.table["row"].astype(int) >= 30, "split"]) == {"test"}
    assert (result.table["split"] == "val").sum() in (7, 8)
    rows.loc[0, "split"] = ""
    with pytest.raises(UsageFault, match="1 of 40 rows name no split"):
        split(rows)


def test_a_starved_training_set_keeps_every_test_image() -> None:
    rows = table(["a"] * 100 + ["b"] * 100)
    step = SplitStep(classes=("a", "b"), ratios=(0.6, 0.2, 0.2), seed=0, train_per_class=9)
    counts = make_split(rows, step).table.groupby(["label", "split"]).size().to_dict()
    assert counts["a", "train"] == 9
    assert counts["a", "val"] == 3
    assert counts["a", "test"] == 20


def test_groups_too_large_for_the_ratios_are_an_error_before_training() -> None:
    with pytest.raises(DataFault, match="too few or too large"):
        split(table(["a", "b"] * 10, groups=["p1"] * 10 + ["p2"] * 10))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(20, 200), st.integers(2, 4), st.integers(3, 60))
def test_any_table_with_groups_is_split_whole_near_its_shares_and_the_same_in_any_order(
    seed: int, count: int, classes: int, groups: int
) -> None:
    """The counts are within one image of the shares, or within the largest patient where patients are larger."""
    rng = np.random.default_rng(seed)
    labels = [str(one) for one in rng.choice(list("abcd"[:classes]), count)]
    rows = table(labels, [f"p{one}" if one < groups * 0.7 else "" for one in rng.integers(0, groups, count)])
    try:
        one = split(rows, classes=tuple(sorted(set(labels))), seed=seed, rare="drop").table
    except DataFault:
        return  # too few groups for every class in every part: an error before training, never a bad split
    other = split(rows.sample(frac=1, random_state=seed), classes=tuple(sorted(set(labels))), seed=seed, rare="drop")
    assert assignment_sha256(one) == other.sha256
    known = one[one["group"] != ""]
    assert (known.groupby("group")["split"].nunique() <= 1).all()
    largest = max(1, known.groupby("group").size().max() if len(known) else 1)
    for label, total in one["label"].value_counts().items():
        for part, share in (("train", 0.6), ("val", 0.2), ("test", 0.2)):
            found = ((one["label"] == label) & (one["split"] == part)).sum()
            assert abs(found - share * total) <= largest


def test_folds_rotate_so_that_every_image_is_tested_and_selected_on_once() -> None:
    """Five folds are 60/20/20, stratified, and the test parts do not overlap."""
    rows = table(["a"] * 50 + ["b"] * 10)
    folds = [make_split(rows, step(fold=Fold(number, 5))).table for number in range(5)]
    for part in ("val", "test"):
        assert sorted(name for one in folds for name in one.loc[one["split"] == part, "id"]) == sorted(rows["id"])
    for number, one in enumerate(folds):
        assert one.groupby(["label", "split"]).size().to_dict() == {
            **{("a", "train"): 30, ("a", "val"): 10, ("a", "test"): 10},
            **{("b", "train"): 6, ("b", "val"): 2, ("b", "test"): 2},
        }
        following = folds[(number + 1) % 5]
        assert set(one.loc[one["split"] == "val", "id"]) == set(following.loc[following["split"] == "test", "id"])


@pytest.mark.fault(20)
def test_a_class_smaller_than_the_folds_stops_before_training() -> None:
    rows = table(["a"] * 20 + ["b"] * 7)
    with pytest.raises(DataFault, match="fewer than 10 images") as caught:
        make_split(rows, step(fold=Fold(0, 10)))
    assert caught.value.problems == ("b: 7",)


def test_fewer_shots_are_a_part_of_more_and_classes_may_differ() -> None:
    rows = table(["a"] * 60 + ["b"] * 60)
    shown = {}
    for count in (4, 8):
        made = make_split(rows, step(train_of_class={"a": count}))
        shown[count] = set(made.table.query("split == 'train' and label == 'a'")["id"])
        assert len(shown[count]) == count
        assert len(made.table.query("split == 'train' and label == 'b'")) == 36
        assert len(made.table.query("split == 'test'")) == 24
    assert shown[4] < shown[8]
    kept = make_split(rows, step(train_per_class=3, train_of_class={"a": 0}))
    assert len(kept.table.query("split == 'train' and label == 'a'")) > 3, "a is not limited"
    assert any("at most 3 of b (" in note for note in kept.notes)
    assert not any("at most" in note for note in make_split(rows, step(train_of_class={"a": 0})).notes)
    with pytest.raises(ValidationError, match="greater than or equal to 0"):
        step(train_of_class={"a": -1})
    with pytest.raises(UsageFault, match="'c', which is no class"):
        make_split(rows, step(train_of_class={"c": 3}))


def test_labels_are_merged_renamed_and_dropped_before_anything_is_split() -> None:
    """Two labels on one picture are no contradiction when they are one class."""
    rows = table(
        ["NGS"] * 10 + ["NGB"] * 10 + ["LYT"] * 10 + ["ART"] * 3,
        pixels=["x", *map(str, range(9)), "x", *map(str, range(10, 32))],
    )
    made = make_split(rows, step(labels={"NGS": "a", "NGB": "a", "LYT": "b", "ART": ""}))
    assert made.table["label"].value_counts().to_dict() == {"a": 20, "b": 10}
    assert any("NGB -> a (10)" in note and "ART -> left out (3)" in note for note in made.notes)
    assert made.sha256 != make_split(rows, step(labels={"NGS": "a", "NGB": "", "LYT": "b", "ART": ""})).sha256


@pytest.mark.fault(22)
def test_near_copies_are_told_refused_or_kept_together() -> None:
    rows = table(["a"] * 40 + ["b"] * 40)
    first = split(rows).table
    near = dict.fromkeys(
        [*first.loc[first["split"] == "test", "id"][:1], *first.loc[first["split"] == "train", "id"][:1]], "one"
    )
    warned = make_split(rows, step(), near)
    assert any("1 pictures have near-copies in another part" in note for note in warned.notes)
    assert not any(".png" in note for note in warned.notes)  # notes are published, file names are not
    with pytest.raises(IntegrityFault, match="near-copies in another part") as caught:
        make_split(rows, step(choices=Choices(near="refuse")), near)
    assert "(test)" in caught.value.problems[0]
    kept = make_split(rows, step(choices=Choices(near="together")), near).table
    assert kept.loc[kept["id"].isin(near), "split"].nunique() == 1


def test_a_partition_that_was_frozen_is_kept() -> None:
    made = split(table(["a", "b"] * 20)).table
    turned = made.assign(partition=made["partition"].map({"a": "b", "b": "a", "": ""}))
    again = split(turned)
    assert again.table["partition"].to_list() == turned["partition"].to_list()


def step(**fields: Any) -> SplitStep:
    return SplitStep(**{"classes": ("a", "b"), "ratios": (0.6, 0.2, 0.2), "seed": 0, **fields})
