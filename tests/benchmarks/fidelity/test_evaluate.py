"""``cytobench evaluate``: what lies on the disk in, figures and named problems out."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cytobench.benchmarks import generate
from cytobench.benchmarks.fidelity import evaluate as measuring
from cytobench.benchmarks.fidelity.evaluate import Asking, Evaluation, evaluate
from cytobench.benchmarks.fidelity.problems import of_lines
from cytobench.benchmarks.lookup import Data
from cytobench.benchmarks.order import Order
from cytobench.benchmarks.steps.synthesis import SEEN
from cytobench.datasets.decode import drawn_png
from cytobench.datasets.imageset import read_table
from cytobench.errors import DataFault, IntegrityFault, UsageFault
from cytobench.leaderboards.fidelity import ALL, METRICS, FidelityFacts, Line, Metric, Reading
from cytobench.store import SECONDS

SIDE, EACH = 24, 24
Images = NDArray[np.uint8]


def cells(count: int, seed: int, *, radius: float = 6.0) -> Images:
    """Return discs of different places, sizes and colours with patches around them, no two alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    images = rng.normal(200, 8, (count, SIDE, SIDE, 3))
    for image in images:
        cx, cy = rng.uniform(8, 16, 2)
        r = radius * rng.uniform(0.7, 1.3)
        for left, top in rng.integers(0, SIDE - 5, (8, 2)):
            image[top : top + 5, left : left + 5] = rng.uniform(60, 250, 3)
        image[(x - cx) ** 2 + (y - cy) ** 2 < r**2] = rng.uniform(40, 160, 3)
    return images.clip(0, 255).astype(np.uint8)


def written(place: Path, sets: dict[str, Images], *, drawn: bool = False) -> Path:
    for label, images in sets.items():
        (place / label).mkdir(parents=True)
        for number, image in enumerate(images):
            file = place / label / f"{number:03d}.png"
            if drawn:
                file.write_bytes(drawn_png(image, "test"))
            else:
                Image.fromarray(image).save(file)
    return place


@pytest.fixture
def real(tmp_path: Path) -> Path:
    return written(tmp_path / "real", {"a": cells(EACH, 1), "b": cells(EACH, 2, radius=4.0)})


@pytest.fixture
def measured(real: Path, tmp_path: Path) -> Callable[..., FidelityFacts]:
    def measure(a: Images, b: Images, **changes: Any) -> FidelityFacts:
        place = written(tmp_path / "drawn", {"a": a, "b": b}, drawn=True)
        asking = Asking(str(real), str(place), ("thumbnails",))._replace(**changes)
        return evaluate(asking, tmp_path / "out").facts

    return measure


def names(facts: FidelityFacts) -> set[str]:
    return {one.name for one in facts.problems}


def test_more_of_the_same_distribution_is_at_the_floor(measured: Callable[..., FidelityFacts]) -> None:
    facts = measured(cells(EACH, 11), cells(EACH, 12, radius=4.0))
    assert names(facts) == {"too few"}
    assert {line.scope for line in facts.lines} == {ALL, "a", "b"}
    for line in facts.lines:
        assert line.n == (24 if line.scope == ALL else 12)
        if line.metric in ("frechet", "frechet_infinite"):
            assert line.found is None
            assert line.note.startswith("n too small")
        else:
            assert line.found is not None
            assert line.floor is not None
            assert line.found.low <= line.floor.high
            assert line.floor.low <= line.found.high
    [extractor] = facts.extractors
    assert (extractor.name, extractor.origin, extractor.width) == ("thumbnails", "none", 192)
    assert len(extractor.sha256) == 16


def test_another_distribution_is_above_it(measured: Callable[..., FidelityFacts]) -> None:
    facts = measured(255 - cells(EACH, 11), 255 - cells(EACH, 12))
    [kid] = [line for line in facts.lines if (line.metric, line.scope) == ("kid", ALL)]
    assert kid.found is not None
    assert kid.floor is not None
    assert kid.found.low > kid.floor.high


def test_few_shows_the_distance_and_marks_it(measured: Callable[..., FidelityFacts]) -> None:
    facts = measured(cells(EACH, 11), cells(EACH, 12), few=True)
    found = [line for line in facts.lines if line.metric == "frechet"]
    assert all(line.found is not None and line.note.startswith("n too small") for line in found)
    assert all(line.found is None for line in facts.lines if line.metric == "frechet_infinite")


def test_a_generator_that_draws_one_image_has_collapsed(measured: Callable[..., FidelityFacts]) -> None:
    one = np.repeat(cells(1, 11), EACH, axis=0)
    facts = measured(one, cells(EACH, 12, radius=4.0))
    assert {problem.scope for problem in facts.problems if problem.name == "collapsed"} >= {"a"}
    assert "b" not in {problem.scope for problem in facts.problems if problem.name == "collapsed"}


