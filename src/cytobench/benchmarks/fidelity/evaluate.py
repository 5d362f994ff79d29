"""Measure a folder of synthetic images against real ones, outside of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cytobench import interrupts, registry
from cytobench.benchmarks.fidelity import contract, copying, report, selection
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.benchmarks.generate import FACTS, MANIFEST
from cytobench.benchmarks.lookup import Data, FoundSet, SetOptions, classes_of, find_sets
from cytobench.benchmarks.plan import Plan
from cytobench.benchmarks.run import writable
from cytobench.benchmarks.spec import load_profile
from cytobench.benchmarks.steps.features import ExtractFeatures, read_features
from cytobench.benchmarks.steps.sets import ReadImages
from cytobench.benchmarks.steps.step import Context, RunStep
from cytobench.benchmarks.steps.synthesis import SEEN
from cytobench.datasets.decode import Unreadable, decode
from cytobench.datasets.imageset import TABLE, read_pixels, read_table
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
    """``PATH``, ``NAME=PATH`` or the name of a drawn set."""
    synthetic: str
    """``PATH`` or ``NAME=PATH``; a folder that ``cytobench generate`` wrote, or any set of images."""
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
    seen: frozenset[str]
    """SHA-256 of the pixels that the generator saw; empty when nobody says."""
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
    was_seen = tables[REAL]["pixel_sha256"].isin(sets.seen).to_numpy()
    sides, words, known = _sides(real, drawn, was_seen, len(classes), asking.seed)
    with task("measure", report.steps(classes, len(found))) as work:
        measured = report.measure(sides, classes, few=asking.few, seed=asking.seed, tick=work.advance)
    seen = real.taken(np.flatnonzero(was_seen & (real.codes >= 0) if known else real.codes >= 0))
    copies = copying.tests(
        seen, sides.reference if known else None, drawn, classes=len(classes), near=True, seed=asking.seed
    )
    facts = FidelityFacts(
        synthetic=sets.synthetic.name,
        reference=f"{sets.real.name}, {words[0]}",
        floor=f"{sets.real.name}, {words[1]}",
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


def _sides(
    real: Shown, drawn: Shown, was_seen: NDArray[np.bool_], classes: int, seed: int
) -> tuple[report.Sides, tuple[str, str], bool]:
    """Return what is compared, what to call reference and floor, and whether it is known what the generator saw."""
    unseen = np.flatnonzero(~was_seen & (real.codes >= 0))
    seen = np.flatnonzero(was_seen & (real.codes >= 0))
    if len(seen) and len(np.unique(real.codes[unseen])) == classes:
        words = ("images that the generator did not see", "images that it saw")
        return report.Sides(real.taken(unseen), real.taken(seen), drawn), words, True
    if len(seen):
        say("note: the generator saw every real image of some class, so that the floor is one half against the other")
    first, second = selection.halves(real, classes, seed=seed)
    return report.Sides(real.taken(first), real.taken(second), drawn), ("one half", "the other half"), False


def _look_up(asking: Asking, store: Store) -> _Sets:
    """Look both sets up; a folder of ``cytobench generate`` is read by its manifest and tells what was seen."""
    place = Path(asking.synthetic.rpartition("=")[2]).expanduser()
    generated = (place / FACTS).is_file() and (place / MANIFEST).is_file()
    drawn = _data(asking.synthetic, SYNTHETIC, manifest=place / MANIFEST if generated else None)
    real = _data(asking.real, REAL, manifest=None)
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
    seen = (
        frozenset(read_table(place / SEEN)["pixel_sha256"]) if generated and (place / SEEN).is_file() else frozenset()
    )
    return _Sets(photographed, synthetic, seen, size)


def _data(text: str, role: str, *, manifest: Path | None) -> Data:
    """Return what an option names: a path, a name and a path, or the name of a drawn set."""
    name, sign, path = text.partition("=")
    place = Path(path if sign else text).expanduser()
    if not sign and not place.exists() and text in registry.found("dataset"):
        return Data(name=text)
    return Data(name=name if sign else role, path=str(place.absolute()), manifest=str(manifest or ""))


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
