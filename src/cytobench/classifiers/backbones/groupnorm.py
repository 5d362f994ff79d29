"""ResNets with GroupNorm instead of BatchNorm: the statistics of one site do not follow them to the next."""

from cytobench.classifiers.backbone import Backbone, from_timm
from cytobench.registry import plugin


@plugin("backbone", "resnet50_gn")
def resnet50_gn() -> Backbone:
    """ResNet-50 with GroupNorm (Wu and He, 2018), which travels better between sites."""
    return from_timm("resnet50_gn", "resnet50_gn", tag="a1h_in1k", min_size=1)


@plugin("backbone", "resnet18_gn")
def resnet18_gn() -> Backbone:
    """ResNet-18 with GroupNorm (Wu and He, 2018); has no published weights."""
    return from_timm("resnet18_gn", "resnet18", options={"norm_layer": "groupnorm"}, min_size=1)
