"""Captions say what is to be seen and never name a white cell."""

from collections import Counter

import numpy as np

from cytobench.datasets.phantom import CLASSES, SITES
from cytobench.generators.mini_sd import captions, smears
from cytobench.generators.mini_sd.captions import Subject


def test_no_caption_names_a_white_cell() -> None:
    lines = [
        captions.caption(Subject(kind, site, 0.2, 5), seed=0, number=number, version=0)
        for kind in (*CLASSES, "red cell")
        for site in SITES
        for number in range(200)
    ]
    for name in CLASSES:
        assert not any(name in line for line in lines)
    assert len(set(lines)) > 300


def test_about_a_third_say_what_the_nucleus_looks_like() -> None:
    lines = [
        captions.caption(Subject("monocyte", "a", 0.3, 5), seed=0, number=number, version=0) for number in range(1000)
    ]
    told = sum(any(shape in line for shape in captions.SHAPES["monocyte"]) for line in lines)
    assert abs(told / 1000 - 0.7 * captions.MORPHOLOGY) < 0.05


def test_image_n_of_the_pool_is_the_same_in_a_larger_one_and_every_kind_is_there() -> None:
    small, large = smears.pool_of(10, seed=0), smears.pool_of(22, seed=0)
    np.testing.assert_array_equal(small.images, large.images[:10])
    assert Counter(large.kinds.tolist()) == {0: 4, 1: 4, 2: 4, 3: 4, 4: 4, smears.RED_CELL: 2}
    assert set(large.sites.tolist()) == {0, 1}
    assert (smears.pool_of(2, seed=0, part="held out").images != small.images[:2]).any()
