import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import prepare, run
from cytobench.benchmarks.steps.ancestry import generated_from
from cytobench.benchmarks.steps.synthesis import SEEN
from cytobench.datasets.imageset import TABLE, read_table
from cytobench.errors import DataFault, EnvironmentFault, IntegrityFault, UsageFault
from cytobench.leaderboards.record import read
from tests.benchmarks.conftest import carry_out, contents
from tests.conftest import picture

Orders = Callable[..., Order]


def test_every_source_is_tested_on_every_target_and_the_board_shows_it(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(), tmp_path / "out")
    records = [read(done.context.store.folder(step)).facts for step in done.plan.records]
    names = ("x", "y", "x-vae")
    assert sorted((one.source.name, one.target.name) for one in records) == sorted((s, t) for s in names for t in names)
    assert {one.target.nature for one in records} == {"real", "synthetic"}
    assert all(one.guard.exposed_images == 0 for one in records)
    page = (done.folder / "board" / "index.html").read_text(encoding="utf-8")
    assert "x-vae (synthetic)" in page
    assert "preliminary" in page
    splits = (done.folder / "splits" / "x.csv").read_text(encoding="utf-8")
    assert splits.startswith("path,label,split,partition,group,origin,shot,box,pixel_sha256,row_sha256,split_sha256\n")


def test_a_second_run_computes_nothing_and_gives_the_same_board(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(), tmp_path / "out")
    board = {path.name: path.read_bytes() for path in (done.folder / "board").iterdir() if path.is_file()}
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store").rglob("done.json")}
    again = carry_out(order(), tmp_path / "out")
    assert again.folder == done.folder
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store").rglob("done.json")} == stamps
    assert {path.name: path.read_bytes() for path in (done.folder / "board").iterdir() if path.is_file()} == board


def test_two_runs_share_what_they_have_in_common(order: Orders, tmp_path: Path) -> None:
    carry_out(order(), tmp_path / "out")
    prepared = prepare(order(backbones=("two-layers", "resnet18")), tmp_path / "out")
    waiting = [step for step in prepared.plan.steps if not prepared.context.store.is_done(step)]
    assert {step.kind for step in waiting} == {"trial", "record"}
    assert all("resnet18" in step.title() for step in waiting)


def test_synthetic_train_and_test_come_from_disjoint_real_images(order: Orders, tmp_path: Path) -> None:
    done = carry_out(order(), tmp_path / "out")
    fits = [step for step in done.plan.steps if step.kind == "generator"]
    seen = {
        partition: {
            sha
            for fit in fits
            if fit.partition == partition  # type: ignore[attr-defined]
            for sha in read_table(done.context.store.folder(fit) / SEEN)["pixel_sha256"]
        }
        for partition in "ab"
    }
    assert seen["a"]
    assert seen["b"]
    assert not seen["a"] & seen["b"]
    side = done.plan.sides[0]
    frozen = read_table(done.context.folder(side.split) / TABLE)
    held_out = set(frozen.loc[frozen["split"] != "train", "pixel_sha256"])
    assert not (seen["a"] | seen["b"]) & held_out
    drawn = read_table(done.context.folder(done.plan.sides[2].split) / TABLE)
    for part, partition in (("train", "a"), ("val", "a"), ("test", "b")):
        assert generated_from(done.context, drawn[drawn["split"] == part]).pixels == seen[partition]
    shared = {
        one.source.name: one.guard.shared_ancestors
        for one in (read(done.context.store.folder(step)).facts for step in done.plan.records)
        if one.target.name == "x-vae"
    }
    assert shared == {"x": len(seen["b"]), "y": 0, "x-vae": 0}


