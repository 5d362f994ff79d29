import pandas as pd
import pytest

from cytobench.datasets import guard
from cytobench.errors import IntegrityFault
from tests.datasets.test_splits import table


def frozen() -> pd.DataFrame:
    rows = table(["a", "b"] * 10, groups=[f"p{row}" for row in range(20)])
    rows["split"] = ["train"] * 12 + ["val"] * 4 + ["test"] * 4
    return rows


def test_a_clean_split_passes() -> None:
    guard.check_split(frozen(), "set", "real")


@pytest.mark.fault(21, 24, 26, 27)
@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("origin", "synthetic", "not real"),
        ("shot", "1", "seen by a generator"),
        ("group", "p0", "patient or slide"),
        ("pixel_sha256", "of row 0", "pixel-copies"),
    ],
)
def test_every_leak_is_refused_with_count_and_names(column: str, value: str, reason: str) -> None:
    rows = frozen()
    leaked = str(rows[column].iloc[0]) if value == "of row 0" else value
    rows[column] = rows[column].where(~rows.index.isin([17, 19]), leaked)
    with pytest.raises(IntegrityFault, match=f"2 test image.*{reason}") as caught:
        guard.check_split(rows, "set", "real")
    assert caught.value.exit_code == 5
    assert [problem.split(": ")[1] for problem in caught.value.problems] == ["17.png", "19.png"]


def test_a_validation_image_of_a_training_patient_is_refused_too() -> None:
    rows = frozen()
    rows.loc[13, "group"] = "p0"
    with pytest.raises(IntegrityFault, match="validation"):
        guard.check_split(rows, "set", "real")


def test_what_a_generator_saw_counts_as_seen_by_the_model_behind_it() -> None:
    rows = frozen()
    test = rows[rows["split"] == "test"]
    shown = guard.exposure(rows.iloc[[17]].assign(group=""), "set")
    found = guard.findings(test, "set", "real", guard.Exposure(), shown)
    assert [(one.check, one.names) for one in found] == [("shots", ("17.png",))]


def test_a_group_of_another_set_is_another_group_but_a_copied_picture_is_the_same() -> None:
    rows = frozen()
    test = rows[rows["split"] == "test"]
    elsewhere = guard.exposure(test.assign(pixel_sha256="other"), "another set")
    assert guard.findings(test, "set", "real", elsewhere, guard.Exposure()) == []
    copied = guard.exposure(test, "another set")
    assert [one.check for one in guard.findings(test, "set", "real", copied, guard.Exposure())] == ["copies"]


def test_a_synthetic_target_must_be_wholly_synthetic() -> None:
    test = frozen().tail(4).assign(origin="synthetic")
    assert guard.findings(test, "set", "synthetic", guard.Exposure(), guard.Exposure()) == []
    mixed = test.assign(origin=["real", "synthetic", "synthetic", "synthetic"])
    assert [one.check for one in guard.findings(mixed, "set", "synthetic", guard.Exposure(), guard.Exposure())] == [
        "origin"
    ]
