"""Readers: from what is on the disk to a list of images with labels. Nothing is decoded here.

Three layouts are understood: a folder per class; a manifest (CSV or parquet) with a path and a label per row; a
MedMNIST-style ``.npz`` with arrays ``{train,val,test}_images`` and ``{train,val,test}_labels``, or ``images`` and
``labels``.
"""

import csv
import io
import os
import unicodedata
import zipfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.errors import DataFault, IntegrityFault, UsageFault

IMAGE_ENDINGS = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gif", ".webp", ".jp2", ".ppm", ".pgm"})
SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})
MANIFEST_COLUMNS = ("path", "label", "split", "group", "origin", "shot", "pixel_sha256")
TRUE = frozenset({"1", "true", "yes"})
FALSE = frozenset({"0", "false", "no", ""})
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}


class Entry(NamedTuple):
    """One image as listed; ``position`` is its row in an npz, -1 for a file.

    ``pixel_sha256`` is what its pixels were when the manifest was frozen; empty when nobody says.
    """

    file: str
    label: str
    split: str = ""
    group: str = ""
    origin: str = "real"
    shot: bool = False
    position: int = -1
    pixel_sha256: str = ""


class Listing(NamedTuple):
    """What a reader found."""

    root: Path
    """What the entries' files are relative to; the archive itself for an npz."""
    entries: tuple[Entry, ...]
    ignored: int
    """Files of the operating system and hidden files that were passed over."""
    notes: tuple[str, ...] = ()
    arrays: Mapping[str, NDArray[Any]] | None = None
    """The images of an npz, by array name."""


