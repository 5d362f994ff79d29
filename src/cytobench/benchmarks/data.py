"""Look at a user's images, and freeze splits of them, outside of a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from cytobench.benchmarks.lookup import FoundSet, SetOptions, classes_of, find_sets
from cytobench.benchmarks.spec import fitted
from cytobench.benchmarks.steps.near import PAIRS, FindNear, find, read_clusters
from cytobench.benchmarks.steps.sets import ReadImages
from cytobench.datasets import guard, publishable, seal
from cytobench.datasets.downloads.fetch import fetch
from cytobench.datasets.imageset import TABLE, read_pixels, read_table, write_table
from cytobench.datasets.known_set import known
from cytobench.datasets.profile import profile, sheet
from cytobench.datasets.scan import REPORT
from cytobench.datasets.splits import Fold, Split, SplitStep, make_split
from cytobench.errors import UsageFault
from cytobench.seeds import seed_for
from cytobench.store import Store, atomic, read_json, write_json

SCANS = "scans"
PROFILE, SHEET = "profile.json", "examples.png"
FREEZING_SIZE = 64  # pixels of the cache that is made along the way


class Shares(NamedTuple):
    """How a split is drawn."""

    ratios: tuple[float, float, float]
    """Of train, val and test."""
    folds: int
    """Rotating splits; 0 draws one by the ratios."""


def scan_all(options: SetOptions, size: int, out: Path) -> dict[str, dict[str, Any]]:
    """Return what every set looks like; decoded pixels go to the store, where runs find them.

    A profile and a sheet of examples of each set are written below ``out/scans``.
    """
    sets = _looked_up(options, size, out)
    store = Store(out / "store")
    return {one.name: _scanned(one, store, out / SCANS / one.name) for one in sets}


def _scanned(one: FoundSet, store: Store, to: Path) -> dict[str, Any]:
    images, near = _images(one, store), _near(one, store)
    table, pixels = read_table(images / TABLE), read_pixels(images)
    table["label"] = [one.labels.get(label, label) or f"{label} (left out)" for label in table["label"]]
    file_of, label_of = (dict(zip(table["id"], table[column], strict=True)) for column in ("file", "label"))
    pairs = read_table(near / PAIRS)
    report: dict[str, Any] = read_json(images / REPORT)
    report["classes"] = {str(label): int(count) for label, count in table["label"].value_counts().sort_index().items()}
    report["flaws known of it"] = list(one.facts.flaws)
    report["near_copies"] = [
        {
            "first": file_of[a],
            "second": file_of[b],
            "similarity": float(similarity),
            "orientation": orientation,
            "two_labels": label_of[a] != label_of[b],
        }
        for a, b, similarity, orientation in pairs.itertuples(index=False)
    ]
    report["looks"] = profile(table, pixels)
    write_json(to / PROFILE, report)
    with atomic(to / SHEET) as file:
        sheet(table, pixels, seed=0).save(file, format="PNG")
    return report | {"profile": str(to / PROFILE), "examples": str(to / SHEET)}


def freeze(options: SetOptions, shares: Shares, *, starve: Mapping[str, str], to: Path, out: Path) -> dict[Path, Split]:
    """Write the split of one set, or every fold of it, as a sealed manifest; return the splits by their files.

    Args:
        options: Which set, and what to do about awkward images in it.
        shares: How to draw it.
        starve: Most training images by class; the empty name is for all.
        to: The manifest; with folds its name gets ``-1``, ``-2`` and so on.
        out: Where decoded pixels go.

    Raises:
        UsageFault: Not exactly one set, or a manifest that is there already.
        DataFault: Images that can't be used, names that differ in case alone, classes too small.
        IntegrityFault: A leak in a given split, a file that lies outside the set's folder.
    """
    if len(options.data) != 1:
        raise UsageFault(f"{len(options.data)} sets are named; a split is of one", fix="--data NAME=PATH once")
    files = [to.with_stem(f"{to.stem}-{number + 1}") for number in range(shares.folds)] or [to]
    there = [str(file) for file in files if file.exists()]
    if there:
        raise UsageFault(
            f"{there[0]} is there already; a frozen split is never drawn again", fix="choose another name with --to"
        )
    [one] = _looked_up(options, FREEZING_SIZE, out)
    if one.survey is None or one.survey.listing.arrays is not None:
        raise UsageFault(
            f"a manifest names files, {one.name} has none", fix="put the split into the npz: train_images, …"
        )
    if tuple(options.classes) == ("common",):
        raise UsageFault("--classes common is of several sets; a split is of one", fix="--classes a,b,c")
    store = Store(out / "store")
    images, near = _images(one, store), _near(one, store)
    table = read_table(images / TABLE)
    publishable.check(one.survey.root, list(table["file"]))
    splits = {}
    for number, file in enumerate(files):
        step = fitted(SplitStep, _asked(one, options, shares, number, starve), "the split")
        split = make_split(table, step, read_clusters(near))
        guard.check_split(split.table, one.name, one.facts.nature)
        splits[file] = split
    for file, split in splits.items():
        write_table(file, seal.manifest(split.table, table))
    return splits


def _asked(
    one: FoundSet, options: SetOptions, shares: Shares, number: int, starve: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "classes": classes_of(options.classes, [one]),
        "labels": one.labels,
        "ratios": shares.ratios,
        "fold": Fold(number, shares.folds) if shares.folds else None,
        "seed": seed_for(options.seed, "split", one.name),
        "choices": one.choices,
        "train_per_class": starve.get("", 0),
        "train_of_class": {label: count for label, count in starve.items() if label},
    }


def _looked_up(options: SetOptions, size: int, out: Path) -> tuple[FoundSet, ...]:
    if not options.data:
        raise UsageFault("nothing to look at", fix="--data NAME=PATH")
    bare = [one.name for one in options.data if not one.path]
    if bare:
        raise UsageFault(f"{bare[0]} has no path", fix=f"--data {bare[0]}=PATH")
    return find_sets(options, image_size=size, drawn_per_class=0, store=Store(out / "store"))


def _images(one: FoundSet, store: Store) -> Path:
    step, survey = one.step, one.survey
    assert survey is not None
    assert isinstance(step, ReadImages)
    return store.compute(step, lambda folder: step.read(survey, folder))


def _near(one: FoundSet, store: Store) -> Path:
    step = FindNear(inputs={"images": one.step.reference}, name=one.name)
    images = _images(one, store)
    return store.compute(step, lambda folder: find(images, folder, step.title()))


def fetch_set(name: str, to: Path) -> dict[str, Any]:
    """Download what a known set offers without an account, and return where it lies.

    Raises:
        UsageFault: No such set, or no direct download; with how to get it.
        EnvironmentFault: Not reachable, or no room.
        IntegrityFault: Not the published file.
    """
    facts = known(name)
    if not facts.downloads:
        raise UsageFault(
            f"{name} has no direct download", fix=facts.registration or f"see {facts.url or 'its publisher'}"
        )
    files = [fetch(one, to) for one in facts.downloads]
    return {
        "files": [str(file) for file in files],
        "path": str(files[0] if len(files) == 1 else to),
        "licence": facts.licence,
    }


def shares(ratios: str, folds: int) -> Shares:
    """Return the shares of a split as typed.

    Raises:
        UsageFault: They are none.
    """
    try:
        train, val, test = (float(part) for part in ratios.split(","))
    except ValueError:
        raise UsageFault(f"--ratios {ratios}: three numbers are needed", fix="--ratios 0.6,0.2,0.2") from None
    if not min(train, val, test) > 0 or abs(train + val + test - 1) > 1e-9:
        raise UsageFault(f"--ratios {ratios}: positive shares that add up to 1 are needed", fix="--ratios 0.6,0.2,0.2")
    if folds and folds < 3:
        raise UsageFault(f"--folds {folds}: train, val and test need at least 3", fix="--folds 5")
    return Shares((train, val, test), folds)
