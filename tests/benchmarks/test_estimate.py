"""What a plan says that it will take, before anything is computed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from cytobench.benchmarks.estimate import Estimate, Sizes
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.run import prepare

MakeOrder = Callable[..., Order]


def _estimate(order: Order, out: Path) -> tuple[Sizes, float]:
    """Return the sizes of the first source, and those of its training in images shown."""
    made = prepare(order, out)
    trial = made.plan.trials[0]
    tuned = made.context.tuned[trial.backbone.asked]._replace(seconds_per_image=1)
    estimate = Estimate(made.plan, replace(made.context, tuned={trial.backbone.asked: tuned}))
    return estimate.sizes(trial.source.split), estimate.seconds(trial)


def test_the_time_of_a_training_follows_the_images_of_its_epochs(order: MakeOrder, tmp_path: Path) -> None:
    told = {}
    for images in ("null", "100", "200"):
        asked = order(generators=(), protocol="same-dataset", settings={"training.epoch_images": images})
        sizes, told[images] = _estimate(asked, tmp_path / images)
        assert sizes == (18, 6, 6)
    assert told["200"] - told["100"] == pytest.approx(2 * 100), "two epochs of a hundred images more"
    assert told["100"] - told["null"] == pytest.approx(2 * (100 - 18))


def test_the_sizes_of_a_limited_set_are_those_that_its_split_will_have(order: MakeOrder, tmp_path: Path) -> None:
    asked = order(generators=(), protocol="same-dataset", settings={"train_per_class": "3"})
    assert _estimate(asked, tmp_path)[0] == (6, 2, 6)


def test_a_starved_class_is_counted_as_such(order: MakeOrder, tmp_path: Path) -> None:
    asked = order(generators=(), protocol="same-dataset", settings={"train_of_class.a": "3"})
    assert _estimate(asked, tmp_path)[0] == (9 + 3, 3 + 1, 6)


def test_folds_given_parts_and_merged_classes_of_drawn_sets_are_counted(
    order: MakeOrder, make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folded = order(generators=(), protocol="same-dataset", fold="1/5")
    assert _estimate(folded, tmp_path / "folds")[0] == (18, 6, 6)
    ten = order(generators=(), protocol="same-dataset", fold="1/10")
    assert _estimate(ten, tmp_path / "ten")[0] == (24, 3, 3)
    root = make_folder({"a": 10, "b": 10}, "given", size=16)
    rows = [f"{file.relative_to(root)},{file.parent.name},test" for file in sorted(root.rglob("*.png"))]
    parts = [*(row.replace(",test", ",train") for row in rows[::2]), *rows[1::4], *(r[:-4] + "val" for r in rows[3::4])]
    (tmp_path / "given.csv").write_text("path,label,split\n" + "\n".join(parts))
    given = Data(name="given", path=str(root), manifest=str(tmp_path / "given.csv"))
    assert _estimate(order(generators=(), protocol="same-dataset", data=(given,)), tmp_path / "given")[0] == (10, 5, 5)
    (tmp_path / "no-val.csv").write_text((tmp_path / "given.csv").read_text().replace(",val", ",train"))
    lacking = given.model_copy(update={"manifest": str(tmp_path / "no-val.csv")})
    assert _estimate(order(generators=(), protocol="same-dataset", data=(lacking,)), tmp_path / "none")[0] == (11, 4, 5)
    merged = order(
        generators=(), protocol="same-dataset", data=(Data(name="phantom-a"),), classes=("lymphocyte", "monocyte"),
        label_map={"phantom-a": "basophil:monocyte"}, settings={"drawn_per_class": "10"},
    )  # fmt: skip
    assert _estimate(merged, tmp_path / "merged")[0] == (12 + 6, 4 + 2, 4 + 2)
