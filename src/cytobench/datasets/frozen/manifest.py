"""The manifest of a frozen set: a line for every file, and one hash for all of it.

``manifest.jsonl`` begins with a header and goes on with a row per file, sorted by path; every line is JSON with sorted
keys and no spaces. The set's root hash is the SHA-256 of these bytes, so ``sha256sum manifest.jsonl`` recomputes it. A
row also carries the hash of its own content, which names the row that was edited.
"""

import hashlib
from collections.abc import Iterable
from json import JSONDecodeError, loads
from typing import Any, NamedTuple

from cytobench.datasets.archives.names import clashes, problem_of
from cytobench.datasets.frozen.identity import Identity
from cytobench.store import canonical

MANIFEST, IDENTITY = "manifest.jsonl", "IDENTITY"
FORMAT = "cytobench-frozen/1"
ROW_HASH = "row_sha256"
DIGITS = 24  # hex digits of a row's hash; the root has all 64
MOST_BYTES = 2_000_000_000  # of a manifest: millions of files


class Row(NamedTuple):
    """One file. What follows the hash of its bytes is of images alone, and empty for all others."""

    path: str
    """Below the set's folder, parts joined by ``/``."""
    bytes: int
    sha256: str
    """Of the file's bytes."""
    pixel_sha256: str = ""
    """Of the decoded pixels, as :func:`cytobench.datasets.decode.decode` computes it."""
    set: str = ""
    """Which of the published sets it belongs to."""
    label: str = ""
    split: str = ""
    """train, val or test."""
    partition: str = ""
    """a or b: which half of the photographs its generator saw."""
    origin: str = ""
    """synthetic or phantom."""
    generator_run: str = ""
    """Key of the fit that drew it."""


class Manifest(NamedTuple):
    """A manifest as read."""

    identity: Identity
    supersedes: str
    """The identity of the version that this one replaces; empty for the first."""
    rows: tuple[Row, ...]
    problems: tuple[str, ...]
    """What is wrong with it, each beginning with the file that it is about."""


def row_hash(facts: dict[str, Any]) -> str:
    """Return the hash of a row's content."""
    return hashlib.sha256(canonical(facts)).hexdigest()[:DIGITS]


def written(identity: Identity, supersedes: str, rows: Iterable[Row]) -> bytes:
    """Return the bytes of a manifest."""
    header = {"format": FORMAT, "name": identity.name, "version": identity.version, "supersedes": supersedes}
    facts = [row._asdict() for row in sorted(rows)]
    return b"".join(canonical(one) + b"\n" for one in [header, *(one | {ROW_HASH: row_hash(one)} for one in facts)])


def root_of(content: bytes) -> str:
    """Return the root hash of a manifest's bytes."""
    return hashlib.sha256(content).hexdigest()


def read(content: bytes) -> Manifest:
    """Return what a manifest says, with everything that is wrong with it; nothing that it names is opened."""
    lines = content.split(b"\n")
    problems = [] if lines[-1] == b"" else [f"{MANIFEST}: it ends in the middle of a line"]
    header = _object(lines[0])
    match header:
        case {"format": str(form), "name": str(name), "version": int(version), "supersedes": str(supersedes)}:
            if form != FORMAT:
                problems.append(f"{MANIFEST}: its format is {form!r}, not {FORMAT}")
        case _:
            name, version, supersedes = "", 0, ""
            problems.append(f"{MANIFEST}: line 1 is no header")
    rows: list[Row] = []
    for number, line in enumerate(lines[1:-1], start=2):
        facts = _object(line)
        stated = facts.pop(ROW_HASH, None)
        if set(facts) != set(Row._fields) or not all(type(facts[k]) is t for k, t in Row.__annotations__.items()):
            problems.append(f"{MANIFEST}: line {number} is no row of a file")
            continue
        row = Row(**facts)
        if stated != row_hash(facts):
            problems.append(f"{row.path}: its row (line {number}) was edited")
        rows.append(row)
    paths = [row.path for row in rows]
    problems += [f"{path}: a path that {why}" for path in paths if (why := problem_of_path(path))]
    problems += [
        f"{pair}: one name where case or Unicode form does not count" for pair in clashes((p, False) for p in paths)
    ]
    if paths != sorted(paths):
        problems.append(f"{MANIFEST}: its rows are not in order")
    return Manifest(Identity(name, version), supersedes, tuple(rows), tuple(problems))


def problem_of_path(path: str) -> str:
    """Say why a path can't be one of a set's files; empty when it can."""
    if not path or any(part in ("", ".") for part in path.split("/")):
        return "is not written out plainly"
    return problem_of(path)


def _object(line: bytes) -> dict[str, Any]:
    """Return a line's JSON object; an empty one when it holds none."""
    try:
        found = loads(line)
    except (JSONDecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
