import math

import pytest

from cytobench import progress
from cytobench.progress import Task, size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1_540_000, "1.5 MB"), (12 * 10**15, "12000.0 TB")],
)
def test_bytes_are_written_for_people(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(("total", "line"), [(4000, "fetch: 2.0 kB/4.0 kB, "), (0, "fetch: 2.0 kB\n")])
def test_bytes_are_counted_with_a_total_and_without(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], total: int, line: str
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    work = Task("fetch", total, form=size)
    work.advance(2000)
    assert line in capsys.readouterr().err
    assert math.isnan(work.eta()) == (not total)


def test_what_an_earlier_attempt_did_is_not_taken_for_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("cytobench.progress.time.monotonic", lambda: clock[0])
    work = Task("fit", 1000)
    work.advance(900, progress.RESUMED)
    clock[0] += 10
    work.advance(10)
    assert work.done == 910
    assert work.eta() == pytest.approx(90)
