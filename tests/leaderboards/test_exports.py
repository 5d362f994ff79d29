import csv
import io
import json
from collections.abc import Callable

import pytest

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.exports import neutral, plain, to_csv, to_json, to_markdown
from cytobench.leaderboards.record import Record
from cytobench.leaderboards.results import Results
from cytobench.leaderboards.tables import Entry, Table, source_by_target

MakeRecord = Callable[..., Record]


@pytest.mark.fault(47)
@pytest.mark.parametrize("text", ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_what_a_spreadsheet_would_run_is_neutralised(text: str) -> None:
    assert neutral(text) == f"'{text}"


@pytest.mark.parametrize("text", ["pbc", "resnet50", "", "a=b", "n/a"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert neutral(text) == text


def test_the_csv_has_a_line_for_each_entry_in_full_precision(triple: Results) -> None:
    rows = list(csv.DictReader(io.StringIO(to_csv(triple))))
    assert len(rows) == 48
    row = next(one for one in rows if (one["backbone"], one["source"], one["target"]) == ("swin", "pbc", "raabin"))
    found = triple.entries["swin", "pbc", "raabin"]
    expected = found.estimates["f1_macro"]
    assert expected is not None
    assert (float(row["f1_macro"]), float(row["f1_macro_low"])) == (expected.value, expected.low)
    assert (row["auc_macro"], row["absent"], row["seeds"], row["n"]) == ("", "basophil", "0 1 2", "250")


def test_a_name_that_is_a_formula_does_not_act(make_record: MakeRecord) -> None:
    record = make_record()
    backbone = record.facts.backbone.model_copy(update={"asked": "=HYPERLINK(1)"})
    text = to_csv(evaluate([record._replace(facts=record.facts.model_copy(update={"backbone": backbone}))]))
    assert next(csv.DictReader(io.StringIO(text)))["backbone"] == "'=HYPERLINK(1)"


def test_names_cannot_break_a_markdown_table() -> None:
    table = Table(
        "<b>|x", "", ("a|b", "*c*"), ((Entry("<script>alert(1)</script>"), Entry("new\nline", mark="diagonal")),)
    )
    text = to_markdown(table)
    assert "<script>" not in text
    lines = text.splitlines()
    assert lines[0] == r"### &lt;b&gt;\|x"
    assert lines[2] == r"| a\|b | \*c\* |"
    assert lines[4] == "| &lt;script&gt;alert(1)&lt;/script&gt; | **new line** |"


def test_the_markdown_diagonal_is_bold(triple: Results) -> None:
    text = to_markdown(source_by_target(triple, metric="accuracy")[0])
    for number, line in enumerate(text.splitlines()[-4:]):
        assert [("**" in field) for field in line.split("|")[2:-1]] == [k == number for k in range(4)]


def test_plain_text_means_nothing_to_markdown() -> None:
    assert plain("a_b [x](javascript:1) `c`") == r"a\_b \[x\](javascript:1) \`c\`"


def test_the_json_is_whole_and_knows_no_nan(triple: Results) -> None:
    found = json.loads(json.dumps(to_json(triple), allow_nan=False))
    assert len(found["entries"]) == 48
    assert len(found["records"]) == 144
    entry = next(one for one in found["entries"] if one["target"] == "raabin")
    assert entry["estimates"]["auc_macro"] is None
    assert entry["trials"][0]["absent"] == ["basophil"]
    assert entry["trials"][0]["per_class"]["basophil"]["recall"] is None
    assert found["comparisons"][0]["difference"]["p"] <= found["comparisons"][0]["p_holm"]
