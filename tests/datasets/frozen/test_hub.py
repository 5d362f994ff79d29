"""The hub: a set is verified, uploaded once and tagged; another set never takes its tag. No network is used."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cytobench.datasets.frozen.hub import upload
from cytobench.datasets.frozen.manifest import IDENTITY
from cytobench.errors import EnvironmentFault, IntegrityFault
from tests.datasets.frozen.conftest import Freeze


class Hub:
    """A hub that keeps what it is given."""

    endpoint = "https://hub.example"

    def __init__(self, place: Path) -> None:
        self.place = place
        self.calls: list[str] = []
        self.private: bool | None = None

    def create_repo(self, name: str, *, repo_type: str, private: bool, exist_ok: bool) -> None:
        assert (repo_type, exist_ok) == ("dataset", True)
        if name.startswith("nobody/"):
            raise ConnectionError("no route to the hub")
        self.private = private

    def list_repo_refs(self, name: str, *, repo_type: str) -> SimpleNamespace:
        return SimpleNamespace(tags=[SimpleNamespace(name=path.name) for path in self.place.glob("v*")])

    def list_repo_files(self, name: str, *, repo_type: str) -> list[str]:
        main = self.place / "main"
        return [".gitattributes", *(path.name for path in main.glob("*"))]

    def hf_hub_download(self, name: str, file: str, *, repo_type: str, revision: str) -> str:
        return str(self.place / revision / file)

    def upload_folder(self, *, repo_id: str, folder_path: Path, commit_message: str, **rest: Any) -> None:
        assert rest == {"repo_type": "dataset", "delete_patterns": "*"}
        self.calls.append(commit_message)
        shutil.rmtree(self.place / "main", ignore_errors=True)
        shutil.copytree(folder_path, self.place / "main")

    def create_tag(self, name: str, *, tag: str, repo_type: str, tag_message: str) -> None:
        (self.place / tag).mkdir()
        (self.place / tag / IDENTITY).write_text(f"{tag_message}\n")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    (tmp_path / "hub").mkdir()
    made = Hub(tmp_path / "hub")
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: made)
    return made


def test_a_version_is_uploaded_once(freeze: Freeze, hub: Hub) -> None:
    done = freeze()
    for _ in range(2):
        assert upload(done.folder, "lab/noise", private=True) == "https://hub.example/datasets/lab/noise/tree/v1"
    assert hub.calls == [str(done.identity)]
    assert hub.private is True


def test_another_set_does_not_take_its_tag(freeze: Freeze, hub: Hub) -> None:
    upload(freeze().folder, "lab/noise", private=False)
    other = freeze(shelf="other", title="Louder noise")
    with pytest.raises(IntegrityFault, match="holds noise@v1#"):
        upload(other.folder, "lab/noise", private=False)
    assert len(hub.calls) == 1


def test_a_later_version_replaces_the_newest_state(freeze: Freeze, hub: Hub) -> None:
    first = freeze()
    second = freeze(version=2, supersedes=str(first.identity))
    for one in (first, second):
        upload(one.folder, "lab/noise", private=False)
    assert hub.calls == [str(first.identity), str(second.identity)]


@pytest.mark.parametrize(("file", "text"), [("data.csv", "years of work"), (IDENTITY, f"noises@v1#{'0' * 64}\n")])
def test_what_is_another_stays(freeze: Freeze, hub: Hub, file: str, text: str) -> None:
    (hub.place / "main").mkdir()
    (hub.place / "main" / file).write_text(text)
    with pytest.raises(IntegrityFault, match="would replace"):
        upload(freeze().folder, "lab/noise", private=False)
    assert hub.calls == []


def test_an_edited_set_is_not_uploaded(freeze: Freeze, hub: Hub) -> None:
    folder = freeze().folder
    (folder / "README.md").write_text("mine")
    with pytest.raises(IntegrityFault):
        upload(folder, "lab/noise", private=False)
    assert hub.calls == []


def test_a_hub_that_is_out_of_reach_is_the_environments_fault(freeze: Freeze, hub: Hub) -> None:
    with pytest.raises(EnvironmentFault, match="no route to the hub"):
        upload(freeze().folder, "nobody/noise", private=False)
