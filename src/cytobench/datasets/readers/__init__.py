"""Readers: from what is on the disk to a list of images with labels. Nothing is decoded here.

Three layouts are understood: a folder per class; a manifest (CSV, TSV or parquet) with a path and a label per row; a
MedMNIST-style ``.npz``.
"""

from collections.abc import Mapping
from pathlib import Path

from cytobench.datasets.readers.folder import read_folder
from cytobench.datasets.readers.listing import Entry, Listing
from cytobench.datasets.readers.manifest import COLUMNS, read_manifest
from cytobench.datasets.readers.npz import read_npz
from cytobench.errors import UsageFault

__all__ = ["COLUMNS", "Entry", "Listing", "read"]


def read(path: Path, *, columns: Mapping[str, str], manifest: Path | None = None) -> Listing:
    """List the images of a folder, a manifest or an npz.

    Args:
        path: The folder or file that the user named.
        columns: Names of the manifest's columns where they differ from ``COLUMNS``.
        manifest: A manifest whose paths are below ``path``.

    Raises:
        UsageFault: No such file or folder.
        DataFault: Nothing in it, or rows that do not fit (all of them are listed).
        IntegrityFault: Pickles, paths that leave the folder, a frozen manifest that was edited.
    """
    if not path.exists():
        raise UsageFault(f"there is nothing at {path}", fix="check the path given with --data NAME=PATH")
    if manifest is not None:
        return read_manifest(manifest, root=path, columns=columns)
    if path.is_dir():
        return read_folder(path)
    if path.suffix.lower() == ".npz":
        return read_npz(path)
    if path.suffix.lower() in (".csv", ".tsv", ".parquet"):
        return read_manifest(path, root=path.parent, columns=columns)
    raise UsageFault(
        f"{path} is no folder, manifest (.csv, .tsv, .parquet) or .npz", fix="name one of these with --data NAME=PATH"
    )
