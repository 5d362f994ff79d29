"""Commands as boards and cards tell them: no place of a machine is in them."""

import sys
from pathlib import Path

import pytest

from cytobench.cli_options import as_typed


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("a=/home/x/w.pth,b=/home/x/v.pth", "a=w.pth,b=v.pth"),
        ("/home/x/scenes", "scenes"),
        ("--to=~/x/scenes", "--to=scenes"),
        ("lora-sd.base=owner/name", "lora-sd.base=owner/name"),
        ("x=old:new,older:new", "x=old:new,older:new"),
    ],
)
def test_paths_are_cut_to_their_last_part(word: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cytobench", "run", word])
    assert as_typed().replace("'", "") == f"cytobench run {told}"


def test_a_folder_that_is_there_is_cut_whatever_signs_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine/a,b=c").mkdir(parents=True)
    monkeypatch.setattr(sys, "argv", ["cytobench", "--data", "x=mine/a,b=c"])
    assert as_typed() == "cytobench --data x=a,b=c"
