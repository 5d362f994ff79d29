import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cytobench.errors import IntegrityFault
from cytobench.leaderboards.board import BoardFiles, load_records, write_board
from cytobench.leaderboards.record import FACTS, PREDICTIONS, Record
from cytobench.leaderboards.sample_grid import Gallery, sample_grids
from cytobench.store import DONE

MakeRecord = Callable[..., Record]
WriteRecord = Callable[[Path, Record], None]

EVIL = "<script>alert('x')</script>"


def _write(records: list[Record], out: Path, **changes: Any) -> BoardFiles:
    images = np.random.default_rng(0).integers(0, 256, (5, 3, 16, 16, 3), dtype=np.uint8)
    samples = sample_grids({"pbc-dcgan": Gallery(images, records[0].facts.classes, "synthetic")})
    arguments = {"title": "A board", "command": "cytobench run", "choices": ["Duplicates were kept together."]}
    return write_board(records, out, **(arguments | {"samples": samples} | changes))


def _bytes(files: BoardFiles) -> list[bytes]:
    return [path.read_bytes() for path in (files.markdown, files.csv, files.json, files.html, *files.figures)]


@pytest.fixture(scope="module")
def written(one_seed: list[Record], tmp_path_factory: pytest.TempPathFactory) -> BoardFiles:
    return _write(one_seed, tmp_path_factory.mktemp("board"))


def test_a_board_is_all_there_and_nothing_else(written: BoardFiles) -> None:
    out = written.html.parent
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    figures = {path.relative_to(out).as_posix() for path in written.figures}
    assert found == {"README.md", "board.csv", "board.json", "index.html"} | figures
    assert "figures/samples-01-pbc-dcgan.png" in figures


def test_the_same_input_gives_the_same_bytes_in_any_order(one_seed: list[Record], tmp_path: Path) -> None:
    some = [one for one in one_seed if {one.facts.source.name, one.facts.target.name} <= {"pbc", "pbc-dcgan"}]
    assert _bytes(_write(some[::-1], tmp_path / "a")) == _bytes(_write(some, tmp_path / "b"))


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_asks_for_nothing(written: BoardFiles) -> None:
    text = written.html.read_text()
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.links)
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert not re.search(r"url\(|@import|http://|https://", text)
    assert "prefers-color-scheme: dark" in text


def test_links_within_the_page_lead_somewhere(written: BoardFiles) -> None:
    text = written.html.read_text()
    for anchor in re.findall(r'href="#(\w+)"', text):
        assert f'id="{anchor}"' in text


def test_page_and_markdown_tell_the_same(written: BoardFiles, one_seed: list[Record]) -> None:
    for text in (written.html.read_text(), written.markdown.read_text()):
        for expected in (
            "A board",
            "cytobench run",
            "Preliminary",
            "failed(nan, step 123)",
            "site-a (phantom)",
            "Duplicates were kept together.",
            one_seed[0].facts.source.split_sha256[:12],
        ):
            assert expected in text
    assert "(figures/source-target.png)" in written.markdown.read_text()
    assert one_seed[0].key in written.html.read_text()


def test_the_json_has_the_command_and_the_warnings(written: BoardFiles) -> None:
    found = json.loads(written.json.read_text())
    assert found["command"] == "cytobench run"
    assert found["preliminary"] is True
    assert any("Phantom" in line for line in found["warnings"])


@pytest.mark.fault(46)
def test_a_name_with_markup_is_only_a_name(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record()
    classes = (EVIL, *record.facts.classes[1:])
    backbone = record.facts.backbone.model_copy(update={"asked": EVIL, "model": EVIL})
    source = record.facts.source.model_copy(update={"name": EVIL})
    facts = record.facts.model_copy(update={"classes": classes, "backbone": backbone, "source": source})
    samples = sample_grids({EVIL: Gallery(np.zeros((1, 1, 8, 8, 3), np.uint8), (EVIL,), "real")})
    files = _write(
        [record._replace(facts=facts)],
        tmp_path,
        title=EVIL,
        command=f"```\n{EVIL}",
        choices=[EVIL],
        samples=samples,
    )
    assert "<script" not in files.html.read_text()
    outside_code = re.sub(r"````.*?````", "", files.markdown.read_text(), flags=re.DOTALL)
    assert "<script" not in outside_code


def test_a_board_with_an_unclean_record_is_not_begun(make_record: MakeRecord, tmp_path: Path) -> None:
    record = make_record()
    guard = record.facts.guard.model_copy(update={"exposed_images": 1})
    with pytest.raises(IntegrityFault):
        _write([record._replace(facts=record.facts.model_copy(update={"guard": guard}))], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_in_which_everything_failed_has_a_board(make_record: MakeRecord, tmp_path: Path) -> None:
    files = _write([make_record(failed=True)], tmp_path, samples=())
    assert "failed(nan, step 123)" in files.markdown.read_text()


def test_records_are_found_wherever_they_lie(
    make_record: MakeRecord, write_record: WriteRecord, tmp_path: Path
) -> None:
    records = [make_record(seed=0), make_record(seed=1), make_record(seed=2, failed=True)]
    for one in records:
        write_record(tmp_path / "record" / one.key, one)
    for place in (tmp_path, tmp_path / "record"):
        assert [one.key for one in load_records(place)] == sorted(one.key for one in records)
    assert [one.key for one in load_records(tmp_path / "record" / records[0].key)] == [records[0].key]


def test_unfinished_and_rejected_records_are_left_out(
    make_record: MakeRecord, write_record: WriteRecord, tmp_path: Path
) -> None:
    write_record(tmp_path / "unfinished", make_record(seed=0))
    (tmp_path / "unfinished" / DONE).unlink()
    write_record(tmp_path / "k.rejected-0a", make_record(seed=1))
    (tmp_path / "k.rejected-0a" / PREDICTIONS).write_bytes(b"edited")
    assert load_records(tmp_path) == []


def test_every_edited_record_is_named(make_record: MakeRecord, write_record: WriteRecord, tmp_path: Path) -> None:
    for seed in range(3):
        write_record(tmp_path / str(seed), make_record(seed=seed))
    for seed in (0, 2):
        path = tmp_path / str(seed) / FACTS
        path.write_text(path.read_text().replace('"demo"', '"paper"'))
    with pytest.raises(IntegrityFault, match="2 of 3") as caught:
        load_records(tmp_path)
    assert [str(tmp_path / seed) in line for seed, line in zip("02", caught.value.problems, strict=True)] == [
        True,
        True,
    ]


def test_a_board_read_back_from_disk_is_the_same_board(
    make_record: MakeRecord, write_record: WriteRecord, tmp_path: Path
) -> None:
    records = [make_record(seed=seed) for seed in range(2)]
    for one in records:
        write_record(tmp_path / "record" / one.key, one)
    direct = _write([one._replace(sha256="") for one in records], tmp_path / "a")
    read = _write([one._replace(sha256="") for one in load_records(tmp_path)], tmp_path / "b")
    assert _bytes(direct) == _bytes(read)


def test_the_room_needs_no_torch_and_no_other_room() -> None:
    code = (
        "import sys, cytobench.leaderboards.board; "
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'timm', 'pandas', 'matplotlib') "
        "or m.startswith(('cytobench.datasets', 'cytobench.generators', 'cytobench.classifiers'))]; assert not bad, bad"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
