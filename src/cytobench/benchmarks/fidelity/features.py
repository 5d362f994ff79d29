"""Features of images: computed in chunks of one size, so that no image's depend on how many others there are."""

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity.contract import Network
from cytobench.progress import Tick, unheard

BATCH = 32


def features(
    images: NDArray[np.uint8], network: Network, *, device: str, batch: int = BATCH, tick: Tick = unheard
) -> NDArray[np.float32]:
    """Return features (N, d) of images (N, S, S, 3); values that are no numbers are kept as they are.

    Args:
        images: In memory or a memory map; at least one.
        network: What :meth:`~cytobench.benchmarks.fidelity.contract.Extractor.load` returned.
        device: Where the network lies.
        batch: Images at once; changes the result by rounding alone.
        tick: Told the number of images after each batch.
    """
    import torch

    found = []
    with torch.inference_mode():
        for first in range(0, len(images), batch):
            part = np.array(images[first : first + batch])
            short = batch - len(part)
            padded = np.concatenate([part, np.repeat(part[-1:], short, axis=0)])  # one shape, one order of sums
            planes = torch.from_numpy(padded).permute(0, 3, 1, 2).to(device).float() / 255.0  # (B, 3, S, S)
            found.append(network(planes)[: len(part)].float().cpu().numpy())
            tick(len(part), "")
    return np.concatenate(found)