@pytest.mark.fault(26)
def test_a_generator_that_saw_a_test_image_is_refused_by_the_keys(order: Orders, tmp_path: Path) -> None:
    prepared = prepare(order(), tmp_path / "out")
    fit = next(step for step in prepared.plan.steps if step.kind == "generator")
    done = carry_out(order(), tmp_path / "out")
    frozen = read_table(done.context.folder(done.plan.sides[0].split) / TABLE)
    guilty = frozen[frozen["split"] == "test"].head(1)
    seen = done.context.store.folder(fit) / SEEN
    seen.write_text(guilty[["id", "label", "group", "pixel_sha256"]].assign(set="x").to_csv(index=False))
    step = next(one for one in done.plan.records if one.trial.source.nature == "synthetic" and one.target.name == "x")
    with pytest.raises(IntegrityFault, match=r"1 test image.*seen by a generator") as caught:
        step.run(done.context, tmp_path)
    assert caught.value.problems == (f"shots: {guilty['file'].iloc[0]}",)


@pytest.mark.fault(21, 24, 26, 27)
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("s.png,a,test,g9,synthetic,0", "1 test image.*not real"),
        ("s.png,a,test,g9,real,1", "1 test image.*seen by a generator"),
        ("s.png,a,test,g0,real,0", "1 test image.*patient or slide"),
        ("copy.png,a,test,g9,real,0", "1 test image.*pixel-copies"),
    ],
)
def test_a_manifest_with_a_leak_is_refused_before_training(
    order: Orders, tmp_path: Path, row: str, reason: str
) -> None:
    root = tmp_path / "m"
    root.mkdir()
    lines = ["path,label,split,group,origin,shot"]
    for number in range(20):
        picture("m", number, size=16).save(root / f"{number}.png")
        part = "train" if number < 12 else "val" if number < 16 else "test"
        lines.append(f"{number}.png,{'ab'[number % 2]},{part},g{number},real,0")
    picture("s", size=16).save(root / "s.png")
    picture("m", 0, size=16).save(root / "copy.png")
    (root / "list.csv").write_text("\n".join([*lines, row]) + "\n")
    data = (order().data[1].model_copy(update={"name": "m", "path": str(root / "list.csv")}),)
    with pytest.raises(IntegrityFault, match=reason) as caught:
        carry_out(order(data=data), tmp_path / "out")
    assert caught.value.exit_code == 5
    assert caught.value.problems[0].endswith(row.split(",")[0])
    assert not (tmp_path / "out/store/trial").exists()


