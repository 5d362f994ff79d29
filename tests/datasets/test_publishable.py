from collections.abc import Callable
from pathlib import Path

import pytest

from cytobench.datasets import publishable
from cytobench.errors import DataFault, IntegrityFault

Maker = Callable[..., Path]


def test_plain_names_pass(make_folder: Maker) -> None:
    publishable.check(make_folder({"a": 2}), ["a/000.png", "a/001.png"])


@pytest.mark.fault(33)
@pytest.mark.parametrize(
    ("one", "other"), [("a/A.png", "a/a.png"), ("é/x.png", "e\u0301/x.png"), ("B/x.png", "b/x.png")]
)
def test_names_that_some_systems_take_for_one_are_refused(make_folder: Maker, one: str, other: str) -> None:
    with pytest.raises(DataFault, match="1 names differ in case") as caught:
        publishable.check(make_folder({"a": 1}), [one, other, "a/000.png"])
    assert caught.value.problems == (f"{one} = {other}",)


@pytest.mark.fault(35)
def test_links_that_leave_the_folder_are_refused_and_links_within_it_are_not(
    make_folder: Maker, tmp_path: Path
) -> None:
    root = make_folder({"a": 1})
    (tmp_path / "secret.png").write_bytes((root / "a/000.png").read_bytes())
    (root / "a/out.png").symlink_to(tmp_path / "secret.png")
    (root / "a/in.png").symlink_to(root / "a/000.png")
    publishable.check(root, ["a/000.png", "a/in.png"])
    with pytest.raises(IntegrityFault, match="1 images are links") as caught:
        publishable.check(root, ["a/000.png", "a/in.png", "a/out.png"])
    assert caught.value.problems == ("a/out.png",)
