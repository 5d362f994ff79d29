#!/usr/bin/env python3
"""python verify.py [FOLDER] [NAME@vN#HASH]: prove that a frozen set is untouched. Python 3.11 or later, nothing else.

IDENTITY holds NAME@vN#HASH. HASH is the SHA-256 of manifest.jsonl, which holds the SHA-256 of every other file. Compare
the identity that is printed with the one where the set was cited: who could write here could write that file, too.
Exit code 0: untouched; 5: not, and every problem is printed. No path that the manifest names is ever opened.
"""

import hashlib
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TEXTS = "path sha256 pixel_sha256 set label split partition origin generator_run"
FIELDS = {**dict.fromkeys(TEXTS.split(), str), "bytes": int}
STRANGE = re.compile(r"^/|\\|:|\0|(^|/)\.{0,2}(/|$)")  # paths that lead elsewhere, on any system


def listed(root: Path) -> tuple[dict[str, int], set[str], list[str]]:
    """Return the plain files below a folder with their sizes, its folders, and what is neither; follow no link."""
    files, folders, others, waiting = {}, set(), [], [root]
    while waiting:
        for one in os.scandir(waiting.pop()):
            path = Path(one.path).relative_to(root).as_posix()
            if one.is_dir(follow_symlinks=False):
                folders.add(path)
                waiting.append(Path(one.path))
            elif one.is_file(follow_symlinks=False):
                files[path] = one.stat(follow_symlinks=False).st_size
            else:
                others.append(f"{path}: a link, a device or a pipe, not a file")
    return files, folders, others


def read(content: bytes, problems: list[str]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the header of a manifest and its rows by path."""
    header: dict[str, Any] = {}
    rows: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            facts = json.loads(line)
            if number == 1:
                header = {key: facts[key] for key in ("format", "name", "version", "supersedes")}
                continue
            stated, path = facts.pop("row_sha256"), facts["path"]
            if {key: type(value) for key, value in facts.items()} != FIELDS:
                raise ValueError(path)
            text = json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            problems.append(f"manifest.jsonl: line {number} can't be read")
            continue
        if hashlib.sha256(text).hexdigest()[:24] != stated:
            problems.append(f"{path}: its row (line {number}) was edited")
        if path in rows or STRANGE.search(path):
            problems.append(f"{path}: a path that no file of a set can have")
        rows[path] = facts
    return header, rows


def difference(root: Path, path: str, size: int, row: dict[str, Any]) -> str:
    """Say how a file differs from its row; nothing when it does not."""
    try:
        with (root / path).open("rb") as file:
            same = size == row["bytes"] and hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
    except OSError as error:
        return f"{path}: can't be read: {error.strerror}"
    return "" if same else f"{path}: other bytes than were published"


def main(root: Path, expected: str = "") -> int:
    """Verify a folder; return the exit code."""
    files, folders, problems = listed(root)
    own = {name: (root / name).read_bytes() if files.pop(name, 0) else b"" for name in ("IDENTITY", "manifest.jsonl")}
    header, rows = read(own["manifest.jsonl"], problems)
    name = f"{header.get('name')}@v{header.get('version')}"
    identity = f"{name}#{hashlib.sha256(own['manifest.jsonl']).hexdigest()}"
    if header.get("format") != "cytobench-frozen/1":
        problems.append("manifest.jsonl: missing, or of another format")
    if own["IDENTITY"] != f"{identity}\n".encode():
        problems.append(f"IDENTITY: it is not {identity}, as manifest.jsonl is: one of the two was edited")
    if expected not in ("", name) and not (len(expected) >= len(name) + 9 and identity.startswith(expected)):
        problems.append(f"manifest.jsonl: it is {identity}, and {expected} was asked for")
    parents = {path[: slash.start()] for path in rows for slash in re.finditer("/", path)}
    problems += [f"{path}: missing" for path in rows.keys() - files.keys()]
    problems += [f"{path}: not of this set" for path in (files.keys() - rows.keys()) | (folders - parents)]
    both = sorted(files.keys() & rows.keys())
    with ThreadPoolExecutor() as pool:
        problems += filter(None, pool.map(lambda path: difference(root, path, files[path], rows[path]), both))
    for line in sorted(set(problems)) or [f"untouched: {identity}, {len(files) + 2} files"]:
        sys.stdout.write(ascii(line)[1:-1] + "\n")  # a name may hold anything
    return 5 if problems else 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(Path(given[0]) if given else Path(__file__).resolve().parent, *given[1:2]))
