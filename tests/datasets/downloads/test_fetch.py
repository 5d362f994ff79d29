import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import ValidationError

from cytobench import interrupts
from cytobench.datasets.downloads import transfer
from cytobench.datasets.downloads.fetch import Download, checksum, fetch
from cytobench.datasets.downloads.transfer import Patience
from cytobench.errors import CytobenchError, EnvironmentFault, IntegrityFault, Interrupted, UsageFault

CONTENT = bytes(range(256)) * 2000  # 512 kB
SHA, MD5 = hashlib.sha256(CONTENT).hexdigest(), hashlib.md5(CONTENT).hexdigest()


class Publisher(ThreadingHTTPServer):
    """A server that behaves as it is told, one word per request: see ``Answer``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.content, self.etag = CONTENT, '"v1"'
        self.plan: list[str] = []
        self.ranges: list[str] = []
        self.served = 0

    def offer(self, **fields: str | int) -> Download:
        """Return what is published."""
        return Download.model_validate(
            {"url": f"http://127.0.0.1:{self.server_address[1]}/set.zip", "file": "set.zip", **fields}
        )


class Answer(BaseHTTPRequestHandler):
    server: Publisher

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        word, _, value = (self.server.plan.pop(0) if self.server.plan else "").partition(":")
        self.server.ranges.append(self.headers.get("Range", ""))
        if word == "status":
            self.send_response(int(value.split(",")[0]))
            if "," in value:
                self.send_header("Retry-After", value.split(",", 1)[1])
            self.end_headers()
        elif word == "redirect":
            self.send_response(302)
            self.send_header("Location", value)
            self.end_headers()
        elif word == "drop":
            self.connection.close()
        else:
            self._send(word, value)

    def _send(self, word: str, value: str) -> None:
        body, start = self.server.content, 0
        asked = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range", "") == self.server.etag or word == "careless"
        if asked and fresh and word != "rangeless":
            start = int(asked.removeprefix("bytes=").rstrip("-"))
            if start >= len(body):
                self.send_response(416)
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        if word != "lengthless":
            self.send_header("Content-Length", str(len(body) - start))
        if self.server.etag:
            self.send_header("ETag", self.server.etag)
        self.end_headers()
        end = start + int(value) if word == "cut" else len(body)
        step = 4096 if word == "slow" else len(body)
        for at in range(start, min(end, len(body)), step):
            piece = body[at : min(at + step, end)]
            try:
                self.wfile.write(piece)
            except OSError:
                return
            self.server.served += len(piece)
            if word == "slow":
                time.sleep(0.005)


@pytest.fixture
def publisher(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Publisher() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class Waits:
    """Counts the seconds that would have been slept."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self, seconds: float) -> None:
        self.seconds += seconds


def patient(waits: Waits | None = None, *, tries: int = 3) -> Patience:
    return Patience(timeout=5.0, tries=tries, sleep=waits or Waits())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_file_arrives_with_its_checksum_beside_it_and_is_fetched_once(publisher: Publisher, tmp_path: Path) -> None:
    one = publisher.offer(bytes=len(CONTENT), sha256=SHA, md5=MD5)
    for _ in range(2):
        assert fetch(one, tmp_path / "new", patience=patient()).read_bytes() == CONTENT
    assert names(tmp_path / "new") == ["set.zip", "set.zip.sha256"]
    assert checksum(tmp_path / "new/set.zip") == SHA
    assert (tmp_path / "new/set.zip.sha256").read_text() == f"{SHA}  set.zip\n"
    assert publisher.ranges == [""]


@pytest.mark.parametrize("cut", ["cut:200000", "drop", "status:503", "status:429"])
def test_what_passes_is_tried_again(publisher: Publisher, tmp_path: Path, cut: str) -> None:
    publisher.plan = [cut, cut]
    waits = Waits()
    assert fetch(publisher.offer(sha256=SHA), tmp_path, patience=patient(waits)).read_bytes() == CONTENT
    assert waits.seconds == (2.0 if cut.startswith("cut") else 3.0)  # 1 + 2 s, but from 1 s after getting further


