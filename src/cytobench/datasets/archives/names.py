"""Which names inside an archive may become files: one rule for every system, decided from the text alone.

A set that is unpacked on Linux travels to Windows and macOS, so what is dangerous or ambiguous on one of them is
refused on all.
"""

import re
import unicodedata
from collections.abc import Iterable

LONGEST_PART = 255  # bytes of one folder's or file's name, on every common file system
LONGEST_NAME = 1024  # bytes
_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)


def parts_of(name: str) -> tuple[str, ...]:
    """Return the folders and the file of a member's name; ``./`` and doubled slashes do not count."""
    return tuple(part for part in name.split("/") if part not in ("", "."))


def problem_of(name: str) -> str:
    """Say why a name must not be written below a folder; empty when it may."""
    if "\0" in name:
        return "holds a NUL byte"
    if name.startswith("/"):
        return "is an absolute path"
    if "\\" in name:
        return "holds a backslash, which is a folder on Windows"
    if ":" in name:
        return "holds a colon, which is a drive or a hidden stream on Windows"
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if length > LONGEST_NAME:
        return f"is longer than {LONGEST_NAME} bytes"
    return next((why for part in parts_of(name) if (why := _problem_of_part(part))), "")


def _problem_of_part(part: str) -> str:
    if part == "..":
        return "climbs out of its folder"
    if len(part.encode()) > LONGEST_PART:
        return f"has a part longer than {LONGEST_PART} bytes"
    if part.endswith((".", " ")):
        return "has a part that ends with a dot or a space, which Windows drops"
    if _DEVICES.fullmatch(part.split(".", 1)[0].rstrip(" ")):
        return "is a device on Windows"
    return ""


def clashes(names: Iterable[tuple[str, bool]]) -> list[str]:
    """Return the names that are one and the same where case or Unicode form does not count, each with its rival.

    Args:
        names: (name, whether it is a folder). A folder may be named often, a file once.
    """
    spelled: dict[str, tuple[str, bool]] = {}
    found: list[str] = []
    for name, is_folder in names:
        parts = parts_of(name)
        for depth in range(1, len(parts) + 1):
            one = ("/".join(parts[:depth]), is_folder or depth < len(parts))
            rival = spelled.setdefault(_alike(one[0]), one)
            if rival is not one and (rival != one or not one[1]):
                found.append(f"{one[0]!r} and {rival[0]!r}")
                break
    return found


def _alike(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
