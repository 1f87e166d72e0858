"""Converters: their levels, the nearest of them, and what lies beyond."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import close

from hwsim.units.converter import convert, step

BITS = [2, 3, 4, 8, 12, 16]
SCALES = [1.0, 0.3, 4.0, 16.0]
F = np.float32

every_converter = pytest.mark.parametrize(("bits", "full_scale"), [(b, s) for b in BITS for s in SCALES])


def converted(x: np.ndarray, bits: int, full_scale: float) -> tuple[np.ndarray, int]:
    found, beyond = convert(x, F(step(bits, full_scale)), F(full_scale))
    assert found.dtype == np.float32
    assert found.shape == x.shape
    return found, beyond


def levels(bits: int, full_scale: float) -> np.ndarray:
    """2^bits - 1 levels, evenly from end to end."""
    return np.linspace(-full_scale, full_scale, 2**bits - 1)


def values(full_scale: float, count: int = 100_000, reach: float = 1.0) -> np.ndarray:
    return np.random.default_rng(1).uniform(-reach * full_scale, reach * full_scale, count).astype(F)


@every_converter
def test_a_converter_gives_its_levels_and_no_others(bits: int, full_scale: float) -> None:
    found, _ = converted(values(full_scale, reach=1.3), bits, full_scale)
    index = (found.astype(np.float64) + full_scale) / step(bits, full_scale)
    np.testing.assert_allclose(index, np.rint(index), atol=2**bits * 1e-7)
    if bits <= 8:
        assert len(np.unique(found)) == 2**bits - 1
    assert found.max() == -found.min() == close(full_scale, rel=2e-7)
    assert np.abs(found).max() <= F(full_scale)


@every_converter
def test_a_converter_gives_the_nearest_level(bits: int, full_scale: float) -> None:
    x = values(full_scale)
    found, beyond = converted(x, bits, full_scale)
    error = np.abs(found.astype(np.float64) - x)
    assert error.max() <= step(bits, full_scale) / 2 + 2e-7 * full_scale
    assert beyond == 0
    if bits <= 8:
        nearest = np.abs(levels(bits, full_scale)[:, None] - x[:2000].astype(np.float64)).min(0)
        np.testing.assert_allclose(error[:2000], nearest, atol=2e-7 * full_scale)


@every_converter
def test_the_grid_is_symmetric_and_has_a_level_at_zero(bits: int, full_scale: float) -> None:
    x = values(full_scale, reach=1.5)
    np.testing.assert_array_equal(converted(-x, bits, full_scale)[0], -converted(x, bits, full_scale)[0])
    half = F(0.499 * step(bits, full_scale))
    assert not converted(np.array([0, half, -half], F), bits, full_scale)[0].any()


@every_converter
def test_converting_twice_is_converting_once(bits: int, full_scale: float) -> None:
    once, _ = converted(values(full_scale, reach=1.5), bits, full_scale)
    twice, beyond = converted(once, bits, full_scale)
    assert twice.tobytes() == once.tobytes()
    assert beyond == 0


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_halfway_between_two_levels_the_even_one_is_taken(bits: int) -> None:
    most = 2 ** (bits - 1) - 1  # a full scale of so many gives levels at whole numbers
    middles = np.arange(-most, most) + 0.5
    found, _ = converted(middles.astype(F), bits, most)
    np.testing.assert_array_equal(found, np.rint(middles))
    np.testing.assert_array_equal(found % 2, 0)


def test_what_is_beyond_the_ends_is_clipped_and_counted() -> None:
    x = np.array([-7, -1.001, -1, -0.999, 0, 1, 1.001, np.inf, -np.inf], F).reshape(1, 3, 3)
    found, beyond = converted(x, 8, 1.0)
    assert beyond == 5
    np.testing.assert_array_equal(found.ravel()[[0, 1, 2, 5, 6, 7, 8]], [-1, -1, -1, 1, 1, 1, -1])
    assert np.abs(found).max() <= 1


def test_what_is_not_a_number_stays_so() -> None:
    found, beyond = converted(np.array([np.nan, 0.5], F), 8, 1.0)
    assert np.isnan(found[0])
    assert beyond == 0


@pytest.mark.parametrize("bits", [4, 8])
def test_the_error_of_evenly_spread_values_has_the_variance_of_a_uniform_one(bits: int) -> None:
    x = values(1.0, 200_000, reach=1 - step(bits, 1.0) / 2)
    error = (converted(x, bits, 1.0)[0] - x.astype(np.float64)) / step(bits, 1.0)
    # uniform on ±1/2: variance 1/12, of its square 1/180; 5 σ, once in two million
    assert abs(error.mean()) < 5 * np.sqrt(1 / 12 / len(x))
    assert abs((error**2).mean() - 1 / 12) < 5 * np.sqrt(1 / 180 / len(x))


def test_one_bit_more_has_half_the_step_and_a_bit() -> None:
    assert step(8, 1.0) == 2 / 254
    assert step(2, 1.0) == 1
    for bits in BITS:
        assert step(bits, 3.0) == 3 * step(bits, 1.0)
        assert 1 / step(bits + 1, 1.0) == 2 / step(bits, 1.0) + 1


def test_24_bits_keep_what_a_float32_holds() -> None:
    x = values(64.0)
    found, _ = converted(x, 24, 64.0)
    np.testing.assert_allclose(found, x, rtol=0, atol=64 * 2.0**-23)


@pytest.mark.parametrize("order", ["F", "swapped", "sliced"])
def test_values_come_out_where_they_went_in_whatever_their_order_in_memory(order: str) -> None:
    x = values(1.0, 2 * 3 * 8).reshape(2, 3, 8)
    y = {"F": np.asfortranarray(x), "swapped": x.swapaxes(1, 2), "sliced": x[:, :, ::2]}[order]
    np.testing.assert_array_equal(converted(y, 4, 1.0)[0], converted(np.ascontiguousarray(y), 4, 1.0)[0])
