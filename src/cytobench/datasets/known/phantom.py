"""The embedded source as data sets: two sites that need no file and no network."""

from cytobench.datasets.known_set import Drawn, KnownSet
from cytobench.registry import plugin


@plugin("dataset", "phantom-a")
def phantom_a() -> KnownSet:
    """Drawn smears, site a: pink stain, sharp optics."""
    return _site("a")


@plugin("dataset", "phantom-b")
def phantom_b() -> KnownSet:
    """Drawn smears, site b: greyer stain, other scale, softer optics."""
    return _site("b")


def _site(site: str) -> KnownSet:
    from cytobench.datasets.phantom import CLASSES

    def draw(per_class: int, size: int, seed: int) -> Drawn:
        import numpy as np

        from cytobench.datasets.phantom import SITES
        from cytobench.datasets.phantom import draw as draw_smears

        parts = [draw_smears(label, range(per_class), site=SITES[site], size=size, seed=seed) for label in CLASSES]
        return Drawn(
            np.concatenate([part.images for part in parts]),
            tuple(label for label in CLASSES for _ in range(per_class)),
            tuple(f"patient-{patient}" for part in parts for patient in part.patients),
        )

    return KnownSet(
        title=f"cytobench phantom smears, site {site}",
        licence="Apache-2.0",
        nature="phantom",
        classes={label: label for label in CLASSES},
        draw=draw,
    )