def test_a_generator_of_nearly_one_image_has_collapsed(measured: Callable[..., FidelityFacts]) -> None:
    rng = np.random.default_rng(0)
    near = cells(1, 11).astype(int) + rng.integers(-3, 4, (EACH, SIDE, SIDE, 3))
    facts = measured(near.clip(0, 255).astype(np.uint8), cells(EACH, 12, radius=4.0))
    told = [one.text for one in facts.problems if (one.name, one.scope) == ("collapsed", "a")]
    assert any("as far apart" in text for text in told)


@pytest.mark.parametrize(("precision", "recall", "said"), [(0.8, 0.0, ["narrow"]), (0.1, 0.0, []), (0.8, 0.6, [])])
def test_images_that_look_real_and_cover_little_are_narrow(precision: float, recall: float, said: list[str]) -> None:
    def line(metric: Metric, found: float, floor: float) -> Line:
        here, there = (Reading(value=value, low=value, high=value) for value in (found, floor))
        return Line(extractor="x", scope="a", n=50, metric=metric, found=here, floor=there)

    problems = of_lines([line("precision", precision, 0.9), line("recall", recall, 0.9)])
    assert [one.name for one in problems] == said


def test_constant_images_have_collapsed(measured: Callable[..., FidelityFacts]) -> None:
    grey = np.repeat(np.arange(100, 100 + EACH, dtype=np.uint8), SIDE * SIDE * 3).reshape(EACH, SIDE, SIDE, 3)
    facts = measured(grey, grey + 50)
    assert any("nothing at all" in one.text for one in facts.problems if one.name == "collapsed")


def test_values_that_are_no_numbers_have_exploded(measured: Callable[..., FidelityFacts]) -> None:
    with np.errstate(invalid="ignore"):
        broken = np.full((EACH, SIDE, SIDE, 3), np.nan).astype(np.uint8)
    facts = measured(broken, broken)
    assert "exploded" in names(facts)


def test_copies_of_real_images_are_caught(measured: Callable[..., FidelityFacts]) -> None:
    facts = measured(cells(EACH, 1), cells(EACH, 12, radius=4.0))
    assert any(f"{EACH} of {2 * EACH} images have the pixels" in one.text for one in facts.problems)


