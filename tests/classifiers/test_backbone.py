import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cytobench import registry
from cytobench.classifiers.backbone import modules_of, resolve
from cytobench.classifiers.network import build
from cytobench.classifiers.weights import NONE
from cytobench.errors import UsageFault

LARGE = ("vgg19", "resnet152", "vit")
"""Only their shapes are followed, on the meta device."""

PLUGIN = '''
"""A backbone from outside."""
from cytobench.classifiers.backbone import Backbone, Body
from cytobench.registry import plugin


@plugin("backbone", "flat")
def flat() -> Backbone:
    """One linear layer."""
    return Backbone("flat", "own", "flat", build)


def build(classes: int, size: int) -> Body:
    import torch

    layers = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * size * size, classes))
    return Body(layers, ("1",), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), size)
'''


@pytest.mark.parametrize("name", registry.names("backbone"))
def test_every_alias_names_the_classes_of_64_px_images(name: str) -> None:
    device = torch.device("meta" if name in LARGE else "cpu")
    backbone = resolve(name)
    with device:
        network = build(backbone, classes=5, image_size=64, weights=NONE, seed=0).eval()
        with torch.inference_mode():
            logits = network(torch.rand(2, 3, 64, 64))
    assert logits.shape == (2, 5)
    assert network.input_size >= 64
    assert backbone.name == name


@pytest.mark.parametrize("name", registry.names("backbone"))
def test_every_alias_says_where_its_weights_are_or_has_no_tag(name: str) -> None:
    backbone = resolve(name)
    assert (backbone.published() is not None) == bool(backbone.tag)


def test_aliases_load_no_torch() -> None:
    code = (
        "import sys; from cytobench import registry;"
        "[registry.load('backbone', name)() for name in registry.names('backbone')];"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_plain_names_of_both_libraries_resolve() -> None:
    assert (resolve("resnet10t").library, resolve("resnet10t").tag) == ("timm", "c3_in1k")
    assert resolve("resnet18.tv_in1k").tag == "tv_in1k"
    one = resolve("torchvision/resnet18")
    assert (one.library, one.model) == ("torchvision", "resnet18")


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("resnet5O", "'resnet50'"), ("torchvision/resnet5O", "'torchvision/resnet50'"), ("resnet50.bogus", "'resnet50'")],
)
def test_unknown_names_are_refused_with_the_nearest(asked: str, meant: str) -> None:
    with pytest.raises(UsageFault, match=meant) as fault:
        resolve(asked)
    assert fault.value.exit_code == 2
    assert str(fault.value).count(meant) == 1, "a name is not offered twice"


def test_a_size_that_a_network_cannot_read_is_replaced_by_its_own() -> None:
    with torch.device("meta"):
        network = build(resolve("inception_v4"), classes=5, image_size=64, weights=NONE, seed=0)
    assert network.input_size == 299


def test_a_plug_in_from_outside_is_a_backbone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "classifiers" / "backbones"
    folder.mkdir(parents=True)
    (folder / "flat.py").write_text(PLUGIN)
    monkeypatch.setenv("CYTOBENCH_PLUGINS", str(tmp_path))
    network = build(resolve("flat"), classes=4, image_size=8, weights=NONE, seed=0)
    assert network(torch.rand(2, 3, 8, 8)).shape == (2, 4)
    assert modules_of("flat")[0].endswith("backbones.flat")


def test_the_code_of_a_timm_model_is_that_of_every_backbone() -> None:
    assert modules_of("resnet10t") == ("cytobench.classifiers.backbone",)
    assert modules_of("vit")[0] == "cytobench.classifiers.backbones.seeds"
