"""Values of operations that neither a kernel nor a derivative shows, entry by entry."""

from __future__ import annotations

import numpy as np

from hwsim.operations import held, place


def test_a_placed_vector_is_the_derivative_of_a_state_by_a_matrix() -> None:
    """Of s = (0, r ∘ (W c)) folded to two units, by each entry of W; added to what was there."""
    draw = np.random.default_rng(1)
    r, c, there = draw.normal(size=(1, 2, 4)), draw.normal(size=(1, 2, 3)), draw.normal(size=(1, 2, 12, 5))
    expected = there.copy()
    for sequence, i, j in np.ndindex(2, 4, 3):
        expected[0, sequence, 3 * i + j, 1 + i % 2] += r[0, sequence, i] * c[0, sequence, j]
    before = there.copy()
    np.testing.assert_array_equal(place.values(there, r, c, 1, 2), expected)
    np.testing.assert_array_equal(there, before)
    assert place.shapes(there, r, c, 1, 2) == (expected.shape,)


def test_own_weights_of_stacked_matrices_are_one_diagonal_below_the_other() -> None:
    weights = np.arange(24.0).reshape(2, 6, 2)
    found = held.main_diagonal.values(weights, 3)
    expected = [weights[:, row, row % 2] for row in range(6)]
    np.testing.assert_array_equal(found, np.repeat(np.stack(expected, -1)[:, None], 3, 1))
    assert held.main_diagonal.shapes(weights, 3) == (found.shape,)
