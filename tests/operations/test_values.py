"""Values of operations that neither a kernel nor a derivative shows, entry by entry."""

from __future__ import annotations

import numpy as np

from hwsim.operations import (
    Places,
    collect,
    disperse,
    disperse_modes,
    flat,
    held,
    pick,
    place,
    place_each,
    sparse,
    standardise,
    standardise_error,
)
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


def test_dispersed_numbers_are_those_of_units_on_wires_of_their_own() -> None:
    """Of a bundle of three columns of four rows, two rows per unit."""
    own = np.random.default_rng(1).normal(size=(1, 2, 3, 4))
    expected = np.zeros((1, 2, 12, 5))
    for sequence, i, j in np.ndindex(2, 4, 3):
        expected[0, sequence, 3 * i + j, 1 + i % 2] = own[0, sequence, j, i]
    np.testing.assert_array_equal(disperse.values(own, 1, 2, 5), expected)
    np.testing.assert_array_equal(disperse.values(own[:, :, 0], 1, 2, 5), expected[:, :, ::3])
    np.testing.assert_array_equal(place_each.values(0 * expected, own, 1, 2), expected)
    there = np.ones_like(expected)
    np.testing.assert_array_equal(place_each.values(there, own, 1, 2), 1 + expected)
    assert (there == 1).all()
    assert disperse.shapes(own, 1, 2, 5) == place_each.shapes(expected, own, 1, 2) == (expected.shape,)


def test_dispersed_complex_numbers_are_changes_with_both_parts_of_a_parameter() -> None:
    """Of a bundle of two columns of three modes: x and i x, on the mode's two wires."""
    x = np.random.default_rng(1).normal(size=(1, 1, 2, 6)).view(complex)
    own, expected = x.view(float), np.zeros((1, 1, 3, 2, 2, 3), complex)  # mode, part, column, mode
    for j, mode in np.ndindex(2, 3):
        expected[0, 0, mode, 0, j, mode], expected[0, 0, mode, 1, j, mode] = x[0, 0, j, mode], 1j * x[0, 0, j, mode]
    both, real = expected.view(float), expected[:, :, :, 0].copy().view(float)
    np.testing.assert_array_equal(disperse_modes.values(own, False), both.reshape(1, 1, 12, 6))
    np.testing.assert_array_equal(disperse_modes.values(own, True), real.reshape(1, 1, 6, 6))
    assert disperse_modes.shapes(own, False) == ((1, 1, 12, 6),)
    assert disperse_modes.shapes(own, True) == ((1, 1, 6, 6),)


def test_wires_by_number() -> None:
    x, twice = np.arange(8.0).reshape(1, 2, 4), Places([2, 0, 2])
    np.testing.assert_array_equal(pick.values(x, twice), [[[2, 0, 2], [6, 4, 6]]])
    np.testing.assert_array_equal(pick.values(x, Places([[2], [0]])), [[[[2], [0]], [[6], [4]]]])
    np.testing.assert_array_equal(collect.values(x[..., :3], twice, 4), [[[1, 0, 2, 0], [5, 0, 10, 0]]])
    assert pick.shapes(x, Places([[2], [0]])) == ((1, 2, 2, 1),)
    assert collect.shapes(x[..., :3], twice, 4) == ((1, 2, 4),)
    bundle = np.arange(12.0).reshape(1, 1, 3, 4)
    np.testing.assert_array_equal(flat.values(bundle), bundle.reshape(1, 1, 12))
    assert flat.shapes(bundle) == ((1, 1, 12),)


def test_errors_before_a_standardised_bundle_are_those_of_its_vectors() -> None:
    draw = np.random.default_rng(1)
    errors, x = draw.normal(size=(2, 3, 4, 5)), draw.normal(size=(2, 3, 5))
    found = standardise_error.values(errors, *standardise.values(x, 1e-6))
    for number in range(4):
        alone = standardise_error.values(np.ascontiguousarray(errors[:, :, number]), *standardise.values(x, 1e-6))
        np.testing.assert_array_equal(found[:, :, number], alone)
