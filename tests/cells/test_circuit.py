"""Cells whose equations are a text: their derivatives, what is charged for them, and what is said of wrong texts."""

import json
import pickle
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import autograd.numpy as anp
import numpy as np
import pytest
from autograd import jacobian
from autograd.extend import defvjp, primitive
from conftest import assert_estimated, built, close, distance, gradient, gradient_of, machine_options, random_episode
from conftest import rule as rule_of

from hwsim import documents, machines
from hwsim.accounts.energy import Tariff, grouped
from hwsim.config import hardware
from hwsim.errors import CapabilityError, ConfigError
from hwsim.machine import snapshot
from hwsim.units.circuit import Circuit

RATE = {
    "name": "rate",
    "equations": "dv/dt = (tanh(drive) - v)/tau : 1",
    "parameters": {"tau": {"value": "10 ms", "assumed": "test"}},
    "dt": "3 ms",
    "step": "3 ms",
}
LIF = {"like": "lif", "dt": "0.5 ms"}


def text_of(data):
    return _text(json.dumps(data))


@cache
def _text(data):
    return hardware.neuron(documents.Document("test", json.loads(data)))


def network(data, units=4, **cell):
    """A layer of neurons that fire often from the start."""
    cell = {"bias": 0.4, "input_gain": 3.0, **cell} if data is not RATE else cell
    return {
        "layers": [
            {
                "cell": {"name": "circuit", "units": units, "neuron": text_of(data), **cell},
                "readout": {"hidden": [5]},
            }
        ]
    }


# ---- derivatives ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("learner", ["bptt", "fpe", "fpe_anchored", "rtrl", "snap", "eprop random", "one_step"])
def test_a_rate_neuron_as_text_learns_what_the_leaky_tanh_cell_learns(learner):
    """One step of Euler with Δ/τ = .3 is a leaky tanh of leak .3; its products are written by hand there."""
    episode = random_episode()
    assert distance(gradient(network(RATE, 6), learner, episode), gradient("tanh", learner, episode)) < 1e-12


@primitive
def spike(u):
    return (u > 0) * 1.0


defvjp(spike, lambda _, u: lambda g: g * 0.3 * anp.maximum(0, 1 - anp.abs(u)))


@primitive
def fixed(z):
    return z


defvjp(fixed, lambda *_: lambda g: 0 * g)


def lif(state, drive):
    """Two neurons of the shipped text, by hand: ten Euler steps, an arrival at the first, reset by subtraction."""
    v, i, spikes, since = state[:2], state[2:4], 0.0, 100 * np.ones(2)
    for number in range(10):
        rests = since < 20
        v, i = v + 1e-4 * (i - v) / 0.02, i - 1e-4 * i / 0.005
        i = i + drive if number == 0 else i
        z = anp.where(rests, 0.0, spike((v - 0.6) / 0.6))
        spikes, v = spikes + z, v - 0.6 * fixed(z)
        since = np.where(z == 1, 0, since) + 1
    return anp.concatenate([spikes, v, i])


def test_the_slopes_of_a_spiking_neuron_are_those_of_its_integrator():
    """Against automatic differentiation of Euler's steps with the surrogate, of one that fires and one not."""
    circuit = Circuit(text_of("lif"), 2)
    v, i, drive = np.array([0.599, 0.3]), np.array([0.7, 0.2]), np.array([0.1, -0.2])
    h = np.concatenate([np.zeros(2), v, i, np.zeros(2)]).reshape(1, 1, 8)
    state = np.concatenate([v, i])
    expected = lif(state, drive)
    assert expected[0] == 1
    np.testing.assert_allclose(circuit.advance(h, drive.reshape(1, 1, 2))[0, 0, :6], expected, atol=1e-13)
    by_state, by_drive = jacobian(lif, 0)(state, drive), jacobian(lif, 1)(state, drive)
    found = dict(zip(circuit.slopes_of, circuit.slopes(h, drive.reshape(1, 1, 2)).reshape(-1, 2), strict=True))
    for row, of in enumerate(("spikes", "v", "I")):
        rows = slice(2 * row, 2 * row + 2)
        np.testing.assert_allclose(found[of, "drive"], np.diag(by_drive[rows]), atol=1e-12)
        for column, by in enumerate(("v", "I")):
            each = np.diag(by_state[rows, 2 * column : 2 * column + 2])
            np.testing.assert_allclose(found.get((of, by), np.zeros(2)), each, atol=1e-12)