@pytest.mark.fault(28)
def test_sets_with_other_classes_are_refused_with_the_difference(
    order: Orders, make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    third = make_folder({"a": 10, "b": 10, "c": 10}, "z")
    data = (*order().data, order().data[0].model_copy(update={"name": "z", "path": str(third)}))
    with pytest.raises(DataFault, match="same classes") as caught:
        prepare(order(data=data), tmp_path / "out")
    assert caught.value.problems == ("x has no c", "y has no c")
    assert prepare(order(data=data, classes=("common",)), tmp_path / "out").resolved.spec.classes == ("a", "b")


def test_a_trial_whose_loss_is_no_number_fails_alone_and_is_shown(order: Orders, doors: Path, tmp_path: Path) -> None:
    text = (doors / "classifiers/backbones/two_layers.py").read_text()
    broken = text.replace("two-layers", "broken").replace("def two_layers", "def broken")
    broken = broken.replace(
        "nn.AdaptiveAvgPool2d(1),", 'nn.Threshold(float("inf"), float("nan")), nn.AdaptiveAvgPool2d(1),'
    )
    (doors / "classifiers/backbones/broken.py").write_text(broken.replace('("7",)', '("8",)'))
    prepared = prepare(order(backbones=("broken", "two-layers"), generators=()), tmp_path / "out")
    outcome = run(prepared, command="test")
    assert len(outcome.failed) == 4
    assert len(outcome.records) == 8
    assert all(one.facts.failure is not None and one.facts.failure.reason == "nan" for one in outcome.failed)
    assert outcome.failed[0].facts.failure.step == 0  # type: ignore[union-attr]
    assert "failed(nan" in outcome.board.markdown.read_text(encoding="utf-8")


def test_a_class_that_is_absent_from_test_has_no_auc_and_a_flag(
    order: Orders, make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    third = make_folder({"a": 12, "b": 12, "c": 2}, "z", size=16)
    data = (order().data[0].model_copy(update={"name": "z", "path": str(third)}),)
    carry = carry_out(order(data=data, rare={"": "train"}, generators=()), tmp_path / "out")
    found = json.loads((carry.folder / "board" / "board.json").read_text(encoding="utf-8"))
    text = json.dumps(found)
    assert "NaN" not in text
    record = read(carry.context.store.folder(carry.plan.records[0]))
    assert record.facts.target.absent_classes == ("c",)
    assert record.predictions is not None
    assert not (record.predictions.labels == carry.resolved.spec.classes.index("c")).any()
    assert any("--rare train" in one for one in json.loads((carry.folder / "board/choices.json").read_text()))


@pytest.mark.parametrize("harm", ["edit the prediction", "tear the record"])
def test_a_harmed_record_is_rejected_and_only_it_is_made_again(order: Orders, tmp_path: Path, harm: str) -> None:
    done = carry_out(order(generators=()), tmp_path / "out")
    before = contents(tmp_path / "out")
    folder = done.context.store.folder(done.plan.records[0])
    if harm == "edit the prediction":
        with np.load(folder / "predictions.npz") as arrays:
            edited = dict(arrays)
        edited["logits"] = edited["logits"][:, ::-1]
        np.savez(folder / "predictions.npz", **edited)
    else:
        (folder / "record.json").write_bytes((folder / "record.json").read_bytes()[:100])
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store/trial").rglob("done.json")}
    carry_out(order(generators=()), tmp_path / "out")
    assert contents(tmp_path / "out") == before
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store/trial").rglob("done.json")} == stamps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbones": ("resnet5O",)}, "did you mean 'resnet50'"),
        ({"generators": ("dpm",)}, "did you mean 'ddpm'"),
        ({"protocol": "cross-datset"}, "did you mean 'cross-dataset'"),
        ({"profile": "dmo"}, "did you mean 'demo'"),
        ({"classes": ("a", "bb")}, "no class 'bb'"),
        ({"settings": {"training.epoch": "3"}}, "training.epoch|does not fit"),
        ({"settings": {"generator.step": "3"}}, "generator vae does not fit"),
        ({"rare": {"": "maybe"}}, "chosen for x .*--rare.* does not fit"),
        ({"generate_from": "z"}, "no data set 'z'"),
    ],
)
def test_wrong_use_is_told_with_the_nearest_name(
    order: Orders, tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(UsageFault, match=message) as caught:
        prepare(order(**changes), tmp_path / "out")
    assert caught.value.exit_code == 2


def test_an_output_folder_that_can_not_be_written_is_an_environment_fault_before_anything(
    order: Orders, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/cytobench")):
        with pytest.raises(EnvironmentFault) as caught:
            prepare(order(), place)
        assert caught.value.exit_code == 4


def test_a_disk_without_room_for_the_plan_is_told_before_training(
    order: Orders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cytobench.benchmarks.run.free_bytes", lambda place: 1_000_000)
    with pytest.raises(EnvironmentFault, match="1 MB free; this run needs about"):
        carry_out(order(), tmp_path / "out")
    assert not (tmp_path / "out/store/trial").exists()


def test_asking_for_a_gpu_where_there_is_none_is_an_environment_fault(order: Orders, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(EnvironmentFault, match="--device cuda"):
        prepare(order(device="cuda"), tmp_path / "out")


def test_weights_that_can_not_be_had_offline_stop_before_training(
    order: Orders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(EnvironmentFault) as caught:
        prepare(order(backbones=("resnet50",), weights={"": "hub"}), tmp_path / "out")
    assert "download" in caught.value.fix
    assert "--weights" in caught.value.fix
    assert not (tmp_path / "out/store").exists()
