"""How far apart two images are in the eyes of a network that was trained on photographs.

Zhang et al. 2018 (eq. 1, all channels alike): differences of unit-length features at several depths, here of
SqueezeNet 1.0 (Iandola et al. 2016), because its weights are 5 MB. Unlike squared differences of pixels they punish
blur.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from cytobench.errors import EnvironmentFault, IntegrityFault
from cytobench.store import file_sha256

DEPTHS = (1, 5, 10)
"""Layers of SqueezeNet's features after which images are compared: the last one before each pooling."""
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's colours, in [0, 1]."""
CACHED = "squeezenet1_0-b66bff10.pth"
"""As torchvision calls the file in torch's cache."""
FETCH = "python -c \"import torchvision; torchvision.models.squeezenet1_0(weights='DEFAULT')\""


def find(file: str) -> Path:
    """Return where the weights are: a named file, or without a name the one in torch's cache.

    Raises:
        EnvironmentFault: There is none.
    """
    path = Path(file) if file else Path(torch.hub.get_dir()) / "checkpoints" / CACHED
    if not path.is_file():
        raise EnvironmentFault(
            f"the weights of SqueezeNet 1.0 are not at {path}",
            fix=f"fetch them with {FETCH}, or name a file of torchvision's squeezenet1_0 (features=FILE)",
        )
    return path


class Perceptual(nn.Module):
    """The distance of images, by frozen features.

    Args:
        path: A state dict of torchvision's squeezenet1_0.
        sha256: What the file should hash to; empty for anything.

    Raises:
        IntegrityFault: It is another file, or no such state dict.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, path: Path, sha256: str = "") -> None:
        from torchvision.models import squeezenet1_0  # costs a second

        super().__init__()
        self.sha256 = file_sha256(path)
        if sha256 and self.sha256 != sha256:
            raise IntegrityFault(
                f"{path} is not the file that was looked up: {self.sha256[:16]}… instead of {sha256[:16]}…",
                fix="get that file again, or fit the generator again",
            )
        with torch.random.fork_rng(devices=[]):  # its initial weights are drawn, and thrown away
            self.layers = squeezenet1_0(weights=None).features[: DEPTHS[-1] + 1]
        for layer in self.layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            mine = {f"features.{name}": tensor for name, tensor in self.layers.state_dict().items()}
            self.layers.load_state_dict({name.removeprefix("features."): found[name] for name in mine})
        except Exception as error:  # unpickling has faults of any kind
            raise IntegrityFault(
                f"{path} is no state dict of torchvision's squeezenet1_0: {type(error).__name__}: {error}"[:300],
                fix=f"fetch it again: {FETCH}",
            ) from error
        self.register_buffer("mean", torch.tensor(MEAN)[:, None, None])
        self.register_buffer("deviation", torch.tensor(DEVIATION)[:, None, None])
        self.requires_grad_(False).eval()

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        """Return the distances (B,) of images (B, 3, S, S) in [−1, 1], S at least 28."""
        x, y = ((images + 1) / 2 - self.mean for images in (one, other))
        x, y = x / self.deviation, y / self.deviation
        total = one.new_zeros(len(one))
        for depth, layer in enumerate(self.layers):
            x, y = layer(x), layer(y)
            if depth in DEPTHS:
                apart = nn.functional.normalize(x, dim=1) - nn.functional.normalize(y, dim=1)
                total = total + apart.square().sum(1).mean((1, 2))
        return total
