"""E-prop beside NEST's, where that is installed: the changes of all weights of a small recurrent network.

NEST's models `eprop_*_bsshslm_2020` are of others, event by event, and were held against the code of the authors of
e-prop (Bellec et al., Nat. Commun. 11:3625, 2020). With spikes that arrive at the beginning of a step they have

    v' = α v + (1 - α) (W z + U x) - θ z,   y = Σ_t (1 - κ) κ^(T-t) W_out z_t,   g = Σ_t L_t (1 - κ) Σ_s κ^(t-s) e_s

with e of inputs times 1 - α. So weights here are theirs times 1 - α, and times 1 - κ in the readout and
in feedback, and by the chain rule their gradients are those from here times the same factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import built, close, gradient_of, rule

from hwsim.episode import Episode

INPUTS, UNITS, OUTPUTS, STEPS = 6, 5, 2, 40
TAU, TAU_READOUT, THRESHOLD = 20.0, 30.0, 0.6  # ms, ms and mV, in steps of 1 ms
ALPHA, KAPPA = np.exp(-1 / TAU), np.exp(-1 / TAU_READOUT)


def network(seed: int = 5) -> dict[str, np.ndarray]:
    """Weights of NEST, without autapses, which it does not take."""
    draw = np.random.default_rng(seed)
    W = draw.normal(0, 6, (UNITS, UNITS))
    np.fill_diagonal(W, 0)
    return {"U": draw.normal(6, 6, (UNITS, INPUTS)), "W": W, "V1": draw.normal(0, 4, (OUTPUTS, UNITS))}


def episode(seed: int = 6) -> Episode:
    """One sequence, silent in its first step, in which NEST takes no spikes."""
    draw = np.random.default_rng(seed)
    spikes = draw.random((1, STEPS, INPUTS)) < 0.2
    spikes[:, 0] = False
    return Episode(spikes.astype(float), values=draw.normal(size=(1, STEPS, OUTPUTS)))


def in_nest(p: dict[str, np.ndarray], B: np.ndarray, shown: Episode) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """What gradient descent takes off each weight at a rate of 1, and the spikes `(steps, neurons)`.

    Signals take a step along each of three connections, from inputs to neurons to readouts and back; a synapse is
    changed when a spike comes to it after the sequence, so a strong pulse makes all neurons fire then.
    """
    nest = pytest.importorskip("nest")
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.set(
        resolution=1.0, eprop_update_interval=float(STEPS), eprop_learning_window=float(STEPS),
        eprop_reset_neurons_on_update=True,
    )  # fmt: skip
    common = {"C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "I_e": 0.0, "regular_spike_arrival": False}
    slope = {"surrogate_gradient_height": 0.3 / THRESHOLD, "surrogate_gradient_width": THRESHOLD}
    neuron = {"tau_m": TAU, "V_th": THRESHOLD, "t_ref": 0.0, "c_reg": 0.0, **slope}
    inputs = nest.Create("parrot_neuron", INPUTS)
    neurons = nest.Create("eprop_iaf_bsshslm_2020", UNITS, {**common, **neuron})
    readouts = nest.Create("eprop_readout_bsshslm_2020", OUTPUTS, {**common, "tau_m": TAU_READOUT})
    spikes, targets = shown.inputs[0], shown.values[0]
    generators = nest.Create(
        "spike_generator", INPUTS, [{"spike_times": np.flatnonzero(each) + 1.0} for each in spikes.T]
    )
    offset = 4.0
    rates = [{"amplitude_times": np.arange(STEPS) + offset, "amplitude_values": each} for each in targets.T]
    target = nest.Create("step_rate_generator", OUTPUTS, rates)
    last = nest.Create("spike_generator", 1, {"spike_times": [STEPS + offset - 1]})
    recorder = nest.Create("spike_recorder")

    descent = {"type": "gradient_descent", "batch_size": 1, "eta": 1.0, "Wmin": -1e9, "Wmax": 1e9}
    nest.SetDefaults("eprop_synapse_bsshslm_2020", {"optimizer": descent, "average_gradient": False})
    learning = {"synapse_model": "eprop_synapse_bsshslm_2020", "tau_m_readout": TAU_READOUT, "delay": 1.0}
    plain = {"rule": "all_to_all", "allow_autapses": False}
    nest.Connect(generators, inputs, "one_to_one")
    layers = {"U": (inputs, neurons), "W": (neurons, neurons), "V1": (neurons, readouts)}
    for name, (sender, receiver) in layers.items():
        nest.Connect(sender, receiver, plain, {**learning, "weight": p[name]})
    back = {"synapse_model": "eprop_learning_signal_connection_bsshslm_2020", "delay": 1.0, "weight": B}
    nest.Connect(readouts, neurons, "all_to_all", back)
    nest.Connect(target, readouts, "one_to_one", {"synapse_model": "rate_connection_delayed", "receptor_type": 2})
    nest.Connect(neurons, recorder)
    nest.Connect(last, inputs + neurons, "all_to_all", {"weight": 1000.0})
    nest.Simulate(STEPS + offset + 1)

    taken = {}
    for name, (sender, receiver) in layers.items():
        found = nest.GetConnections(sender, receiver).get(["source", "target", "weight"])
        left = p[name].copy()
        rows = np.array(found["target"]) - receiver[0].global_id
        left[rows, np.array(found["source"]) - sender[0].global_id] = found["weight"]
        taken[name] = p[name] - left
    events, fired = recorder.events, np.zeros((STEPS, UNITS))
    steps = np.rint(events["times"]).astype(int) - 3
    within = (steps >= 0) & (steps < STEPS)
    fired[steps[within], events["senders"][within] - neurons[0].global_id] = 1
    return taken, fired


@pytest.mark.parametrize("feedback", ["symmetric", "random"])
def test_weights_change_as_they_do_in_nest(feedback: str) -> None:
    p, shown = network(), episode()
    learner: Any = rule({"name": "eprop", "feedback": feedback})
    cell = {
        "name": "lif", "units": UNITS, "tau": f"{TAU} ms", "tau_readout": f"{TAU_READOUT} ms", "time_step": "1 ms",
        "threshold": THRESHOLD, "surrogate": {"name": "triangle", "height": 0.3, "width": 1.0},
    }  # fmt: skip
    made = built({"layers": [{"cell": cell}]}, learner, shown)
    share = {"U": 1 - ALPHA, "W": 1 - ALPHA, "V1": 1 - KAPPA}
    for trainable in made.trainables:
        name = trainable.name.removeprefix("layer 1 ")
        trainable.master.value = (share[name] * p[name] if name in p else np.zeros(trainable.shape))[None].reshape(
            trainable.master.value.shape
        )
    made.program()
    B = p["V1"].T
    if feedback == "random":
        (matrix,) = learner.to_state.values()
        B = matrix.trainable.values[0] / (1 - KAPPA)
    theirs, fired = in_nest(p, B, shown)
    assert 0.05 < fired.mean() < 0.6

    mine = {name.removeprefix("layer 1 "): value[0] for name, value in gradient_of(made, learner, shown).items()}
    np.fill_diagonal(mine["W"], 0)
    for name, value in theirs.items():
        assert np.abs(value).max() > 1e-2
        expected = share[name] * mine[name]
        assert value == close(expected, rel=1e-9, abs=1e-9 * np.abs(expected).max()), name
