"""A frozen set as a data set: its splits, labels and ancestry as published, proven before anything is used."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cytobench.benchmarks.lookup import Data, SetOptions, find_sets
from cytobench.datasets.archives.unpack import unpack
from cytobench.datasets.frozen.archive import Kind, pack
from cytobench.datasets.frozen.identity import Identity, named, parse
from cytobench.datasets.frozen.manifest import IDENTITY, MANIFEST, Row, root_of, written
from cytobench.datasets.frozen.thaw import frozen_at, place_of, thaw
from cytobench.errors import IntegrityFault, UsageFault
from cytobench.store import Store
from tests.datasets.frozen.conftest import Freeze, published


def test_it_is_what_was_published(freeze: Freeze) -> None:
    done = freeze()
    found = thaw(done.folder, "any", expected=None, verified=True)
    table = published("x-vae").images.table
    told = {(entry.label, entry.split, entry.origin, entry.pixel_sha256) for entry in found.listing.entries}
    assert told == set(table[["label", "split", "origin", "pixel_sha256"]].itertuples(index=False, name=None))
    assert (found.identity, found.facts.nature, found.facts.licence) == (done.identity, "synthetic", "CC0-1.0")
    assert all((done.folder / entry.file).is_file() for entry in found.listing.entries)
    assert found.listing.ancestry is not None
    by_split = {entry.split: run for entry, run in zip(found.listing.entries, found.listing.ancestry.runs, strict=True)}
    assert by_split == {
        "train": "generator/" + "a" * 24,
        "val": "generator/" + "a" * 24,
        "test": "generator/" + "b" * 24,
    }
    assert set(found.listing.ancestry.seen) == {
        (*row, "") for row in published("x-vae").seen.itertuples(index=False, name=None)
    }


def test_the_partition_of_a_generator_is_none_of_the_images_own(freeze: Freeze) -> None:
    folder = freeze(published("x-vae"), published("smears", "phantom")).folder
    synthetic = thaw(folder, "x-vae", expected=None, verified=True)
    drawn = thaw(folder, "smears", expected=None, verified=True)
    assert {entry.partition for entry in synthetic.listing.entries} == {""}
    assert {entry.partition for entry in drawn.listing.entries if entry.split == "train"} == {"a"}
    assert drawn.facts.nature == "phantom"


def test_of_several_sets_the_name_says_which(freeze: Freeze) -> None:
    folder = freeze(published("x-vae"), published("y-vae")).folder
    assert {
        entry.file.split("/")[1] for entry in thaw(folder, "y-vae", expected=None, verified=True).listing.entries
    } == {"y-vae"}
    with pytest.raises(UsageFault, match="holds 2 sets") as caught:
        thaw(folder, "z", expected=None, verified=True)
    assert "--data x-vae=" in caught.value.fix


@pytest.mark.fault(37, 39)
def test_it_is_proven_by_default_and_on_demand_not(freeze: Freeze) -> None:
    done = freeze()
    (done.folder / "board/README.md").write_text("a better score")
    with pytest.raises(IntegrityFault) as caught:
        thaw(done.folder, "x", expected=None, verified=True)
    assert [line.split(":")[0] for line in caught.value.problems] == ["board/README.md"]
    assert thaw(done.folder, "x", expected=None, verified=False).listing.entries


@pytest.mark.fault(38)
def test_an_edited_manifest_is_refused_even_unverified(freeze: Freeze) -> None:
    folder = freeze().folder
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace('"label":"baso"', '"label":"mono"', 1))
    with pytest.raises(IntegrityFault, match="was edited"):
        thaw(folder, "x", expected=None, verified=False)


@pytest.mark.parametrize("lost", ["ancestry/x-vae.csv", "LICENSE"])
def test_unverified_without_its_ancestry_is_refused(freeze: Freeze, lost: str) -> None:
    folder = freeze().folder
    (folder / lost).unlink()
    if lost == "LICENSE":
        assert thaw(folder, "x", expected=None, verified=False).facts.licence == "unknown"
    else:
        with pytest.raises(IntegrityFault, match="what its generators saw"):
            thaw(folder, "x", expected=None, verified=False)


@pytest.mark.fault(37)
@pytest.mark.parametrize("verified", [True, False])
def test_a_hash_that_was_typed_holds_without_verifying_too(freeze: Freeze, verified: bool) -> None:
    done = freeze()
    found = thaw(done.folder, "x", expected=parse(f"noise@v1#{done.identity.root[:8]}"), verified=verified)
    assert found.identity == done.identity
    with pytest.raises(IntegrityFault):
        thaw(done.folder, "x", expected=parse("noise@v1#00000000"), verified=verified)


@pytest.mark.fault(26)
def test_an_edited_ancestry_is_refused_unverified(freeze: Freeze) -> None:
    folder = freeze().folder
    path = folder / "ancestry/x-vae.csv"
    path.write_text(path.read_text().replace(",lab,", ",lob,", 1))
    with pytest.raises(IntegrityFault, match="what its generators saw"):
        thaw(folder, "x", expected=None, verified=False)


def restated(folder: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Rewrite the rows of a manifest, and the identity, as an attacker would who knows how."""
    header, *lines = (json.loads(line) for line in (folder / MANIFEST).read_text().splitlines())
    rows = [Row(**change({name: one[name] for name in Row._fields})) for one in lines]
    content = written(Identity(header["name"], header["version"]), header["supersedes"], rows)
    (folder / MANIFEST).write_bytes(content)
    (folder / IDENTITY).write_text(f"{Identity(header['name'], header['version'], root_of(content))}\n")


