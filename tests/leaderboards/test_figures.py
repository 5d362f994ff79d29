import io
from collections.abc import Callable

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from cytobench.leaderboards.canvas import Drawing, file_name, ink
from cytobench.leaderboards.curves import curves
from cytobench.leaderboards.evaluation import evaluate
from cytobench.leaderboards.figures import figures
from cytobench.leaderboards.matrices import confusions, source_by_target
from cytobench.leaderboards.record import Predictions, Record
from cytobench.leaderboards.results import Results
from cytobench.leaderboards.sample_grid import GAP, Gallery, mosaic, sample_grid

MakeRecord = Callable[..., Record]


def _said(record: Record) -> Predictions:
    assert record.predictions is not None
    return record.predictions


def _pixels(drawing: Drawing) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(drawing.png)).convert("RGB"))


def _is_blank_at_the_edge(pixels: np.ndarray) -> bool:
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return bool((edge == 255).all())


def test_a_board_has_a_heat_map_confusions_for_each_backbone_and_curves(single: Results) -> None:
    drawn = figures(single)
    assert [one.name for one in drawn] == [
        "source-target",
        "confusion-01-resnet50",
        "confusion-02-swin",
        "confusion-03-vit",
        "training-curves",
    ]
    for one in drawn:
        assert _is_blank_at_the_edge(_pixels(one)), f"{one.name} is clipped"


def test_a_figure_has_the_same_bytes_whatever_the_users_settings(make_record: MakeRecord) -> None:
    results = evaluate([make_record()])
    before = [one.png for one in figures(results)]
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.dpi": 30, "figure.dpi": 30}):
        assert [one.png for one in figures(results)] == before
    assert b"matplotlib" not in before[0].lower()


def test_the_diagonal_alone_is_framed(make_record: MakeRecord) -> None:
    framed = (np.array([0xD5, 0x5E, 0x00]) == _pixels(source_by_target(evaluate([make_record()])))).all(axis=-1)
    other = _pixels(source_by_target(evaluate([make_record("pbc", "raabin")])))
    assert framed.sum() > 500
    assert not (np.array([0xD5, 0x5E, 0x00]) == other).all(axis=-1).any()


@pytest.mark.parametrize("name", ["$x^2$ & <b>", r"$\frac$", "染色-" * 3, "a" * 80, "_-^%\\"])
def test_any_name_can_be_drawn(make_record: MakeRecord, name: str) -> None:
    """A name is text: no mathematics, no clipping, at most a box for a letter that the font does not have."""
    record = make_record()
    backbone = record.facts.backbone.model_copy(update={"asked": name})
    results = evaluate([record._replace(facts=record.facts.model_copy(update={"backbone": backbone}))])
    for drawing in (source_by_target(results), confusions(results, name), curves(results)):
        assert _is_blank_at_the_edge(_pixels(drawing))


def test_file_names_are_safe_and_told_apart() -> None:
    names = ("../../etc/passwd", "ViT-B/16", "染色", "vit b 16")
    found = [file_name(one, names) for one in names]
    assert found == ["01-etc-passwd", "02-vit-b-16", "03", "04-vit-b-16"]


def test_many_classes_are_drawn_without_numbers(make_record: MakeRecord) -> None:
    record = make_record()
    n = record.facts.target.images_test
    classes = tuple(f"class {k}" for k in range(15))
    target = record.facts.target.model_copy(update={"absent_classes": ()})
    facts = record.facts.model_copy(update={"classes": classes, "target": target})
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(n, 15)).astype(np.float32)
    predictions = _said(record)._replace(labels=rng.integers(0, 15, n), logits=logits)
    results = evaluate([record._replace(facts=facts, predictions=predictions)])
    assert _is_blank_at_the_edge(_pixels(confusions(results, "resnet50")))


def test_ink_can_be_read() -> None:
    assert ink(1.0) == "white"
    assert ink(0.0) != "white"


def test_small_samples_keep_every_pixel() -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 3, 24, 24, 3), dtype=np.uint8)
    found = mosaic(images)
    assert found.shape == (2 * (96 + GAP), 3 * (96 + GAP), 3)
    np.testing.assert_array_equal(found[0:96:4, 100:196:4], images[0, 1])
    np.testing.assert_array_equal(found[100:196:4, 0:96:4], images[1, 0])
    assert (found[96:100] == 255).all()


def test_large_samples_are_reduced() -> None:
    images = np.full((1, 2, 360, 360, 3), 7, dtype=np.uint8)
    found = mosaic(images)
    assert found.shape == (96 + GAP, 2 * (96 + GAP), 3)
    assert (found[:96, :96] == 7).all()


def test_a_sample_grid_shows_the_mosaic_pixel_by_pixel() -> None:
    images = np.random.default_rng(0).integers(0, 200, (2, 5, 32, 32, 3), dtype=np.uint8)
    drawing = sample_grid("set", Gallery(images, ("a", "b"), "phantom"), names=("set",))
    pixels, expected = _pixels(drawing), mosaic(images)
    assert drawing.title == "set (phantom): samples"
    corner = np.argwhere((pixels[: -expected.shape[0] + 1, : -expected.shape[1] + 1] == expected[0, 0]).all(axis=-1))
    assert any((pixels[y : y + 96, x : x + 96] == expected[:96, :96]).all() for y, x in corner)


@pytest.mark.parametrize("shape", [(3, 2, 8, 8, 3), (2, 0, 8, 8, 3), (2, 2, 8, 8), (2, 2, 8, 8, 1)])
def test_samples_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="samples of set have shape"):
        sample_grid("set", Gallery(np.zeros(shape, np.uint8), ("a", "b"), "real"), names=("set",))
