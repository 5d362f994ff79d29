"""Records to make boards of: three backbones, four sources, four targets, one failed trial, one absent class."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from pydantic import JsonValue

from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.record import (
    Backbone,
    Failure,
    Generator,
    Guard,
    Nature,
    Predictions,
    Record,
    RecordFacts,
    Source,
    Target,
    Weights,
    save,
)
from cytobench.leaderboards.results import Results
from cytobench.seeds import seed_for
from cytobench.store import DONE, digest, listing, write_json

CLASSES = ("basophil", "eosinophil", "lymphocyte", "monocyte", "neutrophil")
SETS: dict[str, tuple[Nature, tuple[int, ...]]] = {
    "pbc": ("real", (40, 60, 60, 60, 80)),
    "raabin": ("real", (0, 40, 60, 30, 120)),
    "site-a": ("phantom", (40, 40, 40, 40, 40)),
    "pbc-dcgan": ("synthetic", (40, 40, 40, 40, 40)),
}
BACKBONES = {
    "resnet50": ("resnet50.a1_in1k", 23_518_277),
    "vit": ("vit_small_patch16_224", 21_667_589),
    "swin": ("swin_t", 27_523_199),
}
SKILL = {"resnet50": 0.4, "vit": 0.0, "swin": 0.9}
MakeRecord = Callable[..., Record]


def _facts(source: str, target: str, backbone: str, seed: int, *, failed: bool) -> RecordFacts:
    def generator(name: str) -> Generator | None:
        if SETS[name][0] != "synthetic":
            return None
        config: dict[str, JsonValue] = {"steps": 2000, "batch": 64}
        return Generator(name="dcgan", config=config, trained_on="pbc", nature_of_training="real")

    def absent(name: str) -> tuple[str, ...]:
        return tuple(label for label, count in zip(CLASSES, SETS[name][1], strict=True) if not count)

    model, parameters = BACKBONES[backbone]
    trained, tested = SETS[source], SETS[target]
    n = sum(tested[1])
    rng = np.random.default_rng(seed_for("history", source, backbone, seed))
    history: tuple[dict[str, float | None], ...] = tuple(
        {
            "epoch": float(epoch),
            "train_loss": 1.6 * 0.7**epoch + 0.02 * rng.random(),
            "validation_loss": 1.6 * 0.75**epoch + 0.1 + 0.05 * rng.random(),
            "validation_macro_f1": 1 - 0.8 * 0.7**epoch - 0.03 * rng.random(),
        }
        for epoch in range(1, 4 if failed else 13)
    )
    return RecordFacts(
        protocol="wbc-usid",
        profile="demo",
        backbone=Backbone(asked=backbone, library="timm", model=model, parameters=parameters, input_size=64),
        weights=Weights(origin="random", sha256=None),
        source=Source(
            name=source,
            nature=trained[0],
            images_train=3 * sum(trained[1]),
            images_val=sum(trained[1]),
            absent_classes=absent(source),
            split_sha256=digest(["split", source]),
            key=digest(["set", source])[:24],
            generator=generator(source),
        ),
        target=Target(
            name=target,
            nature=tested[0],
            images_test=n,
            absent_classes=absent(target),
            split_sha256=digest(["split", target]),
            key=digest(["set", target])[:24],
            generator=generator(target),
        ),
        seed=seed,
        classes=CLASSES,
        training={"optimizer": "sgd", "learning_rate": 1e-3, "batch": 32, "epochs": 12},
        precision={"dtype": "bfloat16", "memory_format": "channels_last"},
        history=history,
        best_epoch=None if failed else 11,
        selection="validation macro-F1",
        guard=Guard(test_images=n, exposed_images=0, checks=("origin", "shots", "groups", "copies")),
        status="failed" if failed else "done",
        failure=Failure(reason="nan", step=123) if failed else None,
        device={"kind": "cpu", "name": "a processor", "threads": 2},
        versions={"python": "3.13.1", "torch": "2.15.0", "cytobench": "0.1.0"},
        ancestry=(digest(["set", source])[:24], digest(["set", target])[:24]),
    )


def _predictions(source: str, target: str, backbone: str, seed: int) -> Predictions:
    labels = np.repeat(np.arange(len(CLASSES)), SETS[target][1]).astype(np.int64)
    ids = np.array([digest([target, k])[:16] for k in range(len(labels))])
    shared = np.random.default_rng(seed_for("images", target)).normal(size=(len(labels), len(CLASSES)))
    own = np.random.default_rng(seed_for("trial", source, target, backbone, seed))
    strength = 3.4 if source == target else 1.0 + 1.2 * (SETS[source][0] == SETS[target][0])
    logits = 0.7 * shared + 0.7 * own.normal(size=shared.shape)
    logits[np.arange(len(labels)), labels] += strength + SKILL[backbone] + 0.05 * own.normal()
    if SETS[source][1][0] == 0:
        logits[:, 0] -= 6  # never shown, never said
    return Predictions(ids, labels, logits.astype(np.float32))


@pytest.fixture(scope="session")
def make_record() -> MakeRecord:
    """Return a function that makes one record in memory."""

    def make(
        source: str = "pbc", target: str = "pbc", backbone: str = "resnet50", seed: int = 0, *, failed: bool = False
    ) -> Record:
        facts = _facts(source, target, backbone, seed, failed=failed)
        predictions = None if failed else _predictions(source, target, backbone, seed)
        key = digest(["record", source, target, backbone, seed])[:24]
        return Record(key, facts, predictions, digest(["bytes of", key]))

    return make


def _board(make: MakeRecord, seeds: Sequence[int], *, failed_seed: int) -> list[Record]:
    return [
        make(source, target, backbone, seed, failed=(backbone, source, seed) == ("vit", "raabin", failed_seed))
        for backbone in BACKBONES
        for source in SETS
        for target in SETS
        for seed in seeds
    ]


@pytest.fixture(scope="session")
def one_seed(make_record: MakeRecord) -> list[Record]:
    """Return the records of a run with one seed, whose ViT failed on raabin."""
    return _board(make_record, [0], failed_seed=0)


@pytest.fixture(scope="session")
def three_seeds(make_record: MakeRecord) -> list[Record]:
    """Return the records of a run with three seeds, of which one ViT failed on raabin."""
    return _board(make_record, [0, 1, 2], failed_seed=1)


@pytest.fixture(scope="session")
def single(one_seed: list[Record]) -> Results:
    """Return what the run with one seed came to."""
    return evaluate(one_seed)


@pytest.fixture(scope="session")
def triple(three_seeds: list[Record]) -> Results:
    """Return what the run with three seeds came to."""
    return evaluate(three_seeds)


def _write(folder: Path, record: Record) -> None:
    save(folder, record.facts, record.predictions)
    write_json(folder / DONE, {"kind": "record", "key": record.key, "files": listing(folder)})


@pytest.fixture(scope="session")
def write_record() -> Callable[[Path, Record], None]:
    """Return a function that writes a finished record as the store does."""
    return _write
