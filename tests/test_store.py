import errno
import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from cytobench.errors import EnvironmentFault, LockedFault
from cytobench.store import DONE, Step, Store, atomic, canonical, digest, held, is_whole, listing, write_json


class Write(Step):
    kind: ClassVar[str] = "note"
    code: ClassVar[tuple[str, ...]] = ("cytobench.seeds",)
    text: str


def work(folder: Path) -> None:
    (folder / "text").write_text("hello")


def test_canonical_text_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical({"b": 1, "a": [2.5, None]}) == b'{"a":[2.5,null],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})


def test_key_depends_on_specification_inputs_and_nothing_else() -> None:
    assert Write(text="a").key == Write(text="a").key
    assert Write(text="a").key != Write(text="b").key
    assert Write(text="a").key != Write(text="a", inputs={"x": "y"}).key


def test_a_step_is_computed_once(tmp_path: Path) -> None:
    calls: list[Path] = []

    def counted(folder: Path) -> None:
        calls.append(folder)
        work(folder)

    store = Store(tmp_path)
    for _ in range(2):
        store.compute(Write(text="a"), counted)
    assert len(calls) == 1


def test_work_that_fails_is_not_done(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        work(folder)
        raise ValueError

    store = Store(tmp_path)
    with pytest.raises(ValueError):  # noqa: PT011  # any will do
        store.compute(Write(text="a"), fail)
    assert not store.is_done(Write(text="a"))


@pytest.mark.parametrize("harm", ["edit", "truncate", "remove", "tear the record"])
def test_an_artefact_that_was_harmed_is_set_aside_and_made_anew(tmp_path: Path, harm: str) -> None:
    store = Store(tmp_path)
    folder = store.compute(Write(text="a"), work)
    if harm == "edit":
        (folder / "text").write_text("hullo")
    elif harm == "truncate":
        (folder / "text").write_text("hel")
    elif harm == "remove":
        (folder / "text").unlink()
    else:
        (folder / DONE).write_text((folder / DONE).read_text()[:40])
    assert not is_whole(folder)
    store.compute(Write(text="a"), work)
    assert (folder / "text").read_text() == "hello"
    assert is_whole(folder)
    assert len(list(folder.parent.glob("*.rejected-*"))) == 1


def test_atomic_leaves_the_old_file_when_writing_fails(tmp_path: Path) -> None:
    write_json(tmp_path / "a", 1)

    def fail() -> None:
        with atomic(tmp_path / "a") as file:
            file.write(b"half")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert json.loads((tmp_path / "a").read_text()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_full_disk_is_an_environment_fault_that_names_what_is_free(tmp_path: Path) -> None:
    def full(folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(EnvironmentFault, match=r"no space left .* MB free") as caught:
        Store(tmp_path).compute(Write(text="a"), full)
    assert caught.value.exit_code == 4


HOLD = """
import sys, time
from pathlib import Path
from cytobench.store import held
with held(Path(sys.argv[1]), wait=False):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_names_its_holder_and_dies_with_it(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(lock)], stdout=subprocess.PIPE)
    assert other.stdout is not None
    try:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(LockedFault, match=f"process {other.pid} on ") as caught, held(lock, wait=False):
            pass
        assert caught.value.exit_code == 6
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    with held(lock, wait=False):
        pass


def test_what_a_kill_left_is_swept_and_clock_times_are_no_part_of_the_outputs(tmp_path: Path) -> None:
    """Stale temporary files are gone after the next attempt; the seconds are kept, but not hashed."""
    store, step = Store(tmp_path), Write(text="x")
    stale = store.folder(step) / ".tmp-left-by-a-kill"
    stale.parent.mkdir(parents=True)
    stale.touch()
    assert store.seconds(step) is None
    folder = store.compute(step, work)
    assert not stale.exists()
    assert not list(tmp_path.rglob(".tmp-*"))
    assert store.seconds(step) is not None
    assert list(listing(folder)) == ["text"]
