"""Measure a folder of synthetic images against real ones, outside of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench import interrupts, registry
from cytobench.benchmarks.fidelity import contract, copying, exposed, report, selection
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.benchmarks.lookup import (
    NAME,
    Data,
    FoundSet,
    SetOptions,
    classes_of,
    find_sets,
    frozen_or_place,
    name_and_path,
)
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.run import writable
from cytobench.benchmarks.spec import load_profile
from cytobench.benchmarks.steps.features import ExtractFeatures, read_features
from cytobench.benchmarks.steps.sets import ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.datasets.decode import Unreadable, decode
from cytobench.datasets.imageset import TABLE, read_pixels, read_table
from cytobench.datasets.readers.listing import Listing
from cytobench.datasets.scan import Survey
from cytobench.device import Asked, choose, versions
from cytobench.errors import DataFault, IntegrityFault, TrialFault, UsageFault
from cytobench.leaderboards.fidelity import ExtractorFacts, FidelityFacts, save
from cytobench.progress import say, task
from cytobench.store import Store, disk_faults

REAL, SYNTHETIC = "real", "synthetic"
DRAWN = "demo"  # the profile whose number of images a drawn set has here


class Asking(NamedTuple):
    """What is to be measured."""

    real: str
    """``PATH``, ``NAME=PATH``, a frozen set's identity or the name of a drawn set."""
    synthetic: str
    """``PATH``, ``NAME=PATH`` or a frozen set's identity: what ``cytobench generate`` wrote, or any set of images."""
    extractors: tuple[str, ...]
    """As typed."""
    classes: tuple[str, ...] = ()
    """Those compared; empty for all, which must then be the same."""
    label_map: dict[str, str] = {}
    """By set."""
    image_size: int | None = None
    """Pixels; None takes the synthetic images' own side."""
    few: bool = False
    """Fréchet distances of too few images, too."""
    seed: int = 0
    """Of every choice."""
    device: Asked = "auto"
    """Where to compute."""


class Evaluation(NamedTuple):
    """What was measured, and pictures of it."""

    facts: FidelityFacts
    examples: NDArray[np.uint8]
    """(2 C, k, S, S, 3): of each class some real images, then some synthetic ones."""


class _Sets(NamedTuple):
    real: FoundSet
    synthetic: FoundSet
    seen: frozenset[str] | None
    """SHA-256 of the pixels that the generator saw; None when nobody says."""
    image_size: int


def evaluate(asking: Asking, out: Path) -> Evaluation:
    """Decode, compute the features that are not in the store yet, and measure.

    Args:
        asking: What is compared.
        out: Whose store is used.

    Raises:
        UsageFault: Names that are none.
        DataFault: Images that can't be used, classes that differ.
        IntegrityFault: Drawn images among the real ones, weights that are not what they should be.
        EnvironmentFault: Weights that are not there.
        Interrupted: A stop was asked for; what is done is kept.
    """
    writable(out)
    found = contract.find_all(asking.extractors)
    store = Store(out / "store")
    sets = _look_up(asking, store)
    classes = _classes(asking, sets)
    context = Context(store, choose(asking.device), weights={one.spec.sha256: one.path for one in found})
    for one in (sets.real, sets.synthetic):
        if one.survey is not None:
            context.surveys[one.step.key] = one.survey
    images: dict[str, RunStep] = {REAL: sets.real.step, SYNTHETIC: sets.synthetic.step}
    looks = {
        (one.spec.name, role): ExtractFeatures(
            inputs={"images": step.reference}, extractor=one.spec, name=role, device=context.device.kind
        )
        for one in found
        for role, step in images.items()
    }
    steps = {step.reference: step for step in (*images.values(), *looks.values())}
    with interrupts.deferred(), disk_faults(out):
        lost = registry.load("executor", "local")(Plan(tuple(steps.values()), ()), context)
        if lost:
            raise TrialFault(f"nothing was measured: {next(iter(lost.values()))}")
        return _measured(asking, sets, classes, found, context, looks)


