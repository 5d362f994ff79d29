"""Hostile runs, as someone might hand them over for a leaderboard."""

import json
from pathlib import Path

from tests.faults.corpus import hostile
from tests.faults.payloads import pickled


def run(name: str, code: int, *, plan: bytes, choices: bytes = b"[]", record: bytes = b"") -> None:
    """Register a finished run of which these files were made by a stranger."""

    def make(place: Path) -> tuple[str, ...]:
        (place / "runs/one/board").mkdir(parents=True)
        (place / "runs/one/board/choices.json").write_bytes(choices)
        (place / "runs/one/plan.json").write_bytes(plan)
        for file in ("command.txt", "spec.json"):
            (place / "runs/one" / file).write_text("{}")
        (place / "store/record/000000000000000000000001").mkdir(parents=True)
        (place / "store/record/000000000000000000000001/done.json").write_bytes(record or pickled(place))
        return "leaderboard", str(place / "runs/one"), "--to", "board"

    make.__name__ = name
    hostile("runs", code)(make)


def _plan(*records: str) -> bytes:
    return json.dumps({"records": records}).encode()


run("run_whose_records_lie_elsewhere", 5, plan=_plan("../../../../../../etc"))
run("run_whose_record_is_a_pickle", 5, plan=_plan("record/000000000000000000000001"))
run("run_whose_plan_is_nested_deeply", 5, plan=b"[" * 400_000)
run("run_whose_choices_are_nested_deeply", 5, plan=_plan("record/000000000000000000000001"), choices=b"[" * 400_000)
run("run_whose_record_is_nested_deeply", 5, plan=_plan("record/000000000000000000000001"), record=b"[" * 400_000)
run("run_whose_plan_is_no_json", 5, plan=b"\x80\x04")
run("run_whose_plan_is_another_value", 5, plan=b"7")