@pytest.mark.fault(26, 40)
@pytest.mark.parametrize("verified", [True, False])
def test_the_name_of_a_set_leads_to_no_file_beside_it(freeze: Freeze, verified: bool) -> None:
    folder = freeze().folder
    (folder.parent / "nothing.csv").write_bytes((folder / "ancestry/x-vae.csv").read_bytes())
    restated(folder, lambda row: row | ({"set": "../../nothing"} if row["set"] else {}))
    with pytest.raises(IntegrityFault, match="what its generators saw"):
        thaw(folder, "x", expected=None, verified=verified)


@pytest.mark.fault(26)
@pytest.mark.parametrize("changed", [{"origin": "phantom"}, {"generator_run": ""}, {"origin": "real"}])
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_nobody_drew_is_refused(freeze: Freeze, changed: dict[str, str], split: str) -> None:
    folder = freeze().folder
    restated(folder, lambda row: row | (changed if row["split"] == split else {}))
    with pytest.raises(IntegrityFault, match="which fit drew every image"):
        thaw(folder, "x", expected=None, verified=True)


def test_a_name_with_a_version_is_found_on_the_shelf(freeze: Freeze, tmp_path: Path) -> None:
    done = freeze()
    shelf = done.folder.parent
    assert place_of("noise@v1", shelf) == (done.folder, Identity("noise", 1))
    place, expected = place_of(f"noise@v1#{done.identity.root[:12]}", shelf)
    assert thaw(place, "x", expected=expected, verified=True).identity == done.identity
    with pytest.raises(IntegrityFault):
        thaw(place, "x", expected=parse("noise@v1#00000000"), verified=True)
    with pytest.raises(UsageFault, match="there is no noise@v2"):
        place_of("noise@v2", shelf)
    assert place_of(str(tmp_path / "folder"), shelf) == (tmp_path / "folder", None)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_an_unpacked_archive_of_it_is_whole(freeze: Freeze, tmp_path: Path, kind: Kind) -> None:
    done = freeze()
    unpacked = unpack(pack(done.folder, tmp_path / f"noise.{kind}", kind), tmp_path / "content").folder
    folder = frozen_at(unpacked)
    assert folder == unpacked / "noise-v1"
    assert thaw(folder, "x", expected=None, verified=True).identity == done.identity


@pytest.mark.parametrize("lost", [IDENTITY, MANIFEST])
def test_a_set_without_its_identity_is_not_taken_for_an_ordinary_folder(freeze: Freeze, lost: str) -> None:
    folder = freeze().folder
    (folder / lost).unlink()
    assert frozen_at(folder) == folder
    with pytest.raises(IntegrityFault) as caught:
        thaw(folder, "x", expected=None, verified=True)
    assert f"{lost}: missing" in caught.value.problems


@pytest.mark.fault(27)
@pytest.mark.parametrize("part", ["npz/x-vae.npz", "images.csv", "images/x-vae", "board"])
def test_a_part_of_it_is_no_set(freeze: Freeze, tmp_path: Path, part: str) -> None:
    folder = freeze().folder
    (tmp_path / "link").symlink_to(folder / part)
    for path in (folder / part, tmp_path / "link"):
        with pytest.raises(UsageFault, match="part of a frozen set") as caught:
            find_sets(
                SetOptions(data=(Data(name="x", path=str(path)),)),
                image_size=16, drawn_per_class=1, store=Store(tmp_path / "out/store"),
            )  # fmt: skip
        assert str(folder) in caught.value.fix


def test_an_ordinary_folder_is_none(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert frozen_at(tmp_path) is None
    assert frozen_at(tmp_path / "nowhere") is None
    shutil.rmtree(tmp_path / "a")
    assert frozen_at(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "noise", "noise@1", "noise@v0", "noise@v01", "Noise@v1", "noise@v1#xyz", "../x@v1", "noise@v1#12"]
)
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(UsageFault, match="no frozen set's identity"):
        parse(text)


@pytest.mark.parametrize(
    ("name", "version"), [("Noise", 1), ("", 1), ("a/b", 1), ("-a", 1), ("a" * 64, 1), ("a", 0), ("a", -1)]
)
def test_a_name_that_can_not_be_published_is_refused(name: str, version: int) -> None:
    with pytest.raises(UsageFault):
        named(name, version)


def test_an_identity_is_printed_as_it_is_read() -> None:
    whole = Identity("noise", 12, "ab" * 32)
    assert parse(str(whole)) == whole
    assert Identity("noise", 12).means(whole)
    assert not Identity("noise", 1).means(whole)