def test_a_cut_download_goes_on_where_it_was(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["cut:200000", "cut:100000"]
    fetch(publisher.offer(sha256=SHA), tmp_path, patience=patient())
    assert publisher.ranges == ["", "bytes=200000-", "bytes=300000-"]
    assert publisher.served == len(CONTENT)


def test_a_later_command_goes_on_too(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["cut:200000", "status:503"]
    with pytest.raises(EnvironmentFault, match="503"):
        fetch(publisher.offer(), tmp_path, patience=patient(tries=2))
    assert names(tmp_path) == ["set.zip.part", "set.zip.part.json"]
    assert fetch(publisher.offer(), tmp_path, patience=patient()).read_bytes() == CONTENT
    assert publisher.served == len(CONTENT)


@pytest.mark.parametrize("word", ["rangeless", "careless"])
def test_a_file_that_changed_or_a_server_without_ranges_begins_anew(
    publisher: Publisher, tmp_path: Path, word: str
) -> None:
    publisher.plan = ["cut:200000", "status:503"]
    with pytest.raises(EnvironmentFault):
        fetch(publisher.offer(), tmp_path, patience=patient(tries=2))
    if word == "careless":  # continues another file without looking at If-Range
        publisher.content, publisher.etag = CONTENT[::-1], '"v2"'
    publisher.plan = [word]
    assert fetch(publisher.offer(), tmp_path, patience=patient()).read_bytes() == publisher.content


def test_a_changed_file_begins_anew(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["cut:200000", "status:503"]
    with pytest.raises(EnvironmentFault):
        fetch(publisher.offer(), tmp_path, patience=patient(tries=2))
    publisher.content, publisher.etag = CONTENT[:100], '"v2"'
    assert fetch(publisher.offer(), tmp_path, patience=patient()).read_bytes() == CONTENT[:100]


def test_without_anything_that_tells_versions_apart_nothing_is_continued(publisher: Publisher, tmp_path: Path) -> None:
    publisher.etag, publisher.plan = "", ["cut:200000"]
    fetch(publisher.offer(), tmp_path, patience=patient())
    assert publisher.ranges == ["", ""]


def test_a_whole_part_is_not_fetched_again(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "set.zip.part").write_bytes(CONTENT)
    one = publisher.offer(sha256=SHA)
    origin = transfer.Origin(url=one.url, etag='"v1"', total=len(CONTENT))
    (tmp_path / "set.zip.part.json").write_text(origin.model_dump_json())
    fetch(one, tmp_path, patience=patient())
    assert names(tmp_path) == ["set.zip", "set.zip.sha256"]
    assert publisher.ranges == []


def test_the_server_says_how_long_to_wait_but_not_for_ever(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["status:429,7", "status:503,99999", f"status:503,{formatdate(0, usegmt=True)}"]
    waits = Waits()
    fetch(publisher.offer(), tmp_path, patience=patient(waits, tries=4))
    assert waits.seconds == 7 + transfer.LONGEST_WAIT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_will_not_pass_is_told_at_once(publisher: Publisher, tmp_path: Path, status: int) -> None:
    publisher.plan = [f"status:{status}"]
    waits = Waits()
    one = publisher.offer()
    with pytest.raises(EnvironmentFault, match=str(status)) as caught:
        fetch(one, tmp_path, patience=patient(waits))
    assert caught.value.exit_code == 4
    assert f"download {one.url} in a browser and put it at {tmp_path / 'set.zip'}" in str(caught.value)
    assert waits.seconds == 0


def test_a_server_that_is_not_there_is_told_with_what_to_do_by_hand(tmp_path: Path) -> None:
    one = Download(url="http://127.0.0.1:9/set.zip", file="set.zip")
    with pytest.raises(EnvironmentFault, match="3 tries") as caught:
        fetch(one, tmp_path, patience=patient())
    assert f"download {one.url} in a browser and put it at {tmp_path / 'set.zip'}" in str(caught.value)


def test_a_file_put_there_by_hand_is_checked_and_taken(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "set.zip").write_bytes(CONTENT)
    assert fetch(publisher.offer(md5=MD5), tmp_path, patience=patient()) == tmp_path / "set.zip"
    assert checksum(tmp_path / "set.zip") == SHA
    (tmp_path / "set.zip").write_bytes(CONTENT[:-1])
    with pytest.raises(IntegrityFault, match="publisher states"):
        fetch(publisher.offer(md5=MD5), tmp_path, patience=patient())
    assert publisher.ranges == []


@pytest.mark.parametrize("wrong", [{"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_a_wrong_checksum_sets_the_file_aside(publisher: Publisher, tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(IntegrityFault, match="publisher states") as caught:
        fetch(publisher.offer(**wrong), tmp_path, patience=patient())
    assert caught.value.exit_code == 5
    (left,) = names(tmp_path)
    assert left.startswith("set.zip.rejected-")
    assert next(iter(wrong.values())) in str(caught.value)


@pytest.mark.parametrize("word", ["", "lengthless"])
@pytest.mark.parametrize("stated", [100, len(CONTENT) + 1])
def test_a_wrong_size_is_never_used(publisher: Publisher, tmp_path: Path, word: str, stated: int) -> None:
    publisher.plan = [word]
    with pytest.raises(IntegrityFault):
        fetch(publisher.offer(bytes=stated), tmp_path, patience=patient())
    assert not (tmp_path / "set.zip").exists()
    assert all(path.stat().st_size <= stated + 1 for path in tmp_path.glob("set.zip.rej*"))


def test_without_a_published_checksum_the_first_one_binds(publisher: Publisher, tmp_path: Path) -> None:
    path = fetch(publisher.offer(), tmp_path, patience=patient())
    path.unlink()
    publisher.content, publisher.etag = CONTENT[::-1], '"v2"'
    with pytest.raises(IntegrityFault, match="what was fetched before"):
        fetch(publisher.offer(), tmp_path, patience=patient())
    (tmp_path / "set.zip.sha256").unlink()
    assert fetch(publisher.offer(), tmp_path, patience=patient()).read_bytes() == publisher.content


def test_a_file_without_a_stated_length_is_read_to_its_end(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["lengthless"]
    assert fetch(publisher.offer(), tmp_path, patience=patient()).read_bytes() == CONTENT


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://example.org/x", "data:,x"])
def test_a_redirect_to_anything_but_https_is_refused(publisher: Publisher, tmp_path: Path, target: str) -> None:
    publisher.plan = [f"redirect:{target}"]
    with pytest.raises(IntegrityFault, match="leads to") as caught:
        fetch(publisher.offer(), tmp_path, patience=patient())
    assert target in str(caught.value)
    assert names(tmp_path) == []


def test_a_redirect_that_is_safe_is_followed_and_resumed(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["redirect:/elsewhere", "cut:200000", "redirect:/elsewhere"]
    fetch(publisher.offer(sha256=SHA), tmp_path, patience=patient())
    assert publisher.ranges == ["", "", "bytes=200000-", "bytes=200000-"]


@pytest.mark.parametrize(
    "fields",
    [{"url": "file:///etc/passwd"}, {"url": "http://example.org/x"}, {"url": "https://"}, {"file": "../x.zip"},
     {"file": "a/b.zip"}, {"file": ""}, {"file": ".hidden"}, {"sha256": "abc"}, {"md5": "Z" * 32}, {"size": 3}],
)  # fmt: skip
def test_a_download_that_is_described_wrongly_is_refused(fields: dict[str, str | int]) -> None:
    with pytest.raises(ValidationError):
        Download.model_validate({"url": "https://example.org/x.zip", "file": "x.zip", **fields})


def test_too_little_room_is_told_first(publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "free_bytes", lambda _: 1000)
    with pytest.raises(CytobenchError, match=r"needs 512\.0 kB more .* and 1\.0 kB are free") as caught:
        fetch(publisher.offer(), tmp_path, patience=patient())
    assert caught.value.exit_code == 4


def test_a_folder_of_that_name_is_left_alone(publisher: Publisher, tmp_path: Path) -> None:
    (tmp_path / "set.zip").mkdir()
    with pytest.raises(UsageFault, match="is a folder"):
        fetch(publisher.offer(), tmp_path, patience=patient())


@pytest.mark.parametrize(("number", "passes"), [(errno.EHOSTUNREACH, True), (errno.EIO, False)])
def test_a_network_that_goes_is_tried_again_and_a_broken_disk_is_not(
    publisher: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, passes: bool
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(transfer, "_receive", fail)
    with pytest.raises(EnvironmentFault if passes else OSError):
        fetch(publisher.offer(), tmp_path, patience=patient())
    assert len(publisher.ranges) == (3 if passes else 1)


def test_a_stop_keeps_what_came(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["slow"]
    with interrupts.deferred():
        threading.Timer(0.15, os.kill, (os.getpid(), signal.SIGTERM)).start()
        with pytest.raises(Interrupted):
            fetch(publisher.offer(), tmp_path, patience=patient())
    assert 0 < (tmp_path / "set.zip.part").stat().st_size < len(CONTENT)


FETCH = """
import sys
from pathlib import Path
from cytobench.datasets.downloads.fetch import Download, fetch
fetch(Download(url=sys.argv[1], file="set.zip"), Path(sys.argv[2]))
"""


def test_a_killed_download_is_finished_by_the_next_one(publisher: Publisher, tmp_path: Path) -> None:
    publisher.plan = ["slow"]
    one, part = publisher.offer(), tmp_path / "set.zip.part"
    other = subprocess.Popen([sys.executable, "-c", FETCH, one.url, str(tmp_path)])
    while other.poll() is None and not (part.exists() and part.stat().st_size):
        time.sleep(0.01)
    other.kill()
    assert other.wait() == -signal.SIGKILL
    kept = part.stat().st_size
    assert fetch(one, tmp_path, patience=patient()).read_bytes() == CONTENT
    assert publisher.ranges == ["", f"bytes={kept}-"]
