import timm
import torch

from cytobench.classifiers import timm_models
from cytobench.classifiers.backbone import HubFile


def test_names_are_taken_apart() -> None:
    assert timm_models.parts("resnet18.tv_in1k") == ("resnet18", "tv_in1k")
    assert timm_models.parts("resnet18") == ("resnet18", "a1_in1k")
    assert timm_models.parts("resnet18.nothing") is None
    assert timm_models.parts("nothing") is None


def test_published_weights_are_those_of_the_tag() -> None:
    assert timm_models.published("resnet18", "tv_in1k") == HubFile("timm/resnet18.tv_in1k", "model.safetensors")
    assert timm_models.published("resnet18", "") is None


def test_a_transformer_is_built_for_the_next_size_that_its_patches_divide() -> None:
    body = timm_models.build("test_vit", "r160_in1k", classes=3, size=50, options={}, size_is_known=True)
    assert body.input_size == 64
    assert body.module.eval()(torch.rand(1, 3, 64, 64)).shape == (1, 3)


def test_a_convolutional_network_keeps_the_size() -> None:
    body = timm_models.build("test_resnet", "r160_in1k", classes=3, size=50, options={}, size_is_known=False)
    assert body.input_size == 50
    assert (body.mean, body.head) == ((0.5, 0.5, 0.5), ("fc",))


def test_position_embeddings_are_resampled_as_timm_does_it() -> None:
    native = timm.create_model("test_vit", num_classes=3)
    small = timm_models.build("test_vit", "", classes=3, size=64, options={}, size_is_known=True).module
    fitted = timm_models.adapt(native.state_dict(), small)
    assert fitted["pos_embed"].shape == small.state_dict()["pos_embed"].shape != native.state_dict()["pos_embed"].shape


def test_the_size_of_a_transformer_with_stages_fits_its_last_stage() -> None:
    with torch.device("meta"):
        body = timm_models.build(
            "swin_tiny_patch4_window7_224", "ms_in1k", classes=3, size=50, options={}, size_is_known=True
        )
    assert body.input_size == 64
