import hashlib
import os
import pickle
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save as to_bytes

from cytobench.classifiers.backbone import Backbone, HubFile, UrlFile, resolve
from cytobench.classifiers.weights import NONE, find, read
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLOSED = "http://127.0.0.1:9"
"""Nobody listens on the discard port."""


class Server:
    """A web server on this machine that also speaks as much of the hub's language as a download needs."""

    def __init__(self) -> None:
        files: dict[str, bytes] = {}
        self.files = files

        class Handler(BaseHTTPRequestHandler):
            def answer(self, *, body: bool) -> None:
                content = files.get(self.path)
                self.send_response(200 if content is not None else 404)
                content = content or b""
                self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
                self.send_header("X-Repo-Commit", COMMIT)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if body:
                    self.wfile.write(content)

            def do_GET(self) -> None:  # the name that http.server calls
                self.answer(body=True)

            def do_HEAD(self) -> None:
                self.answer(body=False)

            def log_message(self, *_: Any) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def server() -> Iterator[Server]:
    one = Server()
    yield one
    one.close()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An empty cache, and no hub."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_XET_CACHE", str(tmp_path / "xet"), raising=False)
    _move(monkeypatch, CLOSED)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "torch"))
    for proxy in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(proxy, raising=False)
    return monkeypatch


def _move(patch: pytest.MonkeyPatch, url: str) -> None:
    """Let the hub's client believe that the hub is elsewhere."""
    patch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{url}/{{repo_id}}/resolve/{{revision}}/{{filename}}")
    patch.setattr(constants, "ENDPOINT", url)


def _with(place: HubFile | UrlFile | None) -> Backbone:
    def build(classes: int, size: int) -> Any:
        raise NotImplementedError

    return Backbone("net", "own", "net", build, "tag", 0, lambda: place)


STATE = {"weight": torch.arange(6.0)}


def test_none_is_a_random_start() -> None:
    assert find(resolve("resnet18"), "none") == NONE


def test_hub_weights_are_downloaded_once_and_then_read_from_the_cache(server: Server, hub: pytest.MonkeyPatch) -> None:
    content = to_bytes(STATE)
    server.files["/timm/resnet18.a1_in1k/resolve/main/model.safetensors"] = content
    _move(hub, server.url)
    found = find(resolve("resnet18"), "hub")
    assert found.origin == f"hub:timm/resnet18.a1_in1k@{COMMIT}"
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    _move(hub, CLOSED)
    assert find(resolve("resnet18"), "hub") == found


def test_an_unreachable_hub_stops_at_once_with_the_command_that_fetches(hub: pytest.MonkeyPatch) -> None:
    began = time.monotonic()
    with pytest.raises(EnvironmentFault) as fault:
        find(resolve("resnet50"), "hub")
    assert time.monotonic() - began < 5
    assert fault.value.exit_code == 4
    assert "hf download timm/resnet50.a1_in1k model.safetensors" in str(fault.value)
    assert "--weights none" in str(fault.value)


def test_offline_mode_does_not_touch_the_network(server: Server, hub: pytest.MonkeyPatch) -> None:
    server.files["/timm/resnet18.a1_in1k/resolve/main/model.safetensors"] = to_bytes(STATE)
    _move(hub, server.url)
    hub.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EnvironmentFault, match="hf download"):
        find(resolve("resnet18"), "hub")


def test_a_file_that_the_hub_lacks_is_a_fault(server: Server, hub: pytest.MonkeyPatch) -> None:
    _move(hub, server.url)
    with pytest.raises(EnvironmentFault, match="can't be downloaded"):
        find(_with(HubFile("timm/none", "model.safetensors")), "hub")


def test_truncated_hub_weights_are_refused(server: Server, hub: pytest.MonkeyPatch) -> None:
    server.files["/timm/resnet18.a1_in1k/resolve/main/model.safetensors"] = to_bytes(STATE)[:-4]
    _move(hub, server.url)
    with pytest.raises(IntegrityFault, match="truncated"):
        find(resolve("resnet18"), "hub")


