"""What the five white cells look like, as a haematology atlas tells them apart.

Every function draws one individual of its kind. Odd individuals (band forms, large lymphocytes, small monocytes,
eosinophils and basophils that have lost granules) are frequent enough that no rule gets every cell right. Units are
those of :mod:`.anatomy`.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from cytobench.datasets.phantom.anatomy import Granules, Nucleus, WhiteCell


def _walk(
    rng: np.random.Generator, count: int, *, step: float, turn: float, wobble: float, sway: float = 0.0
) -> NDArray[np.float64]:
    """Return points (count, 2) of a walk that turns by ``turn`` rad a step (with probability ``sway``, to and fro)."""
    signs = np.where(np.arange(count - 1) % 2 == 0, 1.0, -1.0) if rng.random() < sway else np.ones(count - 1)
    turns = turn * signs + rng.normal(0, wobble, count - 1)
    heading = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
    steps = step * rng.uniform(0.88, 1.12, count - 1)
    points = np.concatenate(
        [np.zeros((1, 2)), np.cumsum(np.stack([np.cos(heading), np.sin(heading)], 1) * steps[:, None], 0)]
    )
    centred: NDArray[np.float64] = points - points.mean(axis=0)
    return centred


def _shift(rng: np.random.Generator, distance: float) -> NDArray[np.float64]:
    angle = rng.uniform(0, 2 * np.pi)
    return distance * np.array([np.cos(angle), np.sin(angle)])


def _inside(centres: NDArray[np.float64], radii: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """Return the discs' centres drawn together so that every disc lies inside the cell."""
    reach = np.hypot(centres[:, 0], centres[:, 1])
    room = np.maximum(0.95 * radius - radii, 0.05)
    return centres * min(1.0, float((room / np.maximum(reach, 1e-6)).min()))


def _spread(rng: np.random.Generator, middle: float, spread: float) -> float:
    return float(middle * np.exp(rng.normal(0, spread)))


def neutrophil(rng: np.random.Generator) -> WhiteCell:
    """Two to five lobes on thin threads, or a band; pale pink with fine lilac granules."""
    radius = _spread(rng, 6.4, 0.07)
    if rng.random() < 0.17:  # band form
        count, size = 6, radius * rng.uniform(0.23, 0.29)
        radii = np.full(count, size)
        centres = _walk(rng, count, step=0.75 * size, turn=rng.uniform(0.3, 0.62), wobble=0.12)
        bridges = np.full(count - 1, size * rng.uniform(0.8, 1.0))
    else:
        count = int(rng.choice([2, 3, 4, 5], p=[0.2, 0.42, 0.28, 0.1]))
        radii = radius * np.sqrt(rng.uniform(0.22, 0.3) / count) * rng.uniform(0.8, 1.2, count)
        centres = _walk(rng, count, step=2.2 * radii.mean(), turn=rng.uniform(0.7, 1.6), wobble=0.3, sway=0.2)
        bridges = rng.uniform(0.15, 0.9, count - 1)
    centres = _inside(centres + _shift(rng, rng.uniform(0, 0.15) * radius), radii, radius)
    nucleus = Nucleus(centres, radii, bridges, 0.14, _spread(rng, 1.0, 0.08), 0.14, 2.4)
    return WhiteCell(
        radius,
        stretch=_spread(rng, 1.0, 0.05),
        irregularity=rng.uniform(0.1, 0.45),
        ruffle=0.06,
        nucleus=nucleus,
        cytoplasm=(rng.uniform(0.12, 0.22), rng.uniform(0.05, 0.12), rng.uniform(0.06, 0.16)),
        rim=0.25,
        mottle=0.28,
        granules=Granules(
            int(rng.integers(90, 220)), 0.18, (0.05, rng.uniform(0.1, 0.28), 0.08), over_nucleus=0.3, patchiness=0.3
        ),
        vacuoles=int(rng.random() < 0.04),
    )


def eosinophil(rng: np.random.Generator) -> WhiteCell:
    """Mostly two round lobes; packed with coarse orange-red granules, unless poorly stained."""
    radius = _spread(rng, 6.6, 0.07)
    count = int(rng.choice([1, 2, 3], p=[0.06, 0.68, 0.26]))
    radii = radius * np.sqrt(rng.uniform(0.24, 0.33) / count) * rng.uniform(0.9, 1.1, count)
    centres = _walk(rng, count, step=2.2 * radii.mean(), turn=rng.uniform(0.4, 1.4), wobble=0.3)
    centres = _inside(centres + _shift(rng, rng.uniform(0, 0.2) * radius), radii, radius)
    nucleus = Nucleus(centres, radii, rng.uniform(0.25, 1.1, count - 1), 0.14, _spread(rng, 0.93, 0.08), 0.11, 2.4)
    filled = rng.uniform(0.12, 0.4) if rng.random() < 0.12 else rng.uniform(0.7, 1.15)
    return WhiteCell(
        radius,
        stretch=_spread(rng, 1.0, 0.06),
        irregularity=rng.uniform(0.1, 0.4),
        ruffle=0.08,
        nucleus=nucleus,
        cytoplasm=(0.12 + 0.2 * filled, rng.uniform(0.04, 0.12), rng.uniform(0.06, 0.2)),
        rim=0.1,
        mottle=0.15,
        granules=Granules(
            int(rng.integers(320, 460)), 0.27, (0.24 * filled, 0.035 * filled, 0.02), over_nucleus=0.2, patchiness=0.35
        ),
        vacuoles=int(rng.integers(1, 4)) if rng.random() < 0.12 else 0,
    )


