"""What a trained network says about images: logits, without augmentation."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from cytobench.classifiers.augment import plain
from cytobench.classifiers.network import Network
from cytobench.classifiers.precision import Precision, computing, laid_out, place
from cytobench.progress import Tick


def logits(
    network: Network,
    images: NDArray[np.uint8],
    rows: Sequence[int] | NDArray[np.int64],
    *,
    precision: Precision,
    batch: int,
    device: torch.device,
    tick: Tick | None = None,
) -> NDArray[np.float32]:
    """Return logits (len(rows), classes) of some of the images (N, H, W, 3).

    An image's logits do not depend on the others of its batch, but for rounding.

    Args:
        network: Is put into evaluation mode and onto the device.
        images: In memory or a memory map.
        rows: Which images, in the order of the answer.
        precision: How to compute.
        batch: Images per forward pass.
        device: Where to compute.
        tick: Told the number of images after each pass.
    """
    place(network, precision, device).eval()
    wanted = np.asarray(rows, dtype=np.int64)
    answers = np.empty((len(wanted), network.classes), dtype=np.float32)
    with torch.inference_mode():
        for first in range(0, len(wanted), batch):
            part = wanted[first : first + batch]
            pixels = torch.from_numpy(images[part]).to(device)  # (b, H, W, 3)
            with computing(precision, device):
                answer = network(laid_out(plain(pixels), precision))
            answers[first : first + len(part)] = answer.float().cpu().numpy()
            if tick is not None:
                tick(len(part), "")
    return answers
