"""IR drop: closed forms, published currents, Kirchhoff's law, and an approximation with its error."""

from __future__ import annotations

from math import tanh

import numpy as np
import pytest
from conftest import close
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.physics import ir_drop
from hwsim.physics.ir_drop import approximate, direct, exact, residual, solved
from hwsim.physics.wires import WIRES, resistance

ALL = pytest.mark.parametrize("currents", ["direct", "solved", "exact"])


def of(how: str, conductance: np.ndarray, x: np.ndarray, ohms: float) -> np.ndarray:
    found = getattr(ir_drop, how)
    return x @ found(conductance, ohms) if how in ("exact", "approximate") else found(conductance, x, ohms).currents


def some(n: int, m: int, seed: int = 0, most: float = 25e-6) -> tuple[np.ndarray, np.ndarray]:
    """Conductances, and four patterns of inputs."""
    draw = np.random.default_rng(seed)
    return draw.uniform(1e-6, most, (n, m)), draw.uniform(-1, 1, (4, n))


def by_stamps(conductance: np.ndarray, x: np.ndarray, ohms: float) -> np.ndarray:
    """Currents by nodal analysis, element by element: the conductance between two nodes is added in four places."""
    (n, m), wire = conductance.shape, 1 / ohms
    matrix, sources = np.zeros((2 * n * m, 2 * n * m)), np.zeros(2 * n * m)

    def between(one: int, other: int | None, g: float) -> None:
        matrix[one, one] += g
        if other is not None:  # else a fixed voltage
            matrix[other, other] += g
            matrix[one, other] -= g
            matrix[other, one] -= g

    for i in range(n):
        for j in range(m):
            upper, lower = i * m + j, n * m + i * m + j
            between(upper, lower, conductance[i, j])
            between(upper, upper - 1 if j else None, wire)
            between(lower, lower + m if i < n - 1 else None, wire)
            sources[upper] = 0 if j else wire * x[i]
    return wire * np.linalg.solve(matrix, sources)[-m:]


@ALL
def test_one_cell_has_a_segment_on_either_side(currents: str) -> None:
    found = of(currents, np.array([[1e-3]]), np.array([[0.5]]), 20.0)
    assert found == close(0.5 / (1000 + 2 * 20), rel=1e-10)
    assert of("approximate", np.array([[1e-3]]), np.array([[0.5]]), 20.0) == close(0.5 / 1040, rel=1e-3)


@ALL
def test_currents_that_crosssim_and_badcrossbar_find(currents: str) -> None:
    """Weights ±1 on 10 kΩ to 1 MΩ, each sign on an array of its own, with segments of 5 Ω."""
    weights, x = np.array([[0.5, -0.25, 1], [-1, 0.125, 0.75]]), np.array([[0.3, -0.7, 1]])
    plus, minus = (0.01 + 0.99 * np.maximum(sign * weights, 0).T for sign in (1, -1))
    found = (of(currents, plus, x, 5e-4) - of(currents, minus, x, 5e-4)) / 0.99
    np.testing.assert_allclose(found, [[1.32305705, 0.36202815]], atol=1e-8)


@ALL
@pytest.mark.parametrize(("n", "share"), [(64, 0.99756), (256, 0.96324), (512, 0.87041)])
def test_the_current_of_a_column_that_is_all_on(n: int, share: float, currents: str) -> None:
    """5 µS and 0.35 Ω; along a continuous line the share would be tanh(a) / a with a = n √(r G)."""
    if currents == "exact":
        assert exact(np.full((n, 1), 5e-6), 0.35).sum() / (n * 5e-6) == close(share, abs=5e-6)
        return
    found = of(currents, np.full((n, 1), 5e-6), np.ones((1, n)), 0.35)[0, 0] / (n * 5e-6)
    assert found == close(share, abs=5e-6)
    a = n * (0.35 * 5e-6) ** 0.5
    assert found == close(tanh(a) / a, abs=3 * 5e-6 * 0.35 * n)


@settings(max_examples=25)
@given(st.integers(1, 7), st.integers(1, 7), st.sampled_from([0.1, 5.0, 300.0, 2e4]), st.integers(0, 99))
def test_all_solutions_are_those_of_nodal_analysis(n: int, m: int, ohms: float, seed: int) -> None:
    """Also where wires have as much resistance as devices."""
    conductance, x = some(n, m, seed, most=1e-4)
    expected = np.array([by_stamps(conductance, each, ohms) for each in x])
    for how in ("direct", "solved", "exact"):
        np.testing.assert_allclose(of(how, conductance, x, ohms), expected, rtol=1e-8, atol=1e-14)


