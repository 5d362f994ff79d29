"""Moving averages of a network's weights that reach back a part of the training, and the choice of one afterwards.

Karras et al. 2024 (section 3): the average after step t keeps ``(1 − 1/t)^(γ + 1)`` of the one before, so that it
reaches back by the same part of the training whenever one looks. How far is best can't be known before; several are
kept, and the one that guesses best on images that were held out of the training is taken at its end.
"""

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from cytobench.generators.fitting import follow


class Averages(nn.Module):
    """Averages of one network.

    Args:
        live: The network.
        widths: How far back each reaches: the standard deviation of the steps that it is made of, as a part of all
            steps so far.
    """

    count: Tensor

    def __init__(self, live: nn.Module, widths: Sequence[float]) -> None:
        super().__init__()
        self.members = nn.ModuleList(copy.deepcopy(live).requires_grad_(False) for _ in widths)
        self.exponents = [exponent(width) for width in widths]
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def follow(self, live: nn.Module) -> None:
        """Take one step's weights in."""
        self.count += 1
        step = int(self.count)
        for member, gamma in zip(self.members, self.exponents, strict=True):
            follow(member, live, (1 - 1 / step) ** (gamma + 1))

    def best(self, loss: Callable[[nn.Module], float]) -> int:
        """Return the number of the member with the smallest loss."""
        return int(np.argmin([loss(member) for member in self.members]))


def exponent(width: float) -> float:
    """Return γ of the average of a relative width: σ² = (γ + 1) / ((γ + 2)² (γ + 3)) (Karras et al. 2024, eq. 18).

    Raises:
        ValueError: The width is not between 0 and .28, the width of the plain mean of all steps.

    >>> round(exponent(0.1), 2), round(exponent(0.05), 2)
    (6.94, 16.97)
    """
    if not 0 < width < 12**-0.5:
        raise ValueError(f"an average's width lies between 0 and {12**-0.5:.3f} of the steps, and {width} does not")
    roots = np.roots([1, 7, 16 - width**-2, 12 - width**-2])
    return float(max(root.real for root in roots if abs(root.imag) < 1e-9))
