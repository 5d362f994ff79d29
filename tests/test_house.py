"""What ARCHITECTURE promises of the folders themselves."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("benchmarks", "generators", "composers", "classifiers", "datasets", "leaderboards")


@pytest.mark.parametrize("room", ROOMS)
def test_the_root_links_to_every_room(room: str) -> None:
    assert (ROOT / room).is_symlink()
    assert (ROOT / room).readlink() == Path("src/cytobench") / room


def test_datasets_is_no_package_that_hides_another_datasets() -> None:
    assert not (ROOT / "src/cytobench/datasets/__init__.py").exists()
    code = "import importlib.util as u; s = u.find_spec('datasets'); print(s and s.origin)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    origin = Path(found.stdout.strip()).resolve()
    ours = [(ROOT / place).resolve() for place in ("datasets", "src")]
    assert not any(origin.is_relative_to(place) for place in ours), "the library of that name is hidden by our room"


def test_the_rooms_only_look_back() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


def test_nothing_of_this_machine_or_of_package_hosts_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    names = [name for name in listed.stdout.split("\0") if name]
    assert "uv.lock" not in names
    texts = [ROOT / name for name in names if Path(name).suffix in (".txt", ".toml", ".md", ".py", ".json", ".html")]
    needles = ("/work" + "/main", "/root" + "/", "files.python" + "hosted.org")
    guilty = [path for path in texts if path.is_file() and any(n in path.read_text("utf-8") for n in needles)]
    assert not guilty


@pytest.mark.parametrize("room", ROOMS)
def test_the_linter_looks_into_every_room(room: str) -> None:
    """An exclusion by a bare name once hid the rooms behind the links."""
    linter = Path(sys.executable).with_name("ruff")
    listed = subprocess.run(
        [linter, "check", "--show-files", "."], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert f"src/cytobench/{room}/" in listed.stdout