def test_copies_in_another_light_are_caught(measured: Callable[..., FidelityFacts]) -> None:
    lighter = (cells(EACH, 1).astype(int) * 9 // 10).astype(np.uint8)
    facts = measured(lighter, cells(EACH, 12, radius=4.0))
    [near] = [one for one in facts.copies if one.test.startswith("one picture")]
    assert near.test.endswith("unknown"), "a folder of pictures says nothing about what was seen"
    assert "unknown" in facts.reference
    assert near.found >= EACH // 2 - 2, "one half of the real images is searched"
    assert "copied" in names(facts)


def test_other_classes_are_refused_with_the_difference(real: Path, tmp_path: Path) -> None:
    place = written(tmp_path / "drawn", {"a": cells(3, 1), "c": cells(3, 2)})
    with pytest.raises(DataFault, match="same classes"):
        evaluate(Asking(str(real), str(place), ("thumbnails",)), tmp_path / "out")
    facts = evaluate(
        Asking(str(real), f"mine={place}", ("thumbnails",), label_map={"mine": "c:b"}), tmp_path / "out"
    ).facts
    assert facts.classes == ("a", "b")
    assert facts.synthetic == "mine"


def test_drawn_images_do_not_pass_for_real_ones(tmp_path: Path) -> None:
    place = written(tmp_path / "drawn", {"a": cells(3, 1), "b": cells(3, 2)}, drawn=True)
    with pytest.raises(IntegrityFault, match="drawn by a generator"):
        evaluate(Asking(str(place), f"s={place}", ("thumbnails",)), tmp_path / "out")


@pytest.mark.parametrize(
    ("asking", "told"),
    [
        ({"extractors": ("inceptoin",)}, "did you mean 'inception'"),
        ({"extractors": ("thumbnails", "thumbnails")}, "twice"),
        ({"label_map": {"nobody": "a:b"}}, "no set 'nobody'"),
        ({"synthetic": "phantom-a"}, "where is it"),
    ],
)
def test_wrong_names_are_refused(asking: dict[str, Any], told: str, real: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageFault, match=told):
        evaluate(Asking(str(real), str(real), ("thumbnails",))._replace(**asking), tmp_path / "out")


def test_what_is_computed_once_is_kept(real: Path, tmp_path: Path) -> None:
    place = written(tmp_path / "drawn", {"a": cells(8, 11), "b": cells(8, 12)}, drawn=True)
    asking = Asking(str(real), str(place), ("thumbnails",))
    first = evaluate(asking, tmp_path / "out")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/store").rglob("*.np*")}
    assert sum(path.name == "features.npy" for path in kept) == 2
    again = evaluate(asking, tmp_path / "out")
    assert again.facts == first.facts
    assert kept == {path: path.stat().st_mtime_ns for path in kept}


def test_the_report_is_written(real: Path, tmp_path: Path) -> None:
    place = written(tmp_path / "drawn", {"a": cells(8, 11), "b": cells(8, 12)}, drawn=True)
    found = evaluate(Asking(str(real), str(place), ("thumbnails",)), tmp_path / "out")
    measuring.write(found, tmp_path / "report")
    table = (tmp_path / "report/fidelity.csv").read_text().splitlines()
    assert len(table) == 1 + 3 * len(METRICS)
    assert FidelityFacts.model_validate(json.loads((tmp_path / "report/fidelity.json").read_text())) == found.facts
    assert "Fréchet distance" in (tmp_path / "report/README.md").read_text()
    with Image.open(tmp_path / "report/examples.png") as picture:
        assert picture.width > SIDE


@pytest.mark.parametrize(
    ("text", "name", "path"),
    [
        ("{here}/plain", "real", "{here}/plain"),
        ("{here}/a=b", "real", "{here}/a=b"),
        ("x={here}/plain", "x", "{here}/plain"),
        ("x={here}/a=b", "x", "{here}/a=b"),
        ("x={here}/no/where", "x", "{here}/no/where"),
        ("{here}/no=where", "real", "{here}/no=where"),
        ("cells@v1", "cells", "cells@v1"),
        ("cells@v1#01234567", "cells", "cells@v1#01234567"),
        ("mine=cells@v2", "mine", "cells@v2"),
        ("phantom-a", "phantom-a", ""),
        ("phantom-a={here}/plain", "phantom-a", "{here}/plain"),
    ],
)
def test_a_side_is_named_as_data_is(text: str, name: str, path: str, tmp_path: Path) -> None:
    """And a path may hold an equals sign."""
    for folder in ("plain", "a=b"):
        (tmp_path / folder).mkdir()
    found = measuring._data(text.format(here=tmp_path), "real")
    assert (found.name, found.path) == (name, path.format(here=tmp_path))


def test_a_folder_here_may_have_an_equals_sign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a=b").mkdir()
    monkeypatch.chdir(tmp_path)
    assert measuring._data("a=b", "real") == Data(name="real", path=str(tmp_path / "a=b"))


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--json"], 0, ""),
        (["--extractor", "thumbnails", "--few", "--to", "report"], 0, "KID"),
        (["--extractor", "inceptoin"], 2, "did you mean"),
        (["--extractor", "inception=nowhere.pth"], 4, "no weights file"),
        (["--image-size", "4"], 2, "--image-size"),
        (["--real", "nowhere"], 2, "nothing at"),
    ],
)
def test_the_door(words: list[str], code: int, told: str, real: Path, tmp_path: Path) -> None:
    place = written(tmp_path / "drawn", {"a": cells(8, 11), "b": cells(8, 12)}, drawn=True)
    sides = ["--real", str(real), "--synthetic", str(place), "--device", "cpu"]
    look = [] if "--extractor" in words else ["--extractor", "thumbnails"]
    found = subprocess.run(
        [sys.executable, "-m", "cytobench", "evaluate", *sides, *look, *words],
        capture_output=True, text=True, cwd=tmp_path, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert found.returncode == code, found.stderr
    assert told in found.stdout + found.stderr
    assert "Traceback" not in found.stderr
    if words == ["--json"]:
        assert FidelityFacts.model_validate(json.loads(found.stdout)).synthetic == "synthetic"


class TestGenerated:
    """A folder that ``cytobench generate`` wrote tells what its generator saw."""

    @pytest.fixture
    def drawn(self, order: Callable[..., Order], tmp_path: Path) -> Path:
        both = order(backbones=())
        asked = both.model_copy(update={"data": both.data[:1]})
        drawing = generate.prepare(asked, images=12, to=tmp_path / "cells", out=tmp_path / "out")
        generate.generate(drawing, command="test")
        return tmp_path / "cells"

    def measured(self, drawn: Path, tmp_path: Path) -> Evaluation:
        return evaluate(Asking(f"x={tmp_path / 'x'}", str(drawn), ("thumbnails",)), tmp_path / "out")

    def test_the_reference_is_what_it_did_not_see(self, drawn: Path, tmp_path: Path) -> None:
        facts = self.measured(drawn, tmp_path).facts
        assert "did not see" in facts.reference
        assert facts.image_size == 16
        assert facts.images == {"reference": 12, "floor": len(read_table(drawn / SEEN)), "synthetic": 24}
        assert {one.test for one in facts.copies} >= {"nearer to a seen image than to an unseen one"}
        assert list((tmp_path / "out/store").rglob(SECONDS))
