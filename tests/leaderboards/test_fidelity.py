"""Records of fidelity: read back as written, refused when edited, shown with all that belongs to a number."""

from pathlib import Path

import pytest

from cytobench.errors import IntegrityFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.board import write_board
from cytobench.leaderboards.fidelity import (
    ALL,
    CopyTest,
    ExtractorFacts,
    FidelityFacts,
    FidelityRecord,
    Line,
    Problem,
    Reading,
)
from cytobench.leaderboards.fidelity_tables import board_tables, mean, number
from cytobench.leaderboards.fidelity_text import markdown, to_csv
from cytobench.leaderboards.record import Record
from cytobench.store import DONE, digest, listing, write_json

EVIL, LOOK = "=<script>|a", "classifier/vit"


def facts(number: int = 0, value: float = 2.0, name: str = "pbc-dcgan") -> FidelityFacts:
    kid = Reading(value=value, low=value - 0.5, high=value + 0.5)
    floor = Reading(value=0.1, low=-0.1, high=0.3)
    return FidelityFacts(
        synthetic=name, number=number, reference="the test part of pbc", floor="the training part of pbc",
        image_size=64, classes=("a", "b"), images={"reference": 9, "floor": 20, "synthetic": 30},
        extractors=(ExtractorFacts(name=LOOK, origin="trial/1", sha256="ab" * 32, width=64),),
        lines=(
            Line(extractor=LOOK, scope=ALL, n=18, metric="frechet", found=None, floor=None, note="n too small"),
            Line(extractor=LOOK, scope=ALL, n=18, metric="kid", found=kid, floor=floor),
        ),
        copies=(CopyTest(test="equal pixels", found=0, of=30, usual=0.0, p=1.0),),
        problems=(Problem(name="collapsed", scope="a", text="recall is low"),),
        seed=0, device={"kind": "cpu"}, versions={"numpy": "2"},
    )  # fmt: skip


def record(**changes: object) -> FidelityRecord:
    one = facts(**changes)  # type: ignore[arg-type]  # as facts takes them
    return FidelityRecord(digest([one.synthetic, one.number])[:24], one, digest(one.model_dump(mode="json")))


def kept(folder: Path) -> Path:
    fidelity.save(folder, facts())
    write_json(folder / DONE, {"key": folder.name, "files": listing(folder)})
    return folder


def test_is_read_back_as_written(tmp_path: Path) -> None:
    found = fidelity.read(kept(tmp_path / "one"))
    assert found.facts == facts()
    assert found.key == "one"


def test_an_edited_or_strange_record_is_refused(tmp_path: Path) -> None:
    place = kept(tmp_path / "one")
    text = (place / fidelity.FACTS).read_text()
    (place / fidelity.FACTS).write_text(text.replace("2.0", "1.0"))
    with pytest.raises(IntegrityFault, match="edited"):
        fidelity.read(place)
    (place / fidelity.FACTS).write_text(text.replace('"seed"', '"sead"'))
    write_json(place / DONE, {"files": listing(place)})
    with pytest.raises(IntegrityFault, match="is no record") as told:
        fidelity.read(place)
    assert any("sead" in problem for problem in told.value.problems)


def test_the_mean_over_trainings_is_wider_than_one() -> None:
    one, other = (facts(value=value).lines[1].found for value in (1.0, 3.0))
    assert mean([one], "kid") == one
    found = mean([one, other], "kid")
    assert found is not None
    assert found.value == 2.0
    assert found.high - found.value == pytest.approx((0.5**2 + (12.706 * 1.0) ** 2) ** 0.5, rel=1e-3)
    assert mean([one, None], "kid") is None


def test_the_interval_of_a_mean_holds_no_value_that_cannot_be() -> None:
    shares = [fidelity.Reading(value=value, low=value - 0.1, high=value + 0.1) for value in (0.2, 0.8)]
    free, share, distance = (mean(shares, metric) for metric in ("kid", "recall", "frechet"))
    assert free is not None
    assert free.low < 0
    assert free.high > 1
    assert share == fidelity.Reading(value=0.5, low=0, high=1)
    assert distance == fidelity.Reading(value=0.5, low=0, high=free.high)


def test_the_table_shows_value_floor_and_reason() -> None:
    problems, figures, copies = board_tables([record(), record(number=1, value=3.0)])
    assert [row[0].text for row in problems.rows] == ["pbc-dcgan", "pbc-dcgan, training 2"]
    assert "trial/1" in figures.caption
    drawn, floor = figures.rows
    assert [entry.text for entry in drawn[:4]] == ["pbc-dcgan", "all classes", "18", "2"]
    assert [entry.text for entry in floor[:4]] == ["floor", "all classes", "18", "–"]
    by_name = dict(zip(figures.head, drawn, strict=True))
    assert by_name["KID"].text == "2.50 ± 0.50"
    assert by_name["Fréchet distance"] == ("–", "", "n too small", "")
    assert dict(zip(figures.head, floor, strict=True))["KID"].interval == "[-0.100, 0.300]"
    assert len(copies.rows) == 2


def test_a_board_has_a_section_only_where_something_was_measured(one_seed: list[Record], tmp_path: Path) -> None:
    def board(name: str, measured: list[FidelityRecord]) -> Path:
        write_board(one_seed, tmp_path / name, title="t", command="c", choices=[], measured=measured)
        return tmp_path / name

    without, within = board("without", []), board("with", [record(name=EVIL)])
    for file in ("README.md", "index.html", "board.json"):
        assert "idelity" not in (without / file).read_text()
        assert "idelity" in (within / file).read_text()
    assert not (without / "fidelity.csv").exists()
    assert (within / "fidelity.csv").read_text().splitlines()[1].startswith("'=")
    for file in ("README.md", "index.html"):
        assert "=<script>" not in (within / file).read_text()


def test_records_that_contradict_each_other_share_no_board() -> None:
    with pytest.raises(IntegrityFault, match="differ"):
        fidelity.in_order([record(), record(value=5.0)])
    assert len(fidelity.in_order([record(number=1), record(), record()])) == 2


def test_a_page_of_its_own_names_what_is_wrong_first() -> None:
    text = markdown(facts())
    assert text.index("collapsed") < text.index("KID")
    assert len(to_csv([facts()]).splitlines()) == 3


@pytest.mark.parametrize(("value", "shown"), [(1234.5, "1,234"), (-12.345, "-12.3"), (0.5, "0.500"), (1e-5, "1.0e-05")])
def test_numbers_keep_the_digits_that_count(value: float, shown: str) -> None:
    assert number(value) == shown
