"""Spiking cells against Brian2, which integrates the same neurons exactly from one event to the next."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from spiking import stepped

N, INPUTS, STEPS = 10, 20, 400


def in_brian(cell: dict[str, Any], events: np.ndarray, W: np.ndarray, U: np.ndarray) -> dict[str, np.ndarray]:
    """Spikes and membranes `(steps, N)` of a recurrent group on the numpy target.

    Resets and synapses act at the start of the step behind a spike and behind the decay, which is the order of the
    cells; refractoriness suppresses spikes alone.
    """
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, StateMonitor, Synapses, ms, network_operation

    step = 1 * ms
    equations = "dv/dt = -v / tau_m : 1\n" + ("da/dt = -a / tau_a : 1" if "beta" in cell else "a : 1")
    constants = {
        "tau_m": cell["tau_number"] * ms,
        "tau_a": cell.get("tau_adaptation_number", 1) * ms,
        "theta": cell["threshold"],
        "beta": cell.get("beta", 0.0),
    }
    clock = {"dt": step}
    group = NeuronGroup(
        N, equations, threshold="v > theta + beta * a", reset="v -= theta\na += 1", method="exact",
        refractory=cell.get("refractory", 0) * step, namespace=constants, **clock,
    )  # fmt: skip
    when, which = np.nonzero(events)
    source = SpikeGeneratorGroup(INPUTS, which, when * step, when="start", **clock)
    inside, outside = (
        Synapses(pre, group, "weight : 1", on_pre="v_post += weight", **clock) for pre in (group, source)
    )
    for synapses, weights in ((inside, W), (outside, U)):
        synapses.connect()
        synapses.weight = weights.T.ravel()
    monitor = StateMonitor(group, ["v", "a"], record=True, when="end", **clock)
    fired: list[np.ndarray] = []
    network = Network(group, source, inside, outside, monitor)
    network.schedule = ["start", "groups", "resets", "synapses", "thresholds", "end"]

    @network_operation(when="end", **clock)
    def look() -> None:
        spikes = np.zeros(N)
        spikes[np.asarray(group.spikes)] = 1
        fired.append(spikes)

    network.add(look)
    network.run(STEPS * step, namespace={})
    return {"z": np.array(fired), "v": np.asarray(monitor.v).T, "a": np.asarray(monitor.a).T}


@pytest.fixture
def apart():
    """Brian2's preferences, its log and NumPy's global state are as they were."""
    brian2 = pytest.importorskip("brian2")
    before, state = brian2.prefs.codegen.target, np.random.get_state()  # noqa: NPY002 (Brian2 uses it)
    level = logging.getLogger("brian2").level
    brian2.BrianLogger.log_level_error()
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = before
    logging.getLogger("brian2").setLevel(level)
    for mine, theirs in zip(np.random.get_state(), state, strict=True):  # noqa: NPY002
        np.testing.assert_array_equal(mine, theirs)


@pytest.mark.parametrize(
    "cell",
    [
        {"name": "lif", "tau_number": 20, "threshold": 0.6},
        {"name": "lif", "tau_number": 20, "threshold": 0.6, "refractory": 5},
        {"name": "alif", "tau_number": 20, "threshold": 0.6, "beta": 0.1, "tau_adaptation_number": 200},
        {"name": "alif", "tau_number": 30, "threshold": 0.6, "beta": 0.1, "tau_adaptation_number": 90, "refractory": 2},
    ],
    ids=["lif", "lif refractory", "alif", "alif refractory"],
)
def test_spikes_are_those_of_brian_and_membranes_to_a_billionth(apart, cell):
    draw = np.random.default_rng(11)
    events = (draw.random((STEPS, INPUTS)) < 0.05).astype(float)
    W, U = draw.normal(0, 0.15, (N, N)), draw.normal(0.1, 0.2, (N, INPUTS))
    theirs = in_brian(cell, events, W, U)
    options = {**cell, "units": N, "time_step": "1 ms", "tau": f"{cell['tau_number']} ms"}
    if "beta" in cell:
        options["tau_adaptation"] = f"{cell['tau_adaptation_number']} ms"
    options = {name: value for name, value in options.items() if not name.endswith("_number")}
    spikes, states = stepped(options, events, {"W": W, "U": U})
    assert 100 < spikes.sum() < STEPS * N / 2
    np.testing.assert_array_equal(spikes, theirs["z"])
    np.testing.assert_allclose(states[:, :N], theirs["v"], rtol=0, atol=1e-9)
    if "beta" in cell:
        np.testing.assert_allclose(states[:, N : 2 * N], cell["beta"] * theirs["a"], rtol=0, atol=1e-9)
