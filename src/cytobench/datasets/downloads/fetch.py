"""Downloads: a published file is there whole and is the right one, or it is not there.

Beside every file its SHA-256 is kept in ``<file>.sha256`` (``sha256sum -c`` reads it). Where the publisher states no
checksum, that first one is what every later copy must have.
"""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, field_validator

from cytobench.datasets.archives.names import parts_of, problem_of
from cytobench.datasets.downloads.transfer import PATIENCE, Patience, forget, problem_of_url, transfer
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.store import disk_faults, held, write_bytes


class Download(BaseModel):
    """One file as its publisher offers it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    """Where it is; https, or http on this machine."""
    file: str
    """Name to save it as."""
    bytes: int = Field(default=0, ge=0)
    """Its size; 0 when the publisher doesn't state it."""
    sha256: str = Field(default="", pattern=r"^([0-9a-f]{64})?$")
    """Lower-case hex; empty when the publisher doesn't state it."""
    md5: str = Field(default="", pattern=r"^([0-9a-f]{32})?$")
    """The same, where the publisher states only this one."""

    @field_validator("url")
    @classmethod
    def _fetchable(cls, url: str) -> str:
        if why := problem_of_url(url):
            raise ValueError(f"{url!r}: {why}")
        return url

    @field_validator("file")
    @classmethod
    def _plain_name(cls, file: str) -> str:
        why = problem_of(file) or ("" if parts_of(file) == (file,) else "is no plain file name")
        if why or file.startswith("."):
            raise ValueError(f"{file!r} {why or 'is a hidden file'}")
        return file


class _Sums(NamedTuple):
    bytes: int
    sha256: str
    md5: str


def fetch(one: Download, folder: Path, *, patience: Patience = PATIENCE) -> Path:
    """Return the file in a folder; download it unless it is there.

    A download that was stopped, by a kill too, goes on where it was. A file that someone put there by hand is checked
    like any other.

    Args:
        one: What to fetch.
        folder: Where to; made when it is missing.
        patience: How long to bear with the server.

    Raises:
        UsageFault: A folder has the file's name.
        EnvironmentFault: Not there, not allowed, not reachable, or no room on the disk.
        IntegrityFault: Size or checksum are not what was published, or not what was fetched before; the file is set
            aside as ``<file>.rejected-…``.
        Interrupted: SIGINT or SIGTERM came; what came so far is kept.
    """
    target = folder / one.file
    with disk_faults(folder), held(folder / f".{one.file}.lock", wait=True):
        if target.is_dir():
            raise UsageFault(f"{target} is a folder, and a file is to be fetched there", fix="name another folder")
        if target.exists():
            _check(one, target, target)
            return target
        part = folder / f"{one.file}.part"
        transfer(one.url, part, expected=one.bytes, final=target, patience=patience)
        _check(one, part, target)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        forget(part)
    return target


def checksum(file: Path) -> str:
    """Return the SHA-256 that was kept beside a fetched file; empty when there is none."""
    try:
        return _note(file).read_text(encoding="utf-8").split(maxsplit=1)[0]
    except (OSError, IndexError, UnicodeDecodeError):
        return ""


def _check(one: Download, path: Path, target: Path) -> None:
    """Compare a file with what is published, or else with what was fetched before; keep its SHA-256."""
    found = _sums(path)
    before = "" if one.sha256 or one.md5 else checksum(target)
    wanted = _Sums(one.bytes or found.bytes, one.sha256 or before or found.sha256, one.md5 or found.md5)
    if found != wanted:
        aside = target.with_name(f"{one.file}.rejected-{uuid4().hex[:8]}")
        path.replace(aside)
        forget(target.with_name(f"{one.file}.part"))
        whose = "what was fetched before" if before else "what its publisher states"
        raise IntegrityFault(
            f"{one.file} from {one.url} is not {whose}; it is kept as {aside} and not used",
            problems=[
                f"{name}: {there} instead of {right}"
                for name, there, right in zip(_Sums._fields, found, wanted, strict=True)
                if there != right
            ],
            fix="repeat the command to fetch it anew; if that fails too, "
            + (f"it was changed: remove {_note(target)} to accept it" if before else "ask its publisher"),
        )
    if checksum(target) != found.sha256:
        write_bytes(_note(target), f"{found.sha256}  {one.file}\n".encode())


def _sums(path: Path) -> _Sums:
    sha, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sha.update(chunk)
            md5.update(chunk)
        return _Sums(file.tell(), sha.hexdigest(), md5.hexdigest())


def _note(target: Path) -> Path:
    return target.with_name(f"{target.name}.sha256")
