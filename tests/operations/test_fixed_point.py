"""Products in fixed point that can be undone, number by number, against integers."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.operations import forget, forgotten, remember, round_to
from hwsim.operations.fixed_point import GATE

BITS = st.integers(1, GATE)


def arrays(*numbers: Fraction, dtype: type) -> list[np.ndarray]:
    return [np.array([[[float(number)]]], dtype) for number in numbers]


@pytest.mark.parametrize(("dtype", "fraction"), [(np.float64, 40), (np.float32, 23), (np.float64, 4)])
@given(data=st.data())
def test_what_was_forgotten_gives_the_number_back(dtype: type, fraction: int, data: st.DataObject) -> None:
    """Every number between -2 and 2, by every gate from 2^-bits to 1; what is lost fits into so many bits."""
    bits, last = data.draw(BITS), (1 << (fraction + 1)) - 1
    edges = st.sampled_from([0, 1, -1, last, -last, 1 << fraction, -(1 << fraction)])
    number = data.draw(st.integers(-last, last) | edges)
    gate = data.draw(st.integers(1 << (GATE - bits), 1 << GATE) | st.just(1 << (GATE - bits)))
    h, z = arrays(Fraction(number, 1 << fraction), Fraction(gate, 1 << GATE), dtype=dtype)
    kept = forget.values(h, z, bits, fraction)
    assert kept.item() * 2**fraction == floor(Fraction(number * gate, 1 << GATE))
    lost = forgotten.values(h, z, kept, bits, fraction)
    assert lost.item() * 2**bits in range(2**bits)
    again = remember.values(kept, z, lost, bits, fraction)
    assert again.tobytes() == h.tobytes()
    assert {kept.dtype, lost.dtype, again.dtype} == {np.dtype(dtype)}


def test_a_gate_beyond_its_bounds_counts_as_the_bound() -> None:
    h = np.array([[[0.75, -0.75, 0.75]]])
    kept = forget.values(h, np.array([[[0.0, 7.0, -3.0]]]), 2, 8)
    np.testing.assert_array_equal(kept, [[[0.1875, -0.75, 0.1875]]])


def test_what_is_no_number_stays_none_and_nothing_leaves_the_range() -> None:
    h, z = np.array([[[np.nan, np.inf, 1.5, 1.5]]]), np.array([[[0.5, 0.5, np.nan, 0.5]]])
    kept = forget.values(h, z, 3, 8)
    np.testing.assert_array_equal(kept, [[[np.nan, np.nan, np.nan, 0.75]]])
    lost = forgotten.values(h, z, kept, 3, 8)
    np.testing.assert_array_equal(np.isnan(remember.values(kept, z, lost, 3, 8)), [[[True, True, True, False]]])
    far = remember.values(np.array([1.9]), np.array([0.125]), np.array([0.0]), 3, 8)
    assert far.item() == 2 - 2**-8


def test_rounding_takes_the_nearest_number() -> None:
    np.testing.assert_array_equal(round_to.values(np.array([0.3, -0.26, 0.5]), 2), [0.25, -0.25, 0.5])
