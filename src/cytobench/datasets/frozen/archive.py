"""A frozen set as one file: the same bytes whoever packs it, and whenever.

Members are sorted and stored, not compressed: images, parquet and npz are packed already, and compressors differ from
one system to the next. Times, owners and modes are fixed.
"""

import io
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Any, BinaryIO, Literal

from cytobench.datasets.frozen.edition import Edition
from cytobench.progress import task
from cytobench.store import atomic

Kind = Literal["zip", "tar"]
MODE = 0o644
EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip knows
CHUNK = 1 << 20  # bytes


def pack(folder: Path, to: Path, kind: Kind) -> Path:
    """Pack a folder, its name first in every member's, and return the archive."""
    files = sorted(path.relative_to(folder.parent).as_posix() for path in folder.rglob("*") if path.is_file())
    with atomic(to) as out, task(f"pack {to.name}", len(files)) as work:
        if kind == "zip":
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as packed:
                for name in files:
                    with (folder.parent / name).open("rb") as file, packed.open(_info(name, file), "w") as member:
                        while chunk := file.read(CHUNK):
                            member.write(chunk)
                    work.advance()
        else:
            with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as packed:
                for name in files:
                    with (folder.parent / name).open("rb") as file:
                        header = tarfile.TarInfo(name)
                        header.size, header.mode = file.seek(0, io.SEEK_END), MODE
                        file.seek(0)
                        packed.addfile(header, file)
                    work.advance()
    return to


def _info(name: str, file: BinaryIO) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, EPOCH)
    info.create_system, info.external_attr = 3, (stat.S_IFREG | MODE) << 16  # as if packed on Unix, wherever it is
    info.file_size = file.seek(0, io.SEEK_END)
    file.seek(0)
    return info


def zenodo(edition: Edition, text: str) -> dict[str, Any]:
    """Return the facts that Zenodo's deposit form asks for, as its interface takes them.

    Args:
        edition: What is deposited.
        text: Its description.
    """
    return {
        "metadata": {
            "upload_type": "dataset",
            "title": edition.title,
            "version": str(edition.identity.version),
            "description": text,
            "creators": [{"name": name} for name in edition.creators],
            "license": edition.licence.lower(),
            "access_right": "open",
            "keywords": ["synthetic data", "blood cells", "benchmark", "cytobench"],
            **({"publication_date": edition.date} if edition.date else {}),
        }
    }
