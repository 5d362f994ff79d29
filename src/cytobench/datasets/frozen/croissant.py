"""The set described for machines: Croissant 1.0 with its RAI fields (https://docs.mlcommons.org/croissant/)."""

from collections.abc import Mapping, Sequence
from typing import Any

from cytobench.datasets.frozen.card import LIMITS, NOT_FOR
from cytobench.datasets.frozen.edition import Edition, Published
from cytobench.datasets.frozen.formats import COLUMNS, SPLIT_NAMES, parquet_path

CONFORMS_TO = ("http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0")
_TERMS = (
    "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format",
    "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex",
    "repeated", "replace", "samplingRate", "separator", "source", "subField", "transform",
)  # fmt: skip
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "sc": "https://schema.org/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in _TERMS},
}


def croissant(edition: Edition, sets: Sequence[Published], hashes: Mapping[str, str], table: str) -> dict[str, Any]:
    """Return the description as a JSON-LD object.

    Args:
        edition: The facts.
        sets: Its images.
        hashes: SHA-256 of the described files, by path.
        table: Path of the CSV of all images.
    """
    identity = edition.identity
    creators = [{"@type": "sc:Person", "name": name} for name in edition.creators]
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": identity.name,
        "description": f"{edition.title}. Drawn blood cells with frozen splits, no photographs; see README.md.",
        "conformsTo": list(CONFORMS_TO),
        "version": f"{identity.version}.0.0",
        "license": edition.licence_url,
        "url": f"urn:cytobench:{identity.name}:v{identity.version}",
        "citeAs": f"{'; '.join(edition.creators) or identity.name}: {edition.title}, {identity}",
        **({"creator": creators} if creators else {}),
        **({"datePublished": edition.date} if edition.date else {}),
        **_responsibility(edition, sets),
        "distribution": [_file(path, hashes[path]) for path in sorted(hashes)],
        "recordSet": [
            _table(table),
            *(_part(one, split) for one in sets for split in one.parts),
        ],
    }


def _responsibility(edition: Edition, sets: Sequence[Published]) -> dict[str, Any]:
    """Return the RAI fields."""
    made = [f"{one.name}: {sentence}" for one in sets for sentence in one.story]
    return {
        "rai:dataCollection": "No data were collected; images were drawn. " + " ".join(made),
        "rai:dataCollectionType": "Synthetic data generation",
        "rai:dataAnnotationProtocol": "A label is the class that the generator was asked to draw; of a scene, "
        "that of the cell in its middle.",
        "rai:dataManipulationProtocol": f"Images are stored as drawn. The run: {edition.command}",
        "rai:dataLimitations": list(LIMITS),
        "rai:dataBiases": "Those of the sites and stains that the generators learned from.",
        "rai:dataUseCases": "Training and comparing classifiers of white blood cells. Not for: " + " ".join(NOT_FOR),
        "rai:personalSensitiveInformation": "None: no photograph, no patient and no slide is in the set.",
        "rai:dataReleaseMaintenancePlan": "A version is never edited; a later one supersedes it and names it.",
    }


def _file(path: str, sha256: str) -> dict[str, Any]:
    kind = "text/csv" if path.endswith(".csv") else "application/x-parquet"
    return {
        "@type": "cr:FileObject", "@id": path, "name": path, "contentUrl": path, "encodingFormat": kind,
        "sha256": sha256,
    }  # fmt: skip


def _table(path: str) -> dict[str, Any]:
    fields = [_field("all", path, column, "sc:Text") for column in COLUMNS]
    return {"@type": "cr:RecordSet", "@id": "all", "name": "all", "description": "A row per image.", "field": fields}


def _part(one: Published, split: str) -> dict[str, Any]:
    name, path = f"{one.name}/{SPLIT_NAMES[split]}", parquet_path(one.name, split)
    image = _field(name, path, "image", "sc:ImageObject")
    image["source"]["transform"] = {"jsonPath": "bytes"}
    codes = ", ".join(f"{code} {label}" for code, label in enumerate(one.images.classes))
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": f"The part {split} of {one.name}; labels: {codes}.",
        "field": [image, _field(name, path, "label", "sc:Integer"), _field(name, path, "path", "sc:Text")],
    }


def _field(record: str, path: str, column: str, kind: str) -> dict[str, Any]:
    return {
        "@type": "cr:Field",
        "@id": f"{record}/{column}",
        "name": f"{record}/{column}",
        "description": f"Column {column}.",
        "dataType": kind,
        "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
    }
