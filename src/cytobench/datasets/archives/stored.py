"""Archives as data sets: unpacked once into the store, under the hash of their bytes."""

import shutil
from pathlib import Path
from typing import ClassVar

from cytobench.datasets.archives.members import is_archive
from cytobench.datasets.archives.unpack import unpack
from cytobench.store import Step, Store, file_sha256, write_json

CONTENT = "content"


class UnpackStep(Step):
    """Unpack one archive."""

    kind: ClassVar[str] = "unpacked"
    code: ClassVar[tuple[str, ...]] = ("cytobench.datasets.archives.unpack",)

    sha256: str
    """Of the archive's bytes."""


def folder_of(path: Path, store: Store) -> Path:
    """Return the folder that a path means: the content of an archive, or the path itself.

    Raises:
        IntegrityFault: A hostile archive; nothing of it is kept.
        DataFault: A torn or encrypted one, or a kind that can't be unpacked here.
        EnvironmentFault: No room.
    """
    if not (path.is_file() and is_archive(path.name)):
        return path
    step = UnpackStep(sha256=file_sha256(path))
    return store.compute(step, lambda folder: _unpack(path, folder)) / CONTENT


def _unpack(path: Path, folder: Path) -> None:
    shutil.rmtree(folder / CONTENT, ignore_errors=True)  # of an attempt that was killed before it counted as done
    done = unpack(path, folder / CONTENT)
    write_json(folder / "unpacked.json", {"files": done.files, "bytes": done.bytes, "passed_over": done.passed_over})
