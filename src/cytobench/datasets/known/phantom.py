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
        distractors=f"phantom-red-{site}",
        draw=draw,
    )


@plugin("dataset", "phantom-red-a")
def phantom_red_a() -> KnownSet:
    """Drawn red cells of site a, one by one: what lies around the white cells in scenes."""
    return _red_cells("a")


@plugin("dataset", "phantom-red-b")
def phantom_red_b() -> KnownSet:
    """Drawn red cells of site b, one by one: what lies around the white cells in scenes."""
    return _red_cells("b")


def _red_cells(site: str) -> KnownSet:
    def draw(per_class: int, size: int, seed: int) -> Drawn:
        from cytobench.datasets.phantom import SITES, draw_red_cells

        smears = draw_red_cells(range(per_class), site=SITES[site], size=size, seed=seed)
        groups = tuple(f"patient-{patient}" for patient in smears.patients)
        return Drawn(smears.images, ("erythrocyte",) * per_class, groups)

    return KnownSet(
        title=f"cytobench phantom red cells, site {site}",
        licence="Apache-2.0",
        nature="phantom",
        cells="red",
        classes={"erythrocyte": "erythrocyte"},
        draw=draw,
    )
