"""The seal of a frozen manifest: hashes in the file itself, so that an edited, added or removed row is found.

Every row carries the hash of its own content, which names the row that was edited, and the hash of all rows, which
finds rows that came or went.
"""

from pathlib import Path

import pandas as pd

from cytobench.errors import IntegrityFault
from cytobench.store import digest

ROW, WHOLE = "row_sha256", "split_sha256"
CONTENT = ("path", "label", "split", "partition", "group", "origin", "shot", "box", "pixel_sha256")
OUT = "out"  # the part of images that a split leaves out
DIGITS = 24  # hex digits, 96 bits


def sealed(table: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest with its seal: columns ``CONTENT``, then the hash of each row and of all rows."""
    content = table[list(CONTENT)].reset_index(drop=True)
    rows = _row_hashes(content)
    return content.assign(**{ROW: rows, WHOLE: _whole(rows)})


def manifest(split: pd.DataFrame, scanned: pd.DataFrame) -> pd.DataFrame:
    """Return a frozen split as a sealed manifest that also names the images it leaves out.

    Args:
        split: Rows that are in a part.
        scanned: All rows of the set.
    """
    left_out = scanned[~scanned["id"].isin(split["id"])].assign(split=OUT, partition="")
    rows = pd.concat([split, left_out]).rename(columns={"file": "path"})
    return sealed(rows.sort_values(["path", "box"], kind="stable"))


def is_sealed(table: pd.DataFrame) -> bool:
    """Tell whether a manifest carries a seal, whole or in part."""
    return ROW in table.columns or WHOLE in table.columns


def prove(table: pd.DataFrame, path: Path) -> None:
    """Prove that a sealed manifest is what was written.

    Raises:
        IntegrityFault: A row was edited, added or removed; with its line where one can be named.
    """
    absent = [name for name in (*CONTENT, ROW, WHOLE) if name not in table.columns]
    if absent:
        raise IntegrityFault(f"{path} is a frozen split without its column {absent[0]}", fix=_FIX)
    rows = _row_hashes(table)
    edited = [
        f"line {line}: {file}"
        for line, (file, now, then) in enumerate(zip(table["path"], rows, table[ROW], strict=True), start=2)
        if now != then
    ]
    if edited:
        raise IntegrityFault(f"{path} was edited since it was frozen", problems=edited, fix=_FIX)
    if set(table[WHOLE]) != {_whole(rows)}:
        raise IntegrityFault(f"rows were added to {path} or taken from it since it was frozen", fix=_FIX)


_FIX = "get the original file back, or freeze a new split with `cytobench data split`"


def _row_hashes(table: pd.DataFrame) -> list[str]:
    return [digest(list(map(str, row)))[:DIGITS] for row in table[list(CONTENT)].itertuples(index=False)]


def _whole(rows: list[str]) -> str:
    return digest(sorted(rows))[:DIGITS]
