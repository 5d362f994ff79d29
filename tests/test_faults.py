"""Every row of the table of faults has a test that names it."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
ROWS = (*range(1, 50), 53)  # bad input, and a kill in publish; others are of runs, locks and pages, tested on their own


def marked() -> Iterator[tuple[int, str]]:
    """Yield (row, test) for every ``@pytest.mark.fault(rows)`` of the suite, by reading it."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                for mark in node.decorator_list:
                    if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.fault":
                        for row in mark.args:
                            assert isinstance(row, ast.Constant)
                            assert isinstance(row.value, int)
                            yield row.value, f"{path.relative_to(TESTS)}::{node.name}"


def test_every_row_of_bad_input_has_a_test() -> None:
    tested = {row for row, _ in marked()}
    assert sorted(set(ROWS) - tested) == []


def test_every_row_of_bad_input_has_a_guard_that_can_be_taken_out() -> None:
    guards = tomllib.loads((TESTS / "faults/guards.toml").read_text(encoding="utf-8"))["guard"]
    assert sorted(set(ROWS) - {one["row"] for one in guards}) == []
    for one in guards:
        text = (TESTS.parent / "src/cytobench" / one["file"]).read_text(encoding="utf-8")
        for guard, _ in one["edits"]:
            assert text.count(guard) == 1, f"guards.toml, row {one['row']}: {one['file']} has not once\n{guard}"


def test_every_row_that_is_tested_is_in_the_reference() -> None:
    page = (TESTS.parent / "docs/reference/faults.md").read_text(encoding="utf-8")
    told = {int(row) for row in re.findall(r"^\| (\d+) \|", page, re.M)}
    assert sorted({*ROWS, *(row for row, _ in marked())} - told) == []
