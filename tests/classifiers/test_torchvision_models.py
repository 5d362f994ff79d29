import pytest
import torch
import torchvision

from cytobench.classifiers import torchvision_models as models


@pytest.mark.parametrize(("given", "wanted"), [(2, 7), (13, 6), (7, 7), (5, 3)])
def test_exact_pool_equals_adaptive_average_pooling(given: int, wanted: int) -> None:
    x = torch.randn(2, 4, given, given + 1, dtype=torch.float64)
    torch.testing.assert_close(
        models.ExactPool(wanted)(x), torch.nn.functional.adaptive_avg_pool2d(x, wanted), rtol=0, atol=1e-6
    )


def test_pools_to_more_than_one_pixel_are_replaced() -> None:
    with torch.device("meta"):
        alexnet = models.build("alexnet", "DEFAULT", classes=5, size=64).module
        squeezenet = models.build("squeezenet1_0", "DEFAULT", classes=5, size=64).module
    assert not any(isinstance(one, torch.nn.AdaptiveAvgPool2d) for one in alexnet.modules())
    assert not any(isinstance(one, models.ExactPool) for one in squeezenet.modules())


@pytest.mark.parametrize(("name", "size"), [("inception_v3", 75), ("vit_b_16", 224), ("resnet18", 24)])
def test_images_are_enlarged_to_what_the_network_reads(name: str, size: int) -> None:
    with torch.device("meta"):
        assert models.build(name, "DEFAULT", classes=5, size=24).input_size == size


@pytest.mark.parametrize("name", ["squeezenet1_0", "vgg11", "densenet121", "swin_t", "convnext_tiny", "googlenet"])
def test_the_last_layer_is_found(name: str) -> None:
    with torch.device("meta"):
        body = models.build(name, "DEFAULT", classes=5, size=64)
    (head,) = body.head
    assert body.module.state_dict()[f"{head}.weight"].shape[0] == 5


def test_old_densenet_keys_get_their_present_names() -> None:
    with torch.device("meta"):
        present = torchvision.models.densenet121().state_dict()
    old = {
        name.replace("norm1.", "norm.1.").replace("conv2.", "conv.2.") if "denselayer" in name else name: tensor
        for name, tensor in present.items()
    }
    assert old.keys() != present.keys()
    assert {name for name in models.adapt(old) if "num_batches" not in name} == {
        name for name in present if "num_batches" not in name
    }


def test_the_tag_names_the_file() -> None:
    found = models.published("squeezenet1_0", "IMAGENET1K_V1")
    assert found is not None
    assert (found.name, found.tag) == ("torchvision/squeezenet1_0", "IMAGENET1K_V1")
    assert found.url.endswith("squeezenet1_0-b66bff10.pth")
    assert models.published("squeezenet1_0", "NOTHING") is None
