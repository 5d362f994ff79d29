"""A manifest: a CSV, TSV or parquet file with a row per image."""

import csv
import io
import unicodedata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TYPE_CHECKING

import pandas as pd

from cytobench.datasets import seal
from cytobench.datasets.readers.listing import SPLITS, Box, Entry, Listing, composed, is_image
from cytobench.errors import DataFault, IntegrityFault, UsageFault

if TYPE_CHECKING:
    from pyarrow import Table

COLUMNS = ("path", "label", "split", "partition", "group", "origin", "shot", "box", "pixel_sha256")
MOST_BYTES = 200_000_000  # of a manifest
MOST_ROWS = 2_000_000
MOST_COLUMNS = 1000
LONGEST = 10_000  # characters of one value
TRUE = frozenset({"1", "true", "yes"})
FALSE = frozenset({"0", "false", "no", ""})


def read_manifest(path: Path, *, root: Path, columns: Mapping[str, str]) -> Listing:
    """List the rows of a manifest; paths are relative to ``root``.

    1/0, true/false and real/synthetic are understood in an ``origin`` column (1 and true mean real). A manifest that
    carries a seal (``cytobench data split`` wrote it) is proven first.

    Raises:
        UsageFault: No such file or column.
        DataFault: Rows that do not fit, all of them.
        IntegrityFault: Paths that leave the folder; a sealed manifest that was edited or whose files are gone.
    """
    table = read_rows(path)
    sealed = seal.is_sealed(table)
    if sealed:
        seal.prove(table, path)
    named = {column: columns.get(column, column) for column in COLUMNS}
    asked_for = {column for column in COLUMNS if column in columns} | {"path", "label"}
    missing = sorted(named[column] for column in asked_for if named[column] not in table.columns)
    if missing:
        raise UsageFault(
            f"{path} has no column {', '.join(map(repr, missing))}; it has {', '.join(map(repr, table.columns))}",
            fix="name the columns, as --column path=img_name --column label=class",
        )
    if len(set(table.columns)) != len(table.columns) or any(str(name).endswith(".1") for name in table.columns):
        raise DataFault(f"{path} names a column twice", fix="remove one of them")
    rows = [
        (line, {column: _text(column, row.get(name, "")) for column, name in named.items()})
        for line, row in enumerate(table.to_dict("records"), start=2)
    ]
    long = [
        f"line {line}: the {name} has {len(text)} characters"
        for line, row in rows
        for name, text in row.items()
        if len(text) > LONGEST
    ]
    if long:
        raise DataFault(f"{path} holds values that are no names", problems=long, fix="mend these rows")
    climbing = [f"line {line}: {row['path']!r}" for line, row in rows if row["path"] and not stays_below(row["path"])]
    if climbing:
        raise IntegrityFault(
            f"{path} names paths outside its folder; nothing was opened",
            problems=climbing,
            fix="use paths relative to the image folder, without '..' or drive letters",
        )
    files = Files(root)
    entries: list[Entry] = []
    problems: list[str] = []
    for line, row in rows:
        if row["split"].lower() == seal.OUT:
            continue
        try:
            entries.append(_entry(row, files))
        except FileNotFoundError:
            problems.append(f"line {line}: no file {row['path']}")
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems and sealed:
        raise IntegrityFault(
            f"{len(problems)} of {len(table)} rows of the frozen split {path} can't be used",
            problems=problems,
            fix="get the original files back under their own names, or freeze a new split",
        )
    if problems or not entries:
        raise DataFault(
            f"{len(problems)} of {len(table)} rows of {path} can't be used",
            problems=problems or ["it has no rows"],
            fix="mend these rows; paths are relative to the image folder",
        )
    named_files = {entry.file for entry in entries} | {row["path"] for _, row in rows}
    return Listing(root, tuple(entries), 0, _strangers(root, path, named_files))


