"""How far a run is, read from its plan and the store."""

from pathlib import Path
from typing import Any

from cytobench.benchmarks.run import COMMAND, PLAN, RUNS
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.store import DONE, read_json


def status(folder: Path) -> dict[str, Any]:
    """Return how many steps of a run are done, and what comes next.

    Raises:
        UsageFault: No such run.
    """
    if not (folder / PLAN).is_file():
        raise UsageFault(f"{folder} is no run", fix="`cytobench status` without a run lists those of a folder")
    store = folder.parent.parent / "store"
    try:
        steps = read_json(folder / PLAN)["steps"]
        command = (folder / COMMAND).read_text(encoding="utf-8").strip()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityFault(
            f"{folder} was edited or is torn: {error!r}", fix="repeat the command of the run"
        ) from error
    waiting = [step["title"] for step in steps if not (store / step["step"] / DONE).is_file()]
    holder = folder / "run.holder"
    return {
        "run": folder.name,
        "command": command,
        "steps": len(steps),
        "done": len(steps) - len(waiting),
        "next": waiting[0] if waiting else None,
        "held_by": read_json(holder) if holder.is_file() else None,
        "board": (folder / "board" / "index.html").is_file(),
    }


def runs(out: Path) -> list[dict[str, Any]]:
    """Return the status of every run in a folder, newest first."""
    folders = [path.parent for path in (out / RUNS).glob(f"*/{PLAN}")]
    return [status(folder) for folder in sorted(folders, key=lambda path: path.stat().st_mtime, reverse=True)]
