"""Every fault that a user can meet, with its exit code.

| code | meaning |
|---|---|
| 0 | done |
| 1 | finished, but some trials failed |
| 2 | wrong use |
| 3 | bad data |
| 4 | environment: disk, weights, device |
| 5 | integrity: leak, tampering |
| 6 | locked by another run |
| 130, 143 | stopped by SIGINT, SIGTERM; can be resumed |
"""

from collections.abc import Sequence
from typing import ClassVar


def shown(text: str, most: int = 1000) -> str:
    r"""Return text for a terminal: not without end, and with nothing in it that a terminal would obey.

    >>> shown("a\x1b]0;b")
    'a\\x1b]0;b'
    """
    kept = text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"
    return "".join(one if one.isprintable() or one in "\n\u200c\u200d" else repr(one)[1:-1] for one in kept)


class CytobenchError(Exception):
    """A fault with a message that says what is wrong, where, and what to do.

    Args:
        message: What was given and what is allowed, in one sentence.
        fix: What to do about it.
        problems: Every single finding, when there are many (all are kept for ``--json``, the first ten are printed).
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, fix: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.problems = tuple(problems)

    def __str__(self) -> str:
        lines = [shown(self.message), *(f"  - {shown(problem)}" for problem in self.problems[:10])]
        if len(self.problems) > 10:
            lines.append(
                f"  … and {len(self.problems) - 10} more ({len(self.problems)} in all; --json lists every one)"
            )
        if self.fix:
            lines.append(f"To do: {shown(self.fix)}")
        return "\n".join(lines)


class UsageFault(CytobenchError):
    """Wrong use: an unknown name, an option that does not fit (exit 2)."""

    exit_code = 2


class DataFault(CytobenchError):
    """Bad data: unreadable images, empty classes, labels that disagree (exit 3)."""

    exit_code = 3


class EnvironmentFault(CytobenchError):
    """The machine cannot do it: no disk, no weights, no such device (exit 4)."""

    exit_code = 4


class IntegrityFault(CytobenchError):
    """A leak or a tampered file: the number would be wrong (exit 5)."""

    exit_code = 5


class LockedFault(CytobenchError):
    """Another run holds the folder (exit 6)."""

    exit_code = 6


class TrialFault(CytobenchError):
    """One trial failed for a reason of its own, as a loss that is not a number; the others go on (exit 1).

    Args:
        message: What happened.
        reason: In one word, as boards show it: ``nan``, ``memory``.
        step: The optimiser step at which it happened; None when there was none.
        fix: What to do about it.
    """

    exit_code = 1

    def __init__(self, message: str, *, reason: str = "nan", step: int | None = None, fix: str = "") -> None:
        super().__init__(message, fix=fix)
        self.reason, self.step = reason, step


class Interrupted(CytobenchError):
    """The user or the system asked to stop; everything finished is kept (exit 130 or 143)."""

    def __init__(self, signal_number: int) -> None:
        super().__init__("stopped; finished work is kept")
        self.exit_code = 128 + signal_number  # type: ignore[misc]  # the one fault whose code depends on the event
