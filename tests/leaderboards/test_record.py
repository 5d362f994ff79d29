import io
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from cytobench.errors import IntegrityFault
from cytobench.leaderboards.record import FACTS, PREDICTIONS, Predictions, Record, RecordFacts, read, save
from cytobench.store import DONE, listing, read_json, write_json

MakeRecord = Callable[..., Record]
WriteRecord = Callable[[Path, Record], None]


def _said(record: Record) -> Predictions:
    assert record.predictions is not None
    return record.predictions


def _reseal(folder: Path) -> None:
    write_json(folder / DONE, {"key": "k", "files": listing(folder)})


def test_a_record_comes_back_as_it_was_written(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord
) -> None:
    record = make_record()
    write_record(tmp_path, record)

    found = read(tmp_path)

    assert found.key == record.key
    assert found.facts == record.facts
    for name in Predictions._fields:
        np.testing.assert_array_equal(getattr(found.predictions, name), getattr(record.predictions, name))
        assert getattr(found.predictions, name).dtype == getattr(record.predictions, name).dtype


def test_the_file_says_schema_1_and_has_the_agreed_parts(tmp_path: Path, make_record: MakeRecord) -> None:
    save(tmp_path, make_record().facts, make_record().predictions)
    found = json.loads((tmp_path / FACTS).read_text())
    assert found["schema"] == 1
    assert {"backbone", "weights", "source", "target", "guard", "history", "ancestry"} <= set(found)


def test_a_failed_trial_has_no_predictions(tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord) -> None:
    write_record(tmp_path, make_record(failed=True))
    assert read(tmp_path).predictions is None
    assert not (tmp_path / PREDICTIONS).exists()


def test_the_same_content_gives_the_same_bytes_at_another_time(
    tmp_path: Path, make_record: MakeRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_record()
    save(tmp_path / "a", record.facts, record.predictions)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2_000_000_000))
    save(tmp_path / "b", record.facts, record.predictions)
    for name in (FACTS, PREDICTIONS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_numpy_alone_can_open_the_predictions(tmp_path: Path, make_record: MakeRecord) -> None:
    save(tmp_path, make_record().facts, make_record().predictions)
    with np.load(tmp_path / PREDICTIONS, allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["ids", "labels", "logits"]


@pytest.mark.parametrize("name", [FACTS, PREDICTIONS, DONE])
def test_a_missing_file_is_refused(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord, name: str
) -> None:
    write_record(tmp_path, make_record())
    (tmp_path / name).unlink()
    with pytest.raises(IntegrityFault) as caught:
        read(tmp_path)
    assert caught.value.exit_code == 5


def test_edited_predictions_are_refused(tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord) -> None:
    record = make_record()
    write_record(tmp_path, record)
    better = _said(record)._replace(logits=np.eye(5, dtype=np.float32)[_said(record).labels])
    save(tmp_path, record.facts, better)
    with pytest.raises(IntegrityFault, match="edited"):
        read(tmp_path)


def test_a_file_too_large_for_the_stores_check_is_hashed_all_the_same(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, make_record())
    path = tmp_path / PREDICTIONS
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    monkeypatch.setattr("cytobench.store.HASHED_BYTES", 1)
    with pytest.raises(IntegrityFault, match="edited"):
        read(tmp_path)


def test_a_file_that_does_not_belong_there_is_refused(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord
) -> None:
    write_record(tmp_path, make_record(failed=True))
    (tmp_path / PREDICTIONS).write_bytes(b"")
    with pytest.raises(IntegrityFault, match="holds"):
        read(tmp_path)


def test_an_object_array_is_refused_without_being_unpickled(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord
) -> None:
    write_record(tmp_path, make_record())
    np.savez(tmp_path / PREDICTIONS, ids=np.array([{}], dtype=object), labels=np.zeros(1), logits=np.zeros((1, 5)))
    _reseal(tmp_path)
    with pytest.raises(IntegrityFault, match="Object arrays"):
        read(tmp_path)


def test_an_archive_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, make_record())
    monkeypatch.setattr("cytobench.leaderboards.record.MOST_BYTES", 1000)
    with pytest.raises(IntegrityFault, match="unpacks to more"):
        read(tmp_path)


def test_what_is_no_archive_is_refused(tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord) -> None:
    write_record(tmp_path, make_record())
    (tmp_path / PREDICTIONS).write_bytes(b"not a zip file")
    _reseal(tmp_path)
    with pytest.raises(IntegrityFault):
        read(tmp_path)


def test_an_unknown_key_in_the_facts_is_named(
    tmp_path: Path, make_record: MakeRecord, write_record: WriteRecord
) -> None:
    write_record(tmp_path, make_record())
    facts = read_json(tmp_path / FACTS)
    facts["guard"]["vouched"] = True
    write_json(tmp_path / FACTS, facts)
    _reseal(tmp_path)
    with pytest.raises(IntegrityFault) as caught:
        read(tmp_path)
    assert any("vouched" in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: p._replace(labels=p.labels + 4), "labels"),
        (lambda p: p._replace(labels=p.labels.astype(np.int32)), "int64"),
        (lambda p: p._replace(logits=p.logits.astype(np.float64)), "float32"),
        (lambda p: p._replace(logits=p.logits[:, :4]), "shapes"),
        (lambda p: p._replace(logits=np.full_like(p.logits, np.nan)), "finite"),
        (lambda p: p._replace(ids=np.repeat(p.ids[:1], len(p.ids))), "twice"),
        (lambda p: Predictions(p.ids[1:], p.labels[1:], p.logits[1:]), "test images"),
        (lambda _: None, "if, and only if"),
    ],
)
def test_predictions_that_do_not_fit_are_not_written(
    tmp_path: Path, make_record: MakeRecord, change: Any, message: str
) -> None:
    record = make_record()
    with pytest.raises(ValueError, match=message):
        save(tmp_path, record.facts, change(record.predictions))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "change",
    [
        {"status": "failed"},
        {"classes": ("a", "a", "b", "c", "d")},
        {"history": [{"loss": 1.0}]},
        {"classes": ("a", "b", "c", "d", "e"), "target": None},
        {"extra": 1},
    ],
)
def test_facts_that_contradict_themselves_are_refused(make_record: MakeRecord, change: Any) -> None:
    facts = make_record("raabin").facts.model_dump()
    if "target" in change:
        change = {**change, "target": facts["target"]}  # absent_classes of the source are no classes any more
    with pytest.raises(ValidationError):
        RecordFacts.model_validate(facts | change)


def test_facts_are_frozen(make_record: MakeRecord) -> None:
    with pytest.raises(ValidationError):
        make_record().facts.seed = 1


def test_every_field_says_what_it_is() -> None:
    for name, field in RecordFacts.model_fields.items():
        assert field.description, name


def test_the_archive_names_no_clock(tmp_path: Path, make_record: MakeRecord) -> None:
    save(tmp_path, make_record().facts, make_record().predictions)
    with zipfile.ZipFile(io.BytesIO((tmp_path / PREDICTIONS).read_bytes())) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
