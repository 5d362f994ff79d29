"""Publish a frozen set: what a finished run drew, with the board that it was born with; or folders of drawn images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cytobench.benchmarks.lookup import SHELF
from cytobench.benchmarks.offer import Offer
from cytobench.benchmarks.release_folders import of_folders
from cytobench.benchmarks.release_run import of_run
from cytobench.datasets.frozen.archive import Kind, pack, zenodo
from cytobench.datasets.frozen.coco import adopt
from cytobench.datasets.frozen.edition import Edition, Published
from cytobench.datasets.frozen.identity import WHOLE_HASH, named, parse
from cytobench.datasets.frozen.verify import verify
from cytobench.datasets.frozen.write import write
from cytobench.datasets.made import folders_at
from cytobench.errors import UsageFault
from cytobench.registry import unknown
from cytobench.store import file_sha256, write_json

LICENCE = "CC-BY-4.0"  # SPDX name, where nobody names another one


class Release(NamedTuple):
    """A set that is ready to be written."""

    edition: Edition
    sets: tuple[Published, ...]
    annotations: Mapping[str, bytes]
    extras: Callable[[Path], None]
    """Writes whatever else belongs to it: a board, masks."""
    shelf: Path


def prepare(
    places: Sequence[Path],
    edition: Edition,
    *,
    sets: Sequence[str] = (),
    annotations: Mapping[str, Path] | None = None,
    shelf: Path | None = None,
) -> Release:
    """Find what there is to publish, undamaged; nothing is written.

    Args:
        places: The folder of a finished run; or folders that ``generate`` and ``compose`` wrote.
        edition: Name, version and what else is known.
        sets: Which sets; empty takes every synthetic one. Drawn ones of a run, as the phantom, are taken where they
            are named.
        annotations: COCO files by set.
        shelf: Where published sets lie; by default ``published`` beside the runs, or beside the folders.

    Raises:
        UsageFault: No finished run and no such folder, no such set, photographs that are asked for.
        IntegrityFault: What was made was edited, shows photographs or shares cells between its parts.
    """
    offer = _offered(places, edition, sets)
    place = shelf or (places[0].parent if folders_at(places[0]) else places[0].parent.parent) / SHELF
    told = edition.model_copy(update={"command": offer.command, "supersedes": _superseded(edition, place)})
    given = {**offer.annotations, **_annotated(annotations or {}, offer.sets)}
    return Release(told, offer.sets, given, offer.extras, place)


def _offered(places: Sequence[Path], edition: Edition, sets: Sequence[str]) -> Offer:
    folders = [folders_at(place) for place in places]
    if all(folders):
        return of_folders([one for each in folders for one in each], sets=sets)
    if len(places) > 1:
        raise UsageFault(
            f"{len(places)} places are named, and not all are folders that cytobench drew",
            fix="publish one run; or folders of `generate` and `compose`, one or more",
        )
    return of_run(places[0], sets=sets, title=edition.title)


def plan_of(release: Release) -> dict[str, Any]:
    """Return what would be published."""
    pixels = sum(len(one.images.table) * one.images.pixels[0].size for one in release.sets)
    return {
        "identity": f"{release.edition.identity.name}@v{release.edition.identity.version}",
        "folder": str(release.shelf / release.edition.identity.folder),
        "sets": {one.name: {split: one.images.counts(split) for split in one.parts} for one in release.sets},
        "images": sum(len(one.images.table) for one in release.sets),
        "licence": release.edition.licence,
        "estimated_bytes": 3 * pixels,
    }


def release(ready: Release, *, archive: Kind | None) -> dict[str, Any]:
    """Write the set, and its archive where one is wanted; return what it is called and where it lies.

    Raises:
        IntegrityFault: This version is there with other content; or a record of the run was edited.
        UsageFault: The run is not finished.
        EnvironmentFault: No room.
    """
    edition = ready.edition
    made = write(ready.shelf, edition, ready.sets, extras=ready.extras, annotations=ready.annotations)
    told = {"identity": str(made.identity), "new": made.new, "folder": str(made.folder), "files": made.files}
    told |= {"bytes": made.bytes, "images": made.images}
    if archive:
        packed = pack(made.folder, made.folder.with_name(f"{made.folder.name}.{archive}"), archive)
        write_json(made.folder.with_name(f"{made.folder.name}.zenodo.json"), zenodo(edition, str(made.identity)))
        told |= {"archive": str(packed), "archive_sha256": file_sha256(packed)}
    return told


def freeze(run: Path, name: str) -> dict[str, Any]:
    """Publish what a finished run drew under a name that tells the run, and prove it; a second time only prove it.

    Args:
        run: Its folder.
        name: What its protocol publishes; the digest of the run is added.

    Raises:
        CytobenchError: As of :func:`prepare` and :func:`release`, or what lies there was edited.
    """
    whole = f"{name}-{run.name.rpartition('-')[2]}"
    edition = Edition(identity=named(whole, 1), title=whole, licence=LICENCE, command="")
    told = release(prepare([run], edition), archive=None)
    proven = verify(Path(told["folder"]))
    return told | {"verified_files": proven.files}


def _superseded(edition: Edition, shelf: Path) -> str:
    """Return the whole identity of the version that an edition replaces; it is proven where it lies on the shelf."""
    version = edition.identity.version
    if not edition.supersedes:
        if version > 1:
            raise UsageFault(
                f"version {version} supersedes another", fix=f"--supersedes {edition.identity.name}@v{version - 1}#HASH"
            )
        return ""
    old = parse(edition.supersedes)
    if old.name != edition.identity.name or old.version >= version:
        raise UsageFault(
            f"{edition.identity} can't supersede {old}", fix="--supersedes names an earlier version of the same set"
        )
    if (shelf / old.folder).exists():
        return str(verify(shelf / old.folder, expected=old).identity)
    if len(old.root) != WHOLE_HASH:
        raise UsageFault(f"{old} is not in {shelf}", fix="write its whole hash: --supersedes NAME@vN#HASH")
    return str(old)


def _annotated(files: Mapping[str, Path], sets: Sequence[Published]) -> dict[str, bytes]:
    """Return COCO files by their path below the set's folder."""
    found: dict[str, bytes] = {}
    for name, file in files.items():
        fitting = [one for one in sets if one.name == name or (not name and len(sets) == 1)]
        if not fitting:
            raise unknown("data set", name, [one.name for one in sets])
        if not file.is_file():
            raise UsageFault(f"there is no file {file}", fix="--annotations SET=FILE")
        found |= adopt(file.read_bytes(), fitting[0], file.name)
    return found