@pytest.mark.parametrize("name", ["adex", "dpi", "liquid"])
def test_the_slopes_of_what_flows_are_differences_of_the_step(name):
    """Where nothing fires: of each variable by each, from the state a little to either side of it."""
    text = text_of(name)
    circuit = Circuit(text, 1)
    places = {block: place for place, block in enumerate(circuit.blocks)}
    h, drive = np.full((1, 1, len(places)), 0.05), np.full((1, 1, 1), 0.1)
    h[..., places["spikes"]] = 0
    if "refractory" in places:
        h[..., places["refractory"]] = 0
    found = dict(zip(circuit.slopes_of, circuit.slopes(h, drive).ravel(), strict=True))
    for by in (*text.variables, "drive"):
        step, sides = 1e-6, []
        for sign in (-1, 1):
            moved, driven = h.copy(), drive.copy()
            (driven if by == "drive" else moved)[..., places.get(by, 0)] += sign * step
            sides.append(circuit.advance(moved, driven).ravel())
        for of in text.variables:
            slope = (sides[1] - sides[0])[places[of]] / (2 * step)
            assert found.get((of, by), 0.0) == close(slope, rel=1e-5, abs=1e-7)


@pytest.mark.parametrize("on", ["ideal", {"like": "neuron_crossbar", "attached": "memory"}], ids=str)
def test_sensitivities_and_backpropagation_agree_on_spikes(on):
    """Exact rules that carry F and J forward, or Jᵀ back; on a chip, which has noise, strict or not."""
    episode = random_episode(steps=12)
    if on == "ideal":
        exact = gradient(network(LIF), "bptt", episode)
        assert all(np.abs(value).max() > 0 for value in exact.values())
        assert distance(gradient(network(LIF), "rtrl", episode), exact) < 1e-12
    one, other = (gradient(network(LIF), "bptt", episode, on=on, chips=2, strict=strict) for strict in (False, True))
    for name, value in one.items():
        assert value.tobytes() == other[name].tobytes()


# ---- strictly forward, and the same for each chip --------------------------------------------------------------------

RESUME = """
import pickle, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import built, gradient_of, machine_options, random_episode, rule
from hwsim import machines
from hwsim.machine import resume
found = []
for case in pickle.loads(Path(sys.argv[2]).read_bytes()):
    learner = rule(case["rule"])
    stage = machines.build(machine_options(case["on"]), chips=2, seed=3)
    resume(stage, case["snapshot"])
    episode = random_episode(steps=5)
    made = built(case["network"], learner, episode, stage=stage)
    found.append(gradient_of(made, learner, episode))
Path(sys.argv[3]).write_bytes(pickle.dumps(found))
"""


def test_neurons_go_on_from_what_the_ledger_lists_in_another_process(tmp_path):
    """Brian2 holds nothing of its own: membranes, synapses and refractory times are in registers."""
    asked, expected, made_of = [], [], network(LIF)
    for learner, on in (("bptt", "ideal"), ("eprop random", "neuron_crossbar")):
        stage = machines.build(machine_options(on), chips=2, seed=3)
        learned = rule_of(learner)
        made = built(made_of, learned, random_episode(steps=5), stage=stage)
        snapshots = []
        stage.sequencer.after_step = lambda stage=stage, snapshots=snapshots: snapshots.append(snapshot(stage))
        found = gradient_of(made, learned, random_episode(steps=5))
        for shot in (snapshots[1], snapshots[3]):
            asked.append({"network": made_of, "rule": learner, "on": on, "snapshot": shot})
            expected.append(found)
    (tmp_path / "cases").write_bytes(pickle.dumps(asked))
    tests = str(Path(__file__).parents[1])
    subprocess.run([sys.executable, "-c", RESUME, tests, tmp_path / "cases", tmp_path / "out"], check=True)
    for result, found in zip(pickle.loads((tmp_path / "out").read_bytes()), expected, strict=True):
        for name, value in found.items():
            assert result[name].tobytes() == value.tobytes(), name


def test_an_input_changed_later_changes_no_earlier_state():
    states = []
    for change in (0.0, 5.0):
        episode = random_episode(steps=6)
        episode.inputs[:, 4:] += change
        learned = rule_of("eprop random")
        made = built(network(LIF), learned, episode, on="neuron_crossbar", chips=2)
        kept = []
        made.machine.sequencer.after_step = lambda made=made, kept=kept: kept.append(
            made.machine.storages["layer 1 h"].value.copy() if "layer 1 h" in made.machine.storages else None
        )
        gradient_of(made, learned, episode)
        states.append([each for each in kept if each is not None])
    for step in range(4):
        assert states[0][step].tobytes() == states[1][step].tobytes()
    assert states[0][4].tobytes() != states[1][4].tobytes()


def test_a_chip_computes_the_same_alone_and_beside_others():
    """All of a chip: devices, mismatch and noise of neurons, and what it learns of them."""
    made_of, episode = network({"like": "dpi", "dt": "50 us"}, 3), random_episode(steps=4)
    found = {}
    for numbers in ([0, 1], [1]):
        stage = machines.build(machine_options("neuron_crossbar"), chips=numbers, seed=4)
        learner = rule_of("eprop random")
        found[len(numbers)] = gradient_of(built(made_of, learner, episode, stage=stage), learner, episode)
    for name, value in found[2].items():
        assert value[1].tobytes() == found[1][name][0].tobytes()


# ---- what is charged -------------------------------------------------------------------------------------------------

