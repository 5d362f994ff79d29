"""Every guard of the table of faults matters: without it, a test of its row fails.

The package is copied, one guard of ``guards.toml`` is taken out of the copy, and the tests that are marked with the row
run on it. Some minutes: ``pytest -m slow tests/faults/test_guards_matter.py``, one row with ``-k row_23``.
"""

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.test_faults import marked

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).parent / "guards.toml"
GUARDS: list[dict[str, Any]] = tomllib.loads(TABLE.read_text(encoding="utf-8"))["guard"]


def named(guards: list[dict[str, Any]]) -> Iterator[Any]:
    """Yield each guard as a parameter, ``row_04``; a second one of a row has its number behind it."""
    for number, one in enumerate(guards):
        before = sum(other["row"] == one["row"] for other in guards[:number])
        yield pytest.param(one, id=f"row_{one['row']:02d}" + (f"_{before + 1}" if before else ""))


@pytest.mark.slow
@pytest.mark.parametrize("one", list(named(GUARDS)))
def test_without_it_a_test_of_its_row_fails(one: dict[str, Any], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    file = tmp_path / "src/cytobench" / one["file"]
    text = file.read_text(encoding="utf-8")
    for guard, instead in one["edits"]:
        assert text.count(guard) == 1, f"guards.toml, row {one['row']}: {one['file']} has not once\n{guard}"
        text = text.replace(guard, instead)
    file.write_text(text, encoding="utf-8")
    tests = {test.split("::")[0] for row, test in marked() if row == one["row"]}
    told = ""
    for name in sorted(tests, key=lambda name: (name.startswith("benchmarks"), name)):  # the slowest last
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-xqp", "no:cacheprovider", f"--fault={one['row']}", f"tests/{name}"],
            capture_output=True, text=True, cwd=ROOT, check=False,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "src"), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        told += done.stdout[-3000:] + done.stderr[-1000:]
        if done.returncode == 1:
            return
        assert done.returncode == 0, f"the tests of row {one['row']} did not run\n{told}"
    pytest.fail(f"no test of row {one['row']} failed without its guard\n{told}")
