"""Values of operations that neither a kernel nor a derivative shows, entry by entry."""

from __future__ import annotations

import numpy as np

from hwsim.operations import held, place, sparse
from hwsim.operations.sparse import Connected


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


def test_a_sparse_matrix_is_fetched_as_the_dense_one_with_zeros_where_nothing_is_connected() -> None:
    weights, places = np.arange(1.0, 17.0).reshape(2, 4, 2), np.array([[[0, 2], [0, 1], [1, 2], [0, 2]]])
    matrix, dense = Connected(weights, places, 3), np.zeros((2, 4, 3))
    for chip, i, k in np.ndindex(2, 4, 2):
        dense[chip, i, places[0, i, k]] = weights[chip, i, k]
    for operation, of_dense in ((sparse.columns, held.columns), (sparse.main_diagonal, held.main_diagonal)):
        found = operation.values(matrix, 3)
        np.testing.assert_array_equal(found, of_dense.values(dense, 3))
        assert operation.shapes(matrix, 3) == (found.shape,)
