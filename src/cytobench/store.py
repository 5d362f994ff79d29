"""The content-addressed store: what is computed once is kept, what is torn never counts.

An artefact's key is the hash of its typed specification, its inputs' keys and the version of the code that makes it.
Its folder holds its outputs and, written last of all, ``done.json`` with the hash of every output. A folder without
that file is unfinished work, and starting it again is always safe.
"""

import errno
import hashlib
import json
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, ClassVar
from uuid import uuid4

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from cytobench import interrupts
from cytobench.code_version import code_version
from cytobench.errors import EnvironmentFault, LockedFault

DONE = "done.json"
SECONDS = "seconds.json"  # how long the making took: beside the outputs, so that they have the same bytes every time
PARTIAL = "partial"  # a step keeps its checkpoints here; gone when it is done
HASHED_BYTES = 8 << 20  # larger files are checked by their size when an artefact is reused


def canonical(value: object) -> bytes:
    """Return the one JSON text of a value: sorted keys, no spaces, UTF-8, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode(
        "utf-8", "surrogateescape"
    )


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON value's canonical text, as 64 hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write a file that is there whole or not at all: temporary name, flush, sync, rename, sync of the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_bytes(path: Path, content: bytes) -> None:
    """Write bytes atomically."""
    with atomic(path) as file:
        file.write(content)


def write_json(path: Path, value: object) -> None:
    """Write a JSON value atomically, indented for people, keys in the order given."""
    write_bytes(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It holds no JSON, or more levels than can be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply") from None


class Step(BaseModel):
    """A frozen, typed specification of one piece of work.

    Subclasses add fields (the specification) and set ``kind`` and ``code``, the modules that they run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    code: ClassVar[tuple[str, ...]]

    inputs: dict[str, str] = {}
    """Keys of the artefacts that the step reads, by role."""

    def modules(self) -> tuple[str, ...]:
        """Return the modules whose code decides the outcome; a plug-in's own module belongs here."""
        return self.code

    def describe(self) -> dict[str, Any]:
        """Return what the key is made of."""
        specification = self.model_dump(mode="json", exclude={"inputs"})
        return {
            "kind": self.kind,
            "specification": specification,
            "inputs": self.inputs,
            "code": code_version(*self.modules()),
        }

    @cached_property
    def key(self) -> str:
        """The hash of specification, inputs and code, as 24 hex digits (96 bits)."""
        return digest(self.describe())[:24]


class Store:
    """Artefacts on disk under ``root/<kind>/<key>/``.

    Args:
        root: The folder; made when it is missing.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, step: Step) -> Path:
        """Return the folder that holds, or will hold, a step's outputs."""
        return self.root / step.kind / step.key

    def is_done(self, step: Step) -> bool:
        """Tell whether a step's outputs are all there and are what was written."""
        return is_whole(self.folder(step))

    def compute(self, step: Step, work: Callable[[Path], None], *, wait: bool = True) -> Path:
        """Return the folder of a step's outputs; make them with ``work(folder)`` unless they are there.

        A second process that asks for the same step waits for the first one and then finds it done. ``work`` keeps its
        checkpoints under ``folder/partial``. Outputs that do not match their recorded hashes are set aside and made
        anew.

        Raises:
            EnvironmentFault: The disk is full or cannot be written.
            LockedFault: Another process makes them, and ``wait`` is false.
        """
        folder = self.folder(step)
        if is_whole(folder):
            return folder
        with disk_faults(folder), held(self.root / "locks" / f"{step.kind}-{step.key}.lock", wait=wait):
            if is_whole(folder):
                return folder
            if (folder / DONE).exists():  # edited or torn after it was finished: keep it for a look, make it anew
                folder.rename(folder.with_name(f"{folder.name}.rejected-{uuid4().hex[:8]}"))
            folder.mkdir(parents=True, exist_ok=True)
            sweep(folder)
            began = time.monotonic()
            work(folder)
            shutil.rmtree(folder / PARTIAL, ignore_errors=True)
            write_json(folder / SECONDS, round(time.monotonic() - began, 3))
            write_json(folder / DONE, {**step.describe(), "key": step.key, "files": listing(folder)})
        return folder

    def seconds(self, step: Step) -> float | None:
        """Return how long the last attempt at a finished step took, where that is known."""
        try:
            return float(read_json(self.folder(step) / SECONDS))
        except (OSError, ValueError, TypeError):
            return None


def listing(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and SHA-256 of every file of an artefact, by relative path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name not in (DONE, SECONDS))
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for path in files
    }


def is_whole(folder: Path) -> bool:
    """Tell whether an artefact's ``done.json`` is there and its files are those that it names."""
    try:
        files = read_json(folder / DONE)["files"]
        return bool(all(_matches(folder, name, fact) for name, fact in files.items()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _matches(folder: Path, name: str, fact: dict[str, Any]) -> bool:
    path = folder / name
    if ".." in path.parts or folder not in path.parents or not path.is_file():
        return False  # a stranger's list must not open a device or another folder
    if path.stat().st_size != fact["bytes"]:
        return False
    return bool(fact["bytes"] > HASHED_BYTES or file_sha256(path) == fact["sha256"])


def sweep(folder: Path) -> None:
    """Remove the temporary files that a kill left behind."""
    for stale in folder.rglob(".tmp-*"):
        stale.unlink(missing_ok=True)


@contextmanager
def held(lock: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock that dies with the process (``flock``), so that a kill or a reboot leaves none behind.

    Raises:
        LockedFault: Another process holds it and ``wait`` is false.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    holder = lock.with_suffix(".holder")
    guard = FileLock(lock)
    while True:
        try:
            guard.acquire(timeout=1 if wait else 0)
            break
        except Timeout:
            if not wait:
                raise LockedFault(
                    f"{lock.parent} is in use by {_who(holder)}",
                    fix="wait for that run, or choose another folder with --out",
                ) from None
            interrupts.check()
    try:
        holder.write_text(json.dumps({"pid": os.getpid(), "host": socket.gethostname()}))  # torn, it says "another"
        yield
    finally:
        holder.unlink(missing_ok=True)
        guard.release()


def _who(holder: Path) -> str:
    with suppress(OSError, ValueError, KeyError):
        facts = read_json(holder)
        return f"process {facts['pid']} on {facts['host']}"
    return "another process"


@contextmanager
def disk_faults(place: Path) -> Iterator[None]:
    """Turn the operating system's disk errors into a fault that says what is free and what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EnvironmentFault(
                f"no space left on the disk of {place} ({free_bytes(place) / 1e6:.0f} MB free)",
                fix="free some space and repeat the command; everything finished is kept",
            ) from error
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            raise EnvironmentFault(
                f"cannot write {error.filename or place}: {error.strerror}", fix="choose a writable folder with --out"
            ) from error
        raise


def free_bytes(place: Path) -> int:
    """Return the free bytes of the disk on which a folder lies or will lie."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
