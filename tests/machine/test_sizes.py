"""Records of operations on several vectors at once say how much work they are, and how many values they give."""

from __future__ import annotations

import pytest
from conftest import built, gradient_of, random_episode, rule

Sizes = set[tuple[str, tuple[int, ...], int]]
"""Kind, size of the work, and values of the result."""


def sizes(network: str, learner: str) -> Sizes:
    """Of a gradient with two inputs, three classes, and a readout with five units in between."""
    learned, episode = rule(learner), random_episode(width=2)
    made = built(network, learned, episode)
    gradient_of(made, learned, episode)
    return {(record.kind, record.size, record.values) for trace in made.machine.journal.traces for record in trace}


SENSITIVITIES: Sizes = {
    # of each of four modes to the two columns of B: two vectors of eight wires
    ("load", (2, 8), 16),
    ("diagonal", (2, 8), 16),
    ("spread", (2, 4), 16),  # the factor of each mode times each input; imaginary parts stay zero
    ("add", (2, 8), 16),
    ("store", (2, 8), 16),
    ("conjugate multiply", (2, 8), 16),
    ("accumulate", (2, 8), 16),
    ("fetch", (4,), 8),  # factors of modes, as complex numbers
}
PRODUCTS: Sizes = {
    # of Jacobians of six units: six vectors of six wires
    ("load", (6, 6), 36),
    ("read", (6, 6, 6), 36),
    ("multiply", (6, 6), 36),
    ("scale", (6, 6), 36),
    ("add", (6, 6), 36),
    ("store", (6, 6), 36),
    ("project", (6, 6), 6),
    # the Jacobian as a whole, for a solver
    ("fetch", (6, 6), 36),
    ("offset", (6,), 36),  # along the diagonal
    ("solve", (6, 6), 6),
}


@pytest.mark.parametrize(("network", "learner", "several"), [("lru", "rtrl", SENSITIVITIES), ("tanh", "fpe", PRODUCTS)])
def test_sizes_of_operations_on_several_vectors(network: str, learner: str, several: Sizes) -> None:
    found = sizes(network, learner)
    assert several <= found
    of_matrices = {"read", "read transposed", "outer"}
    wide = {each for each in found if len(each[1]) > (2 if each[0] in of_matrices else 1)}
    assert wide <= several


@pytest.mark.parametrize(("network", "learner"), [("lru", "fpe"), ("lru", "rtrl"), ("tanh", "bptt")])
def test_sizes_of_products_with_matrices(network: str, learner: str) -> None:
    """Rows and columns of the matrix, whichever way it is read; outer products give as many values as it has."""
    found, width = sizes(network, learner), 8 if network == "lru" else 6
    for rows, columns in ((5, width), (3, 5), (width, 2)):
        assert ("read", (rows, columns), rows) in found
        if (rows, columns) != (width, 2):  # the first layer sends no error on
            assert ("read transposed", (rows, columns), columns) in found
        if learner != "rtrl" or (rows, columns) != (width, 2):
            assert ("outer", (rows, columns), rows * columns) in found
