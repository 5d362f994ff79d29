"""Prove that a frozen set is what was published: every byte of it, nothing more and nothing less.

What the disk or the archive holds is listed first; the manifest is then compared with that list. A path that a
manifest names is never opened, so a hostile one leads nowhere.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from cytobench.datasets.frozen.contents import Content, Contents, of_archive, of_folder
from cytobench.datasets.frozen.identity import WHOLE_HASH, Identity, parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, Manifest, Row, read, root_of
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.progress import task


class Verified(NamedTuple):
    """A set that was proven untouched."""

    identity: Identity
    manifest: Manifest
    files: int
    bytes: int
    images: int


def verify(place: Path, *, expected: Identity | None = None) -> Verified:
    """Read every byte of a frozen set and return what it is; every difference is told, none is passed over.

    Args:
        place: Its folder, or the zip or tar that it was published as.
        expected: What it must be, from where it was cited; without it the set is only compared with itself.

    Raises:
        UsageFault: There is no frozen set.
        IntegrityFault: Something was changed, added, removed or renamed, or it is another set; all files are named.
    """
    if not place.exists():
        raise UsageFault(f"there is nothing at {place}", fix="name a frozen set's folder, zip or tar")
    contents = of_folder(place) if place.is_dir() else of_archive(place)
    if not contents.files.keys() & {IDENTITY, MANIFEST}:
        raise UsageFault(
            f"{place} is no frozen set: it has no {IDENTITY} and no {MANIFEST}",
            fix="name the folder that `cytobench publish` wrote",
        )
    identity, manifest, problems = _itself(contents, expected)
    problems += [*contents.problems, *_compared(place, contents, manifest.rows)]
    if problems:
        found = sorted(set(problems))
        raise IntegrityFault(
            f"{place} is not what was published as {identity or 'a frozen set'}",
            problems=found,
            fix="get it again from its publisher; a published version is never edited, a later one supersedes it",
        )
    images = sum(bool(row.pixel_sha256) for row in manifest.rows)
    return Verified(identity, manifest, len(contents.files), sum(contents.files.values()), images)


def _itself(contents: Contents, expected: Identity | None) -> tuple[Identity, Manifest, list[str]]:
    """Return who the set says that it is, its manifest, and what is wrong with these two."""
    problems, identity, content = [], Identity("", 0), b""
    for name in (IDENTITY, MANIFEST):
        if name not in contents.files:
            problems.append(f"{name}: missing")
    if MANIFEST in contents.files:
        content = contents.small(MANIFEST)
    manifest = read(content)
    problems += manifest.problems if content else []
    computed = manifest.identity._replace(root=root_of(content))
    if IDENTITY in contents.files:
        text = contents.small(IDENTITY)
        with suppress(UsageFault, UnicodeDecodeError):
            identity = parse(text.decode().removesuffix("\n"))
        if text != f"{identity}\n".encode() or len(identity.root) != WHOLE_HASH:
            problems.append(f"{IDENTITY}: it is not one line NAME@vN#HASH")
        elif identity != computed:
            problems.append(f"{IDENTITY}: it says {identity}, and {MANIFEST} is {computed}; one of the two was edited")
    if expected is not None and not expected.means(computed):
        problems.append(f"{MANIFEST}: it is {computed}, and {expected} was asked for")
    return identity, manifest, problems


def _compared(place: Path, contents: Contents, rows: tuple[Row, ...]) -> Iterator[str]:
    """Yield how the files differ from the manifest's rows."""
    known = {row.path: row for row in rows}
    there = contents.files.keys() - {IDENTITY, MANIFEST}
    yield from (f"{path}: missing" for path in known.keys() - there)
    yield from (f"{path}: not of this set" for path in there - known.keys())
    parents = {"/".join(parts[:n]) for path in known for parts in [path.split("/")] for n in range(1, len(parts))}
    yield from (f"{path}/: a folder not of this set" for path in contents.folders - parents)
    same_size = [path for path in sorted(there & known.keys()) if contents.files[path] == known[path].bytes]
    yield from (
        f"{path}: {contents.files[path]} bytes, {known[path].bytes} were published"
        for path in there & known.keys()
        if contents.files[path] != known[path].bytes
    )
    with task(f"verify {place.name}", len(same_size)) as work:
        for path, content in contents.read(same_size):
            work.advance()
            if why := _difference(content, known[path]):
                yield f"{path}: {why}"


def _difference(content: Content, row: Row) -> str:
    if content.sha256 and content.sha256 != row.sha256:
        return "other bytes than were published"
    if content.problem:
        return content.problem
    if row.pixel_sha256 and content.pixel_sha256 != row.pixel_sha256:
        return "its pixels are not those that its row states"
    return ""
