"""Meet hostile inputs one after the other in this process, and write down what happened to each.

Started by the test as ``python -m tests.faults.meet ORDERS MODULE…``; a line of JSON for each input goes to stdout.
"""

import contextlib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

LONGEST = 60  # seconds by the clock; what hangs ends the process, and its name is the one that is missing


def peak() -> int:
    """Return the most memory that this process held since :func:`forget_peak`, bytes.

    The kernel's figure for a process begins with that of its parent, so the one for its memory alone is read.
    """
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let the next :func:`peak` be of what follows."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")


def meet(words: list[str]) -> dict[str, object]:
    """Call the door as a shell would and return exit code, text and cost."""
    from cytobench.cli import main

    sys.argv = ["cytobench", *words]
    text, printed = io.StringIO(), io.StringIO()
    began, code = time.process_time(), 0
    with contextlib.redirect_stderr(text), contextlib.redirect_stdout(printed):
        try:
            main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        except BaseException:  # a traceback is what must not happen; it is shown as Python would
            traceback.print_exc(limit=-2, chain=False)
            code = -1
    return {
        "code": code,
        "seconds": time.process_time() - began,
        "peak": peak(),
        "stderr": text.getvalue(),
        "stdout": printed.getvalue(),
    }


if __name__ == "__main__":
    real = sys.stdout
    for module in sys.argv[2:]:  # whose seconds are not the first input's
        importlib.import_module(module)
    for order in json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")):
        os.chdir(order["cwd"])
        signal.alarm(LONGEST)
        forget_peak()
        print(json.dumps({"name": order["name"], **meet(order["words"])}), file=real, flush=True)
        signal.alarm(0)
