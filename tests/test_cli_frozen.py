"""``publish`` and ``verify`` at the door: exit codes, JSON, words."""

import json
import sys
from pathlib import Path

import pytest

from cytobench.cli import main
from cytobench.datasets.frozen.write import Written, write
from tests.datasets.frozen.conftest import board, edition, published


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    """Return the exit code of a command line."""
    monkeypatch.setattr(sys, "argv", ["cytobench", *map(str, words)])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code))


@pytest.fixture
def done(tmp_path: Path) -> Written:
    return write(tmp_path / "shelf", edition(), [published("x-vae")], extras=board, annotations={})


def test_verify_tells_what_was_proven(
    done: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "verify", done.folder) == 0
    assert capsys.readouterr().out.startswith(f"untouched: {done.identity}, {done.files} files, {done.images} images")
    assert call(monkeypatch, "verify", done.folder, "--expect", str(done.identity), "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["identity"], told["files"], told["images"]) == (str(done.identity), done.files, done.images)
    assert told["bytes"] == sum(path.stat().st_size for path in done.folder.rglob("*") if path.is_file())


def test_verify_ends_with_five_and_names_every_file(
    done: Written, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (done.folder / "LICENSE").write_text("public domain, surely")
    (done.folder / "more.txt").write_text("x")
    assert call(monkeypatch, "verify", done.folder, "--json") == 5
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert [line.split(":")[0] for line in problems] == ["LICENSE", "more.txt"]
    assert call(monkeypatch, "verify", done.folder / "board") == 2
    assert call(monkeypatch, "verify", done.folder, "--expect", "nonsense") == 2


@pytest.mark.parametrize(
    "words",
    [("--name", "Caps", "--version", "1"), ("--name", "a", "--version", "0"), ("--name", "a", "--version", "1")],
)
def test_publish_refuses_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]) -> None:
    assert call(monkeypatch, "publish", tmp_path, *words) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("licence", "my own words"),
        ("licence", "CC0-1.0\nconfigs: []"),
        ("licence", "CC0-1.0\n"),
        ("licence", ""),
        ("date", "yesterday"),
        ("date", "on 2026-11-21"),
        ("date", "2026-11-21\n"),
    ],
)
def test_publish_refuses_facts_that_machines_can_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    assert call(monkeypatch, "publish", tmp_path, "--name", "a", "--version", "1", f"--{option}", value) == 2
    told = capsys.readouterr().err
    assert option in told
    assert "is no run" not in told
