"""Draws without order: functions of their coordinates, even, and unlike one another."""

import numpy as np
from scipy import stats

from cytobench.composers.draws import key_for, uniforms

KEY = key_for(0, "test")


def test_a_draw_depends_on_its_coordinates_alone() -> None:
    many = uniforms(KEY, np.arange(100)[:, None], np.arange(5))
    assert many.shape == (100, 5)
    assert float(uniforms(KEY, 42, 3)) == many[42, 3]
    assert np.array_equal(uniforms(KEY, np.array([7, 3])[:, None], np.arange(5)), many[[7, 3]])


def test_draws_are_even() -> None:
    assert stats.kstest(uniforms(KEY, np.arange(20_000)), "uniform").pvalue > 1e-3


def test_neighbouring_coordinates_and_keys_are_unlike() -> None:
    one = uniforms(KEY, np.arange(20_000), 1)
    for other in (uniforms(KEY, np.arange(20_000), 2), uniforms(KEY + 1, np.arange(20_000), 1), np.roll(one, 1)):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03
    assert float(uniforms(KEY, 1, 2)) != float(uniforms(KEY, 2, 1))
