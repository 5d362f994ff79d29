"""The door as a user meets it: real processes, exit codes, messages."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.doors import open_door

Maker = Callable[..., Path]
SMALL = [
    *("run", "--backbones", "two-layers", "--generator", "vae", "--profile", "demo", "--weights", "none"),
    *("--set", "image_size=16", "--set", "training.epochs=2", "--set", "training.batch=8"),
    *("--set", "generator.steps=3", "--set", "generator.width=4"),
    *("--set", "synthetic.train=6", "--set", "synthetic.val=2", "--set", "synthetic.test=3", "--device", "cpu"),
]
CALL = """
import sys
sys.argv = ["cytobench", *{words}]
from cytobench.cli import main
try:
    main()
except SystemExit:
    pass
"""


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    open_door("backbone", tmp_path / "plugins")
    return {**os.environ, "CYTOBENCH_PLUGINS": str(tmp_path / "plugins"), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def call(
    *words: str, environment: dict[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cytobench", *words],
        capture_output=True,
        text=True,
        env=environment,
        cwd=cwd,
        check=False,
    )


def test_help_imports_no_torch_and_names_every_command() -> None:
    heavy = "print(sorted(set(sys.modules) & {'torch', 'numpy', 'pandas', 'timm', 'pydantic'}))"
    code = CALL.format(words=["--help"]) + heavy
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip().endswith("[]")
    for command in ("run", "resume", "status", "list", "doctor", "data", "leaderboard"):
        assert re.search(rf"^  {command}\b", found.stdout, re.M)


@pytest.mark.parametrize("kind", ["generators", "backbones", "datasets", "protocols", "profiles", "executors"])
def test_list_shows_every_kind_without_importing_torch(kind: str) -> None:
    code = CALL.format(words=["list", kind, "--json"]) + "assert 'torch' not in sys.modules"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = json.loads(found.stdout)
    assert names
    assert all(one["summary"] for one in names)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run", "--backbones", "resnet5O", "--device", "cpu"], 2, "did you mean 'resnet50'"),
        (["run", "--backbones", "resnet18", "--data", "x=/no/such/place"], 2, "there is nothing at"),
        (["run", "--backbones", "resnet18", "--generator", "vea"], 2, "did you mean 'vae'"),
        (["run", "--backbones", "resnet18", "--device", "cuda"], 4, "--device cuda"),
        (["run", "--backbones", "resnet18", "--weights", "/no/such/file", "--device", "cpu"], 4, "no weights file"),
        (["run", "--backbones", "resnet18", "--weights", "hub", "--device", "cpu"], 4, "download"),
        (["run"], 2, "--backbones"),
        (["list", "nonsense"], 2, "nonsense"),
        (["status", "/no/such/run"], 2, "is no run"),
        (["resume", "/no/such/run"], 2, "is no run"),
    ],
)
def test_faults_end_with_their_code_and_without_a_traceback(
    words: list[str], code: int, message: str, environment: dict[str, str], tmp_path: Path
) -> None:
    empty = {**environment, "HF_HOME": str(tmp_path / "hf"), "TORCH_HOME": str(tmp_path / "torch")}
    found = call(*words, environment=empty, cwd=tmp_path)
    assert found.returncode == code, found.stderr
    assert message in found.stderr
    assert "Traceback" not in found.stderr


def test_json_faults_list_every_problem(tmp_path: Path, environment: dict[str, str], make_folder: Maker) -> None:
    root = make_folder({"a": 14, "b": 2}, size=16)
    for number in range(12):
        (root / "a" / f"{number:03d}.png").write_bytes(b"")
    found = call("data", "scan", "--data", f"x={root}", "--json", environment=environment, cwd=tmp_path)
    assert found.returncode == 3
    assert len(json.loads(found.stdout)["problems"]) == 12
    assert "and 2 more (12 in all" in found.stderr


def test_a_closed_pipe_a_plain_locale_and_no_colour_are_no_faults(environment: dict[str, str]) -> None:
    plain = {**environment, "LC_ALL": "C", "LANG": "C", "NO_COLOR": "1", "PYTHONUTF8": "0"}
    words = f"{sys.executable} -m cytobench list backbones | head -1"
    found = subprocess.run(
        ["bash", "-o", "pipefail", "-c", words], capture_output=True, text=True, env=plain, check=False
    )
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("densenet121")
    assert "Traceback" not in found.stderr
    assert "\x1b" not in found.stdout + found.stderr
    fault = call("run", "--backbones", "résnet50", "--device", "cpu", environment=plain)
    assert fault.returncode == 2
    assert "Traceback" not in fault.stderr


def start(words: list[str], environment: dict[str, str], cwd: Path) -> subprocess.Popen[str]:
    """Start a long run and wait until it trains."""
    process = subprocess.Popen(
        [sys.executable, "-m", "cytobench", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=cwd,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "train two-layers" in line:
            time.sleep(0.5)
            return process
    raise AssertionError("the run ended before it trained")


def computed(process: subprocess.Popen[str]) -> float:
    """Return the processor's seconds that a process has used; on a busy machine the clock says nothing about it."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def computed_until_its_end(process: subprocess.Popen[str]) -> tuple[float, str]:
    """Return the processor's seconds that a process used from now to its end, and what it wrote to stderr."""
    lines: list[str] = []
    before = computed(process)
    reader = threading.Thread(target=lambda: lines.extend(process.stderr or ()))
    reader.start()
    deadline = time.monotonic() + 120
    while (status := os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)) is None:
        assert time.monotonic() < deadline, "it does not end"
        time.sleep(0.01)
    last = computed(process)  # of a process that has ended and is not yet collected
    assert status
    reader.join()
    process.communicate()
    return last - before, "".join(lines)