def basophil(rng: np.random.Generator) -> WhiteCell:
    """A lobed nucleus hidden under coarse dark violet granules, unless they were washed out."""
    radius = _spread(rng, 5.8, 0.08)
    count = int(rng.choice([2, 3]))
    radii = radius * np.sqrt(rng.uniform(0.35, 0.5) / count) * rng.uniform(0.9, 1.1, count)
    centres = _walk(rng, count, step=1.35 * radii.mean(), turn=rng.uniform(0.4, 1.5), wobble=0.3)
    centres = _inside(centres + _shift(rng, rng.uniform(0, 0.2) * radius), radii, radius)
    nucleus = Nucleus(centres, radii, radii[1:] * 0.8, 0.25, _spread(rng, 0.72, 0.12), 0.2, 2.2)
    washed = rng.random() < 0.15
    return WhiteCell(
        radius,
        stretch=_spread(rng, 1.0, 0.07),
        irregularity=rng.uniform(0.15, 0.5),
        ruffle=0.18,
        nucleus=nucleus,
        cytoplasm=(0.05, rng.uniform(0.2, 0.4), rng.uniform(0.15, 0.35)),
        rim=0.15,
        mottle=0.3,
        granules=Granules(
            int(rng.integers(40, 90) if washed else rng.integers(260, 440)),
            0.27,
            (0.0, rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.42)),
            over_nucleus=0.8,
            patchiness=0.5,
        ),
        vacuoles=0,
    )


def lymphocyte(rng: np.random.Generator) -> WhiteCell:
    """A dense round nucleus in a narrow sky-blue rim; some are larger, with more and paler cytoplasm."""
    large = rng.random() < 0.25
    radius = _spread(rng, 6.0 if large else 4.5, 0.08)
    size = radius * (rng.uniform(0.62, 0.76) if large else rng.uniform(0.8, 0.9))
    centres = _walk(rng, 2, step=rng.uniform(0.1, 0.4) * size, turn=0.0, wobble=0.0)
    radii = np.array([size, size * rng.uniform(0.82, 1.0)]) * 0.94
    centres = _inside(centres + _shift(rng, rng.uniform(0.3, 1.0) * (radius - size)), radii, radius)
    nucleus = Nucleus(centres, radii, radii[1:] * 0.9, 0.13, _spread(rng, 0.93 if large else 1.02, 0.07), 0.12, 3.0)
    paleness = 0.55 if large else 1.0
    return WhiteCell(
        radius,
        stretch=_spread(rng, 1.0, 0.06),
        irregularity=rng.uniform(0.1, 0.5),
        ruffle=0.1,
        nucleus=nucleus,
        cytoplasm=(0.02, paleness * rng.uniform(0.14, 0.34), paleness * rng.uniform(0.35, 0.7)),
        rim=0.35,
        mottle=0.2,
        granules=Granules(int(rng.integers(0, 9)) if large else 0, 0.25, (0.1, 0.5, 0.1), 0.0, 0.0),
        vacuoles=0,
    )


def monocyte(rng: np.random.Generator) -> WhiteCell:
    """The largest: a kidney or horseshoe of lacy chromatin, grey-blue cytoplasm, vacuoles now and then."""
    small = rng.random() < 0.2
    radius = _spread(rng, 6.3 if small else 7.6, 0.07)
    horseshoe = rng.random() < 0.4
    count = 5
    size = radius * (rng.uniform(0.27, 0.34) if horseshoe else rng.uniform(0.36, 0.48))
    centres = _walk(
        rng,
        count,
        step=size * (0.85 if horseshoe else 0.5),
        turn=rng.uniform(0.5, 0.8) if horseshoe else rng.uniform(0.3, 0.9),
        wobble=0.12,
    )
    radii = size * rng.uniform(0.85, 1.15, count)
    centres = _inside(centres + _shift(rng, rng.uniform(0, 0.2) * radius), radii, radius)
    nucleus = Nucleus(centres, radii, radii[1:] * 0.9, 0.3, _spread(rng, 0.82, 0.1), 0.15, 2.2)
    return WhiteCell(
        radius,
        stretch=_spread(rng, 1.0, 0.09),
        irregularity=rng.uniform(0.2, 0.9),
        ruffle=0.14,
        nucleus=nucleus,
        cytoplasm=(0.03, rng.uniform(0.1, 0.22), rng.uniform(0.2, 0.42)),
        rim=0.1,
        mottle=0.25,
        granules=Granules(int(rng.integers(20, 80)), 0.18, (0.05, 0.15, 0.05), over_nucleus=0.2, patchiness=0.2),
        vacuoles=int(rng.integers(1, 6)) if rng.random() < 0.4 else 0,
    )


KINDS: dict[str, Callable[[np.random.Generator], WhiteCell]] = {
    kind.__name__: kind for kind in (basophil, eosinophil, lymphocyte, monocyte, neutrophil)
}
