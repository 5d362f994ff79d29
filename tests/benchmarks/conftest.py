"""A whole run that takes a second: two sets of a few pictures, a two-layer network, a VAE of a few steps."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import Prepared, prepare, run
from cytobench.store import SECONDS
from tests.doors import open_door

Maker = Callable[..., Path]

SMALL = {
    "image_size": "16",
    "synthetic.train": "6",
    "synthetic.val": "2",
    "synthetic.test": "3",
    "training.epochs": "2",
    "training.batch": "8",
    "training.precision": '"fp32"',
    "weights": '"none"',
    "seeds": "1",
}
VAE = {"generator.steps": "3", "generator.batch": "4", "generator.width": "4", "generator.latent": "4"}


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Lay out the plug-ins of the documentation's doors and make them known."""
    place = tmp_path / "plugins"
    for door in ("generator", "backbone", "dataset", "protocol"):
        open_door(door, place)
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(place))
    return place


@pytest.fixture
def order(doors: Path, make_folder: Maker) -> Callable[..., Order]:
    """Return a maker of small orders; keyword arguments replace fields."""
    sets = tuple(Data(name=name, path=str(make_folder({"a": 15, "b": 15}, name, size=16))) for name in ("x", "y"))

    def make(**changes: Any) -> Order:
        settings = {
            **SMALL,
            **(VAE if changes.get("generators", ("vae",)) == ("vae",) else {}),
            **changes.pop("settings", {}),
        }
        fields: dict[str, Any] = {
            "generators": ("vae",),
            "backbones": ("two-layers",),
            "data": sets,
            "profile": "demo",
            "settings": settings,
        }
        return Order(**{**fields, **changes})

    return make


def carry_out(order: Order, out: Path) -> Prepared:
    """Run an order to its end and return what it was."""
    prepared = prepare(order, out)
    run(prepared, command="cytobench run (test)")
    return prepared


def contents(out: Path, kinds: tuple[str, ...] = ("record",)) -> dict[str, bytes]:
    """Return the bytes of every artefact of some kinds, by path below the store."""
    store = out / "store"
    files = [path for kind in kinds for path in (store / kind).rglob("*") if path.is_file() and path.name != SECONDS]
    return {
        path.relative_to(store).as_posix(): path.read_bytes() for path in files if ".rejected-" not in path.as_posix()
    }
