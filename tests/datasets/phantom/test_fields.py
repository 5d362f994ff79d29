"""Fields against what they are by definition."""

import numpy as np
import pytest

from cytobench.datasets.phantom.fields import axis, blobs, chain, coverage, ellipse, pitch, waves


def test_an_axis_is_centred_and_evenly_spaced() -> None:
    x = axis(4, 8.0)
    assert x.tolist() == [-3.0, -1.0, 1.0, 3.0]
    assert pitch(x) == 2.0


def test_waves_have_mean_zero_and_variance_one() -> None:
    x = axis(64, 40.0)
    rng = np.random.default_rng(0)
    fields = np.stack([waves(rng, x, x, shortest=4.0, longest=10.0) for _ in range(50)])
    assert abs(fields.mean()) < 0.02
    assert fields.std() == pytest.approx(1.0, abs=0.05)


def test_waves_shorter_than_a_pixel_are_averaged_away() -> None:
    x = axis(32, 64.0)
    assert waves(np.random.default_rng(0), x, x, shortest=0.05, longest=0.1).std() < 0.1


def test_waves_on_a_finer_grid_average_to_the_coarse_one() -> None:
    coarse, fine = axis(16, 16.0), axis(256, 16.0)
    one = waves(np.random.default_rng(1), coarse, coarse, shortest=1.0, longest=5.0)
    other = waves(np.random.default_rng(1), fine, fine, shortest=1.0, longest=5.0)
    np.testing.assert_allclose(other.reshape(16, 16, 16, 16).mean(axis=(1, 3)), one, atol=0.03)


def test_blobs_are_a_sum_of_gaussians() -> None:
    x, y = axis(128, 10.0), axis(96, 8.0)
    centres, sigmas = np.array([[0.5, -1.0], [-2.0, 1.5]]), np.array([0.6, 1.1])
    heights = np.array([1.0, 0.4], np.float32)
    expected = sum(
        height * np.exp(-((x - cx) ** 2 + (y[:, None] - cy) ** 2) / (2 * sigma**2))
        for (cx, cy), sigma, height in zip(centres, sigmas, heights, strict=True)
    )
    np.testing.assert_allclose(blobs(x, y, centres, sigmas, heights), expected, atol=2e-3)


def test_blobs_keep_their_mass_on_coarse_pixels() -> None:
    mass = [
        blobs(x, x, np.zeros((1, 2)), np.array([0.3]), np.ones(1, np.float32)).sum() * pitch(x) ** 2
        for x in (axis(16, 12.0), axis(240, 12.0))
    ]
    assert mass[0] == pytest.approx(mass[1], rel=0.05)


def test_coverage_of_a_disc_adds_up_to_its_area() -> None:
    x = axis(40, 10.0)
    disc = ellipse(x, x, centre=(0.3, -0.2), radius=3.0, stretch=1.0, angle=0.0)
    assert coverage(disc, pitch(x)).sum() * pitch(x) ** 2 == pytest.approx(np.pi * 9, rel=0.01)


def test_an_ellipse_keeps_the_area_and_stretches_along_its_angle() -> None:
    x = axis(200, 10.0)
    inside = ellipse(x, x, centre=(0, 0), radius=3.0, stretch=1.3, angle=np.pi / 2) > 0
    assert inside.mean() * 100 == pytest.approx(np.pi * 9, rel=0.01)
    rows, cols = np.nonzero(inside)
    assert np.ptp(rows) / np.ptp(cols) == pytest.approx(1.3**2, rel=0.03)


def test_a_chain_is_the_union_of_discs_and_bridges() -> None:
    x = axis(101, 10.1)  # pixel centres at multiples of 0.1
    centres, radii = np.array([[-3.0, 0.0], [3.0, 0.0]]), np.array([1.0, 1.5])
    distance = chain(x, x, centres, radii, np.array([0.4]), blend=0.01)
    at = {(px, py): float(distance[50 + round(10 * py), 50 + round(10 * px)]) for px in (-3, 0, 3, 4) for py in (0, 1)}
    assert at[-3, 0] == pytest.approx(1.0, abs=0.01)
    assert at[3, 0] == pytest.approx(1.5, abs=0.01)
    assert at[4, 0] == pytest.approx(0.5, abs=0.01)
    assert at[0, 0] == pytest.approx(0.4, abs=0.01)  # on the bridge
    assert at[0, 1] == pytest.approx(-0.6, abs=0.01)  # beside it
    assert at[-3, 1] == pytest.approx(0.0, abs=0.01)