def _measured(
    asking: Asking,
    sets: _Sets,
    classes: tuple[str, ...],
    found: Sequence[contract.Found],
    context: Context,
    looks: dict[tuple[str, str], ExtractFeatures],
) -> Evaluation:
    shown, tables = {}, {}
    for role, one in ((REAL, sets.real), (SYNTHETIC, sets.synthetic)):
        folder = context.folder(one.step.reference)
        tables[role] = read_table(folder / TABLE)
        features = {
            extractor.spec.name: np.asarray(read_features(context.store.folder(looks[extractor.spec.name, role])))
            for extractor in found
        }
        pixels = read_pixels(folder)
        groups = selection.groups_of(tables[role], len(pixels))
        shown[role] = Shown(pixels, _codes(tables[role], one, classes), features, groups)
    real, drawn = shown[REAL], shown[SYNTHETIC]
    drawn = drawn.taken(np.flatnonzero(drawn.codes >= 0))
    was_seen = tables[REAL]["pixel_sha256"].isin(sets.seen or ()).to_numpy()
    rows = tables[REAL]["row"].to_numpy().astype(np.int64)
    was_seen = np.isin(np.arange(len(real.codes)), rows[was_seen])
    known = None if sets.seen is None else exposed.Known(anything=bool(sets.seen), was_seen=was_seen)
    sides, words = exposed.compared(real, drawn, known, len(classes), seed=asking.seed)
    with task("measure", report.steps(classes, len(found))) as work:
        measured = report.measure(sides, classes, few=asking.few, seed=asking.seed, tick=work.advance)
    copies = exposed.copies(real, drawn, known, len(classes), seed=asking.seed)
    facts = FidelityFacts(
        synthetic=sets.synthetic.name,
        reference=f"{sets.real.name}, {words.reference}",
        floor=f"{sets.real.name}, {words.floor}",
        image_size=sets.image_size,
        classes=classes,
        images={name: int((side.codes >= 0).sum()) for name, side in sides._asdict().items()},
        extractors=tuple(
            ExtractorFacts(
                name=one.spec.name,
                origin=one.spec.origin,
                sha256=one.spec.sha256,
                width=drawn.features[one.spec.name].shape[1],
            )
            for one in found
        ),
        lines=measured.lines,
        copies=copies,
        problems=(*measured.problems, *copying.problems(copies)),
        seed=asking.seed,
        device=context.device._asdict(),
        versions=versions(),
        ancestry=tuple(sorted(step.reference for step in looks.values())),
    )
    return Evaluation(facts, _examples(real, drawn, len(classes)))


def _look_up(asking: Asking, store: Store) -> _Sets:
    """Look both sets up; a folder that cytobench drew, and a frozen set, tell what was seen."""
    drawn, real = _data(asking.synthetic, SYNTHETIC), _data(asking.real, REAL)
    if real.name == drawn.name:
        raise UsageFault(f"both sets are called {real.name}", fix="--real A=PATH --synthetic B=PATH")
    options = SetOptions(label_map={k: v for k, v in asking.label_map.items() if k == drawn.name}, data=(drawn,))
    strangers = sorted(set(asking.label_map) - {real.name, drawn.name})
    if strangers:
        raise registry.unknown("set", strangers[0], [real.name, drawn.name])
    [synthetic] = find_sets(options, image_size=asking.image_size or 8, drawn_per_class=0, store=store)
    if synthetic.survey is None:
        raise UsageFault(f"--synthetic {asking.synthetic}: where is it?", fix="--synthetic PATH")
    size = asking.image_size or _side(synthetic.survey)
    listing = synthetic.survey.listing
    marked = listing._replace(entries=tuple(one._replace(origin=SYNTHETIC) for one in listing.entries))
    found = Survey(marked, synthetic.survey.hashes)
    synthetic = synthetic._replace(
        survey=found, step=ReadImages(name=synthetic.name, survey=found.sha256, image_size=size)
    )
    options = SetOptions(label_map={k: v for k, v in asking.label_map.items() if k == real.name}, data=(real,))
    per_class = load_profile(DRAWN).drawn_per_class
    [photographed] = find_sets(options, image_size=size, drawn_per_class=per_class, store=store)
    if photographed.survey is not None:
        foreign = [one.file for one in photographed.survey.listing.entries if one.origin == SYNTHETIC]
        if foreign:
            raise IntegrityFault(
                f"{len(foreign)} images of {real.name} are listed as synthetic", problems=foreign, fix="take them out"
            )
    return _Sets(photographed, synthetic, _told(listing), size)


