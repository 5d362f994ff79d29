"""The protocol bloodmnist-fid: all cells as one class, no classifier, the paper's figure beside the held-out one."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytobench.benchmarks import generate, publish
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.report import BOARD
from cytobench.benchmarks.run import Prepared, dry_run, prepare, summary
from cytobench.benchmarks.spec import POOLED
from cytobench.benchmarks.steps.synthesis import SEEN, DrawSynthetic, FitGenerator
from cytobench.benchmarks.steps.training import Train
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import EnvironmentFault, UsageFault
from cytobench.leaderboards import fidelity
from cytobench.leaderboards.fidelity import ALL, FidelityFacts
from tests.benchmarks.conftest import carry_out

Orders = Callable[..., Order]
FID = {
    "protocol": "bloodmnist-fid",
    "backbones": (),
    "extractors": ("thumbnails",),
    "settings": {
        "synthetic.train": "24",
        "synthetic.fits": "2",
        "generator.epochs": "2",
        "generator.batch": "10",
        "generator.width": "4",
        "generator.latent": "4",
    },
}


def small(order: Orders, **changes: object) -> Order:
    asked = order(generators=("vae",), **{**FID, **changes})
    kept = {name: text for name, text in asked.settings.items() if name != "generator.steps"}
    return asked.model_copy(update={"settings": {**kept, "image_size": "16"}})


def measured(done: Prepared) -> dict[tuple[str, int], FidelityFacts]:
    facts = [fidelity.read(done.context.store.folder(step)).facts for step in done.plan.fidelity]
    return {(one.synthetic, one.number): one for one in facts}


def fits(prepared: Prepared) -> list[FitGenerator]:
    return [step for step in prepared.plan.steps if isinstance(step, FitGenerator)]


def test_it_measures_all_cells_as_one_class_against_what_was_seen_and_what_was_not(
    order: Orders, tmp_path: Path
) -> None:
    done = carry_out(small(order), tmp_path / "out")
    assert not done.plan.records
    assert not done.plan.count(Train)
    found = measured(done)
    assert sorted(found) == [(name, k) for name in ("x-vae", "x-vae-held-out") for k in (0, 1)]
    seen, unseen = found["x-vae", 0], found["x-vae-held-out", 0]
    assert (seen.protocol, seen.profile, seen.classes) == ("bloodmnist-fid", "demo", (POOLED,))
    assert (seen.images, seen.reference_seen) == ({"reference": 24, "floor": 6, "synthetic": 24}, 24)
    assert unseen.reference_seen == 0
    assert (unseen.reference, unseen.floor) == ("the test part of x", "the training part of x")
    lines = {line.metric: line for line in seen.lines}
    assert {line.scope for line in seen.lines} == {ALL}
    assert {(line.n, line.floor_n) for line in seen.lines} == {(24, 6)}, "no image is taken away for the floor's sake"
    assert lines["kid"].found is not None
    assert {test.test for test in seen.copies} == {"equal pixels", "one picture"}
    tables = {(one.partition, one.number): read_table(done.context.folder(one.reference) / SEEN) for one in fits(done)}
    assert {key: len(table) for key, table in tables.items()} == {
        ("all", 0): 30,
        ("all", 1): 30,
        ("train", 0): len(tables["train", 0]),
        ("train", 1): len(tables["train", 0]),
    }
    assert 10 < len(tables["train", 0]) < 20
    drawn = [step for step in done.plan.steps if isinstance(step, DrawSynthetic)]
    shown = read_table(done.context.folder(drawn[0].reference) / TABLE)
    assert (set(shown["label"]), set(shown["split"]), len(shown)) == ({POOLED}, {"train"}, 24)
    assert (
        len({one.pixel_sha256.iat[0] for one in (read_table(done.context.folder(d.reference) / TABLE) for d in drawn)})
        == 4
    )
    page = (done.folder / BOARD / "README.md").read_text()
    assert "The generators of x-vae learned from 24 of the very real images" in page
    assert "known flaw of protocol bloodmnist-fid" in page.replace("\\", "")
    assert "too few real images for a floor at the same n: x-vae." in page
    assert re.search(r"\d ± \d", page)
    publish.board([done.folder], tmp_path / "board", "t")
    assert "## Fidelity" in (tmp_path / "board/README.md").read_text()


def test_epochs_are_steps_that_are_known_before_anything_is_computed(
    order: Orders, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared = prepare(small(order), tmp_path / "out")
    steps = {one.partition: one.config["steps"] for one in fits(prepared)}
    assert steps == {"all": 2 * 30 // 10, "train": round(2 * 0.5 * 30 / 10)}
    assert "note: x-vae: 2 epochs of 30 images are 6 steps of 10" in capsys.readouterr().err
    classwise = order(settings={"generator.epochs": "2", "generator.batch": "3"}, generators=("vae",))
    classwise = classwise.model_copy(
        update={"settings": {k: v for k, v in classwise.settings.items() if k != "generator.steps"}}
    )
    assert {one.config["steps"] for one in fits(prepare(classwise, tmp_path / "out"))} == {2 * 9 // 3 // 2}


def test_a_given_split_says_how_many_images_an_epoch_has(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    counts = {"train": 40, "val": 10, "test": 20}
    arrays = {f"{name}_images": rng.integers(0, 256, (n, 28, 28, 3), dtype=np.uint8) for name, n in counts.items()}
    labels = {f"{name}_labels": (np.arange(n) % 8).astype(np.uint8)[:, None] for name, n in counts.items()}
    np.savez(tmp_path / "bloodmnist.npz", allow_pickle=False, **arrays, **labels)
    data = (Data(name="bloodmnist", path=str(tmp_path / "bloodmnist.npz")),)
    paper = Order(
        generators=("vae", "dcgan", "ddpm"), backbones=(), protocol="bloodmnist-fid", profile="paper", data=data,
        extractors=("thumbnails",),
    )  # fmt: skip
    prepared = prepare(paper, tmp_path / "out")
    spec = prepared.resolved.spec
    assert (spec.image_size, spec.synthetic.train, spec.synthetic.fits) == (28, 10_000, 5)
    by_name = {one.set_name: one for one in spec.generators}
    assert len(by_name) == 6
    for name, rate in (("vae", 1e-3), ("dcgan", 2e-4), ("ddpm", 1e-3)):
        config = by_name[f"bloodmnist-{name}"].config
        assert (config["learning_rate"], config["batch"]) == (rate, 128)
        assert config["steps"] == round(20 * 70 / 128)
        assert by_name[f"bloodmnist-{name}-held-out"].config["steps"] == round(20 * 40 / 128)
        assert tuple(config.get("betas", (0.9, 0.999))) == (0.9, 0.999)
    assert prepared.plan.count(FitGenerator) == 3 * 2 * 5


def test_what_the_user_sets_goes_before_the_protocol(order: Orders, tmp_path: Path) -> None:
    def config(**settings: str) -> dict[str, object]:
        asked = Order(
            generators=("vae",), backbones=(), protocol="bloodmnist-fid", profile="paper", extractors=("thumbnails",),
            settings=settings,
        )  # fmt: skip
        return fits(prepare(asked, tmp_path / "out"))[0].config

    assert config(**{"generator.steps": "7"})["steps"] == 7
    assert config(**{"vae.epochs": "1"})["steps"] == round(5 * 1000 / 128)
    assert config(**{"generator.learning_rate": "0.5"})["learning_rate"] == 0.5
    with pytest.raises(UsageFault, match="steps and epochs"):
        config(**{"generator.steps": "7", "generator.epochs": "2"})


def test_it_runs_on_drawn_cells_without_data(tmp_path: Path) -> None:
    prepared = prepare(Order(protocol="bloodmnist-fid"), tmp_path)
    assert prepared.plan.sides[0].name == "phantom-a"
    assert [one.name for one in prepared.resolved.spec.sets] == ["phantom-a"]
    assert [one.spec.name for one in prepared.resolved.extractors] == ["thumbnails"]
    assert prepared.plan.count(FitGenerator) == 3 * 2 * 2
    assert "0 trials, 0 records, 12 measurements" in summary(dry_run(prepared))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"backbones": ("two-layers",)}, "trains no classifier"),
        ({"composers": ("base",)}, "measures single cells"),
        ({"extractors": ("own",)}, "no network of the run can look"),
        ({"extractors": ("thumbnails", "own")}, "no network of the run can look"),
        ({"settings": {"generator.epochs": "soon"}}, "no number of epochs"),
    ],
)
def test_what_does_not_go_with_it_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    fields: dict[str, object] = {
        "generators": ("vae",), "backbones": (), "protocol": "bloodmnist-fid", **changes
    }  # fmt: skip
    with pytest.raises(UsageFault, match=said):
        prepare(Order.model_validate(fields), tmp_path)


def test_without_inceptions_weights_it_fails_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "nothing"))
    asked = Order(generators=("vae",), backbones=(), protocol="bloodmnist-fid", profile="paper")
    with pytest.raises(EnvironmentFault) as told:
        prepare(asked, tmp_path / "out")
    assert "--extractor inception=FILE" in told.value.fix
    assert not list((tmp_path / "out/store").rglob("done.json"))


def test_a_set_drawn_alone_counts_the_whole_training_part(order: Orders, tmp_path: Path) -> None:
    asked = order(backbones=(), settings={"generator.epochs": "2", "generator.batch": "3"})
    asked = asked.model_copy(
        update={
            "data": asked.data[:1],
            "settings": {name: text for name, text in asked.settings.items() if name != "generator.steps"},
        }
    )
    drawing = generate.prepare(asked, images=3, to=tmp_path / "cells", out=tmp_path / "out")
    assert {fit.config["steps"] for fit in drawing.fits} == {2 * 18 // 3 // 2}


@pytest.mark.parametrize(
    ("lines", "changes", "said"),
    [
        ("", {"generators": ()}, "measures what generators draw"),
        ("", {"extractors": ()}, "no network of the run can look"),
        ("held_out = true", {}, "held_out is for"),
        ('learned_from = "everything"\nheld_out = true\npooled = 3', {}, "pooled"),
    ],
)
def test_a_protocol_of_ones_own_is_held_to_the_same(
    lines: str, changes: dict[str, object], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plugins/benchmarks/protocols/mine.toml"
    file.parent.mkdir(parents=True)
    file.write_text(f'title = "t"\npairs = "none"\nratios = [0.5, 0.1, 0.4]\n{lines}\n')
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path / "plugins"))
    fields = {"generators": ("vae",), "extractors": ("thumbnails",), "protocol": "mine", **changes}
    with pytest.raises(UsageFault) as told:
        prepare(Order.model_validate(fields), tmp_path / "out")
    assert said in "\n".join([told.value.message, *told.value.problems])