def read(path: Path, *, columns: Mapping[str, str], manifest: Path | None = None) -> Listing:
    """List the images of a folder, a manifest or an npz.

    Args:
        path: The folder or file that the user named.
        columns: Names of the manifest's columns where they differ from ``MANIFEST_COLUMNS``.
        manifest: A manifest whose paths are below ``path``.

    Raises:
        UsageFault: No such file or folder.
        DataFault: Nothing in it, or rows that do not fit (all of them are listed).
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


def read_folder(root: Path) -> Listing:
    """List a folder per class: ``root/<class>/**/<image>``."""
    ignored = 0
    entries: list[Entry] = []
    empty: list[str] = []
    strange: list[str] = []
    for place in sorted(root.iterdir()):
        if _of_the_system(place.name):
            ignored += 1
        elif place.is_dir() and not place.name.strip():
            empty.append(f"{place.name!r} is no class name")
        elif place.is_dir():
            files, passed, other = _images_below(place)
            ignored += passed
            strange += [path.relative_to(root).as_posix() for path in other]
            entries += [Entry(path.relative_to(root).as_posix(), _composed(place.name)) for path in files]
            if not files:
                empty.append(f"{place.name}/ holds no image")
        else:
            strange.append(place.name)
    if empty or not entries:
        raise DataFault(
            f"{root} is not a folder per class with images in each",
            problems=empty or [f"{root} holds no folder with images"],
            fix="remove the empty folders, or name a manifest with --manifest NAME=FILE",
        )
    notes = [f"{len(strange)} files without an image's ending passed over, as {strange[0]}"] if strange else []
    return Listing(root, tuple(entries), ignored, tuple(notes))


def read_manifest(path: Path, *, root: Path, columns: Mapping[str, str]) -> Listing:
    """List the rows of a CSV or parquet manifest; paths are relative to ``root``.

    1/0, true/false and real/synthetic are understood in an ``origin`` column (1 and true mean real).
    """
    table = _read_rows(path)
    named = {column: columns.get(column, column) for column in MANIFEST_COLUMNS}
    asked_for = {column for column in MANIFEST_COLUMNS if column in columns} | {"path", "label"}
    missing = sorted(named[column] for column in asked_for if named[column] not in table.columns)
    if missing:
        raise UsageFault(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, table.columns))}",
            fix="name the columns, as --column path=img_name --column label=class",
        )
    entries: list[Entry] = []
    problems: list[str] = []
    climbing: list[str] = []
    for line, row in enumerate(table.to_dict("records"), start=2):
        values = {column: str(row.get(name, "")).strip() for column, name in named.items()}
        if not values["path"]:
            problems.append(f"line {line}: the path is empty")
            continue
        if not _stays_below(values["path"]):
            climbing.append(f"line {line}: {values['path']!r}")
            continue
        try:
            entries.append(_entry(values))
        except ValueError as error:
            problems.append(f"line {line}: {error}")
        else:
            if not (root / entries[-1].file).is_file():
                problems.append(f"line {line}: no file {entries[-1].file}")
    if len(set(table.columns)) != len(table.columns) or any(str(name).endswith(".1") for name in table.columns):
        raise DataFault(f"{path} names a column twice", fix="remove one of them")
    if climbing:
        raise IntegrityFault(
            f"{path} names paths outside its folder; nothing was opened",
            problems=climbing,
            fix="use paths relative to the image folder, without '..' or drive letters",
        )
    if problems or not entries:
        raise DataFault(
            f"{len(problems)} of {len(table)} rows of {path} can't be used",
            problems=problems or ["it has no rows"],
            fix="mend these rows; paths are relative to the image folder",
        )
    return Listing(root, tuple(entries), 0)


def read_npz(path: Path) -> Listing:
    """List the images of a MedMNIST-style archive; pickled objects in it are refused."""
    try:
        if not zipfile.is_zipfile(path):
            raise DataFault(f"{path} is no readable npz", fix="get the file again, or save it with np.savez")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ValueError as error:
        if "pickle" not in str(error):
            raise DataFault(f"{path} is no readable npz: {error}", fix="get the file again") from error
        raise IntegrityFault(
            f"{path} holds pickled objects, which are never loaded",
            fix="save plain arrays: images uint8, labels integers",
        ) from error
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise DataFault(f"{path} is no readable npz: {error}", fix="get the file again") from error
    parts = [(f"{split}_images", f"{split}_labels", split) for split in ("train", "val", "test")]
    parts = [part for part in [*parts, ("images", "labels", "")] if part[0] in arrays and part[1] in arrays]
    if not parts:
        raise DataFault(
            f"{path} has no arrays images and labels; it has {', '.join(sorted(arrays))}",
            fix="name them as MedMNIST does: train_images, train_labels, …",
        )
    classes = [str(name) for name in arrays.get("classes", np.array([], dtype=str))]
    entries: list[Entry] = []
    for images, labels, split in parts:
        codes = arrays[labels].reshape(-1)
        shape = arrays[images].shape
        if (
            len(shape) not in (3, 4)
            or len(codes) != shape[0]
            or arrays[images].dtype != np.uint8
            or (len(shape) == 4 and shape[3] not in (1, 3))
        ):
            raise DataFault(
                f"{path}: {images} is {arrays[images].dtype}{shape} for {len(codes)} labels",
                fix="images must be uint8 (N, H, W) or (N, H, W, 3), one label each",
            )
        if not (np.issubdtype(codes.dtype, np.integer) or (codes.dtype.kind == "U" and not classes)):
            raise DataFault(f"{path}: {labels} is {codes.dtype}, not integers", fix="store class numbers as integers")
        if classes and len(codes) and not (np.issubdtype(codes.dtype, np.integer) and 0 <= codes.min() and codes.max() < len(classes)):
            raise DataFault(
                f"{path}: {labels} has values outside 0 … {len(classes) - 1}, the numbers of its classes",
                fix="correct the labels, or the array of classes",
            )
        entries += [
            Entry(images, classes[int(code)] if classes else str(code), split, position=row)
            for row, code in enumerate(codes)
        ]
    return Listing(path, tuple(entries), 0, arrays={images: arrays[images] for images, _, _ in parts})


def _entry(values: Mapping[str, str]) -> Entry:
    if not values["label"]:
        raise ValueError("the label is empty")
    split = SPLITS.get(values["split"].lower(), "")
    if values["split"] and not split:
        raise ValueError(f"split {values['split']!r} is none of train, val, test")
    shot = values["shot"].lower()
    if shot not in TRUE | FALSE:
        raise ValueError(f"shot {values['shot']!r} is none of 1, 0, true, false")
    return Entry(
        values["path"],
        _composed(values["label"]),
        split,
        values["group"],
        _origin(values["origin"]),
        shot in TRUE,
        pixel_sha256=values["pixel_sha256"],
    )


def _origin(text: str) -> str:
    value = text.lower()
    if value in ("real", "") or value in TRUE:
        return "real"
    if value == "synthetic" or value in FALSE:
        return "synthetic"
    raise ValueError(f"origin {text!r} is none of real, synthetic, 1, 0, true, false")


def _read_rows(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise UsageFault(f"there is no manifest {path}", fix="check --manifest NAME=FILE")
    if path.suffix.lower() == ".parquet":
        try:
            rows = pd.read_parquet(path).astype(object)
        except (OSError, ValueError) as error:  # Arrow's faults are ValueErrors
            raise DataFault(f"{path} can't be read as parquet: {error}", fix="write it again") from error
        return rows.where(rows.notna(), "").astype(str)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataFault(f"{path}, line {line}: not UTF-8", fix="save the file as UTF-8") from error
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    try:
        return pd.read_csv(io.StringIO(text, newline=""), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise DataFault(f"{path} can't be read as a table: {error}", fix="mend that line") from error


def _stays_below(text: str) -> bool:
    windows = PureWindowsPath(text)
    parts = PurePosixPath(text.replace("\\", "/")).parts
    return bool(text) and not windows.drive and not windows.root and ".." not in parts and "\0" not in text


def _images_below(folder: Path) -> tuple[list[Path], int, list[Path]]:
    """Return images, the number of system files, and other files; a link that leads back up is not followed."""
    images: list[Path] = []
    other: list[Path] = []
    ignored = 0
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        stat = os.stat(place)  # noqa: PTH116  # os.walk gives text
        if (stat.st_dev, stat.st_ino) in seen:
            raise DataFault(f"{place} is a link that leads back to a folder above it", fix="remove the link")
        seen.add((stat.st_dev, stat.st_ino))
        folders.sort()
        for name in sorted(files):
            if _of_the_system(name):
                ignored += 1
            elif Path(name).suffix.lower() in IMAGE_ENDINGS:
                images.append(Path(place) / name)
            else:
                other.append(Path(place) / name)
    return images, ignored, other


def _of_the_system(name: str) -> bool:
    return name.startswith(".") or name.lower() in SYSTEM_FILES or name == "__MACOSX"


def _composed(name: str) -> str:
    """Return a label in Unicode's composed form, so that two spellings of one name are one class."""
    return unicodedata.normalize("NFC", name.strip())
