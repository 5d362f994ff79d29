import os
import signal

import pytest

from cytobench import interrupts
from cytobench.errors import Interrupted


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_at_the_next_check_with_its_code(number: signal.Signals, code: int) -> None:
    with interrupts.deferred():
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted) as caught:
            interrupts.check()
    assert caught.value.exit_code == code
    interrupts.check()


def test_without_a_signal_nothing_stops() -> None:
    with interrupts.deferred():
        interrupts.check()