EXPERIMENT = {
    "name": "test",
    "seed": 2,
    "task": {"name": "digits", "order": "rows"},
    "network": {
        "layers": [{"cell": {"name": "circuit", "neuron": LIF, "units": 6, "bias": 0.5, "input_gain": 3.0}}],
        "pooling": "cumulative_mean",
    },
    "learning": {"name": "eprop", "feedback": "random"},
    "machine": "neuron_crossbar",
    "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 4, "steps": 2},
}


def test_spikes_and_power_of_neurons_are_charged():
    """1.61 fJ for each spike that there was, and 108 pW for 1 ms in each neuron and step; a state costs nothing."""
    stage = machines.build(machine_options("neuron_crossbar"), chips=1, seed=1)
    episode = random_episode(steps=9)
    made = built(network(LIF), rule_of("one_step"), episode, stage=stage)
    spikes = []
    stage.sequencer.after_step = lambda: spikes.append(stage.storages["layer 1 h"].value[0, :, :4].sum())
    with stage.showing(episode):
        made.infer()
    stage.journal.close_batch(3)
    assert sum(spikes) > 5
    tariff, seconds = Tariff(stage.journal.traces, stage.prices()), 9e-3 * 3
    spent = grouped(tariff.of_totals(stage.journal.totals, seconds), "component")
    by_hand = int(sum(spikes)) * 1.61e-15 + 9 * 3 * 4 * 108e-12 * 1e-3
    assert spent["neurons"].energy == close(by_hand)
    assert "analog registers" not in spent
    record = next(each for trace in stage.journal.traces for each in trace if each.kind == "advance")
    assert stage.prices().occupied(record).duration == 10**9


def test_an_estimate_of_digital_neurons_is_what_their_run_costs():
    """Equations are arithmetic on a digital machine, of which nothing depends on values."""
    assert_estimated({**EXPERIMENT, "machine": "digital_45nm", "learning": {"name": "bptt"}})


# ---- wrong texts -----------------------------------------------------------------------------------------------------

FILE = """name: mine
equations: |
  dv/dt = (I - v)/tau : 1
  dI/dt = -I/tau_s : 1
arrival: I += drive
threshold: v > theta
reset: v = 0
parameters:
  tau: {value: 20 ms, assumed: test}
  tau_s: {value: 5 ms, assumed: test}
  theta: {value: 1, assumed: test}
dt: 0.1 ms
step: 1 ms
"""
WRONG = {
    "a unit": ("(I - v)/tau : 1", "I - v : 1", 3, "expression 'I - v' does not have the expected unit"),
    "a name": ("I/tau_s", "I/tau_q", 4, "unknown identifier 'tau_q'; did you mean 'tau_s'"),
    "no equation": ("-I/tau_s : 1", "-I/tau_s", 4, "equations: "),
    "a threshold": ("v > theta", "v > theta*volt", 6, "threshold: "),
    "a reset": ("reset: v = 0", "reset: w = 0", 7, "unknown identifier 'w'"),
    "dt": ("dt: 0.1 ms", "dt: 0.3 ms", 12, "does not divide the step of 0.001 s; take 0.000333"),
    "the clock": ("(I - v)/tau", "(I - v + sin(t/second))/tau", 3, "t is not for neurons here"),
    "numbers of Brian2": ("(I - v)/tau", "(I - v + randn())/tau", 3, "noise is xi"),
    "a quantity": ("20 ms", "20 mss", 9, "Brian2 knows no unit 'mss'"),
    "an origin": ("{value: 20 ms, assumed: test}", "{value: 20 ms}", 9, "either a source or a reason"),
    "standalone": ("step: 1 ms", "step: 1 ms\ntarget: cpp_standalone", 14, "allowed: numpy, cython"),
    "a surrogate": ("step: 1 ms", "step: 1 ms\nsurrogate: {of: v*mV}", 14, "without a unit"),
    "exact": ("tau_s: {value: 5 ms", "tau_s: {value: 20 ms", 3, "two equal time constants"),
    "a scale": ("step: 1 ms", "step: 1 ms\nscale: {q: 1 mV}", 14, "unknown variable under scale 'q'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_text_is_refused_with_its_line(case, tmp_path):
    before, after, line, says = WRONG[case]
    assert before in FILE
    text = FILE.replace(before, after) + ("method: exact\n" if case == "exact" else "")
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        hardware.neuron(documents.Document("test", str(path)))
    message = str(caught.value)
    assert says in message
    assert re.match(rf"{re.escape(str(path))}:{line}:\d+: ", message), message


def test_rules_that_need_a_slope_or_an_inverse_say_what_is_missing():
    episode = random_episode(steps=4)
    with pytest.raises(CapabilityError, match=r"no surrogate for one, .*give `surrogate: \{name: triangle\}`"):
        gradient(network({**LIF, "surrogate": None}), "bptt", episode)
    with pytest.raises(CapabilityError, match="its Jacobian has no inverse; take a rule that needs none"):
        gradient(network(LIF), "fpe", episode)
