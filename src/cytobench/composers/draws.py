"""Random numbers that need no order: each is a function of its key and its coordinates alone.

Scene k is the same in any company because nothing is drawn *from* anything: SplitMix64 (Steele, Lea & Flood, OOPSLA
2014) scrambles the coordinates, for all scenes at once.
"""

import numpy as np
from numpy.typing import NDArray

from cytobench.seeds import seed_for

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def uniforms(key: int | NDArray[np.uint64], *coordinates: NDArray[np.int64] | int) -> NDArray[np.float64]:
    """Return numbers in [0, 1) for keys and coordinates that are broadcast against one another.

    >>> bool(uniforms(3, 8, 1) == uniforms(3, np.arange(9), 1)[8])
    True
    """
    state: NDArray[np.uint64] = np.asarray(key, np.uint64)
    with np.errstate(over="ignore"):  # modulo 2⁶⁴ is meant
        for one in coordinates:
            state = _scrambled(state + _GOLDEN * (np.asarray(one, np.int64).astype(np.uint64) + np.uint64(1)))
    return np.asarray((state >> np.uint64(11)).astype(np.float64) * 2.0**-53)


def key_for(seed: int, *names: str | int) -> int:
    """Return the key of a kind of draw."""
    return seed_for(seed, "compose", *names)


def _scrambled(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
