"""Look at a user's images, and freeze a split of them, outside of a run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cytobench.benchmarks.order import Data, survey_data
from cytobench.benchmarks.spec import fitted
from cytobench.datasets import guard
from cytobench.datasets.imageset import TABLE, read_table, write_table
from cytobench.datasets.known_set import KnownSet, is_known, known
from cytobench.datasets.scan import REPORT, ScanStep, scan
from cytobench.datasets.splits import Choices, Split, SplitStep, make_split
from cytobench.errors import UsageFault
from cytobench.seeds import seed_for
from cytobench.store import Store, read_json

FREEZING_SIZE = 64  # pixels of the cache that is made along the way


def scan_all(sets: Sequence[Data], columns: Mapping[str, str], size: int, out: Path) -> dict[str, dict[str, Any]]:
    """Return the scan report of every set; decoded pixels go to the store, where runs find them."""
    if not sets:
        raise UsageFault("nothing to look at", fix="--data NAME=PATH")
    if len({one.name for one in sets}) < len(sets):
        raise UsageFault("--data names a set twice", fix="give each set its own name")
    return {one.name: read_json(_scanned(one, columns, size, out) / REPORT) for one in sets}


def described(name: str, report: Mapping[str, Any]) -> str:
    """Return a scan report as text for people."""
    lines = [
        f"{name}: {report['images']} images",
        *(f"  {label}: {count}" for label, count in report["classes"].items()),
        f"  sizes: {', '.join(f'{size} ({count})' for size, count in report['sizes'].items())}"
        + (f" and {report['different_sizes'] - 5} more" if report["different_sizes"] > 5 else ""),
        *(f"  converted: {note} ({count})" for note, count in report["converted"].items()),
        f"  groups: {report['groups'] or 'none given; a split will be image-level'}",
        f"  files of the operating system passed over: {report['ignored_files']}",
        *(f"  note: {note}" for note in report["notes"]),
        f"  pictures that are there more than once: {len(report['duplicates'])}",
        *(f"    {' = '.join(files)}" for files in report["duplicates"][:20]),
        f"  pictures with two labels: {len(report['contradictions'])}",
        *(f"    {' = '.join(files)}" for files in report["contradictions"]),
    ]
    return "\n".join(lines)


def freeze(
    sets: Sequence[Data],
    columns: Mapping[str, str],
    *,
    classes: Sequence[str],
    choices: Mapping[str, Mapping[str, str]],
    ratios: str,
    seed: int,
    to: Path,
    out: Path,
) -> Split:
    """Write the split of one set as a manifest and return it.

    Raises:
        UsageFault: Not exactly one set, ratios that are none, or a manifest that is there already.
    """
    if len(sets) != 1:
        raise UsageFault(f"{len(sets)} sets are named; a split is of one", fix="--data NAME=PATH once")
    if to.exists():
        raise UsageFault(
            f"{to} is there already; a frozen split is never drawn again", fix="choose another name with --to"
        )
    shares = _shares(ratios)
    one = sets[0]
    if Path(one.path).suffix.lower() == ".npz":
        raise UsageFault("a manifest names files, an npz has none", fix="put the split into the npz: train_images, …")
    if tuple(classes) == ("common",):
        raise UsageFault("--classes common is of several sets; a split is of one", fix="--classes a,b,c")
    table = read_table(_scanned(one, columns, FREEZING_SIZE, out) / TABLE)
    strangers = sorted({name for given in choices.values() for name in given if name not in ("", one.name)})
    if strangers:
        raise UsageFault(f"a choice is made for {strangers[0]!r}, which is not split here", fix=f"name {one.name}, or none")
    chosen = {option: given.get(one.name, given.get("")) for option, given in choices.items()}
    step = SplitStep(
        classes=tuple(classes) or tuple(sorted(set(table["label"]))),
        ratios=shares,
        seed=seed_for(seed, "split", one.name),
        choices=fitted(Choices, {option: value for option, value in chosen.items() if value}, "a choice"),
    )
    split = make_split(table, step)
    guard.check_split(split.table, one.name, "real")
    columns_written = ["path", "label", "split", "group", "origin", "shot", "pixel_sha256"]
    write_table(to, split.table.rename(columns={"file": "path"})[columns_written])
    return split


def _scanned(one: Data, columns: Mapping[str, str], size: int, out: Path) -> Path:
    if not one.path:
        raise UsageFault(f"{one.name} has no path", fix=f"--data {one.name}=PATH")
    facts = known(one.name) if is_known(one.name) else KnownSet(title=one.name, licence="unknown")
    found = survey_data(one, columns, facts)
    step = ScanStep(survey=found.sha256, image_size=size)
    return Store(out / "store").compute(step, lambda folder: scan(step, found, folder))


def _shares(text: str) -> tuple[float, float, float]:
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError:
        raise UsageFault(f"--ratios {text}: three numbers are needed", fix="--ratios 0.6,0.2,0.2") from None
    if not min(train, val, test) > 0 or abs(train + val + test - 1) > 1e-9:
        raise UsageFault(f"--ratios {text}: positive shares that add up to 1 are needed", fix="--ratios 0.6,0.2,0.2")
    return train, val, test
