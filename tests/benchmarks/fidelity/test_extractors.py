"""Every extractor of the registry keeps one contract; the networks' features are those of their own libraries."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from numpy.typing import NDArray

from cytobench import registry
from cytobench.benchmarks.fidelity import contract
from cytobench.benchmarks.fidelity.contract import Found
from cytobench.benchmarks.fidelity.extractors import inception
from cytobench.benchmarks.fidelity.features import features
from cytobench.benchmarks.order import Order
from cytobench.errors import EnvironmentFault, IntegrityFault, UsageFault
from cytobench.store import file_sha256
from tests.benchmarks.conftest import carry_out

CPU = torch.device("cpu")
Images = NDArray[np.uint8]


def pictures(count: int, size: int = 32) -> Images:
    return np.random.default_rng(size).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write small random networks and return what names them, by plug-in."""
    place = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    torch.save(torchvision.models.squeezenet1_1().state_dict(), place / "squeezenet.pth")
    torch.save(timm.create_model("test_resnet").state_dict(), place / "resnet.pth")
    return {
        "torchvision": f"torchvision/squeezenet1_1={place / 'squeezenet.pth'}",
        "timm": f"timm/test_resnet={place / 'resnet.pth'}",
        "thumbnails": "thumbnails",
    }


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write an Inception of random weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Blank(FeatureExtractorInceptionV3):  # type: ignore[misc]  # untyped
        def load_state_dict(self, *_arguments: Any, **_named: Any) -> None:
            """Keep what is random."""

    file = tmp_path_factory.mktemp("inception") / "weights.pth"
    torch.save({}, file)
    torch.manual_seed(0)
    torch.save(Blank("x", ["2048"], feature_extractor_weights_path=file).state_dict(), file)
    return file


@pytest.fixture
def named(
    weights: dict[str, str],
    inception_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    order: Callable[..., Order],
    tmp_path: Path,
) -> Callable[[str], Found]:
    def find(plugin: str) -> Found:
        if plugin == "inception":
            url = f"https://example.org/weights-{file_sha256(inception_file)[:8]}.pth"
            monkeypatch.setattr(inception, "_url", lambda: url)
            return contract.find(f"inception={inception_file}")
        if plugin == "classifier":
            done = carry_out(order(generators=()), tmp_path / "out")
            return contract.find(f"classifier={done.context.store.folder(done.plan.trials[0])}")
        return contract.find(weights[plugin])

    return find


@pytest.mark.parametrize("plugin", registry.names("extractor"))
class TestContract:
    def test_an_images_features_are_its_own(self, plugin: str, named: Callable[[str], Found]) -> None:
        found = named(plugin)
        network = registry.load("extractor", plugin).load(found, CPU)
        images = pictures(7)
        whole = features(images, network, device="cpu", batch=7)
        assert whole.shape[0] == 7
        assert whole.dtype == np.float32
        assert np.isfinite(whole).all()
        assert whole.std(axis=0).max() > 0
        scale = np.abs(whole).max()
        for batch in (1, 3):
            np.testing.assert_allclose(features(images, network, device="cpu", batch=batch), whole, atol=1e-6 * scale)
        np.testing.assert_allclose(features(images[4:5], network, device="cpu"), whole[4:5], atol=1e-6 * scale)

    def test_says_what_it_is(self, plugin: str, named: Callable[[str], Found]) -> None:
        found = named(plugin)
        assert found.spec.plugin == plugin
        assert len(found.spec.sha256) >= 16
        assert found.spec.origin
        assert "/" not in found.spec.origin.removeprefix("trial/")

    def test_has_a_line_in_the_list(self, plugin: str) -> None:
        assert registry.found("extractor")[plugin].summary


def test_squeezenet_is_torchvisions_pooled_features(weights: dict[str, str]) -> None:
    found = contract.find(weights["torchvision"])
    images = pictures(3)
    mine = features(images, registry.load("extractor", "torchvision").load(found, CPU), device="cpu")
    theirs = torchvision.models.squeezenet1_1().eval()
    theirs.load_state_dict(torch.load(weights["torchvision"].partition("=")[2], weights_only=True))
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    x = torch.nn.functional.interpolate(x, size=(224, 224), mode="bilinear", align_corners=False)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.no_grad():
        expected = theirs.features((x - mean[:, None, None]) / std[:, None, None]).mean(dim=(2, 3))
    np.testing.assert_allclose(mine, expected.numpy(), rtol=1e-3, atol=1e-5)


def test_inception_is_torch_fidelitys(named: Callable[[str], Found], inception_file: Path) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    mine = features(
        pictures(2), registry.load("extractor", "inception").load(named("inception"), CPU), device="cpu", batch=2
    )
    theirs = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=inception_file)
    expected = theirs(torch.from_numpy(pictures(2)).permute(0, 3, 1, 2))[0].numpy()
    np.testing.assert_allclose(mine, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max())


@pytest.mark.fault(65)
def test_another_inception_is_refused(inception_file: Path) -> None:
    with pytest.raises(IntegrityFault, match="does not begin with 6726825d"):
        contract.find(f"inception={inception_file}")


@pytest.mark.fault(64)
def test_a_missing_inception_names_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(inception, "_url", lambda: "http://127.0.0.1:9/weights-inception-2015-12-05-6726825d.pth")
    with pytest.raises(EnvironmentFault, match="curl") as told:
        contract.find("inception")
    assert "random" not in told.value.fix
    with pytest.raises(EnvironmentFault, match="no weights file"):
        contract.find("inception=nowhere.pth")


@pytest.mark.fault(43)
def test_weights_that_are_a_program_do_not_run(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "canary",))

    torch.save({"a": Evil()}, tmp_path / "evil.pth")
    for name in ("inception", "torchvision/squeezenet1_1", "timm/test_resnet"):
        with pytest.raises(IntegrityFault, match="more than tensors"):
            contract.find(f"{name}={tmp_path / 'evil.pth'}")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("inceptoin", "did you mean 'inception'"),
        ("inception/v4", "one inception"),
        ("inception=", "nothing follows"),
        ("torchvision", "which network"),
        ("timm", "which network"),
        ("torchvision/no_such", "no backbone"),
        ("classifier", "which one"),
        ("thumbnails=file", "neither"),
        ("torchvision/squeezenet1_1=none", "random weights"),
    ],
)
def test_wrong_use_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageFault, match=told):
        contract.find(text)


def test_a_folder_that_is_no_trial_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="no finished trial"):
        contract.find(f"classifier={tmp_path}")
