"""Progress on stderr: what is being done, how far it is, and when it will be over.

A terminal gets a live bar, a log file gets a line now and then. Nothing here can change a result.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cytobench import interrupts
from cytobench.errors import shown

SECONDS_BETWEEN_LINES = 15.0
RESUMED = "resumed"
"""The note of units that an earlier attempt did; the time that is left is not told from them."""


def say(text: str) -> None:
    """Print a line for people to stderr; a closed pipe is no fault."""
    text = shown(text, 20_000)
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201  # the one place that prints
    except UnicodeEncodeError:
        print(text.encode("ascii", "replace").decode(), file=sys.stderr, flush=True)  # noqa: T201
    except BrokenPipeError:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115  # stays open for the rest of the process


def duration(seconds: float) -> str:
    """Return a duration as people say it: 8 s, 3 min 20 s, 2 h 05 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def size(count: int) -> str:
    """Return a number of bytes as people say it: 512 B, 1.5 MB, 12.0 GB (powers of ten)."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


class Task:
    """One piece of work.

    Args:
        title: What is being done.
        total: How many units there are; 0 when nobody knows.
        done: How many were done before (a resumed step).
        form: How a number of units is written; :func:`size` for bytes.
    """

    def __init__(self, title: str, total: int, *, done: int = 0, form: Callable[[int], str] = str) -> None:
        self.title, self.total, self.done, self._form = title, total, done, form
        self._first, self._began, self._last = done, time.monotonic(), time.monotonic()
        self._live = sys.stderr.isatty() and "NO_COLOR" not in os.environ

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count units as done, show it, and stop here when a stop was asked for.

        Raises:
            Interrupted: SIGINT or SIGTERM came since the last call.
        """
        self.done += count
        now = time.monotonic()
        if note == RESUMED:
            self._first, self._began = self._first + count, now
        if now - self._last >= (0.2 if self._live else SECONDS_BETWEEN_LINES):
            self._last = now
            self._show(note)
        interrupts.check()

    def eta(self) -> float:
        """Return the seconds that are left at the pace so far; NaN before the first unit and without a total."""
        made = self.done - self._first
        if not made or not self.total:
            return float("nan")
        return (time.monotonic() - self._began) / made * (self.total - self.done)

    def _show(self, note: str) -> None:
        eta = self.eta()
        left = f", {duration(eta)} left" if eta == eta else ""
        count = self._form(self.done) + (f"/{self._form(self.total)}" if self.total else "")
        line = f"  {self.title}: {count}{left}{' · ' + note if note else ''}"
        if self._live:
            sys.stderr.write(f"\r\x1b[2K{line[:118]}")
            sys.stderr.flush()
        else:
            say(line)

    def close(self) -> None:
        """Clear the live bar."""
        if self._live:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()


@contextmanager
def task(title: str, total: int, *, done: int = 0, form: Callable[[int], str] = str) -> Iterator[Task]:
    """Show progress for the duration of the block."""
    work = Task(title, total, done=done, form=form)
    try:
        yield work
    finally:
        work.close()


Tick = Callable[[int, str], None]
"""What long-running library code is handed to report progress: units done, a note."""


def unheard(_count: int, _note: str) -> None:
    """Report progress to nobody: a tick for who does not want to be told."""
