import sys
from pathlib import Path

import pytest

from cytobench import registry
from cytobench.errors import UsageFault

PLUGIN = '''
"""A file."""
from cytobench.registry import plugin

@plugin("generator", "{name}")
class Thing:
    """What it is."""
'''


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path))
    (tmp_path / "generators").mkdir()
    return tmp_path / "generators"


def test_a_file_in_a_plugin_folder_is_listed_without_being_run_and_loaded_by_name(place: Path) -> None:
    (place / "mine.py").write_text(PLUGIN.format(name="mine"))
    found = registry.found("generator")["mine"]
    assert found.summary == "What it is."
    assert found.target.endswith("generators.mine")
    assert found.target not in sys.modules
    assert registry.load("generator", "mine").__name__ == "Thing"
    assert registry.module_of("generator", "mine") == found.target


def test_a_wrong_name_is_met_with_the_nearest_ones() -> None:
    with pytest.raises(UsageFault, match="did you mean 'resnet50'"):
        registry.load("backbone", "resnet5O")


@pytest.mark.fault(49)
def test_two_plugins_of_one_name_are_refused_and_both_named(place: Path) -> None:
    (place / "one.py").write_text(PLUGIN.format(name="twice"))
    (place / "two.py").write_text(PLUGIN.format(name="twice"))
    with pytest.raises(UsageFault, match=r"one.*two"):
        registry.found("generator")


@pytest.mark.fault(48)
def test_a_plugin_that_can_not_be_imported_is_out_of_use_with_its_reason(place: Path) -> None:
    (place / "broken.py").write_text("import no_such_package\n" + PLUGIN.format(name="broken"))
    assert "broken" in registry.names("generator")
    with pytest.raises(UsageFault, match="no_such_package"):
        registry.load("generator", "broken")
    assert registry.load("dataset", "phantom-a")


def test_a_file_that_is_no_python_puts_only_itself_out_of_use(place: Path) -> None:
    (place / "torn.py").write_text('@plugin("generator", "torn"\n')
    (place.parent / "datasets/known").mkdir(parents=True)
    (place.parent / "datasets/known/torn.toml").write_text("title = ")
    assert "can't be read" in registry.found("generator")["torn"].summary
    for kind in ("generator", "dataset"):
        with pytest.raises(UsageFault, match=r"can't be used: .*torn|TOMLDecodeError"):
            registry.load(kind, "torn")
    assert registry.load("dataset", "phantom-a")


def test_files_of_one_name_in_two_folders_are_two_plugins(
    place: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "generators").mkdir()
    (place / "gan.py").write_text(PLUGIN.format(name="one-gan"))
    (other / "generators/gan.py").write_text(PLUGIN.format(name="other-gan"))
    monkeypatch.setenv("CYTOBENCH_PLUGINS", f"{place.parent}:{other}")
    assert registry.load("generator", "one-gan") is not registry.load("generator", "other-gan")


def test_toml_plugins_are_data(place: Path) -> None:
    (place.parent / "datasets/known").mkdir(parents=True)
    (place.parent / "datasets/known/mine.toml").write_text('title = "Mine"\nlicence = "CC0-1.0"\n')
    assert registry.load("dataset", "mine")["title"] == "Mine"
    assert registry.found("dataset")["mine"].summary == "Mine"