def test_web_weights_are_checked_against_the_digits_in_their_name(
    server: Server, hub: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.save(STATE, tmp_path / "state.pth")
    content = (tmp_path / "state.pth").read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    server.files |= {f"/net-{sha256[:8]}.pth": content, "/net-00000000.pth": content}
    found = find(_with(UrlFile("library/net", "V1", f"{server.url}/net-{sha256[:8]}.pth")), "hub")
    assert (found.origin, found.sha256) == ("hub:library/net@V1", sha256)
    with pytest.raises(IntegrityFault, match="not what its name promises"):
        find(_with(UrlFile("library/net", "V1", f"{server.url}/net-00000000.pth")), "hub")


@pytest.mark.parametrize("url", [f"{CLOSED}/net-12345678.pth", "missing"])
def test_unreachable_web_weights_stop_with_the_command_that_fetches(
    url: str, server: Server, hub: pytest.MonkeyPatch
) -> None:
    url = f"{server.url}/net-12345678.pth" if url == "missing" else url
    with pytest.raises(EnvironmentFault, match=r"curl .*net-12345678\.pth.*--weights none"):
        find(_with(UrlFile("library/net", "V1", url)), "hub")


def test_hub_weights_of_a_backbone_without_any_are_wrong_use() -> None:
    with pytest.raises(UsageFault, match="nobody has published"):
        find(resolve("resnet18_gn"), "hub")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_is_known_by_its_name_and_hash_alone(suffix: str, tmp_path: Path) -> None:
    path = _file(tmp_path, suffix)
    found = find(_with(None), str(path))
    assert found.origin == f"file:net{suffix}"
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert torch.equal(read(found)["weight"], STATE["weight"])


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_truncated_file_is_refused(suffix: str, tmp_path: Path) -> None:
    path = _file(tmp_path, suffix)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(IntegrityFault, match="truncated") as fault:
        find(_with(None), str(path))
    assert fault.value.exit_code == 5


def test_nested_states_and_parallel_prefixes_are_undone(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save({"epoch": 3, "state_dict": {"module.weight": torch.ones(2)}}, path)
    assert list(read(find(_with(None), str(path)))) == ["weight"]


class Hostile:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.canary),)


@pytest.mark.fault(43)
def test_a_hostile_file_is_refused_and_nothing_of_it_runs(tmp_path: Path) -> None:
    torch.save({"weight": Hostile(tmp_path / "canary")}, tmp_path / "net.pth")
    (tmp_path / "bare.pt").write_bytes(pickle.dumps(Hostile(tmp_path / "canary")))
    for name in ("net.pth", "bare.pt"):
        with pytest.raises(IntegrityFault, match="more than tensors"):
            find(_with(None), str(tmp_path / name))
    assert not (tmp_path / "canary").exists()


def test_files_of_other_kinds_and_missing_ones_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.h5").write_bytes(b"x")
    with pytest.raises(UsageFault, match="safetensors"):
        find(_with(None), str(tmp_path / "net.h5"))
    with pytest.raises(EnvironmentFault, match="no weights file"):
        find(_with(None), str(tmp_path / "missing.pth"))


def test_a_file_without_named_weights_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "net.pth")
    with pytest.raises(IntegrityFault, match="no weights by name"):
        find(_with(None), str(tmp_path / "net.pth"))


def test_values_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").write_bytes(to_bytes({"bias": torch.tensor([1.0, float("nan")])}))
    with pytest.raises(IntegrityFault, match="not numbers"):
        find(_with(None), str(tmp_path / "net.safetensors"))


def test_a_file_that_changes_after_planning_is_refused(tmp_path: Path) -> None:
    path = _file(tmp_path, ".safetensors")
    found = find(_with(None), str(path))
    path.write_bytes(to_bytes({"weight": torch.zeros(6)}))
    with pytest.raises(IntegrityFault, match="has changed"):
        read(found)


def _file(folder: Path, suffix: str) -> Path:
    path = folder / f"net{suffix}"
    if suffix == ".pth":
        torch.save(STATE, path)
    else:
        path.write_bytes(to_bytes(STATE))
    return path
