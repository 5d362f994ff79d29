"""Folders that a command fills for people: nothing else is overwritten, whatever was torn is made again."""

from pathlib import Path

from cytobench.errors import UsageFault
from cytobench.store import read_json


def refuse_other_content(to: Path, facts: str, key: str) -> None:
    """Refuse a folder that holds anything but an earlier attempt at the same thing, however early that was killed.

    Args:
        to: The folder; it need not exist.
        facts: Name of the file in it whose ``key`` tells what is made there.
        key: What is to be made.

    Raises:
        UsageFault: It holds something else.
    """
    if not to.exists() or (to.is_dir() and all(path.name.startswith(".tmp-") for path in to.iterdir())):
        return
    try:
        if read_json(to / facts)["key"] == key:
            return
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise UsageFault(f"{to} holds something else", fix="choose a folder of its own with --to")
