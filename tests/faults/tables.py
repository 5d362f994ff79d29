"""Hostile tables: manifests, label maps and annotations."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.conftest import picture
from tests.faults.corpus import RAN, few, hostile, manifest
from tests.faults.payloads import pickled


def row(path: str, label: str = "a") -> Callable[[Path], bytes]:
    """Return a manifest of one good row and that one."""
    return lambda _: f"path,label\na/0.png,a\n{path},{label}\n".encode()


def quoted(label: str) -> Callable[[Path], bytes]:
    """Return a manifest whose second class has that name."""
    text = label.replace('"', '""')
    return lambda _: f'path,label\na/0.png,a\na/1.png,a\nb/0.png,"{text}"\nb/1.png,"{text}"\n'.encode()


for name, path in {
    "climbs": "../outside.png", "climbs_inside": "a/../../../outside.png", "absolute": "/etc/passwd",
    "drive": "C:\\x.png",
    "share": "\\\\host\\share\\x.png", "climbs_on_windows": "a\\..\\..\\..\\x.png", "device": "//./C:/x.png",
}.items():  # fmt: skip
    manifest(f"manifest_path_{name}", 5, row(path), 40)
manifest("manifest_path_with_nul", 5, row("a/\0.png"), 40)
manifest("manifest_path_of_ten_megabytes", 3, row("x" * 10_000_000), 30)
manifest("manifest_of_ten_megabytes_on_one_line", 2, lambda _: b"x" * 10_000_000)
manifest("manifest_of_200000_columns", 3, lambda _: b",".join(b"c%d" % n for n in range(200_000)) + b"\n1,2\n")
manifest("manifest_whose_quote_never_closes", 3, lambda _: b'path,label\n"a/0.png,a\n' + b"a/1.png,a\n" * 50_000, 31)
manifest("manifest_in_utf16", 3, lambda _: "path,label\na/0.png,a\n".encode("utf-16"), 31)
manifest("manifest_with_two_marks", 0, lambda _: b"\xef\xbb\xbf\xef\xbb\xbfpath,label\na/0.png,a\n", 31)
manifest("manifest_box_of_ten_megabytes", 3, lambda _: b"path,label,box\na/0.png,a," + b"9" * 10_000_000 + b"\n")
manifest("pickle_named_csv", 3, pickled)
manifest("text_pickle_named_csv", 2, lambda place: pickled(place, 0))
manifest("pickle_named_parquet", 3, pickled, ending="parquet")
manifest("class_with_markup", 0, quoted("<script>alert(1)</script>"), 46)
manifest("class_with_a_formula", 0, quoted("=cmd|' /C calc'!A0"), 47)
manifest("class_that_climbs", 0, quoted("../../outside"))
manifest("class_of_5000_characters", 3, quoted("x" * 5000))
manifest("class_of_two_lines", 3, quoted("a\nb"))
manifest("class_that_turns_the_line_round", 3, quoted("a\u202eb"))
manifest("class_that_speaks_to_the_terminal", 3, quoted("a\x1b]0;owned\x07"))


def _parquet(**columns: pa.Array) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _wrong_footer(_: Path) -> bytes:
    content = bytearray(_parquet(path=pa.array(["a/0.png"]), label=pa.array(["a"])))
    content[-8:-4] = b"\xff\xff\xff\x7f"
    return bytes(content)


def _large_strings(_: Path) -> bytes:
    """One text of a megabyte, named four thousand times by its number in a dictionary."""
    same = pa.DictionaryArray.from_arrays(pa.array([0] * 4000, pa.int32()), pa.array(["x" * 1_000_000]))
    return _parquet(path=same, label=same)


def _many_rows(_: Path) -> bytes:
    same = pa.DictionaryArray.from_arrays(np.zeros(30_000_000, np.int8), pa.array(["a"]))
    return _parquet(path=same, label=same)


manifest("parquet_with_a_wrong_footer", 3, _wrong_footer, ending="parquet")
manifest("parquet_that_unpacks_to_four_gigabytes", 3, _large_strings, ending="parquet")
manifest(
    "parquet_of_lists", 3, lambda _: _parquet(path=pa.array([["a/0.png"]]), label=pa.array(["a"])), ending="parquet"
)
manifest("parquet_of_thirty_million_rows", 3, _many_rows, ending="parquet")


@hostile("tables", 3, 36)
def manifest_that_is_sparse_and_has_ten_gigabytes(place: Path) -> Path:
    with (few(place) / "list.csv").open("wb") as file:
        file.write(b"path,label\n")
        file.truncate(10 * 1000**3)
    return place / "set/list.csv"


@hostile("tables", 2)
def manifest_that_is_a_pipe(place: Path) -> Path:
    os.mkfifo(few(place) / "list.csv")
    return place / "set/list.csv"


@hostile("tables", 2, 45)
def yaml_as_a_manifest(place: Path) -> tuple[str, ...]:
    (few(place) / "x.yaml").write_text(f"!!python/object/apply:os.mkdir ['{place / RAN}']\n")
    return "data", "scan", "--data", f"x={place / 'set'}", "--manifest", f"x={place / 'set/x.yaml'}"


@hostile("tables", 2, 40)
def set_whose_name_climbs(place: Path) -> tuple[str, ...]:
    return "data", "scan", "--data", f"../../x={few(place)}"


def label_map(name: str, code: int, content: bytes, *rows: int, ending: str = "toml") -> None:
    """Register bytes that are given as a label map."""

    def make(place: Path) -> tuple[str, ...]:
        (place / f"map.{ending}").write_bytes(content)
        return "data", "scan", "--data", f"x={few(place)}", "--label-map", f"x={place / f'map.{ending}'}"

    make.__name__ = name
    hostile("tables", code, *rows)(make)


label_map("label_map_nested_deeply", 3, b"a = " + b"[\n" * 400_000)
label_map("label_map_with_a_deep_key", 3, b".".join([b"a"] * 400_000) + b' = "b"')
label_map("label_map_with_names_of_a_megabyte", 3, b"a" * 900_000 + b' = "b"')
label_map("label_map_of_two_megabytes", 3, b"#" * 2_000_000)
label_map("label_map_to_a_class_of_a_megabyte", 3, b'a = "' + b"x" * 900_000 + b'"')
label_map("label_map_to_a_class_that_is_no_name", 2, b'a = "\\u001b]0;owned"')
label_map("label_map_that_is_yaml", 2, b"!!python/object/apply:os.mkdir ['ran']", 45, ending="yaml")
label_map("label_map_whose_quote_never_closes", 3, b'label,class\n"a,b\n', ending="csv")


def annotation(name: str, code: int, content: bytes, *rows: int) -> None:
    """Register an annotation of a photograph with boxes."""

    def make(place: Path) -> tuple[str, ...]:
        for folder in ("JPEGImages", "Annotations"):
            (place / "set" / folder).mkdir(parents=True)
        picture("field", size=64).save(place / "set/JPEGImages/1.jpg")
        (place / "set/Annotations/1.xml").write_bytes(content)
        return "data", "scan", "--data", f"bccd={place / 'set'}"

    make.__name__ = name
    hostile("tables", code, *rows)(make)


def _laughs() -> bytes:
    lines = [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10)]
    return ('<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">' + "".join(lines) + "]><x>&l9;</x>").encode()


OUTSIDE = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>'
BOX = "<object><name>WBC</name><bndbox><xmin>{0}</xmin><ymin>0</ymin><xmax>60</xmax><ymax>60</ymax></bndbox></object>"
FIELD = "<annotation><size><width>{0}</width><height>64</height></size>{1}</annotation>"
annotation("xml_of_a_billion_laughs", 5, _laughs())
annotation("xml_with_an_outside_entity", 5, OUTSIDE)
annotation("xml_with_a_document_type_in_utf16", 3, OUTSIDE.decode().encode("utf-16"))
annotation("xml_nested_deeply", 3, b"<x>" * 500_000)
annotation("xml_of_five_megabytes", 3, b"<!--" + b"x" * 5_000_000 + b"-->")
annotation("xml_with_a_box_at_infinity", 3, FIELD.format(64, BOX.format("1e999")).encode())
annotation(
    "xml_with_a_box_outside_its_photograph",
    3,
    FIELD.format(10**9, BOX.format(-(10**9)).replace("60", "900000000")).encode(),
)
