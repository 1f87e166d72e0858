"""Forward error propagation against vectors worked out exactly, which its printed form misses.

The post (Zucchet, Pourcel and Ernoult, 2026) prints δ_0 = +(∏ J)(δ'_T - g_T) with products in the wrong order and
untransposed, and starts its second pass from 0; the right form is δ_0 = -P (w - g_T) with P = J_0ᵀ J_1ᵀ ….
"""

import numpy as np
import pytest
from conftest import built, gradient_of, rule

from hwsim.episode import Episode

SCALAR = {"layers": [{"cell": {"name": "lru", "modes": 1, "normalise": False}}]}
TANH = {"layers": [{"cell": {"name": "leaky_tanh", "units": 2, "leak": 0.25}}]}


def scalar_linear():
    """V1: h_t = h_{t-1} / 2 + x_t, l_t = h_t² / 2, as one complex mode whose real part is seen."""
    episode = Episode(np.array([1, -2, 3, 0.5]).reshape(1, 4, 1), values=np.zeros((1, 4, 1)))
    values = {
        "layer 1 nu": np.log(np.log(2.0)),
        "layer 1 theta": -800.0,  # exp(-800) is a phase of zero
        "layer 1 log gamma": 0.0,
        "layer 1 B": [1.0, 0.0],
        "layer 1 b": [0.0, 0.0],
        "layer 1 V1": [1.0, 0.0],
        "layer 1 V1 b": 0.0,
    }
    return SCALAR, episode, values


def two_tanh_units():
    """V2: two leaky tanh units, l_t = |h_t - y|² / 2."""
    episode = Episode(np.array([1, 0, -1, 0.5, 2]).reshape(1, 5, 1), values=np.tile([0.2, -0.1], (1, 5, 1)))
    values = {
        "layer 1 W": [0.8, -0.4, 0.3, 0.6],
        "layer 1 U": [1.0, -0.5],
        "layer 1 b": [0.0, 0.0],
        "layer 1 V1": [1.0, 0.0, 0.0, 1.0],
        "layer 1 V1 b": [0.0, 0.0],
    }
    return TANH, episode, values


def run(case, options):
    """The gradient, the sums for λ, and every register at the end of each step: `{(sweep, step): {name: value}}`."""
    network, episode, values = case
    learner = rule(options)
    made = built(network, learner, episode)
    machine, seen = made.machine, {}
    for trainable in made.trainables:
        trainable.master.value = np.array(values[trainable.name], float).reshape(1, 1, -1)
    made.program()

    def look():
        seen[machine.sequencer.sweep_name, machine.sequencer.step_index + 1] = {
            name: storage.value.squeeze().copy() for name, storage in machine.storages.items() if "layer 1" in name
        }

    machine.sequencer.after_step = look
    found = gradient_of(made, learner, episode)
    cell = made.layers[0].cell
    found["lambda"] = getattr(cell, "eigenvalue_gradient", None) and cell.eigenvalue_gradient.value[0]
    return found, seen


@pytest.mark.parametrize("warm_up", ["direct", "seed"])
def test_scalar_linear_vector(warm_up):
    found, seen = run(scalar_linear(), {"name": "fpe", "warm_up": warm_up})
    states = [seen["pass 1", t]["layer 1 h"][0] for t in (1, 2, 3, 4)]
    errors = [seen["pass 2", t]["layer 1 error"][0] for t in (1, 2, 3, 4)]
    np.testing.assert_allclose(states, [1, -1.5, 2.25, 1.625], rtol=1e-12)
    np.testing.assert_allclose(seen["pass 2", 1]["layer 1 error before"][0], 0.5078125, rtol=1e-12)
    np.testing.assert_allclose(errors, [1.015625, 0.03125, 3.0625, 1.625], rtol=1e-12)
    np.testing.assert_allclose(found["lambda"][0], -0.90625, rtol=1e-12)
    np.testing.assert_allclose(seen["pass 1", 4]["layer 1 product"][0], 0.0625, rtol=1e-12)
    if warm_up == "seed":
        np.testing.assert_allclose(seen["pass 1", 4]["layer 1 error"][0], -6.5, rtol=1e-12)


