"""Every hostile input is met: its exit code, no traceback, no harm, little memory, little time."""

import hashlib
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults import archives, images, runs, tables
from tests.faults.corpus import CORPUS, RAN, Hostile

FILLED_BY = (archives, images, runs, tables)
ROOT = Path(__file__).parents[2]
GIGABYTE = 1 << 30
SLOW_TO_LOAD = {"images": ("torch",), "tables": ("torch",), "weights": ("torch", "torchvision", "timm")}
Met = dict[str, dict[str, Any]]


def inventory(folder: Path) -> dict[str, str]:
    """Return what lies below a folder: kind, size, place of links, hash of content; sparse giants by size and time."""
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        text = f"{facts.st_mode} {facts.st_size} {facts.st_mtime_ns if stat.S_ISREG(facts.st_mode) else ''}"
        if stat.S_ISLNK(facts.st_mode):
            text += str(path.readlink())
        elif stat.S_ISREG(facts.st_mode) and facts.st_size < GIGABYTE:
            text += hashlib.sha256(path.read_bytes()).hexdigest()
        found[path.relative_to(folder).as_posix()] = text
    return found


@pytest.fixture(scope="module")
def met(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Met:
    """Return what happened to every selected input; inputs of one group share a process."""
    calls = [item.callspec.params for item in request.session.items if hasattr(item, "callspec")]
    wanted = {call["one"].name for call in calls if isinstance(call.get("one"), Hostile)}
    ground = tmp_path_factory.mktemp("corpus")
    (ground / "outside.png").write_bytes(b"alive")
    programs = ground / "programs"
    programs.mkdir()
    for name in ("gs", "gswin64c", "inkscape", "rsvg-convert", "pdftoppm"):  # an interpreter that is started tells it
        (programs / name).write_text(f"#!/bin/sh\nmkdir {ground / RAN}\n")
        (programs / name).chmod(0o755)
    orders: dict[str, list[dict[str, Any]]] = {}
    for one in CORPUS.values():
        if one.name in wanted:
            place, work = ground / "in" / one.name, ground / "out" / one.name
            place.mkdir(parents=True)
            work.mkdir(parents=True)
            orders.setdefault(one.group, []).append({"name": one.name, "words": one.make(place), "cwd": str(work)})
    before = inventory(ground / "in")
    found: Met = {}
    environment = {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join([*os.environ.get("PYTHONPATH", "").split(os.pathsep), str(ROOT)]),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    for group, inputs in orders.items():
        (ground / f"{group}.json").write_text(json.dumps(inputs))
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.meet", str(ground / f"{group}.json"), *SLOW_TO_LOAD.get(group, ())],
            capture_output=True, text=True, env=environment, check=False, cwd=ground,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found |= {line.pop("name"): line for line in lines}
        for missing in inputs[len(lines) :]:
            lost = {"code": done.returncode, "seconds": 0.0, "peak": 0, "stdout": ""}
            found[missing["name"]] = {
                **lost,
                "stderr": f"Traceback, or {inputs[len(lines)]['name']} hung: {done.stderr}",
            }
    after = inventory(ground / "in")
    for name, facts in found.items():
        facts["touched"] = sorted(
            path
            for path in before.keys() | after.keys()
            if path.startswith(f"{name}/") and before.get(path) != after.get(path)
        )
        facts["ran"] = (ground / "in" / name / RAN).exists() or (ground / "out" / name / RAN).exists()
    found[""] = {"outside": (ground / "outside.png").read_bytes(), "ran": (ground / RAN).exists()}
    return found


@pytest.mark.parametrize(
    "one", [pytest.param(one, id=one.name, marks=pytest.mark.fault(*one.rows)) for one in CORPUS.values()]
)
def test_it_ends_with_its_code_and_does_no_harm(met: Met, one: Hostile) -> None:
    found = met[one.name]
    assert "Traceback" not in found["stderr"], found["stderr"]
    assert found["code"] == one.code, found["stderr"][:2000]
    assert found["seconds"] < 10, "of the processor, so that a busy machine does not count"
    assert found["peak"] < 2 * GIGABYTE
    assert not found["ran"], "its payload was executed"
    assert found["touched"] == []
    told = found["stderr"] + found["stdout"]
    assert len(told) < 20_000, "a message floods the terminal"
    assert all(sign.isprintable() or sign in "\n\t\u200c\u200d" for sign in told), "a message speaks to the terminal"
    assert one.code == 0 or "To do:" in found["stderr"], "a message without what to do"
    everywhere = met[""]
    assert everywhere["outside"] == b"alive"
    assert not everywhere["ran"], "an interpreter was started"


def test_there_are_enough() -> None:
    assert len(CORPUS) >= 45
