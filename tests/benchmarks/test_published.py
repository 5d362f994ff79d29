"""A published board is made again from what lies beside it; what does not come from there is named."""

import errno
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cytobench.benchmarks import board_folder, publish
from cytobench.benchmarks.board_again import differences, prove
from cytobench.benchmarks.order import Order
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.store import file_sha256, listing, read_json, write_json
from tests.benchmarks.conftest import carry_out
from tests.test_cli_frozen import call

PUBLISHED = sorted(path.parent for path in Path(__file__).parents[2].glob("docs/boards/*/board.json"))
QUICK = "train-on-drawn"
"""Small, with records, measurements and a picture of drawn cells."""


@pytest.fixture
def board(order: Callable[..., Order], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A board of one run, published once for all tests, and a copy for each; the run is gone."""
    kept = tmp_path_factory.getbasetemp() / "published-once"
    if not kept.exists():
        done = carry_out(order(extractors=("thumbnails",)), tmp_path / "out")
        publish.board([done.folder], tmp_path / "made", "A claim")
        shutil.rmtree(tmp_path / "out")
        shutil.move(tmp_path / "made", kept)
    shutil.copytree(kept, tmp_path / "board")
    return tmp_path / "board"


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_published_board_is_made_again_without_its_run(board: Path, tmp_path: Path) -> None:
    before = _bytes(board)
    made = prove(board)
    assert (made.title, len(made.records), len(made.measured), len(made.samples)) == ("A claim", 9, 1, 1)
    publish.board([board], tmp_path / "again")
    assert _bytes(tmp_path / "again") == before
    publish.board([board], board)
    assert _bytes(board) == before
    (board / "figures/old.png").write_bytes(b"")
    (board / ".tmp-0").write_bytes(b"")
    publish.board([board], board, "Another title")
    assert _bytes(board).keys() == before.keys(), "what an earlier version or a kill left is gone"
    assert (board / "README.md").read_text().startswith("# Another title\n")
    prove(board)


def test_its_page_shows_the_figures_beside_it(board: Path) -> None:
    page = (board / "index.html").read_text()
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert sorted(shown) == sorted(f"figures/{path.name}" for path in (board / "figures").iterdir())
    assert "img-src 'self' file:;" in page
    assert "data:" not in page


def _replace(path: Path, old: str, new: str | Callable[[re.Match[str]], str]) -> None:
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


def _number(board: Path, factor: float, file: str = "board.json") -> None:
    """Multiply the first number with many digits."""
    _replace(board / file, r"\d\.\d{9,}", lambda found: repr(float(found[0]) * factor))


def _first(place: Path) -> Path:
    return sorted(place.iterdir())[0]


def _foreign_digits(path: Path) -> None:
    _replace(path, r"\d\.\d{9,}", lambda found: found[0].translate({48 + digit: 0x660 + digit for digit in range(10)}))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda board: _replace(board / "README.md", r"0\.(\d\d\d) ", r"1.\1 "), "README.md differs"),
        (lambda board: _replace(board / "board.csv", r",0\.\d+", ",0.999"), "board.csv differs"),
        (lambda board: _replace(board / "fidelity.csv", r",equal,|,density,", ",other,"), "fidelity.csv differs"),
        (lambda board: _replace(board / "index.html", "</h1>", "!</h1>"), "index.html differs"),
        (lambda board: _number(board, 1.001), "board.json differs"),
        (lambda board: _number(board, 1.001, "board.csv"), "board.csv differs"),
        (lambda board: _foreign_digits(board / "board.csv"), "board.csv differs"),
        (lambda board: _replace(board / "board.json", r"\{", '{"title": "a lie",'), "board.json differs"),
        (lambda board: (board / "board.csv").unlink(), "board.csv is missing"),
        (lambda board: (board / "figures/source-target.png").write_bytes(b""), "figures/source-target.png differs"),
        (lambda board: (board / "figures/a.png").write_bytes(b""), "figures/a.png does not come from its records"),
        (lambda board: (board / "records/a.md").write_bytes(b""), "records/a.md does not come from its records"),
        (lambda board: (board / "runs/a.sh").write_bytes(b""), "runs/a.sh does not come from its records"),
    ],
)
def test_what_does_not_come_from_the_records_is_named(
    change: Callable[[Path], object], named: str, board: Path
) -> None:
    change(board)
    with pytest.raises(IntegrityFault) as fault:
        prove(board)
    assert fault.value.problems == (named,)


@pytest.mark.parametrize("file", ["board.json", "board.csv"])
def test_what_another_processor_rounds_otherwise_is_no_difference(file: str, board: Path) -> None:
    before = (board / file).read_bytes()
    _number(board, 1 - 1e-12, file)
    assert (board / file).read_bytes() != before
    prove(board)


@pytest.mark.parametrize(
    ("one", "other", "differs"),
    [
        ("[0.25, 3]", "[0.25000000000001, 3]", False),
        ("[0.25, 3]", "[0.2500001, 3]", True),
        ("[0.25, 3]", "[0.25, 4]", True),
        ("[0.25, 3]", "[0.25, 3.0]", True),
        ("[0.25, 3]", "[0.25]", True),
        ("[9e-10, 3]", "[7.2e-13, 3]", True),
        ("[0.0, 3]", "[1.1e-17, 3]", False),
        ("[NaN, 3]", "[0.1, 3]", True),
        ('{"a": 0.5}', '{"b": 0.5}', True),
        ('["a0.5"]', '["a0.5000000000001"]', True),
    ],
)
def test_two_texts_are_near_where_only_their_numbers_are_rounded(
    one: str, other: str, differs: bool, tmp_path: Path
) -> None:
    for folder, text in (("one", one), ("other", other)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "board.json").write_text(text)
    assert differences(tmp_path / "one", tmp_path / "other") == ["board.json differs"] * differs


def _told(board: Path, **changes: Any) -> None:
    write_json(board / "material.json", read_json(board / "material.json") | changes)


def _name_sample(board: Path, name: str) -> None:
    [sample] = read_json(board / "material.json")["samples"].values()
    _told(board, samples={name: sample})


def _copy_record(board: Path) -> None:
    shutil.copytree(_first(board / "records"), board / "records/copy")


def _link(path: Path, to: Path | str) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    path.symlink_to(to)


def _restated(board: Path, kind: str) -> None:
    """Name the artefact as it is now, as someone would who knows how."""
    place = _first(board / kind)
    done = read_json(place / "done.json")
    write_json(place / "done.json", done | {"files": listing(place)})
    told = read_json(board / "material.json")[kind]
    _told(board, **{kind: told | {place.name: file_sha256(place / "done.json")}})


def _unreadable(board: Path) -> None:
    path = _first(board / "records") / "predictions.npz"
    content = bytearray(path.read_bytes())
    content[60:200] = b"\xff" * 140  # within the first compressed array
    path.write_bytes(content)
    _restated(board, "records")


def _more(board: Path, kind: str) -> None:
    (_first(board / kind) / "more.txt").write_text("")
    _restated(board, kind)


def _device(board: Path) -> None:
    place = _first(board / "records")
    done = read_json(place / "done.json")
    write_json(place / "done.json", done | {"files": {**done["files"], "/dev/zero": {"bytes": 0, "sha256": ""}}})
    _told(board, records=read_json(board / "material.json")["records"] | {place.name: file_sha256(place / "done.json")})


def _sample(board: Path) -> Path:
    [name] = read_json(board / "material.json")["samples"]
    return board / "figures" / f"{name}.png"


def _no_png(board: Path) -> None:
    _sample(board).write_bytes(b"GIF89a")
    [sample] = read_json(board / "material.json")["samples"].values()
    _told(board, samples={_sample(board).stem: sample | {"sha256": file_sha256(_sample(board))}})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda board: shutil.rmtree(_first(board / "records")), "is missing"),
        (lambda board: shutil.rmtree(board / "records"), "is missing"),
        (lambda board: shutil.rmtree(_first(board / "fidelity")), "is missing"),
        (_copy_record, "records/copy was added"),
        (lambda board: (board / "fidelity/more").mkdir(), "fidelity/more was added"),
        (lambda board: _replace(_first(board / "records") / "record.json", '"seed": 0', '"seed": 1'), "was edited"),
        (lambda board: _replace(_first(board / "records") / "done.json", '"code": "', '"code": "0'), "is another one"),
        (_unreadable, "is no record"),
        (lambda board: _more(board, "records"), "is no record"),
        (lambda board: _more(board, "fidelity"), "is no record"),
        (_device, "was edited"),
        (lambda board: _link(_first(board / "records"), board), "is a link"),
        (lambda board: _link(board / "README.md", "/dev/zero"), "README.md is a link"),
        (lambda board: os.mkfifo(board / "records/pipe"), "records/pipe is a link or no plain file"),
        (lambda board: (board / "material.json").unlink(), "material.json is missing"),
        (lambda board: (board / "material.json").write_bytes(b"\x80\x04"), "edited or is torn"),
        (lambda board: (board / "material.json").write_bytes(b"[" * 400_000), "edited or is torn"),
        (lambda board: (board / "material.json").write_text("7"), "names no board's parts"),
        (lambda board: _told(board, records=7), "records: "),
        (lambda board: _told(board, more=7), "more: "),
        (lambda board: _told(board, runs={"../..": {"secret": "0"}}), "lies outside of it"),
        (lambda board: _name_sample(board, "../../secret"), "is no name of a picture"),
        (lambda board: _name_sample(board, "samples-none"), "figures/samples-none.png is missing"),
        (lambda board: _sample(board).write_bytes(b"\x89PNG\r\n\x1a\n"), "is another one"),
        (_no_png, "is no PNG"),
        (lambda board: (_first(board / "runs") / "spec.json").unlink(), "spec.json is missing"),
        (lambda board: (_first(board / "runs") / "command.txt").write_text("rm"), "command.txt is another one"),
    ],
)  # fmt: skip
def test_a_board_that_lacks_a_part_is_not_made_again(
    change: Callable[[Path], object], named: str, board: Path, tmp_path: Path
) -> None:
    change(board)
    with pytest.raises(IntegrityFault) as fault:
        publish.board([board], tmp_path / "again")
    assert named in str(fault.value)
    assert not (tmp_path / "again").exists()


def test_everything_that_is_wrong_is_named_at_once(board: Path) -> None:
    for place in sorted((board / "records").iterdir())[:2]:
        shutil.rmtree(place)
    _sample(board).unlink()
    with pytest.raises(IntegrityFault) as fault:
        prove(board)
    assert len(fault.value.problems) == 3


def test_several_published_boards_do_not_become_one(board: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="made again alone"):
        publish.board([board, board], tmp_path / "again")


@pytest.mark.parametrize("inside", ["again", "records", "runs/again"])
def test_a_board_is_not_written_into_itself(inside: str, board: Path) -> None:
    before = _bytes(board)
    with pytest.raises(UsageFault, match="lies in"):
        publish.board([board], board / inside)
    assert _bytes(board) == before


def test_nothing_but_a_board_is_replaced(board: Path, tmp_path: Path) -> None:
    shutil.copytree(board, tmp_path / "work/records")
    before = _bytes(tmp_path / "work")
    with pytest.raises(UsageFault, match="holds something else"):
        publish.board([tmp_path / "work/records"], tmp_path / "work")
    assert _bytes(tmp_path / "work") == before
    (tmp_path / "empty").mkdir()
    publish.board([board], tmp_path / "empty")
    prove(tmp_path / "empty")


@pytest.mark.parametrize("number", [errno.ENOSPC, None])
def test_a_board_that_cannot_be_written_leaves_the_old_one(
    number: int | None, board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _bytes(tmp_path / "board")

    def fail(*_: object) -> None:
        if number is None:
            raise IntegrityFault("two records contradict each other")
        raise OSError(number, "no space")

    monkeypatch.setattr(board_folder, "_copy", fail)
    with pytest.raises(EnvironmentFault if number else IntegrityFault):
        publish.board([board], board)
    assert _bytes(tmp_path / "board") == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".tmp-")]


def test_a_board_that_cannot_take_its_place_leaves_the_old_one(board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, rename, asked = _bytes(board), Path.rename, []

    def second_fails(self: Path, target: Path) -> Path:
        asked.append(target)
        if target == board and len(asked) == 2:
            raise OSError(errno.EACCES, "not now")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", second_fails)
    with pytest.raises(EnvironmentFault):
        publish.board([board], board)
    assert len(asked) == 3
    assert _bytes(board) == before


def test_the_door_proves_a_board_and_makes_it_again(
    board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "verify", board) == 0
    assert capsys.readouterr().out.startswith(f"untouched: every file of {board} comes from what lies beside it (rec")
    assert call(monkeypatch, "verify", board, "--json") == 0
    assert capsys.readouterr().out == '{"title": "A claim", "records": 9, "measurements": 1}\n'
    assert call(monkeypatch, "verify", board, "--expect", "a@v1#0") == 2
    assert call(monkeypatch, "leaderboard", board, "--to", tmp_path / "again") == 0
    assert _bytes(tmp_path / "again") == _bytes(board)
    (board / "README.md").unlink()
    assert call(monkeypatch, "verify", board) == 5
    assert "README.md is missing" in capsys.readouterr().err


def test_every_published_board_of_the_documentation_is_found() -> None:
    assert QUICK in {board.name for board in PUBLISHED}


@pytest.mark.parametrize(
    "place", [pytest.param(one, id=one.name, marks=() if one.name == QUICK else pytest.mark.slow) for one in PUBLISHED]
)
def test_the_documentations_boards_are_what_their_records_give(place: Path) -> None:
    made = prove(place)
    assert made.records or made.measured
