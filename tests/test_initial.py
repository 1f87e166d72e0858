"""Initial values: bounds, moments and structure of each, drawn with fixed seeds."""

from __future__ import annotations

from collections.abc import Callable
from math import pi, tau

import numpy as np
import pytest
from scipy import stats

from hwsim import initial

ONE_IN_A_MILLION = 1e-6
"""How often a test of random numbers would fail with another seed, though nothing is wrong."""

RINGS = [(0.9, 1.0), (0.1, 0.5), (0.99, 0.999), (0.4, 0.41)]


@pytest.mark.parametrize(("r_min", "r_max"), RINGS)
def test_eigenvalues_lie_on_the_ring(r_min: float, r_max: float) -> None:
    radius = np.exp(-np.exp(initial.ring(1, "ring", 5000, r_min, r_max, tau, True).nu.draw()))
    assert radius.min() >= r_min * (1 - 1e-12)
    assert radius.max() <= r_max
    assert radius.max() < 1
    assert radius.min() < r_min + 0.01 * (r_max - r_min)  # 5000 draws miss a hundredth of the ring once in 10²¹
    assert radius.max() > r_max - 0.01 * (r_max - r_min)


@pytest.mark.parametrize(("r_min", "r_max"), RINGS)
def test_eigenvalues_are_uniform_on_the_area_of_the_ring(r_min: float, r_max: float) -> None:
    radius = np.exp(-np.exp(initial.ring(2, "ring", 20_000, r_min, r_max, tau, True).nu.draw()))
    share = (radius**2 - r_min**2) / (r_max**2 - r_min**2)
    assert stats.kstest(share, "uniform").pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("most", [tau, pi, pi / 10])
def test_phases_are_uniform_up_to_the_largest(most: float) -> None:
    phase = np.exp(initial.ring(3, "ring", 20_000, 0.5, 0.9, most, True).theta.draw())
    assert 0 <= phase.min() < phase.max() < most
    assert stats.kstest(phase / most, "uniform").pvalue > ONE_IN_A_MILLION


def test_phases_do_not_hang_on_radii() -> None:
    ring = initial.ring(4, "ring", 20_000, 0.5, 0.9, tau, True)
    assert stats.spearmanr(ring.nu.draw(), ring.theta.draw()).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize(("r_min", "r_max"), RINGS)
def test_gamma_keeps_the_variance_of_white_input(r_min: float, r_max: float) -> None:
    ring = initial.ring(5, "ring", 1000, r_min, r_max, tau, True)
    radius = np.exp(-np.exp(ring.nu.draw()))
    np.testing.assert_allclose(np.exp(ring.log_gamma.draw()), np.sqrt(1 - radius**2), rtol=1e-9)


def test_gamma_is_one_where_nothing_is_normalised() -> None:
    np.testing.assert_array_equal(initial.ring(6, "ring", 9, 0.5, 0.9, tau, False).log_gamma.draw(), np.zeros(9))


@pytest.mark.parametrize("gain", [1.0, 0.3])
@pytest.mark.parametrize(("rows", "columns"), [(300, 100), (100, 300)])
def test_glorot_is_uniform_within_its_bound(rows: int, columns: int, gain: float) -> None:
    found, bound = initial.glorot(7, "W", rows, columns, gain).draw(), gain * np.sqrt(6 / 400)
    assert found.shape == (rows, columns)
    assert 0.999 * bound < np.abs(found).max() <= bound  # 30 000 draws stay below once in 10¹³
    assert stats.kstest(found.ravel() / bound, "uniform", (-1, 2)).pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_normal_has_the_variance_of_its_columns(gain: float) -> None:
    found = initial.normal(8, "W", 200, 400, gain).draw() / (gain / 20)
    assert stats.kstest(found.ravel(), "norm").pvalue > ONE_IN_A_MILLION


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (7, 3), (3, 7), (1, 4), (1, 1)])
def test_orthogonal_has_orthonormal_rows_or_columns(rows: int, columns: int) -> None:
    found = initial.orthogonal(9, "W", rows, columns, 1.5).draw()
    product = found.T @ found if rows >= columns else found @ found.T
    assert found.shape == (rows, columns)
    np.testing.assert_allclose(product, 2.25 * np.eye(min(rows, columns)), atol=1e-12)


def test_orthogonal_matrices_are_spread_evenly() -> None:
    # Haar measure: entries are symmetric, with variance 1 / n; QR without the signs of R would make diagonals negative
    corners = np.array([initial.orthogonal(seed, "W", 4, 4).draw()[0, 0] for seed in range(4000)])
    assert abs(corners.mean()) < 5 * 0.5 / np.sqrt(4000)  # 5 sigma, once in two million
    assert abs(corners.var() - 0.25) < 5 * 0.25 / np.sqrt(4000)  # entries of 4 by 4 ones vary less than normal ones


def test_complex_rows_are_real_and_imaginary_parts_in_turn() -> None:
    found = initial.complex_rows(10, "B", 4, 3).draw()
    bound = np.sqrt(0.5) * np.sqrt(6 / 7)
    assert found.shape == (8, 3)
    assert np.abs(found).max() <= bound
    np.testing.assert_array_equal(found[::2], initial.glorot(10, "B real", 4, 3, 0.5**0.5).draw())
    np.testing.assert_array_equal(found[1::2], initial.glorot(10, "B imaginary", 4, 3, 0.5**0.5).draw())


def test_constants_are_constant() -> None:
    np.testing.assert_array_equal(initial.zeros(3).draw(), [0, 0, 0])
    np.testing.assert_array_equal(initial.ones(3).draw(), [1, 1, 1])


DRAWN: list[Callable[[int, str], np.ndarray]] = [
    lambda seed, name: initial.normal(seed, name, 3, 4).draw(),
    lambda seed, name: initial.orthogonal(seed, name, 3, 4).draw(),
    lambda seed, name: initial.glorot(seed, name, 3, 4).draw(),
    lambda seed, name: initial.complex_rows(seed, name, 3, 4).draw(),
    lambda seed, name: np.array([part.draw() for part in initial.ring(seed, name, 3, 0.5, 0.9, tau, True)]),
]


@pytest.mark.parametrize("drawn", DRAWN)
def test_values_hang_on_seed_and_name_alone(drawn: Callable[[int, str], np.ndarray]) -> None:
    assert drawn(1, "layer 1").tobytes() == drawn(1, "layer 1").tobytes()
    assert not np.any(drawn(1, "layer 1") == drawn(2, "layer 1"))
    assert not np.any(drawn(1, "layer 1") == drawn(1, "layer 2"))


@pytest.mark.parametrize("drawn", [initial.normal, initial.orthogonal, initial.glorot])
def test_shapes_are_known_before_values_are_drawn(drawn: Callable[..., initial.Initial]) -> None:
    found = drawn(1, "W", 3, 5)
    assert (found.shape, found.size) == (found.draw().shape, 15) == ((3, 5), 15)