class Files:
    """Files below a folder, found by any of the spellings of their names that tables use."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._composed: dict[Path, dict[str, str]] = {}

    def find(self, text: str) -> str:
        """Return the path of a file below the folder: as written, with Windows separators, or in another Unicode form.

        Raises:
            FileNotFoundError: There is none.
        """
        for spelling in dict.fromkeys((text, text.strip(), text.strip().replace("\\", "/"))):
            if _is_file(self.root / spelling):
                return spelling
            place = Path()
            for part in PurePosixPath(spelling).parts:
                place /= self._names(place).get(unicodedata.normalize("NFC", part), part)
            if _is_file(self.root / place):
                return place.as_posix()
        raise FileNotFoundError(text)

    def _names(self, place: Path) -> dict[str, str]:
        """Return what is in a folder, by composed name."""
        if place not in self._composed:
            folder = self.root / place
            there = [one.name for one in folder.iterdir()] if folder.is_dir() else []
            self._composed[place] = {unicodedata.normalize("NFC", name): name for name in there}
        return self._composed[place]


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # longer than any file's name
        return False


def stays_below(text: str) -> bool:
    """Tell whether a path as written, on any system, stays below the folder that it is relative to."""
    windows = PureWindowsPath(text)
    parts = PurePosixPath(text.replace("\\", "/")).parts
    return bool(text) and not windows.drive and not windows.root and ".." not in parts and "\0" not in text


def _text(column: str, value: object) -> str:
    return str(value) if column == "path" else str(value).strip()  # a file's name may begin or end with a space


def _entry(row: Mapping[str, str], files: Files) -> Entry:
    for column in ("path", "label"):
        if not row[column].strip():
            raise ValueError(f"the {column} is empty")
    split, shot = SPLITS.get(row["split"].lower(), ""), row["shot"].lower()
    if row["split"] and not split:
        raise ValueError(f"split {row['split']!r} is none of train, val, test")
    if shot not in TRUE | FALSE:
        raise ValueError(f"shot {row['shot']!r} is none of 1, 0, true, false")
    if row["partition"] not in ("", "a", "b"):
        raise ValueError(f"partition {row['partition']!r} is none of a, b")
    return Entry(
        files.find(row["path"]),
        composed(row["label"]),
        split,
        row["group"],
        _origin(row["origin"]),
        shot in TRUE,
        pixel_sha256=row["pixel_sha256"],
        partition=row["partition"] if split == "train" else "",
        box=_box(row["box"]),
    )


def _origin(text: str) -> str:
    value = text.lower()
    if value in ("real", "") or value in TRUE:
        return "real"
    if value == "synthetic" or value in FALSE:
        return "synthetic"
    raise ValueError(f"origin {text!r} is none of real, synthetic, 1, 0, true, false")


def _box(text: str) -> Box | None:
    if not text:
        return None
    try:
        box = Box(*(int(number) for number in text.replace(",", " ").split()))
    except (TypeError, ValueError):
        raise ValueError(f"box {text!r} is not four whole numbers: left top width height") from None
    if box.width < 1 or box.height < 1 or box.left < 0 or box.top < 0:
        raise ValueError(f"box {text!r} is no part of a picture")
    return box


def _strangers(root: Path, manifest: Path, named: set[str]) -> tuple[str, ...]:
    """Return a note about images beside those of a manifest, in the same folders, that it does not name."""
    folders = sorted({(root / name).parent for name in named})
    beside = (one for folder in folders if folder.is_dir() for one in folder.iterdir() if is_image(one.name))
    new = sorted({one.relative_to(root).as_posix() for one in beside} - named)
    return (f"{len(new)} images of the folder are not in {manifest.name} and not used, as {new[0]}",) if new else ()


def read_rows(path: Path) -> pd.DataFrame:
    """Return a manifest's rows as text.

    Raises:
        UsageFault: No such file.
        DataFault: It can't be read; with the line where that is known.
    """
    if not path.is_file():
        raise UsageFault(f"there is no manifest {path}", fix="check --manifest NAME=FILE")
    if path.stat().st_size > MOST_BYTES:
        raise DataFault(f"{path} is larger than {MOST_BYTES // 1_000_000} MB, no manifest", fix="name another file")
    rows = _parquet(path) if path.suffix.lower() == ".parquet" else _text_rows(path)
    if len(rows) > MOST_ROWS:
        raise _too_many(path)
    return rows


def _too_many(path: Path) -> DataFault:
    return DataFault(f"{path} has more than {MOST_ROWS} rows", fix="split the set into several")


def _parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            facts, names = file.metadata, file.schema_arrow.names
            if facts.num_rows * facts.num_columns > MOST_ROWS * len(COLUMNS):
                raise _too_many(path)
            if sum(facts.row_group(group).total_byte_size for group in range(facts.num_row_groups)) > 5 * MOST_BYTES:
                raise DataFault(
                    f"{path} unpacks to more than {5 * MOST_BYTES // 1_000_000} MB", fix="name another file"
                )
        # Texts stay numbers in a dictionary until they are measured: a long one may be named often.
        table = parquet.read_table(path, read_dictionary=names)
        if _longest(table) > LONGEST:
            raise DataFault(f"{path} holds values of more than {LONGEST} characters", fix="mend these rows")
        rows: pd.DataFrame = table.to_pandas().astype(object)
    except (OSError, ValueError) as error:  # Arrow's faults are ValueErrors
        raise DataFault(f"{path} can't be read as parquet: {error}", fix="write it again") from error
    return rows.where(rows.notna(), "").astype(str)


def _longest(table: "Table") -> int:
    """Return the most bytes of a text in a table whose texts are dictionaries."""
    import pyarrow
    from pyarrow import compute

    kinds = [chunk for column in table.columns for chunk in column.chunks if pyarrow.types.is_dictionary(chunk.type)]
    return max((compute.max(compute.binary_length(one.dictionary)).as_py() or 0 for one in kinds), default=0)


def _text_rows(path: Path) -> pd.DataFrame:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        raise DataFault(f"{path}, line {line}: not UTF-8", fix="save the file as UTF-8") from error
    header = text.split("\n", 1)[0]
    separator = max(",;\t", key=header.count)
    if header.count(separator) >= MOST_COLUMNS:
        raise DataFault(f"{path} has more than {MOST_COLUMNS} columns, no manifest", fix="name another file")
    try:
        return pd.read_csv(io.StringIO(text, newline=""), sep=separator, dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        raise DataFault(f"{path} can't be read as a table: {error}", fix="mend that line") from error
