"""How a published set lies on the disk, as data: the four kinds of layout that a known set may name."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Tag, field_validator, model_validator

Part = Literal["train", "val", "test"]


class _Layout(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    hint: str = ""
    """Where one image lies in the download, for people; printed when nothing fits."""
    skip: tuple[str, ...] = ()
    """Patterns of folders and files to pass over, as ``*_mask.png``; what they match is counted."""
    group: str = ""
    """Regular expression with one group on the file's name: the patient or slide, where the publisher encodes it."""

    @field_validator("group")
    @classmethod
    def _one_group(cls, value: str) -> str:
        try:
            groups = re.compile(value).groups
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression: {error}") from error
        if value and groups != 1:
            raise ValueError(f"{value!r} has {groups} groups; one is needed")
        return value


class Folders(_Layout):
    """A folder per class, at some depth below what the user names."""

    kind: Literal["folders"] = "folders"
    splits: Mapping[str, Part] = {}
    """Folder above the class folders -> part of the published split."""


class Table(_Layout):
    """Images in one folder and a table (CSV, TSV) that gives their labels."""

    kind: Literal["table"]
    table: str
    """Name of the table's file."""
    folder: str = ""
    """Folder of the images, beside the table."""
    file_column: str
    """Column that names the image."""
    label_column: str
    """Column that names its label."""
    digits: int = 0
    """Length to which numbers in the file column are filled with zeros to give the file's name."""
    ending: str = ""
    """What follows the file column's value in the file's name, as ``.bmp``."""


class Boxes(_Layout):
    """Large images with a file of annotations each; every annotated cell is one entry with a box."""

    kind: Literal["boxes"]
    images: str
    """Folder of the images."""
    annotations: str
    """Folder of the annotations, beside it; their names are the images' with another ending."""
    form: Literal["voc", "points"]
    """Pascal VOC XML, or text with ``x y label`` per line."""
    side: int = 0
    """For points: side of the square around a point, pixels."""
    width: int = 0
    """For points: width of every image, pixels."""
    height: int = 0
    """For points: height of every image, pixels."""
    lists: str = ""
    """Folder with train.txt, val.txt and test.txt, which name the images of each part."""

    @model_validator(mode="after")
    def _points_have_sizes(self) -> "Boxes":
        if self.form == "points" and min(self.side, self.width, self.height) < 1:
            raise ValueError("points need side, width and height in pixels")
        return self


class Npz(_Layout):
    """One MedMNIST-style archive."""

    kind: Literal["npz"]
    files: tuple[str, ...]
    """Names that the archive may have."""


def _kind(value: Any) -> str:
    return str(value.get("kind", "folders") if isinstance(value, dict) else value.kind)


Layout = Annotated[
    Annotated[Folders, Tag("folders")]
    | Annotated[Table, Tag("table")]
    | Annotated[Boxes, Tag("boxes")]
    | Annotated[Npz, Tag("npz")],
    Discriminator(_kind),
]
"""Any of the four; ``folders`` when no kind is named."""
