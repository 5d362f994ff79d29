"""Absorption: what a cell takes from the light, in octaves, so that it can be put before any other light.

A pixel behind a cell shows background × transmittance (Beer–Lambert), so pixel / background is the cell alone, and the
densities of cells that lie on one another add. Both hold for pixels as cameras store them, too: a power of a product
is the product of the powers, so no gamma has to be undone.
"""

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]

WHITE = 255.0
DARKEST = 5.0
"""Octaves; what a cell absorbs beyond (below 8 of 255) is black to the eye."""


def density(pixels: NDArray[np.generic], background: NDArray[np.generic] | float) -> Field:
    """Return the optical density of pixels before a background, in octaves (log₂ of background / pixel).

    Args:
        pixels: (..., 3), 0 to 255; 0 counts as half a grey level.
        background: Light without the cell, broadcast against the pixels; likewise.
    """
    light = np.maximum(np.asarray(pixels, np.float32), np.float32(0.5))
    dense: Field = np.log2(np.maximum(np.asarray(background, np.float32), np.float32(0.5)) / light)
    return dense


def transmittance(dense: Field) -> Field:
    """Return the share of light, 0 to 1, that passes a density in octaves."""
    passed: Field = np.exp2(-dense)
    return passed