def test_conjugate_gradients_find_what_elimination_finds() -> None:
    conductance, x = some(64, 64)
    reference, found = direct(conductance, x, 0.35), solved(conductance, x, 0.35)
    np.testing.assert_allclose(
        found.currents, reference.currents, rtol=0, atol=1e-10 * np.abs(reference.currents).max()
    )
    np.testing.assert_allclose(found.inputs, reference.inputs, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.outputs, reference.outputs, rtol=0, atol=1e-10)
    assert residual(conductance, x, 0.35, found) < 1e-10
    assert found.steps < 13


def test_the_residual_is_of_every_node() -> None:
    conductance, x = some(5, 6)
    found = solved(conductance, x, 2.0)
    for voltages in (found.inputs, found.outputs):
        for place in ((0, 0, 0), (1, 4, 5), (3, 2, 3)):
            voltages[place] += 1e-3
            assert residual(conductance, x, 2.0, found) > 1e-2
            voltages[place] -= 1e-3
    assert residual(conductance, x, 2.0, found) < 1e-10


def test_currents_sum_to_what_flows_in() -> None:
    conductance, x = some(9, 5)
    found = solved(conductance, x, 3.0)
    np.testing.assert_allclose((x - found.inputs[:, :, 0]).sum(1) / 3.0, found.currents.sum(1), rtol=1e-9)


def test_an_array_is_reciprocal() -> None:
    """Driven from the grounds of its columns, and sensed where its sources were, it gives A x."""
    conductance, _ = some(6, 9)
    from_below = conductance[::-1, ::-1].T
    for how in (lambda g: solved(g, np.eye(len(g)), 40.0).currents, lambda g: approximate(g, 40.0)):
        np.testing.assert_allclose(how(from_below), how(conductance)[::-1, ::-1].T, rtol=1e-9)
    np.testing.assert_allclose(exact(from_below, 40.0), exact(conductance, 40.0)[::-1, ::-1].T, rtol=1e-9)


def test_wires_without_resistance_leave_conductances_alone() -> None:
    conductance, _ = some(6, 9)
    np.testing.assert_allclose(approximate(conductance, 0.0), conductance, rtol=1e-12)
    np.testing.assert_array_equal(exact(conductance, 0.0), conductance)


def test_the_approximation_is_exact_to_first_order() -> None:
    """Half the resistance leaves a quarter of its error, not half."""
    conductance, _ = some(12, 10, most=1e-3)
    errors = [np.abs(approximate(conductance, r) - exact(conductance, r)).max() for r in (0.2, 0.1, 0.05)]
    assert errors[0] / errors[1] == close(4, rel=0.05)
    assert errors[1] / errors[2] == close(4, rel=0.05)


@pytest.mark.parametrize("turned", [False, True])
def test_the_approximation_is_exact_for_a_line_across_ideal_ones(turned: bool) -> None:
    """One long line, whose crossings have one segment each: what these take is in series with the devices."""
    line = some(200, 1, most=1e-4)[0]
    line = line.T if turned else line
    behind = line / (1 + 2.0 * line)
    np.testing.assert_allclose(approximate(line, 2.0), exact(line, 2.0), rtol=2e-3)
    assert np.abs(exact(line, 2.0) / behind - 1).max() > 0.5


@pytest.mark.parametrize(("n", "share"), [(64, 0.004), (256, 0.05)])
def test_how_much_of_the_drop_the_approximation_misses(n: int, share: float) -> None:
    """1 to 25 µS and 0.35 Ω: root mean squares over inputs, in shares of what wires do to outputs."""
    conductance, x = some(n, n)
    ideal, found = x @ conductance, solved(conductance, x, 0.35).currents
    missed = x @ approximate(conductance, 0.35) - found
    assert np.sqrt((missed**2).mean() / ((ideal - found) ** 2).mean()) < share


def test_what_does_not_converge_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    conductance, x = some(3, 3)
    monkeypatch.setattr(ir_drop, "_MOST", 1)
    with pytest.raises(ArithmeticError, match="3 by 3"):
        solved(conductance, x, 1000.0)


def test_resistance_of_wires_by_hand() -> None:
    """40 nm wide, 76 nm high, 100 nm long: 4.03e-8 × 100e-9 / (40e-9 × 76e-9) = 1.326 Ω; at 411 K 1.5 times that."""
    assert resistance(40, 100e-9) == close(4.03e-8 * 100e-9 / (40e-9 * 76e-9))
    assert resistance(40, 100e-9, 300 + 0.5 / 0.00451) == close(1.5 * resistance(40, 100e-9))
    per_metre = [resistance(width, 1.0) for width in sorted(WIRES)]
    assert per_metre == sorted(per_metre, reverse=True)
