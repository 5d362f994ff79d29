"""The same images as other tools read them: parquet for Hugging Face and pandas, CSV, npz as MedMNIST has it."""

import io
import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench.datasets.readers.npz import DRAWN_BY
from cytobench.datasets.splits import SPLITS

SPLIT_NAMES = {"train": "train", "val": "validation", "test": "test"}
"""As Hugging Face calls the parts."""
COLUMNS = ("path", "set", "label", "split", "partition", "origin", "generator_run", "pixel_sha256")


def parquet_path(name: str, split: str) -> str:
    """Return where the parquet of a part lies below the set's folder."""
    return f"data/{name}/{SPLIT_NAMES[split]}-00000-of-00001.parquet"


def parquet(rows: pd.DataFrame, pictures: Sequence[bytes], classes: Sequence[str]) -> bytes:
    """Return a part as parquet: the PNGs themselves, and labels that know their names.

    Args:
        rows: Columns ``COLUMNS``, one row per picture.
        pictures: Their PNG files.
        classes: The label space, in the order of the codes.
    """
    import pyarrow as pa
    from pyarrow import parquet as files

    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    texts = ("path", "partition", "origin", "generator_run", "pixel_sha256")
    features = {
        "image": {"_type": "Image"},
        "label": {"names": list(classes), "_type": "ClassLabel"},
        **{name: {"dtype": "string", "_type": "Value"} for name in texts},
    }
    schema = pa.schema(
        [("image", image), ("label", pa.int64()), *((name, pa.string()) for name in texts)],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )
    number = {label: code for code, label in enumerate(classes)}
    columns = {
        "image": [{"bytes": one, "path": path} for one, path in zip(pictures, rows["path"], strict=True)],
        "label": [number[label] for label in rows["label"]],
        **{name: list(rows[name]) for name in texts},
    }
    content = io.BytesIO()
    files.write_table(pa.table(columns, schema=schema), content, compression="none", row_group_size=1000, version="2.6")
    return content.getvalue()


def npz(
    parts: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.int64]]], classes: Sequence[str], drawn_by: str
) -> bytes:
    """Return a set as MedMNIST stores one: ``train_images`` (N, H, W, 3) and ``train_labels`` (N, 1), and so on.

    Args:
        parts: Images and codes by split.
        classes: Names of the codes; stored as ``classes``, which other readers pass over.
        drawn_by: What drew the images; stored as ``DRAWN_BY``, so that a copy of the file alone is not taken for
            photographs.
    """
    arrays: dict[str, NDArray[np.generic]] = {"classes": np.array(classes), DRAWN_BY: np.array(drawn_by)}
    code = np.min_scalar_type(max(len(classes) - 1, 0))  # of one byte, as MedMNIST's, up to 256 classes
    for split in SPLITS:
        images, codes = parts[split]
        arrays[f"{split}_images"], arrays[f"{split}_labels"] = images, codes.astype(code)[:, None]
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def csv(rows: pd.DataFrame) -> bytes:
    """Return all images as CSV, columns ``COLUMNS``."""
    return rows[list(COLUMNS)].to_csv(index=False, lineterminator="\n").encode()
