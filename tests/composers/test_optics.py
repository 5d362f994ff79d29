"""Beer–Lambert, in octaves."""

import numpy as np

from cytobench.composers.optics import density, transmittance


def test_half_the_light_is_one_octave() -> None:
    assert np.allclose(density(np.array([200, 100, 50]), np.array([200, 200, 200])), [0, 1, 2])
    assert np.allclose(transmittance(np.array([0, 1, 2], np.float32)), [1, 0.5, 0.25])


def test_a_cell_before_another_light_takes_the_same_share_of_it() -> None:
    dense = density(np.array([60.0, 90.0, 30.0]), np.array([240.0, 180.0, 120.0]))
    assert np.allclose(transmittance(dense) * 100, [25, 50, 25])


def test_black_has_a_density() -> None:
    assert np.isfinite(density(np.zeros(3, np.uint8), 255.0)).all()