@pytest.mark.parametrize("warm_up", ["direct", "seed"])
def test_two_tanh_units_vector(warm_up):
    found, seen = run(two_tanh_units(), {"name": "fpe", "warm_up": warm_up})
    expected = {
        "layer 1 h": ("pass 1", 5, [0.3098766337, -0.2031688335]),
        "layer 1 error before": ("pass 2", 1, [-0.1592901426, 0.1320111031]),
        "layer 1 error": ("pass 2", 1, [-0.2010650913, 0.1423635488]),
    }
    for name, (sweep, step, value) in expected.items():
        np.testing.assert_allclose(seen[sweep, step][name], value, atol=1e-10)  # given to ten digits
    slope = [[-0.016192603562, 0.008754202923], [0.011835314996, -0.006833596460]]
    np.testing.assert_allclose(found["layer 1 W"][0], slope, atol=1e-12)


def test_product_is_the_derivative_of_the_last_state_and_the_start_the_gradient_before_it():
    """V3: P_T = (∂h_T/∂h_0)ᵀ and δ_0 = Σ_t (∂h_t/∂h_0)ᵀ g_t, by finite differences of the dynamics."""
    case = two_tanh_units()
    _, seen = run(case, {"name": "fpe"})
    w, u = np.array(case[2]["layer 1 W"]).reshape(2, 2), np.array(case[2]["layer 1 U"])
    inputs, target = case[1].inputs[0, :, 0], case[1].values[0, 0]

    def states(h):
        for x in inputs:
            h = 0.75 * h + 0.25 * np.tanh(w @ h + u * x)
            yield h

    def loss(h):
        return sum(0.5 * np.sum((state - target) ** 2) for state in states(h))

    step = 1e-5 * np.eye(2)
    final = [(list(states(e))[-1] - list(states(-e))[-1]) / 2e-5 for e in step]
    np.testing.assert_allclose(seen["pass 1", 5]["layer 1 product"], final, atol=1e-9)
    slope = [(loss(e) - loss(-e)) / 2e-5 for e in step]
    np.testing.assert_allclose(seen["pass 2", 1]["layer 1 error before"], slope, atol=1e-9)


def tanh_recursion(start=None):
    """J_t and g_t of V2, and its errors by BPTT; errors run forward from `start` if that is given."""
    _, episode, values = two_tanh_units()
    w, u = np.array(values["layer 1 W"]).reshape(2, 2), np.array(values["layer 1 U"])
    h, jacobians, gradients = np.zeros(2), [], [np.zeros(2)]
    for x in episode.inputs[0, :, 0]:
        s = np.tanh(w @ h + u * x)
        jacobians.append(0.75 * np.eye(2) + 0.25 * np.diag(1 - s**2) @ w)
        h = 0.75 * h + 0.25 * s
        gradients.append(h - episode.values[0, 0])
    if start is None:
        errors = [gradients[-1]]
        for jacobian, g in zip(jacobians[::-1], gradients[-2::-1], strict=True):
            errors.insert(0, jacobian.T @ errors[0] + g)
        return jacobians, gradients, errors
    errors = [start]
    for jacobian, g in zip(jacobians, gradients[:-1], strict=True):
        errors.append(np.linalg.solve(jacobian.T, errors[-1] - g))
    return jacobians, gradients, errors


def test_the_printed_form_of_the_post_fails_the_vector():
    jacobians, gradients, exact = tanh_recursion()
    _, _, trial = tanh_recursion(np.zeros(2))
    missing = trial[-1] - gradients[-1]
    ordered = np.linalg.multi_dot([jacobian.T for jacobian in jacobians])
    np.testing.assert_allclose(-ordered @ missing, exact[0], atol=1e-12)  # the right form
    printed = np.linalg.multi_dot(jacobians)
    for wrong in (ordered @ missing, printed @ missing, -printed @ missing, printed.T @ missing):
        assert np.abs(wrong - exact[0]).max() > 1e-3
    _, _, from_zero = tanh_recursion(np.zeros(2))
    assert np.abs(np.array(from_zero[1:]) - np.array(exact[1:])).max() > 1e-2
