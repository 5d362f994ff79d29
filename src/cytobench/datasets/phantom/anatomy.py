"""The parts of a white cell: what must be known to paint one.

Lengths are in µm, positions relative to the cell's centre, dye amounts in optical density of the standard stain (see
:mod:`.optics`).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Dyes = tuple[float, float, float]
"""Amounts of eosin, purple and blue."""


class Nucleus(NamedTuple):
    """Discs joined in a chain, one to the next."""

    centres: NDArray[np.float64]
    """(n, 2)."""
    radii: NDArray[np.float64]
    """(n,)."""
    bridges: NDArray[np.float64]
    """Half-widths of what joins each disc to the next, (n - 1,)."""
    roughness: float
    """Standard deviation of the outline."""
    density: float
    """Optical density relative to a neutrophil's."""
    clumping: float
    """Relative contrast of the chromatin."""
    grain: float
    """Longest wavelength of the chromatin's texture."""


class Granules(NamedTuple):
    """Granules scattered over the cell."""

    number: int
    sigma: float
    """Half-width of one granule."""
    dyes: Dyes
    """Amounts at the middle of one granule."""
    over_nucleus: float
    """Share of them that is seen over the nucleus, 0 to 1."""
    patchiness: float
    """How unevenly they fill the cell, 0 to 1."""


class WhiteCell(NamedTuple):
    """One individual."""

    radius: float
    stretch: float
    """Square root of the ratio of its axes."""
    irregularity: float
    """Standard deviation of the outline on the scale of the cell."""
    ruffle: float
    """Standard deviation of the outline on the scale of 2 µm."""
    nucleus: Nucleus
    cytoplasm: Dyes
    rim: float
    """How much denser the cytoplasm is at the edge, relative."""
    mottle: float
    """Relative contrast of the cytoplasm."""
    granules: Granules
    vacuoles: int
