"""What is wrong with a synthetic set, by name: collapsed, narrow or exploded."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from cytobench.benchmarks.fidelity.distances import nearest_among
from cytobench.leaderboards.fidelity import Line, Problem

BLANK = 2.0  # grey levels: standard deviation within an image below which nothing is on it
SATURATED = 0.5  # of an image's values are the darkest or the brightest there are
LITTLE = 0.2  # of what real images have: less is no variety
ALPHA = 0.01
FEWEST = 5  # images whose spread says anything


def of_pixels(real: NDArray[np.uint8], synthetic: NDArray[np.uint8], scope: str) -> list[Problem]:
    """Return what pixels alone show: nothing on the images, one image over and over, values at the limits.

    Each is counted among the real images, too, and only more of it than there (Fisher's exact test) is a problem.

    Args:
        real: (N, S, S, 3)
        synthetic: (M, S, S, 3)
        scope: The class, or all.
    """
    found = []
    if found_more(blank(synthetic), blank(real)):
        found.append(Problem(name="collapsed", scope=scope, text=f"{_share(blank(synthetic))} show nothing at all"))
    if found_more(repeated(synthetic), repeated(real)):
        text = f"{_share(repeated(synthetic))} are copies of another synthetic one, pixel by pixel"
        found.append(Problem(name="collapsed", scope=scope, text=text))
    if found_more(saturated(synthetic), saturated(real)):
        text = f"{_share(saturated(synthetic))} are more than half black or white, as values that are no numbers become"
        found.append(Problem(name="exploded", scope=scope, text=text))
    return found


def blank(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which images (N, S, S, 3) have the same colour everywhere, nearly."""
    flat: NDArray[np.bool_] = np.array([np.max(np.std(one, axis=(0, 1))) < BLANK for one in images], dtype=bool)
    return flat


def saturated(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which images have mostly values of 0 or 255."""
    limits: NDArray[np.bool_] = np.array([np.mean((one == 0) | (one == 255)) > SATURATED for one in images], dtype=bool)
    return limits


def repeated(images: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which images have the pixels of an earlier one."""
    seen: set[bytes] = set()
    found = np.zeros(len(images), dtype=bool)
    for row, image in enumerate(images):
        content = image.tobytes()
        found[row] = content in seen
        seen.add(content)
    return found


def found_more(here: NDArray[np.bool_], there: NDArray[np.bool_]) -> bool:
    """Tell whether something is more frequent here than there, as far as Fisher's exact test says so."""
    return more_than(int(here.sum()), len(here), int(there.sum()), len(there)) < ALPHA


def more_than(here: int, of: int, there: int, of_there: int) -> float:
    """Return the probability of so many here, when both are drawn from one urn (Fisher's exact test, one-sided)."""
    if not here:
        return 1.0
    return float(stats.hypergeom.sf(here - 1, of + of_there, here + there, of))


def _share(found: NDArray[np.bool_]) -> str:
    return f"{int(found.sum()):,} of {len(found):,} images"


def of_features(
    reference: NDArray[np.floating], synthetic: NDArray[np.floating], extractor: str, scope: str
) -> list[Problem]:
    """Return whether features are no numbers, or have no variety beside the reference's at the same n.

    Args:
        reference: (n, d) of real images.
        synthetic: (n, d)
        extractor: Its name.
        scope: The class, or all.
    """
    broken = int((~np.isfinite(synthetic).all(axis=1)).sum())
    if broken:
        text = f"{extractor}: features of {broken:,} of {len(synthetic):,} images are no numbers"
        return [Problem(name="exploded", scope=scope, text=text)]
    if min(len(reference), len(synthetic)) < FEWEST:
        return []
    spread = [np.sqrt(np.var(one.astype(np.float64), axis=0).sum()) for one in (synthetic, reference)]
    near = [np.median(np.sqrt(nearest_among(one.astype(np.float64), 1).squared)) for one in (synthetic, reference)]
    for (own, usual), what in ((spread, "the images lie"), (near, "an image and the one most like it lie")):
        if own < LITTLE * usual:
            text = f"{extractor}: {what} {own / usual:.0%} as far apart as those of the reference"
            return [Problem(name="collapsed", scope=scope, text=text)]
    return []


def of_lines(lines: Sequence[Line]) -> list[Problem]:
    """Return whether a set is narrow: precision near the floor's, and recall, what it covers of the real images, far
    below.
    """
    found = []
    by_place: dict[tuple[str, str], dict[str, Line]] = {}
    for line in lines:
        by_place.setdefault((line.extractor, line.scope), {})[line.metric] = line
    for (extractor, scope), figures in by_place.items():
        precision, recall = figures["precision"], figures["recall"]
        if not (precision.found and precision.floor and recall.found and recall.floor):
            continue
        looks_real = precision.found.value >= 0.5 * precision.floor.value > 0
        if looks_real and recall.found.high < LITTLE * recall.floor.low:
            text = (
                f"{extractor}: recall is {recall.found.value:.2f} [{recall.found.low:.2f}, {recall.found.high:.2f}]; "
                f"the floor is {recall.floor.value:.2f}"
            )
            found.append(Problem(name="narrow", scope=scope, text=text))
    return found