@pytest.mark.parametrize(("number", "code", "seconds"), [(signal.SIGINT, 130, 5), (signal.SIGTERM, 143, 30)])
def test_a_stopped_run_ends_soon_says_how_to_go_on_and_goes_on(
    number: signal.Signals, code: int, seconds: float, environment: dict[str, str], tmp_path: Path, make_folder: Maker
) -> None:
    data = [word for name in "xy" for word in ("--data", f"{name}={make_folder({'a': 15, 'b': 15}, name, size=16)}")]
    longer = [word.replace("epochs=2", "epochs=9000") for word in SMALL]
    long = [*longer, *data, "--set", "training.patience=9000"]
    process = start(long, environment, tmp_path)
    process.send_signal(number)
    took, text = computed_until_its_end(process)
    assert took < seconds
    assert process.returncode == code
    command = re.search(r"go on with: cytobench (resume \S+)", text)
    assert command, text
    run = Path(command[1].split()[1])
    assert list((tmp_path / "cytobench-runs/store/trial").glob("*/partial/*.safetensors"))
    held = call("status", str(run), environment=environment, cwd=tmp_path)
    assert "next: train two-layers on x" in held.stdout
    if number == signal.SIGTERM:
        return

    resumed = start(command[1].split(), environment, tmp_path)
    second = call(*long, environment=environment, cwd=tmp_path)
    assert second.returncode == 6, second.stderr
    assert f"process {resumed.pid} on " in second.stderr
    resumed.send_signal(signal.SIGINT)
    time.sleep(0.05)
    resumed.send_signal(signal.SIGINT)
    assert computed_until_its_end(resumed)[0] < 5
    assert resumed.returncode in (130, -signal.SIGINT)  # a shell shows both as 130


def test_resuming_what_has_changed_is_refused_with_the_difference(
    environment: dict[str, str], tmp_path: Path, make_folder: Maker
) -> None:
    root = make_folder({"a": 15, "b": 15}, "x", size=16)
    first = call(*SMALL, "--data", f"x={root}", "--json", environment=environment, cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    run = tmp_path / json.loads(first.stdout)["run"]
    plugin = tmp_path / "plugins/classifiers/backbones/two_layers.py"
    longer = json.loads((run / "order.json").read_text())
    longer["settings"]["training.epochs"] = "3"
    for path, changed, expected in (
        (run / "order.json", json.dumps(longer).encode(), "run.training.epochs: was 2, is 3"),
        (root / "a" / "000.png", (root / "b" / "000.png").read_bytes(), "images_key: was"),
        (plugin, plugin.read_bytes().replace(b"nn.ReLU(),", b"nn.GELU(),"), "code."),
    ):
        before = path.read_bytes()
        path.write_bytes(changed)
        found = call("resume", str(run), environment=environment, cwd=tmp_path)
        assert found.returncode == 2, found.stderr
        assert expected in found.stderr
        assert "repeating the command" in found.stderr
        path.write_bytes(before)
    assert call("resume", str(run), environment=environment, cwd=tmp_path).returncode == 0


def test_dry_run_shows_trials_disk_and_time_and_trains_nothing(
    environment: dict[str, str], tmp_path: Path, make_folder: Maker
) -> None:
    root = make_folder({"a": 15, "b": 15}, "x", size=16)
    words = [*SMALL, "--data", f"x={root}", "--label-map", "x=a:alpha", "--dry-run"]
    plan = json.loads(call(*words, "--json", environment=environment, cwd=tmp_path).stdout)
    assert (plan["trials"], plan["records"]) == (2, 4)
    assert plan["estimated_seconds_of_trials"] >= 0
    assert plan["estimated_bytes"] > 0
    assert not (tmp_path / "cytobench-runs/store/trial").exists()
    assert plan["labels"] == {"x": {"a": "alpha"}}
    assert plan["choices"]["x"]["contradictions"] == "refuse"
    text = call(*words, environment=environment, cwd=tmp_path).stdout
    assert "2 trials, 4 records" in text
    assert "labels of x: a -> alpha" in text
    assert "MB free" in text


def test_doctor_reports_in_json(environment: dict[str, str], tmp_path: Path) -> None:
    found = call("doctor", "--json", environment=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    assert {"python", "gpu", "output folder", "generators"} <= {one["name"] for one in json.loads(found.stdout)}


def test_a_frozen_split_is_written_once_and_used_as_a_manifest(
    environment: dict[str, str], tmp_path: Path, make_folder: Maker
) -> None:
    root = make_folder({"a": 15, "b": 15}, "x", size=16)
    freeze = ["data", "split", "--data", f"x={root}", "--to", "split.csv"]
    assert call(*freeze, environment=environment, cwd=tmp_path).returncode == 0
    again = call(*freeze, environment=environment, cwd=tmp_path)
    assert again.returncode == 2
    assert "never drawn again" in again.stderr
    words = [*SMALL, "--data", f"x={root}", "--manifest", "x=split.csv", "--json"]
    found = call(*words, environment=environment, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    frozen = (tmp_path / json.loads(found.stdout)["run"] / "splits" / "x.csv").read_text().splitlines()[1:]
    given = (tmp_path / "split.csv").read_text().splitlines()[1:]
    assert sorted(line.split(",")[:3] for line in frozen) == sorted(line.split(",")[:3] for line in given)
