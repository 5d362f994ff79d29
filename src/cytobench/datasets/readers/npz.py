"""A MedMNIST-style ``.npz``: ``{train,val,test}_images`` and ``…_labels``, or ``images`` and ``labels``."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.readers.listing import Entry, Listing
from cytobench.errors import CytobenchError, DataFault, IntegrityFault, UsageFault

MEASURED = 32_000_000  # bytes; below this no ratio is looked at, as blank pictures shrink a lot
DRAWN_BY = "drawn_by"  # an array that only drawn images have
RATIO = 200  # unpacked bytes over the file's own, as for archives


def read_npz(path: Path) -> Listing:
    """List the images of a MedMNIST-style archive.

    Raises:
        UsageFault: No file.
        DataFault: Damaged, encrypted, or arrays that do not fit.
        IntegrityFault: Pickled objects, or far more bytes than the file could honestly hold.
    """
    if not path.is_file():  # a pipe would be waited for, and some devices have no end
        raise UsageFault(f"{path} is no file", fix="name an .npz file with --data NAME=PATH")
    arrays = _arrays(path)
    parts = [(f"{split}_images", f"{split}_labels", split) for split in ("train", "val", "test")]
    parts = [part for part in [*parts, ("images", "labels", "")] if part[0] in arrays and part[1] in arrays]
    if not parts:
        raise DataFault(
            f"{path} has no arrays images and labels; it has {', '.join(sorted(arrays))}",
            fix="name them as MedMNIST does: train_images, train_labels, …",
        )
    classes = [str(name) for name in arrays.get("classes", np.array([], dtype=str))]
    origin = "synthetic" if DRAWN_BY in arrays else "real"
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
        if (
            classes
            and len(codes)
            and not (np.issubdtype(codes.dtype, np.integer) and codes.min() >= 0 and codes.max() < len(classes))
        ):
            raise DataFault(
                f"{path}: {labels} has values outside 0 … {len(classes) - 1}, the numbers of its classes",
                fix="correct the labels, or the array of classes",
            )
        entries += [
            Entry(images, classes[int(code)] if classes else str(code), split, origin=origin, position=row)
            for row, code in enumerate(codes)
        ]
    if not entries:
        raise DataFault(f"{path} holds no image", fix="check that it is the right file")
    return Listing(path, tuple(entries), 0, arrays={images: arrays[images] for images, _, _ in parts})


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays by name; what is no array is passed over."""
    try:
        if not zipfile.is_zipfile(path):
            raise DataFault(f"{path} is no readable npz", fix="get the file again, or save it with np.savez")
        _check_headers(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            loaded = {name: archive[name] for name in archive.files}
    except CytobenchError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise whatever a damaged file makes them trip over
        why = str(error) or type(error).__name__
        raise DataFault(f"{path} is no readable npz: {why}", fix="get the file again") from error
    return {name: array for name, array in loaded.items() if isinstance(array, np.ndarray)}


def _check_headers(path: Path) -> None:
    """Refuse what an archive only says about itself, before room is made for it."""
    most = max(MEASURED, RATIO * path.stat().st_size)
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        if sum(one.file_size for one in members) > most:
            raise IntegrityFault(
                f"{path} unpacks to more than {most / 1e6:.0f} MB, {RATIO} times its own size",
                fix="if you trust it, save it again with np.savez",
            )
        for one in (one for one in members if one.filename.endswith(".npy")):
            with archive.open(one) as file:
                version = np.lib.format.read_magic(file)
                old = version == (1, 0)
                read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
                shape, _, dtype = read(file)
                if dtype.hasobject:
                    raise IntegrityFault(
                        f"{path} holds pickled objects, which are never loaded: {one.filename}",
                        fix="save plain arrays: images uint8, labels integers",
                    )
                if math.prod(shape) * dtype.itemsize != one.file_size - file.tell():
                    raise DataFault(
                        f"{path}: {one.filename} does not hold the {shape} values that it states",
                        fix="get the file again",
                    )
