"""The self-contained result of one trial on one target: facts and per-image predictions, nothing else needed.

A record is a folder of the store: ``record.json``, ``predictions.npz`` (absent when the trial failed) and, written
last, ``done.json`` with the hash of both.
"""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, model_validator

from cytobench.errors import IntegrityFault
from cytobench.store import DONE, digest, is_whole, listing, read_json, write_bytes, write_json

FACTS = "record.json"
PREDICTIONS = "predictions.npz"
MOST_BYTES = 2 << 30  # of unpacked predictions: 20 million images of ten classes; more is an archive bomb
UNREADABLE = (
    ValueError,
    KeyError,
    TypeError,
    OSError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile, zlib and NumPy raise for files that a stranger made: torn, locked, or of more numbers than bytes."""

Nature = Literal["real", "phantom", "synthetic"]
"""Photographed through a microscope; drawn by the embedded source; made by a generator."""


class Part(BaseModel):
    """What every part of a record is: frozen, typed, closed."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class Backbone(Part):
    """Which network was trained."""

    asked: str
    """The name as the user gave it; boards call the backbone so."""
    library: str
    """Where the architecture comes from, as ``timm``."""
    model: str
    """The resolved name in that library."""
    parameters: int = Field(ge=0)
    """Number of parameters."""
    input_size: int = Field(ge=1)
    """Side of the square input, pixels."""


class Weights(Part):
    """What the network started from."""

    origin: str
    """Where the weights come from, as a hub id or a file's name, or ``none``."""
    sha256: str | None
    """Hash of the weights' file; None for a random start."""


class Cost(Part):
    """What a generator was given, and what it takes."""

    seconds: float
    """For all its fits on one partition together, on the device of the run."""
    fits: int
    """How many these are."""
    training_flops: int
    """Floating point operations of these fits, counted."""
    image_flops: int
    """Of one drawn image."""


class Generator(Part):
    """What made a synthetic set."""

    name: str
    """The plug-in's name."""
    base: str = ""
    """What it started from and what that was trained on before; empty for a random start."""
    varied: dict[str, JsonValue] = {}
    """Its values of the settings in which the generators of its run differ."""
    config: dict[str, JsonValue]
    """Its configuration."""
    trained_on: str
    """Name of the set that it learned from."""
    nature_of_training: Nature
    """Nature of that set."""
    cost: Cost | None = None
    """Where it was given a time instead of steps."""


class Scenes(Part):
    """How cells were put into scenes."""

    level: str
    """As it was asked for."""
    dial: float | None
    """Where it stands among the others; None for a level that is only called by its name."""
    cells: str
    """The set of the central cells."""
    around: str = ""
    """That of the cells around them; empty: other white cells alone."""
    config: dict[str, JsonValue]
    """The whole level."""
    optics: dict[str, JsonValue]
    """The size of things."""


class SetFacts(Part):
    """Which set of images."""

    name: str
    """As the user calls it."""
    nature: Nature
    """What the images are; boards mark everything that is not real."""
    absent_classes: tuple[str, ...] = ()
    """Classes of the record that the set has no image of."""
    split_sha256: str
    """Hash of the frozen split."""
    key: str
    """Key of the artefact that holds the set."""
    generator: Generator | None = None
    """What made it, in this run; None for photographs, drawings and what was made before."""
    scenes: Scenes | None = None
    """How its cells were put into scenes, in this run; None for single cells."""
    told: bool = False
    """Whether synthetic images that were made before brought along what they were made from."""


class Source(SetFacts):
    """The set that was trained on."""

    images_train: int = Field(ge=0)
    """Images that gradients came from."""
    images_val: int = Field(ge=0)
    """Images that the epoch was selected with."""


class Target(SetFacts):
    """The set that was tested on."""

    images_test: int = Field(ge=0)
    """Images in its test part."""


class Guard(Part):
    """What was done so that the number may count."""

    test_images: int = Field(ge=0)
    """Test images that were checked."""
    exposed_images: int = Field(ge=0)
    """Test images that training, selection or a generator had seen; a board takes none but 0."""
    checks: tuple[str, ...]
    """Names of the checks that were passed."""
    shared_ancestors: int = Field(default=0, ge=0)
    """For a synthetic target: images that its generator learned from and that this trial was trained on, too."""


class Failure(Part):
    """Why a trial has no result."""

    reason: str
    """One word or a short sentence, as ``nan``."""
    step: int | None
    """The optimiser step at which it stopped; None when there was none."""


class RecordFacts(Part):
    """Everything about a record but the predictions."""

    schema_version: Literal[1] = Field(default=1, alias="schema")
    """Version of this layout."""
    protocol: str
    """Name of the experiment."""
    profile: str
    """Its size: demo, standard or paper."""
    backbone: Backbone
    """Which network was trained."""
    weights: Weights
    """What it started from."""
    source: Source
    """What it was trained on."""
    target: Target
    """What it was tested on."""
    seed: int
    """The trial's seed."""
    classes: tuple[str, ...] = Field(min_length=2)
    """Names of the classes, in the order of labels and logits."""
    training: dict[str, JsonValue]
    """Specification of the training."""
    precision: dict[str, JsonValue]
    """Chosen arithmetic and memory format, with the timings that it was chosen by."""
    history: tuple[dict[str, float | None], ...]
    """One entry per epoch: ``epoch`` and whatever was measured; None for what is not a number."""
    best_epoch: int | None
    """The epoch whose weights were tested; None when there was none."""
    selection: str
    """What the epoch was selected by."""
    guard: Guard
    """What was checked about the test images."""
    status: Literal["done", "failed"]
    """Whether there are predictions."""
    failure: Failure | None = None
    """Why there are none."""
    device: dict[str, JsonValue]
    """Where it was computed."""
    versions: dict[str, JsonValue]
    """Versions of the packages that the number depends on."""
    ancestry: tuple[str, ...]
    """Keys of every artefact that the number depends on."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if (self.status == "failed") != (self.failure is not None):
            raise ValueError("a record has a failure if, and only if, its status is failed")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"a class is named twice: {', '.join(self.classes)}")
        unknown = {*self.source.absent_classes, *self.target.absent_classes} - set(self.classes)
        if unknown:
            raise ValueError(f"absent_classes names {sorted(unknown)}, which are no classes of the record")
        if any("epoch" not in entry for entry in self.history):
            raise ValueError("an entry of the history has no epoch")
        return self


class Predictions(NamedTuple):
    """What a trial said about every test image."""

    ids: NDArray[np.str_]
    """(n,) names of the images, each once."""
    labels: NDArray[np.int64]
    """(n,) true classes, 0 … C-1."""
    logits: NDArray[np.float32]
    """(n, C), finite."""


class Record(NamedTuple):
    """A record as read."""

    key: str
    """Its key in the store."""
    facts: RecordFacts
    """Everything but the predictions."""
    predictions: Predictions | None
    """None when the trial failed."""
    sha256: str
    """Hash over the hashes of its files."""


def save(folder: Path, facts: RecordFacts, predictions: Predictions | None) -> None:
    """Write a record's files; the same content gives the same bytes. The store adds ``done.json``.

    Args:
        folder: The record's folder.
        facts: Everything but the predictions.
        predictions: None when, and only when, ``facts.status`` is failed.

    Raises:
        ValueError: Facts and predictions do not fit together.
    """
    _check(facts, predictions)
    if predictions is not None:
        write_bytes(folder / PREDICTIONS, _packed(predictions))
    write_json(folder / FACTS, facts.model_dump(mode="json", by_alias=True))


def read(folder: Path) -> Record:
    """Read a record and prove that it is what was written.

    Raises:
        IntegrityFault: It is torn, edited, or does not fit together.
    """
    remedy = "delete the folder and repeat the run; only this trial is computed again"
    if not is_whole(folder):
        raise IntegrityFault(f"{folder} is torn or was edited: its files are not those of {DONE}", fix=remedy)
    try:
        done = read_json(folder / DONE)
        contents = _contents(folder, done["files"])
        facts = RecordFacts.model_validate_json(contents[FACTS])
        predictions = _unpacked(contents[PREDICTIONS]) if PREDICTIONS in contents else None
        _check(facts, predictions)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise IntegrityFault(f"{folder / FACTS} is no record", problems=problems, fix=remedy) from error
    except UNREADABLE as error:
        raise IntegrityFault(f"{folder} is no record: {error}", fix=remedy) from error
    return Record(str(done.get("key", folder.name)), facts, predictions, digest(done["files"]))


def _contents(folder: Path, files: dict[str, Any]) -> dict[str, bytes]:
    """Return the bytes of a record's files, all hashed (the store takes the size for enough when a file is large)."""
    if set(files) != set(listing(folder)) or not {FACTS} <= set(files) <= {FACTS, PREDICTIONS}:
        raise ValueError(f"it holds {sorted(listing(folder))}; a record is {FACTS} and, unless failed, {PREDICTIONS}")
    contents = {name: (folder / name).read_bytes() for name in files}
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != files[name]["sha256"]:
            raise ValueError(f"{name} was edited")
    return contents


def _check(facts: RecordFacts, predictions: Predictions | None) -> None:
    if (predictions is None) != (facts.status == "failed"):
        raise ValueError("a record has predictions if, and only if, its trial did not fail")
    if predictions is None:
        return
    ids, labels, logits = predictions
    n, classes = len(ids), len(facts.classes)
    if ids.shape != (n,) or labels.shape != (n,) or logits.shape != (n, classes):
        raise ValueError(f"shapes {ids.shape}, {labels.shape}, {logits.shape} are not (n,), (n,), (n, {classes})")
    if ids.dtype.kind != "U" or labels.dtype != np.int64 or logits.dtype != np.float32:
        raise ValueError(f"types {ids.dtype}, {labels.dtype}, {logits.dtype} are not text, int64, float32")
    if not n or n != facts.target.images_test:
        raise ValueError(f"{n} predictions for {facts.target.images_test} test images")
    if len(np.unique(ids)) != n:
        raise ValueError("an image is predicted twice")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels {labels.min()} … {labels.max()} are not within 0 … {classes - 1}")
    if not np.isfinite(logits).all():
        raise ValueError("a logit is not finite")


def _packed(predictions: Predictions) -> bytes:
    """Return an ``.npz`` without clocks or machine marks in it."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in predictions._asdict().items():
            member = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            member.compress_type, member.create_system = zipfile.ZIP_DEFLATED, 3
            body = io.BytesIO()
            np.lib.format.write_array(body, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            archive.writestr(member, body.getvalue(), compresslevel=6)
    return content.getvalue()


def _unpacked(content: bytes) -> Predictions:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MOST_BYTES:
            raise ValueError(f"{PREDICTIONS} unpacks to more than {MOST_BYTES} bytes")
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        if sorted(arrays.files) != sorted(Predictions._fields):
            raise ValueError(f"{PREDICTIONS} holds {sorted(arrays.files)}, not {sorted(Predictions._fields)}")
        return Predictions(arrays["ids"], arrays["labels"], arrays["logits"])
