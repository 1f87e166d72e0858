"""Spiking cells: trains of published models to the step, and gradients against implementations of their own."""

import math
from collections import Counter

import numpy as np
import pytest
from autograd import grad
from conftest import built, close, distance, gradient, gradient_of, perturb, random_episode, rule
from equations import readout
from spiking import ALIF, CELLS, FILTERED, LIF, LIQUID, NETWORKS, seen, stepped

from hwsim import networks
from hwsim.accounts.memory import LEARNING, STATE
from hwsim.errors import CapabilityError
from hwsim.operations import Neuron, surrogate
from hwsim.operations.neurons import _slope

ONE = {"W": 0.0, "U": 1.0, "b": 0.0}


def train(cell, drive, steps, start=0):
    """The steps in which one neuron without recurrence fires."""
    spikes, _ = stepped({"units": 1, **cell}, np.full((steps, 1), drive), ONE)
    return (np.flatnonzero(spikes[:, 0]) + start).tolist()


def alif(tau, tau_adaptation, **more):
    return {
        "name": "alif", "time_step": "1 ms", "tau": f"{tau} ms", "tau_adaptation": f"{tau_adaptation} ms", **more
    }  # fmt: skip


def test_an_adaptive_neuron_fires_in_the_steps_of_the_authors_code():
    """Golden trains of the discrete ALIF of Bellec et al. (2020), made by an implementation in plain NumPy."""
    found = train(alif(20, 200, threshold=0.6, beta=0.0174), 0.1, 300)
    assert found[:12] == [6, 14, 22, 29, 37, 45, 53, 61, 69, 77, 85, 93]
    assert found[-3:] == [276, 285, 294]
    assert len(found) == 35
    evidence = train(alif(20, 2000, threshold=0.6, beta=0.01742419, refractory=5), 0.1, 2000)
    assert evidence[:10] == [6, 14, 22, 30, 38, 46, 54, 62, 70, 78]
    assert evidence[-3:] == [1938, 1964, 1990]
    assert len(evidence) == 123


def test_the_older_normalisation_is_the_same_neuron_in_other_units():
    """v ← α v + (1 - α) i - θ z and a ← ρ a + (1 - ρ) z, with θ/(1 - α) and β (1 - ρ)/(1 - α) in place of θ and β."""
    alpha, rho = math.exp(-1 / 20), math.exp(-1 / 200)
    converted = {"threshold": 0.03 / (1 - alpha), "beta": 1.6 * (1 - rho) / (1 - alpha)}
    assert train(alif(20, 200, **converted), 0.05, 300) == [18, 46, 82, 129, 188, 254]


@pytest.mark.parametrize(("share", "soft", "hard"), [(3.0, 299, 4), (7.0, 699, 2)])
def test_a_reset_by_subtraction_loses_no_charge(share, soft, hard):
    """Without a leak: ⌈N I/θ⌉ - 1 spikes in N steps; from zero an interval of ⌊θ/I⌋ + 1 steps; in whole numbers."""
    cell = {"name": "lif", "decay": 1.0, "threshold": 10.0}
    assert len(train(cell, share, 1000)) == soft
    assert set(np.diff(train({**cell, "reset": "zero"}, share, 1000)).tolist()) == {hard}


@pytest.mark.parametrize(("drive", "interval"), [(1.5, 22.0), (5.0, 5.0), (30.0, 1.0)])
def test_intervals_at_high_drive(drive, interval):
    """A membrane that starts again from 0 fires every ⌊ln((I - θ)/I) / ln α⌋ + 1 steps."""
    cell = {"name": "lif", "tau": "20 ms", "time_step": "1 ms", "reset": "zero"}
    assert set(np.diff(train(cell, drive * (1 - math.exp(-1 / 20)), 1000)).tolist()) == {interval}


def test_a_spike_needs_more_than_the_threshold():
    assert train({"name": "lif", "decay": 0.5, "threshold": 1.0}, 0.5, 200) == []


def test_a_liquid_neuron_fires_as_its_gate_lets_it():
    """With a = σ(-2) and x = 1: at step 5, then every ⌊ln ½ / ln(1 - a)⌋ + 1 = 6 steps."""
    cell = {"name": "liquid", "units": 1, "threshold": 0.5, "reset": "zero"}
    spikes, _ = stepped(cell, np.ones((40, 1)), {**ONE, "G": 0.0, "g": -2.0})
    assert np.flatnonzero(spikes[:, 0]).tolist() == [5, 11, 17, 23, 29, 35]


