"""Turn SIGINT and SIGTERM into a stop at the next safe place.

The handlers only set a flag; long loops ask :func:`check` where their state is consistent and can be saved. A second
SIGINT does not wait for that.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cytobench.errors import Interrupted

_asked: int | None = None


def _ask(number: int, _frame: FrameType | None) -> None:
    global _asked
    if _asked is not None and number == signal.SIGINT:
        os._exit(128 + number)
    _asked = number


@contextmanager
def deferred() -> Iterator[None]:
    """Defer SIGINT and SIGTERM to the next :func:`check` for the duration of the block."""
    global _asked
    _asked = None
    before = {number: signal.signal(number, _ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _asked = None


def check() -> None:
    """Raise :class:`~cytobench.errors.Interrupted` when a stop was asked for."""
    if _asked is not None:
        raise Interrupted(_asked)
