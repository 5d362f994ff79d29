"""Small members of the families, for demonstrations and tests: the same kind of network, fewer channels and layers."""

from cytobench.classifiers.backbone import Backbone, from_timm
from cytobench.registry import plugin


@plugin("backbone", "vit_tiny")
def vit_tiny() -> Backbone:
    """ViT-Ti/16 (Touvron et al., 2020), built for the images' own size."""
    return from_timm("vit_tiny", "vit_tiny_patch16_224", tag="augreg_in21k_ft_in1k")


@plugin("backbone", "swin_nano")
def swin_nano() -> Backbone:
    """Swin with 48 channels and two layers per stage (after Liu et al., 2021); has no published weights."""
    options = {"embed_dim": 48, "depths": (2, 2, 2, 2), "num_heads": (2, 4, 8, 16)}
    return from_timm("swin_nano", "swin_tiny_patch4_window7_224", options=options)
