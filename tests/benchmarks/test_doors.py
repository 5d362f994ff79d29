"""The four doors: what a newcomer adds as one file, with the documentation's code blocks, is part of a whole run."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cytobench import registry
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.datasets.known_set import known
from cytobench.leaderboards.record import RecordFacts, read
from tests.benchmarks.conftest import carry_out

Orders = Callable[..., Order]


def facts(order: Order, out: Path) -> list[RecordFacts]:
    done = carry_out(order, out)
    return [read(done.context.store.folder(step)).facts for step in done.plan.records]


def test_a_generator_is_one_file(order: Orders, tmp_path: Path) -> None:
    found = facts(order(generators=("eigencells",)), tmp_path / "out")
    assert {"x-eigencells"} < {one.target.name for one in found}
    assert all(one.target.generator.name == "eigencells" for one in found if one.target.generator)


def test_the_generator_of_the_page_keeps_the_contract(doors: Path, tmp_path: Path) -> None:
    kind = registry.load("generator", "eigencells")
    images = np.random.default_rng(0).integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
    made = kind(kind.profile("demo", 16), image_size=16, classes=1, device=torch.device("cpu"))
    made.fit(images, np.zeros(10, np.int64), seed=1, partial=tmp_path, tick=lambda count, note: None)
    made.save(tmp_path)
    loaded = kind.load(tmp_path, torch.device("cpu"))
    ten = made.sample(0, range(10), seed=2)
    assert ten.shape == (10, 16, 16, 3)
    assert np.array_equal(loaded.sample(0, [7, 3], seed=2), ten[[7, 3]])
    assert not np.array_equal(made.sample(0, range(10), seed=3), ten)


def test_a_backbone_is_one_file(order: Orders, tmp_path: Path) -> None:
    found = facts(order(generators=()), tmp_path / "out")
    assert {(one.backbone.asked, one.backbone.library) for one in found} == {("two-layers", "own")}


def test_a_data_set_is_one_file(order: Orders, make_folder: Callable[..., Path], tmp_path: Path) -> None:
    root = make_folder({"Baso": 15, "eosi": 15}, "clinic", size=16)
    assert known("clinic").licence == "research use"
    found = facts(order(generators=(), data=(Data(name="clinic", path=str(root)),)), tmp_path / "out")
    assert found[0].classes == ("basophil", "eosinophil")


def test_a_protocol_is_one_file(order: Orders, tmp_path: Path) -> None:
    found = facts(order(generators=(), protocol="half-and-half"), tmp_path / "out")
    assert [(one.source.name, one.target.name) for one in found] == [("x", "x"), ("y", "y")]
    assert {one.target.images_test for one in found} <= {14, 15, 16}
    assert {one.protocol for one in found} == {"half-and-half"}


@pytest.mark.parametrize("kind", ["generator", "backbone", "dataset", "protocol"])
def test_every_door_is_listed_with_its_summary(doors: Path, kind: str) -> None:
    names = {"generator": "eigencells", "backbone": "two-layers", "dataset": "clinic", "protocol": "half-and-half"}
    found = registry.found(kind)[names[kind]]
    assert found.summary
    assert found.origin == str(doors)
