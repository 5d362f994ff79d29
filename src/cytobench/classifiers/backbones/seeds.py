"""The backbones of the published benchmarks, and small ones beside them.

All ImageNet weights named here were trained on ImageNet-1k alone, so that two backbones differ by their architecture
and not by what they were shown.
"""

from cytobench.classifiers.backbone import Backbone, from_timm, from_torchvision
from cytobench.registry import plugin


@plugin("backbone", "vgg19")
def vgg19() -> Backbone:
    """VGG-19 without normalisation layers (Simonyan and Zisserman, 2014)."""
    return from_torchvision("vgg19", "vgg19", tag="IMAGENET1K_V1")


@plugin("backbone", "resnet18")
def resnet18() -> Backbone:
    """ResNet-18 (He et al., 2015), the quickest that is worth its time."""
    return from_timm("resnet18", "resnet18", tag="a1_in1k", min_size=1)


@plugin("backbone", "resnet50")
def resnet50() -> Backbone:
    """ResNet-50 (He et al., 2015)."""
    return from_timm("resnet50", "resnet50", tag="a1_in1k", min_size=1)


@plugin("backbone", "resnet152")
def resnet152() -> Backbone:
    """ResNet-152 (He et al., 2015)."""
    return from_timm("resnet152", "resnet152", tag="tv_in1k", min_size=1)


@plugin("backbone", "inception")
def inception() -> Backbone:
    """Inception-V3 (Szegedy et al., 2015); smaller images are enlarged to 75 px."""
    return from_timm("inception", "inception_v3", tag="tv_in1k", min_size=75)


@plugin("backbone", "densenet121")
def densenet121() -> Backbone:
    """DenseNet-121 (Huang et al., 2016)."""
    return from_timm("densenet121", "densenet121", tag="tv_in1k", min_size=29)


@plugin("backbone", "mobilenetv3")
def mobilenetv3() -> Backbone:
    """MobileNet-V3 large (Howard et al., 2019)."""
    return from_timm("mobilenetv3", "mobilenetv3_large_100", tag="ra_in1k", min_size=1)


@plugin("backbone", "vit")
def vit() -> Backbone:
    """ViT-B/16 (Dosovitskiy et al., 2020), built for the images' own size."""
    return from_timm("vit", "vit_base_patch16_224", tag="augreg_in1k", min_size=32)


@plugin("backbone", "vit_small")
def vit_small() -> Backbone:
    """ViT-S/16 (Touvron et al., 2020), built for the images' own size."""
    return from_timm("vit_small", "vit_small_patch16_224", tag="augreg_in1k", min_size=32)


@plugin("backbone", "swin")
def swin() -> Backbone:
    """Swin-T (Liu et al., 2021), built for the images' own size."""
    return from_timm("swin", "swin_tiny_patch4_window7_224", tag="ms_in1k", min_size=32)


@plugin("backbone", "squeezenet")
def squeezenet() -> Backbone:
    """SqueezeNet 1.0 (Iandola et al., 2016), five megabytes of weights."""
    return from_torchvision("squeezenet", "squeezenet1_0", tag="IMAGENET1K_V1")
