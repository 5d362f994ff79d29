"""A published board is made again from what lies beside it; what does not come from there is named."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cytobench.benchmarks import publish, published
from cytobench.benchmarks.order import Order
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.store import read_json, write_json
from tests.benchmarks.conftest import carry_out

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
    made = publish.prove(board)
    assert (made.title, len(made.records), len(made.measured), len(made.samples)) == ("A claim", 9, 1, 1)
    publish.board([board], tmp_path / "again")
    assert _bytes(tmp_path / "again") == before
    publish.board([board], board)
    assert _bytes(board) == before
    publish.board([board], board, "Another title")
    assert _bytes(board).keys() == before.keys()
    assert (board / "README.md").read_text().startswith("# Another title\n")
    publish.prove(board)


def test_its_page_shows_the_figures_beside_it(board: Path) -> None:
    page = (board / "index.html").read_text()
    shown = re.findall(r'<img src="([^"]+)"', page)
    assert sorted(shown) == sorted(f"figures/{path.name}" for path in (board / "figures").iterdir())
    assert "img-src 'self';" in page
    assert "data:" not in page


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert re.search(old, text)
    path.write_text(re.sub(old, new, text, count=1))


def _number(board: Path, factor: float) -> None:
    told = read_json(board / "board.json")
    told["entries"][0]["estimates"]["accuracy"]["high"] *= factor
    write_json(board / "board.json", told)


def _first(place: Path) -> Path:
    return sorted(place.iterdir())[0]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda board: _replace(board / "README.md", r"0\.(\d\d\d) ", r"1.\1 "), "README.md differs"),
        (lambda board: _replace(board / "board.csv", r",0\.\d+", ",0.999"), "board.csv differs"),
        (lambda board: _replace(board / "fidelity.csv", r",equal,|,density,", ",other,"), "fidelity.csv differs"),
        (lambda board: _replace(board / "index.html", "</h1>", "!</h1>"), "index.html differs"),
        (lambda board: _number(board, 1.001), "board.json differs"),
        (lambda board: (board / "board.csv").unlink(), "board.csv is missing"),
        (lambda board: (board / "figures/source-target.png").write_bytes(b""), "figures/source-target.png differs"),
        (
            lambda board: (board / "figures/more.png").write_bytes(b""),
            "figures/more.png does not come from its records",
        ),
    ],
)
def test_what_does_not_come_from_the_records_is_named(
    change: Callable[[Path], object], named: str, board: Path
) -> None:
    change(board)
    with pytest.raises(IntegrityFault) as fault:
        publish.prove(board)
    assert fault.value.problems == (named,)


def test_what_another_processor_rounds_otherwise_is_no_difference(board: Path) -> None:
    before = (board / "board.json").read_bytes()
    _number(board, 1 - 1e-12)
    assert (board / "board.json").read_bytes() != before
    publish.prove(board)


def _told(board: Path, **changes: object) -> None:
    write_json(board / "board.json", read_json(board / "board.json") | changes)


def _rename_sample(board: Path, name: str) -> None:
    _told(board, samples={name: "samples"})


def _copy_record(board: Path) -> None:
    shutil.copytree(_first(board / "records"), board / "records/copy")
    done = read_json(board / "records/copy/done.json")
    write_json(board / "records/copy/done.json", done | {"key": "0" * 24})


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda board: shutil.rmtree(_first(board / "records")), "is missing"),
        (lambda board: shutil.rmtree(_first(board / "fidelity")), "is missing"),
        (_copy_record, "records/000000000000000000000000 was added"),
        (lambda board: _replace(_first(board / "records") / "record.json", '"seed": 0', '"seed": 1'), "was edited"),
        (lambda board: (board / "board.json").write_bytes(b"\x80\x04"), "edited or is torn"),
        (lambda board: (board / "board.json").write_bytes(b"[" * 400_000), "edited or is torn"),
        (lambda board: (board / "board.json").write_text("7"), "is no board's"),
        (lambda board: _told(board, records=7), "records: "),
        (lambda board: _rename_sample(board, "../../secret"), "is no name of a picture"),
        (lambda board: _rename_sample(board, "samples-none"), "samples-none.png"),
        (lambda board: (_first(board / "runs") / "spec.json").unlink(), "spec.json"),
        (lambda board: shutil.rmtree(board / "runs"), "runs"),
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


def test_several_published_boards_do_not_become_one(board: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match="made again alone"):
        publish.board([board, board], tmp_path / "again")


def test_every_published_board_of_the_documentation_is_found() -> None:
    assert QUICK in {board.name for board in PUBLISHED}


@pytest.mark.parametrize(
    "place", [pytest.param(one, id=one.name, marks=() if one.name == QUICK else pytest.mark.slow) for one in PUBLISHED]
)
def test_the_documentations_boards_are_what_their_records_give(place: Path) -> None:
    made = publish.prove(place)
    assert made.records or made.measured
    assert json.loads((place / "board.json").read_text())["title"] == made.title
    assert published.is_board(place)
