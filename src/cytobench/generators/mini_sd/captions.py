"""What is said of a phantom smear when ``mini-sd`` learns to draw from text.

The words are those of a smear at large: the picture, its stain, its surroundings, and, in some captions, the shape of
the nucleus and the granules. No white cell is ever called by its name: a name is what an adapter has to teach.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cytobench.datasets.phantom import CLASSES
from cytobench.generators.mini_sd.smears import RED_CELL, Pool
from cytobench.seeds import seed_for

PICTURES = ("a microscope image of", "a photomicrograph of", "a light micrograph of", "an image of", "a photo of", "")
SMEARS = (
    "in a stained blood smear",
    "in a peripheral blood smear",
    "in a Giemsa stained blood film",
    "on a blood smear",
    "under the microscope",
    "",
)
STAINS = {
    "a": ("blue-violet stain, cream background", "crisp slide scan", "May-Grünwald-Giemsa stain", "site a"),
    "b": ("magenta stain, yellowish grey background", "soft smartphone photo", "dim noisy light", "site b"),
}
CROWDS = {
    "few": ("almost no red blood cells around it", "an empty background"),
    "some": ("red blood cells around it", "surrounded by erythrocytes"),
    "many": ("crowded by many red blood cells", "surrounded by many erythrocytes"),
}
SHAPES: dict[str, tuple[str, ...]] = {
    "basophil": ("lobed nucleus hidden under granules", "obscured dark nucleus"),
    "eosinophil": ("bilobed nucleus", "nucleus of two round lobes"),
    "lymphocyte": ("round nucleus", "dense round nucleus with clumped chromatin", "scant blue cytoplasm"),
    "monocyte": ("kidney-shaped nucleus", "horseshoe-shaped nucleus with lacy chromatin", "grey-blue cytoplasm"),
    "neutrophil": ("segmented nucleus", "nucleus of several lobes joined by thin threads", "pale pink cytoplasm"),
}
"""What the nucleus and the cytoplasm of a class look like, said without its name."""
GRANULES: dict[str, tuple[str, ...]] = {
    "basophil": ("coarse dark granules", "coarse blue-black granules"),
    "eosinophil": ("coarse orange granules", "coarse red-orange granules"),
    "lymphocyte": ("no granules",),
    "monocyte": ("fine dust-like granules", "few granules"),
    "neutrophil": ("fine granules", "fine lilac granules"),
}
MORPHOLOGY = 0.35
"""Share of the captions that may say what the nucleus and the granules look like."""


class Subject(NamedTuple):
    """What is known of one image."""

    kind: str
    """One of the phantom's classes, or ``red cell``."""
    site: str
    cover: float
    """Share of the image that the cell covers, 0 to 1."""
    neighbours: int
    """Red cells and platelets around it."""


def subject_of(pool: Pool, number: int, *, sites: Sequence[str]) -> Subject:
    """Return what is known of one image of a pool."""
    kind = int(pool.kinds[number])
    return Subject(
        "red cell" if kind == RED_CELL else CLASSES[kind],
        sites[int(pool.sites[number])],
        float(pool.covers[number]),
        int(pool.neighbours[number]),
    )


def caption(subject: Subject, *, seed: int, number: int, version: int) -> str:
    """Return one of the captions of image ``number``; the words are drawn from the three numbers alone."""
    rng = np.random.default_rng(seed_for(seed, "caption", number, version))

    def one(words: Sequence[str]) -> str:
        return str(words[int(rng.integers(len(words)))])

    parts = [" ".join(filter(None, (one(PICTURES), _named(subject, rng), one(SMEARS))))]
    if subject.kind != "red cell" and rng.random() < MORPHOLOGY:
        parts += [one(words[subject.kind]) for words in (SHAPES, GRANULES) if rng.random() < 0.7]
    if rng.random() < 0.4:
        parts.append(one(STAINS[subject.site]))
    if subject.kind != "red cell" and rng.random() < 0.25:
        parts.append(one(CROWDS[crowd(subject.neighbours)]))
    return ", ".join(parts)


def crowd(neighbours: int) -> str:
    """Return the word for how many cells are around: few (to 2), some (to 7) or many."""
    return "few" if neighbours <= 2 else "some" if neighbours <= 7 else "many"


def _named(subject: Subject, rng: np.random.Generator) -> str:
    if subject.kind == "red cell":
        return "a single red blood cell without a nucleus" if rng.random() < 0.5 else "an erythrocyte"
    size = "small " if subject.cover < 0.10 else "large " if subject.cover > 0.24 else ""
    return f"a {size if rng.random() < 0.4 else ''}{('white blood cell', 'leukocyte', 'blood cell')[rng.integers(3)]}"
