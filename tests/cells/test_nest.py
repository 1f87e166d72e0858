"""Leaky neurons beside NEST (where it is installed), which integrates them exactly: equal spikes, equal membranes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import close
from spiking import stepped

from hwsim import documents
from hwsim.config import hardware
from hwsim.units.circuit import Circuit

INPUTS, UNITS, STEPS = 8, 6, 300
TAU, TAU_SYNAPSE, THRESHOLD = 20.0, 5.0, 1.0  # ms, and ms, and mV, in steps of 1 ms


def network(gain: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Input spikes `(steps, inputs)`, weights from inputs and between neurons; the first steps are silent."""
    draw = np.random.default_rng(7)
    spikes = draw.random((STEPS, INPUTS)) < 0.15
    spikes[:3] = False
    return spikes, gain * draw.normal(0.1, 1, (UNITS, INPUTS)), gain * draw.normal(0, 1, (UNITS, UNITS))


def in_nest(model: str, spikes: np.ndarray, U: np.ndarray, W: np.ndarray, **parameters: Any) -> Any:
    """Spikes and membranes `(steps, neurons)` of NEST's neurons of capacity τ, so that a resistance is 1.

    A spike takes one step from generator to neuron, and one from neuron to neuron, so that step k here is the time
    k + 2 there, of the end of a step.
    """
    nest = pytest.importorskip("nest")
    nest.ResetKernel()
    nest.verbosity = nest.VerbosityLevel.ERROR
    nest.resolution = 1.0
    rest = {"E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "I_e": 0.0}
    neurons = nest.Create(
        model, UNITS, {**rest, "C_m": TAU, "tau_m": TAU, "V_th": THRESHOLD, "t_ref": 0.0, **parameters}
    )
    times = [{"spike_times": np.flatnonzero(each) + 1.0} for each in spikes.T]
    generators = nest.Create("spike_generator", INPUTS, times)
    nest.Connect(generators, neurons, "all_to_all", {"weight": U, "delay": 1.0})
    nest.Connect(neurons, neurons, "all_to_all", {"weight": W, "delay": 1.0})
    meter = nest.Create("multimeter", {"record_from": ["V_m"], "interval": 1.0})
    recorder = nest.Create("spike_recorder")
    nest.Connect(meter, neurons)
    nest.Connect(neurons, recorder)
    nest.Simulate(STEPS + 3.0)
    found, first = np.zeros((2, STEPS, UNITS)), neurons[0].global_id
    for place, events, value in ((0, recorder.events, 1.0), (1, meter.events, None)):
        steps, who = np.rint(events["times"]).astype(int) - 2, events["senders"] - first
        within = (steps >= 0) & (steps < STEPS)
        found[place, steps[within], who[within]] = 1.0 if value else events["V_m"][within]
    return found


def test_discrete_neurons_equal_those_that_get_pulses_of_charge() -> None:
    """`lif`, with its membrane starting again from 0, is `iaf_psc_delta`, which shows it after that."""
    spikes, U, W = network(0.5)
    theirs, membranes = in_nest("iaf_psc_delta", spikes, U, W)
    cell = {
        "name": "lif", "units": UNITS, "tau": f"{TAU} ms", "time_step": "1 ms", "threshold": THRESHOLD, "reset": "zero"
    }  # fmt: skip
    z, h = stepped(cell, spikes.astype(float), {"W": W, "U": U, "b": 0.0})
    assert 0.02 < z.mean() < 0.5
    assert np.array_equal(z, theirs)
    assert h * (1 - z) == close(membranes, abs=1e-9)


@pytest.mark.parametrize("rest", [0, 3])
def test_circuits_equal_those_whose_synapses_are_currents(rest: int) -> None:
    """The equations of `iaf_psc_exp`, integrated exactly by Brian2.

    Brian2 holds a membrane for one step less than the refractory time, NEST for all of it.
    """
    spikes, U, W = network(1.5)
    theirs, membranes = in_nest("iaf_psc_exp", spikes, TAU * U, TAU * W, tau_syn_ex=TAU_SYNAPSE,
                                tau_syn_in=TAU_SYNAPSE, t_ref=float(rest))  # fmt: skip
    parameters = {"tau": f"{TAU} ms", "tau_s": f"{TAU_SYNAPSE} ms", "theta": THRESHOLD, "t_ref": f"{rest + 1} ms"}
    text = hardware.neuron(
        documents.Document(
            "test",
            {
                "name": "nest", "equations": "dv/dt = (I - v)/tau : 1 (unless refractory)\ndI/dt = -I/tau_s : 1\n",
                "arrival": "I += drive", "threshold": "v > theta", "reset": "v = 0", "refractory": "t_ref",
                "parameters": {key: {"value": value, "assumed": "test"} for key, value in parameters.items()},
                "method": "exact", "dt": "1 ms", "step": "1 ms",
            },
        )
    )  # fmt: skip
    circuit = Circuit(text, UNITS)
    h, z, v = np.zeros((1, 1, len(circuit.blocks) * UNITS)), [], []
    place = circuit.blocks.index("v")
    for arrived in spikes:
        drive = W @ (z[-1] if z else np.zeros(UNITS)) + U @ arrived
        h = circuit.advance(h, TAU * drive[None, None])
        z.append(h[0, 0, :UNITS].copy())
        v.append(h[0, 0, place * UNITS : (place + 1) * UNITS].copy())
    assert 0.02 < np.mean(z) < 0.5
    assert np.array_equal(z, theirs)
    assert np.array(v) == close(membranes, abs=1e-9)
