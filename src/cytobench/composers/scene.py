"""What a composer hands over: pictures and the whole truth about them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Scene(NamedTuple):
    """One picture; the first cell is the central one, whose class is the picture's label."""

    image: NDArray[np.uint8]
    """(S, S, 3)."""
    masks: NDArray[np.bool_]
    """(n, S, S): the pixels of each cell within the picture, also where another cell lies over them."""
    boxes: NDArray[np.int64]
    """(n, 4): left, top, width, height of each mask, pixels."""
    labels: tuple[str, ...]
    """(n,): class of each cell."""
    occluded: NDArray[np.float64]
    """(n,): share of each mask on which other cells lie, 0 to 1."""
    cells: tuple[str, ...]
    """(n,): id of the picture that each cell was cut from."""