GOLDEN = {
    "triangle": ({}, 0.3, 0.3, 0.15, 1e-9),
    "fast_sigmoid": ({}, 1.0, 0.02, 0.000384, 2e-3),
    "multi_gaussian": ({}, 0.439112, 0.425, 0.258858, 1e-5),
    "atan": ({}, 1.0, 1.0, 0.288400, 1e-5),
    "sigmoid": ({}, 6.25, 1.0, 9.3e-5, 2e-2),
    "exponential": ({}, 0.5, 0.2, 0.041042, 1e-4),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_surrogates_have_the_peak_area_and_value_of_their_sources(name):
    _, peak, area, half, rel = GOLDEN[name]
    shape = surrogate.SHAPES[name]
    x = np.concatenate([-np.logspace(4, -9, 40001), np.logspace(-9, 4, 40001)])
    neuron = Neuron(slope=name, height=shape.height, width=shape.width)
    slope = _slope((1.0 + x)[None, None], neuron)[0, 0]
    assert slope.max() == close(peak, rel=1e-4)
    assert np.trapezoid(slope, x) == close(area, rel=2e-3)
    (at_half,) = _slope(np.array([[[1.5]]]), neuron)[0, 0]
    assert at_half == close(half, rel=rel)


# ---- gradients -----------------------------------------------------------------------------------------------------

VARIANTS = {
    **NETWORKS,
    **{
        f"{name} from zero": {"layers": [{"cell": {**CELLS[name], "reset": "zero"}}]}
        for name in ("lif", "alif", "liquid")
    },
}


def loss(cell, options, parameters, episode):
    """The loss of one layer, with spikes whose slope is the surrogate."""
    p = {name.removeprefix("layer 1 "): value for name, value in parameters.items()}
    total = 0.0
    for xs, values in zip(episode.inputs, episode.values, strict=True):
        for h, target in zip(seen(cell, p, xs), values, strict=True):
            error = readout(options, p, h) - target
            total = total + 0.5 * (error @ error)
    return total


@pytest.mark.parametrize("case", VARIANTS)
def test_bptt_is_the_gradient_of_the_surrogate_network(case):
    options, episode, learner = VARIANTS[case], random_episode(2, steps=9, target="values"), rule("bptt")
    (layer,) = options["layers"]
    made = built(options, learner, episode, seed=5)
    perturb(made)
    parameters = {trainable.name: trainable.values[0].copy() for trainable in made.trainables}
    expected = grad(lambda values: loss(layer["cell"], layer.get("readout", {}), values, episode))(parameters)
    found = {name: value[0] for name, value in gradient_of(made, learner, episode).items()}
    assert np.abs(expected["layer 1 W"]).max() > 1e-3, "some neurons fire"
    assert distance(found, expected) < 1e-10


@pytest.mark.parametrize("case", NETWORKS)
@pytest.mark.parametrize("learner", ["fpe", "fpe seed"])
def test_errors_run_forward_through_the_surrogate_jacobian(case, learner):
    episode = random_episode(3, steps=6)
    exact = gradient(NETWORKS[case], "bptt", episode)
    assert distance(gradient(NETWORKS[case], learner, episode), exact) < 1e-8


@pytest.mark.parametrize("case", ["lif", "alif", "filtered"])
def test_rtrl_and_anchors_are_exact(case):
    episode = random_episode(3, steps=7)
    exact = gradient(NETWORKS[case], "bptt", episode)
    for learner in ("rtrl", {"name": "fpe_anchored", "every": 3, "age": "all"}):
        assert distance(gradient(NETWORKS[case], learner, episode), exact) < 1e-8


# ---- e-prop, against the equations of Bellec et al. (2020) ---------------------------------------------------------


def eprop(cell, p, xs, targets, B):
    """Gradients of a layer with a linear readout by eligibility traces, one synapse after another."""
    n, theta, alpha = cell["units"], cell["threshold"], cell["decay"]
    beta, rho, rest = cell.get("beta", 0.0), cell.get("adaptation_decay", 0.0), max(cell.get("refractory", 0), 1)
    kappa = cell.get("readout_decay", 0.0)
    v, a, z, r, y_trace = (np.zeros(n) for _ in range(5))
    inputs = len(xs[0]) + n + 1
    eps_v, eps_a, filtered = np.zeros((n, inputs)), np.zeros((n, inputs)), np.zeros((n, inputs))
    eligible = np.zeros((n, inputs))
    found = np.zeros((n, inputs))
    psi = np.zeros(n)
    for x, target in zip(xs, targets, strict=True):
        presynaptic = np.concatenate([z, x, [1.0]])
        eps_a = psi[:, None] * eps_v + (rho - psi * beta)[:, None] * eps_a
        eps_v = alpha * eps_v + presynaptic
        a = rho * a + z
        v = alpha * v + p["W"] @ z + p["U"] @ x + p["b"] - theta * z
        allowed = r == 0
        barrier = theta + beta * a
        z = (v > barrier) * allowed * 1.0
        psi = 0.3 / theta * np.maximum(0, 1 - np.abs((v - barrier) / theta)) * allowed
        r = np.clip(r + rest * z - 1, 0, rest)
        eligible = psi[:, None] * (eps_v - beta * eps_a)
        filtered = kappa * filtered + eligible
        y_trace = kappa * y_trace + z
        error = p["V1"] @ y_trace + p["V1 b"] - target
        found += (B @ error)[:, None] * filtered
    return {"W": found[:, :n], "U": found[:, n:-1], "b": found[:, -1]}


@pytest.mark.parametrize("feedback", ["symmetric", "random", "adaptive"])
@pytest.mark.parametrize("cell", [LIF, ALIF, FILTERED], ids=["lif", "alif", "filtered"])
def test_traces_are_those_of_the_paper(cell, feedback):
    options, episode = {"layers": [{"cell": cell}]}, random_episode(4, batch=2, steps=20, target="values")
    learner = rule({"name": "eprop", "feedback": feedback})
    made = built(options, learner, episode, seed=5)
    found = gradient_of(made, learner, episode)
    p = {each.name.removeprefix("layer 1 "): each.values[0] for each in made.trainables}
    B = p["V1"].T
    if feedback != "symmetric":
        B = learner.to_state[made.layers[0]].trainable.values[0]
    expected = {"W": 0.0, "U": 0.0, "b": 0.0}
    for xs, targets in zip(episode.inputs, episode.values, strict=True):
        for name, value in eprop(cell, p, xs, targets, B).items():
            expected[name] = expected[name] + value
    assert np.abs(expected["W"]).max() > 1e-3, "some neurons fire"
    for name, value in expected.items():
        np.testing.assert_allclose(found[f"layer 1 {name}"][0], value, atol=1e-12)


def test_a_neuron_without_adaptation_has_one_trace_and_with_it_two():
    """Numbers of state and learning: N for each block, and a trace per parameter for each that parameters reach."""
    episode = random_episode(4, steps=3)
    for cell, blocks, traces in ((LIF, 1, 1), (ALIF, 3, 2), (FILTERED, 4, 3)):
        made = built({"layers": [{"cell": cell}]}, rule("eprop random"), episode)
        gradient_of(made, rule({"name": "eprop"}), episode)
        held: Counter[str] = Counter()
        for each in made.machine.memory.peak_holdings():
            held[each.kind] += each.total_bits // 64
        n, parameters = 5, 5 * (5 + 2 + 1)
        assert (held[STATE], held[LEARNING]) == (blocks * n, traces * parameters)


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", ["fpe", "fpe_anchored"])
@pytest.mark.parametrize("cell", ["lif", "alif", "liquid"])
def test_a_reset_to_zero_is_refused_where_the_jacobian_is_inverted(learner, cell):
    with pytest.raises(CapabilityError, match=r"layer 1: with `reset: zero` .* no inverse.*`reset: subtract`"):
        built({"layers": [{"cell": {**CELLS[cell], "reset": "zero"}}]}, rule(learner), random_episode())


@pytest.mark.parametrize("learner", ["bptt", "eprop random", "fpe", "fptt", "one_step"])
def test_a_rule_refuses_a_cell_without_a_surrogate(learner):
    with pytest.raises(CapabilityError, match=r"layer 1: a spike has no slope.*give `surrogate`.*triangle"):
        gradient({"layers": [{"cell": {**LIF, "surrogate": None}}]}, learner, random_episode())


@pytest.mark.parametrize("learner", ["eprop random", "rtrl"])
def test_a_liquid_cell_has_no_own_traces(learner):
    with pytest.raises(CapabilityError, match="mixes the cell's 4 units"):
        gradient({"layers": [{"cell": LIQUID}]}, learner, random_episode())


@pytest.mark.parametrize(
    ("cell", "says"),
    [
        ({"name": "lif", "units": 2}, "tau: give tau, such as '20 ms', with time_step, or decay, such as 0.95"),
        ({"name": "lif", "units": 2, "tau": "20 ms"}, "time_step: tau is a time, so say how long a step is"),
        ({"name": "lif", "units": 2, "tau": "20 ms", "decay": 0.9, "time_step": "1 ms"}, "not both"),
        ({"name": "alif", "units": 2, "decay": 0.9, "beta": 0.1}, "tau_adaptation: give tau_adaptation"),
        ({"name": "lif", "units": 2, "decay": 0.9, "surrogate": "box"}, "'triangle', 'fast_sigmoid'"),
        ({"name": "lif", "units": 2, "decay": 0.9, "tau_readout": "5 ms"}, "time_step: tau_readout is a time"),
    ],
)
def test_a_cell_that_cannot_be_says_why(cell, says):
    with pytest.raises(ValueError, match=says.replace("(", r"\(")):
        networks.Options.model_validate({"layers": [{"cell": cell}]})
