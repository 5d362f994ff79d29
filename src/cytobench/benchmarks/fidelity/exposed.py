"""What a synthetic set is measured against, by what its generator is known to have seen of the real images.

Where nobody says, nothing is called seen: the real images are halved, and every word about copies says so.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cytobench.benchmarks.fidelity import copying, selection
from cytobench.benchmarks.fidelity.report import Sides
from cytobench.benchmarks.fidelity.selection import Shown
from cytobench.leaderboards.fidelity import CopyTest
from cytobench.progress import say


class Known(NamedTuple):
    """What a generator says that it saw."""

    anything: bool
    """Whether it saw any image, of these real ones or of others."""
    was_seen: NDArray[np.bool_]
    """(N,) which of the real images it saw."""

    def rows(self, real: Shown) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the rows that were seen, and those that were not, of the classes that are compared."""
        compared = real.codes >= 0
        return np.flatnonzero(compared & self.was_seen), np.flatnonzero(compared & ~self.was_seen)


class Words(NamedTuple):
    """What the real sides are called."""

    reference: str
    floor: str


def compared(real: Shown, drawn: Shown, known: Known | None, classes: int, *, seed: int) -> tuple[Sides, Words]:
    """Return what is compared and what it is called: unseen images against seen ones, or one half against the other.

    Args:
        real: All real images.
        drawn: The synthetic ones.
        known: What their generator saw; None where nobody says.
        classes: Codes are below.
        seed: Of the halves.
    """
    seen, unseen = (np.array([], dtype=np.int64),) * 2 if known is None else known.rows(real)
    if len(seen) and len(np.unique(real.codes[unseen])) == classes:
        words = Words("images that the generator did not see", "images that it saw")
        return Sides(real.taken(unseen), real.taken(seen), drawn), words
    if len(seen):
        say("note: the generator saw every real image of some class, so that the floor is one half against the other")
    told = f"the generator lists {len(seen):,} of all {len(seen) + len(unseen):,} as seen"
    one, other = selection.halves(real, classes, seed=seed)
    words = Words(f"one half ({copying.UNKNOWN if known is None else told})", "the other half")
    return Sides(real.taken(one), real.taken(other), drawn), words


def copies(real: Shown, drawn: Shown, known: Known | None, classes: int, *, seed: int) -> tuple[CopyTest, ...]:
    """Return the tests for copies: of what was seen or, with the doubt in their words, of all real images.

    Args:
        real: All real images.
        drawn: The synthetic ones.
        known: What their generator saw; None where nobody says.
        classes: Codes are below.
        seed: Of choice and shuffles.
    """
    if known is None or (known.anything and not len(known.rows(real)[0])):
        everything = real.taken(np.flatnonzero(real.codes >= 0))
        found = copying.tests(everything, None, drawn, classes=classes, near=True, seed=seed)
        return copying.doubted(found, copying.UNKNOWN if known is None else copying.UNLISTED)
    seen, unseen = (real.taken(rows) for rows in known.rows(real))
    others = unseen if len(unseen.codes) else None
    return copying.tests(seen, others, drawn, classes=classes, near=True, seed=seed)
