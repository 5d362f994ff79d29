"""Which images are drawn together, from which noise, and how they become pixels.

Image k lies in chunk ``k // chunk`` at position ``k % chunk``. Whole chunks are computed, so the bytes of image k do
not depend on what else was asked for, nor on the order.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cytobench.errors import UsageFault
from cytobench.seeds import seed_for


def in_chunks(indices: Sequence[int], *, chunk: int, draw: Callable[[int], NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Return the images of some indices, in their order, (len(indices), H, W, 3).

    Args:
        indices: Any numbers from 0 up, in any order, repeated or not.
        chunk: Images in a chunk.
        draw: Draws all images of the chunk of a number, (chunk, H, W, 3).

    Raises:
        UsageFault: An index is negative, or there is none.
    """
    if not indices or min(indices) < 0:
        raise UsageFault(f"images are numbered from 0; asked for {list(indices)[:5]}", fix="ask for one index or more")
    numbers = sorted({index // chunk for index in indices})
    drawn = {number: draw(number) for number in numbers}
    return np.stack([drawn[index // chunk][index % chunk] for index in indices])


def noise_source(seed: int, label: int, number: int) -> torch.Generator:
    """Return the source of all noise of one chunk; on the CPU, so that every device draws from the same numbers."""
    return torch.Generator().manual_seed(seed_for(seed, "sample", label, number))


def chunk_for(image_size: int) -> int:
    """Return a chunk that keeps a processor busy and fits in any GPU's memory."""
    return 64 if image_size <= 64 else 16


def canvas(image_size: int, multiple: int) -> int:
    """Return the side that a network works on: the image's, rounded up to a multiple.

    >>> canvas(28, 16), canvas(64, 16)
    (32, 64)
    """
    return -(-image_size // multiple) * multiple


def to_canvas(images: NDArray[np.uint8], side: int) -> Tensor:
    """Return images (N, H, W, 3) as uint8 (N, 3, side, side), with mirrored margins where the canvas is larger."""
    margin = side - images.shape[1]
    before, after = margin // 2, margin - margin // 2
    padded = np.pad(images, ((0, 0), (before, after), (before, after), (0, 0)), mode="symmetric") if margin else images
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(0, 3, 1, 2)))


def from_canvas(tensor: Tensor, image_size: int) -> NDArray[np.uint8]:
    """Return the middle of what a network drew, (N, 3, side, side) in [−1, 1], as images (N, H, W, 3)."""
    before = (tensor.shape[-1] - image_size) // 2
    middle = tensor[:, :, before : before + image_size, before : before + image_size]
    pixels = ((middle.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    return np.ascontiguousarray(pixels.permute(0, 2, 3, 1).cpu().numpy())
