"""Small folders laid out as the published downloads are; listing opens no image, so their files hold a byte."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cytobench.datasets.known_set import KnownSet
from cytobench.datasets.layouts.kinds import Boxes, Folders, Npz, Table

ABOVE = {  # the folders that the downloads of sets with a folder per class bring along
    "aml": "AML-Cytomorphology_LMU/AML-Cytomorphology",
    "bccd-kaggle": "dataset2-master/dataset2-master/images",
    "lisc": "LISC Database/Main Dataset",
    "nih-malaria": "cell_images",
    "pbc": "PBC_dataset_normal_DIB",
    "wbc-usid": "Base",
}
VOC = """<annotation><filename>../../secret.jpg</filename>
<size><width>640</width><height>480</height></size>{}</annotation>"""
CELL = (
    """<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"""
)


def lay_out(name: str, facts: KnownSet, root: Path, per_label: int = 2) -> Path:
    """Write ``per_label`` images of every raw label as the set's layout says, and return their folder."""
    if isinstance(facts.layout, Table):
        return _table(facts, facts.layout, root / "download", per_label)
    if isinstance(facts.layout, Boxes):
        return _boxes(facts, facts.layout, root / "download")
    if isinstance(facts.layout, Npz):
        return _npz(facts, facts.layout, root / "download", per_label)
    place = root / ABOVE.get(name, "download")
    _folders(list(facts.classes), facts.layout, place, per_label)
    return place


def voc(*cells: Sequence[object]) -> str:
    """Return an annotation with cells (name, left, top, right, bottom)."""
    return VOC.format("".join(CELL.format(*cell) for cell in cells))


def touch(file: Path, text: str = "x") -> None:
    """Write a file and the folders above it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _folders(raw: list[str], layout: Folders, place: Path, count: int) -> None:
    for part in layout.splits or ("",):
        for label in raw:
            for number in range(count):
                touch(place / part / label / f"{label}_{number:04d}.png")


def _table(facts: KnownSet, layout: Table, place: Path, count: int) -> Path:
    rows = [f"{layout.file_column},{layout.label_column}"]
    for number, label in enumerate([label for label in facts.classes for _ in range(count)], 501):
        rows.append(f"{number},{label}")
        touch(place / layout.folder / f"{number:03d}.bmp")
        touch(place / layout.folder / f"{number:03d}.png")
    touch(place / layout.table, "\n".join(rows) + "\n")
    return place


def _boxes(facts: KnownSet, layout: Boxes, place: Path) -> Path:
    images = ("BloodImage_00001", "BloodImage_00002", "BloodImage_00003")
    for number, image in enumerate(images):
        touch(place / layout.images / f"{image}.jpg")
        if layout.form == "voc":
            cells = [(label, 10, 20, 110, 140) for label in facts.classes]
            touch(place / layout.annotations / f"{image}.xml", voc(*cells))
        else:
            touch(place / layout.annotations / f"{image}.txt", "".join(f"100 90 {label}\n" for label in facts.classes))
        if layout.lists:
            touch(place / layout.lists / f"{('train', 'val', 'test')[number]}.txt", f"{image}\n")
    return place


def _npz(facts: KnownSet, layout: Npz, place: Path, count: int) -> Path:
    place.mkdir(parents=True)
    codes = np.array([int(label) for label in facts.classes for _ in range(count)], dtype=np.uint8)
    pixels = np.zeros((len(codes), 8, 8, 3), dtype=np.uint8)
    arrays = {
        f"{part}_{what}": value
        for part in ("train", "val", "test")
        for what, value in (("images", pixels), ("labels", codes[:, None]))
    }
    np.savez(place / layout.files[0], **arrays)  # type: ignore[arg-type]  # numpy's stub takes the keywords for its options
    return place