def _told(listing: Listing) -> frozenset[str] | None:
    """Return the pixels that the generator saw, as its folder or its frozen set tells; None when nobody says."""
    ancestry = listing.ancestry
    if ancestry is None or not all(ancestry.runs):  # not all was drawn by a generator
        return None
    return frozenset(one.pixel_sha256 for one in ancestry.seen)


def _data(text: str, role: str) -> Data:
    """Return what an option names: a path, a name and a path, a frozen set's identity, or the name of a drawn set."""
    name, path = name_and_path(text)
    if (path and NAME.fullmatch(name) and not Path(text).exists()) or path == text:
        return Data(name=name, path=frozen_or_place(path))
    if not Path(text).exists() and text in registry.found("dataset"):
        return Data(name=text)
    return Data(name=role, path=frozen_or_place(text))


def _side(found: Survey) -> int:
    """Return the side of the first picture, pixels, which is that of all that one generator draws."""
    entry, listing = found.listing.entries[0], found.listing
    if listing.arrays is not None:
        height, width = listing.arrays[entry.file][entry.position].shape[:2]
    else:
        try:
            height, width = decode((listing.root / entry.file).read_bytes(), 8).shape
        except Unreadable as error:
            raise DataFault(f"{entry.file}: {error}", fix="mend or remove it, or give --image-size") from error
    side = min(height, width)
    say(f"note: images are compared at {side} pixels, the side of the synthetic ones (--image-size for another)")
    return int(side)


def _classes(asking: Asking, sets: _Sets) -> tuple[str, ...]:
    """Return the classes that are compared.

    Raises:
        DataFault: The sets differ, and nothing was said about it.
    """
    has = [frozenset(one.counts) for one in (sets.real, sets.synthetic)]
    if has[0] == has[1] and not asking.classes:
        return tuple(sorted(has[0]))
    return classes_of(asking.classes, (sets.real, sets.synthetic))


def _codes(table: pd.DataFrame, found: FoundSet, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the class of every pixel row; -1 where it is none of those compared."""
    number = {label: code for code, label in enumerate(classes)}
    codes = np.full(len(table), -1, dtype=np.int64)
    labels = [found.labels.get(label, label) for label in table["label"]]
    codes[table["row"].to_numpy().astype(np.int64)] = [number.get(label, -1) for label in labels]
    return codes


def _examples(real: Shown, drawn: Shown, classes: int, most: int = 8) -> NDArray[np.uint8]:
    rows = [np.flatnonzero(side.codes == code)[:most] for code in range(classes) for side in (real, drawn)]
    count = min(map(len, rows))
    both = [side for _ in range(classes) for side in (real, drawn)]
    return np.stack([side.pixels[one[:count]] for side, one in zip(both, rows, strict=True)])


def write(found: Evaluation, to: Path) -> None:
    """Write the report into a folder: page, table, JSON, and a picture of real images above synthetic ones."""
    from PIL import Image

    from cytobench.leaderboards.fidelity_text import markdown, to_csv
    from cytobench.leaderboards.sample_grid import mosaic
    from cytobench.store import atomic, write_bytes

    facts = found.facts
    with disk_faults(to):
        write_bytes(to / "README.md", markdown(facts).encode())
        write_bytes(to / "fidelity.csv", to_csv([facts]).encode())
        save(to, facts)
        with atomic(to / "examples.png") as file:
            Image.fromarray(mosaic(found.examples)).save(file, format="PNG")
