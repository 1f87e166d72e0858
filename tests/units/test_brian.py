"""Neurons stepped from our own loop: equal to Brian2's, to closed forms, and to nobody's global state."""

import os
import subprocess
import sys
from math import exp, floor, log, sqrt

import numpy as np
import pytest
from conftest import close, machine_options

from hwsim import documents, machines
from hwsim.config import hardware
from hwsim.errors import ConfigError
from hwsim.operations.noise import Source
from hwsim.units.brian import Model, Stepper, brian2
from hwsim.units.circuit import Circuit
from hwsim.units.neurons import drawn

LIF = """dv/dt = (I - v)/tau + sigma*noise_xi : 1 (unless refractory)
dI/dt = -I/tau_s : 1
tau : second (constant)
tau_s : second (constant)
sigma : second**-0.5 (constant)
noise_xi : second**-0.5
drive : 1"""


def neuron(name, **changes):
    """A shipped neuron with other values, which a test gives without their sources."""
    parameters = {key: {"value": value, "assumed": "test"} for key, value in changes.pop("parameters", {}).items()}
    return hardware.neuron(documents.Document("test", {"like": name, **changes, "parameters": parameters}))


def spiked(text, steps, **start):
    """The input steps in which one neuron fires, without a drive, from other values than its own."""
    circuit = Circuit(text, 1)
    h = np.zeros((1, 1, len(circuit.blocks)))
    for name, value in start.items():
        at, scale = text.wires[name]
        h[..., circuit.blocks.index(name)] = (value - at) / scale
    found = []
    for step in range(steps):
        h = circuit.advance(h, np.zeros((1, 1, 1)))
        found += [step] * int(h[0, 0, 0])
    return np.array(found)


# ---- Brian2 --------------------------------------------------------------------------------------------------------


def test_stepping_equals_network_run_to_the_last_bit():
    """200 neurons, 1000 steps with noise, refractoriness and arrivals: all that Brian2 holds, and all spikes."""
    b = brian2()

    model = Model(LIF, "v > 1", "v = 0", "2*ms", None, "I += drive", "euler", 1e-4, "numpy")
    stepped, run = (Stepper(model, 200, {"tau": 0.02, "tau_s": 0.005, "sigma": 1.0}) for _ in range(2))
    for each in (stepped, run):
        draw = np.random.default_rng(1)
        each.arrays["drive"][:] = draw.uniform(0.01, 0.04, 200)
        each.arrays["noise_xi"][:] = draw.normal(size=200)
    fired = 0
    for _ in range(1000):
        fired += len(stepped.step())
    monitor = b.SpikeMonitor(run.group, codeobj_class=type(run.group.state_updater.codeobj))
    run.network.add(monitor)
    run.network.run(1000 * 1e-4 * b.second, namespace={})
    assert fired == monitor.num_spikes > 400
    for name, array in stepped.arrays.items():
        assert array.tobytes() == run.arrays[name].tobytes(), name


GLOBALS = """
import logging, os, signal, sys, tempfile, warnings
import numpy as np
from pathlib import Path

np.random.seed(3)
before = np.random.get_state()[1].copy()
hooks = sys.excepthook, warnings.showwarning, signal.getsignal(signal.SIGINT)
files = set(os.listdir(tempfile.gettempdir()))

from hwsim import documents
from hwsim.config import hardware
from hwsim.errors import ConfigError
from hwsim.units.circuit import Circuit

circuit = Circuit(hardware.neuron(documents.Document("test", "dpi")), 3)
circuit.run(np.zeros((1, 2, 12)), np.ones((1, 2, 3)), noise=lambda count: np.ones((1, count)))

import brian2

assert np.array_equal(before, np.random.get_state()[1])
assert hooks == (sys.excepthook, warnings.showwarning, signal.getsignal(signal.SIGINT))
assert not [name for name in set(os.listdir(tempfile.gettempdir())) - files if name.startswith("brian_")]
held = brian2.prefs.as_file
brian2.prefs.read_preference_file(__import__("io").StringIO(brian2.prefs.defaults_as_file))
assert held == brian2.prefs.as_file
drawn = brian2.device.rand_buffer_index[:] if hasattr(brian2.device, "rand_buffer_index") else []
assert not any(drawn)
"""


def test_nothing_global_is_left_or_changed(tmp_path):
    """In a process of its own, as for a user who seeds NumPy, and whose Brian2 has preferences."""
    done = subprocess.run([sys.executable, "-c", GLOBALS], env={"TMPDIR": str(tmp_path), **_environment()}, check=False)
    assert done.returncode == 0
    assert not list(tmp_path.iterdir())


def _environment():
    return {name: value for name, value in os.environ.items() if name != "TMPDIR"}


# ---- closed forms and published numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize(("current", "hertz"), [(16, 17.4216), (20, 33.6700), (60, 129.8701)])
def test_a_leaky_neuron_fires_as_often_as_on_a_grid(current, hertz):
    """τ 20 ms, from -65 to -50 mV, 2 ms refractory: an interval is m + n_ref - 1 steps of 0.1 ms."""
    model = Model(
        "dv/dt = (-65*mV + E - v)/(20*ms) : volt (unless refractory)\nE : volt (constant)\ndrive : 1",
        "v > -50*mV", "v = -65*mV", "2*ms", None, None, "exact", 1e-4, "numpy",
    )  # fmt: skip
    stepper = Stepper(model, 1, {"E": current * 1e-3})
    stepper.arrays["v"][:] = -0.065
    times = [step for step in range(6000) if len(stepper.step())]
    m = floor(log((current - 15) / current) / log(exp(-0.1 / 20))) + 1
    assert set(np.diff(times)) == {m + 20 - 1}
    assert 1 / (np.diff(times)[0] * 1e-4) == close(hertz, rel=1e-5)


def test_the_exponential_neuron_fires_as_published():
    """A step of 1 nA on the neuron of Brette and Gerstner (2005), integrated at 0.1 ms."""
    text = neuron("adex", step="0.1 ms", parameters={"tau_s": "1e6 second"})
    times = (spiked(text, 5000, I=1e-9) + 1) * 0.1
    assert len(times) == 17
    assert np.diff(times)[-1] == close(36.1, abs=0.11)
    assert [times[0], *np.diff(times)[:2]] == close([11.8, 13.7, 15.9], abs=0.11)


@pytest.mark.parametrize(("dt", "hertz"), [("100 us", 64.5161), ("10 us", 64.5995)])
def test_the_silicon_neuron_fires_at_its_closed_form(dt, hertz):
    """A constant 1 nA, no feedback: T = τ [ln((I∞-I_r)/(I∞-I_th)) + I_g/I∞ ln(I_th (I∞-I_r)/(I_r (I∞-I_th)))].

    Both frequencies are those of an integration by others; the closed form gives 64.6096 Hz.
    """
    changes = {"tau_s": "1e6 second", "I_gain": "1e-30 A"}
    times = spiked(neuron("dpi", dt=dt, step=dt, parameters=changes), round(0.1 / float(dt.split()[0]) * 1e6), I_s=1e-9)
    ms = float(dt.split()[0]) * 1e-3
    tau, gain, i_g, i_th, i_r = 14.18440, 4.0, 20e-12, 2e-9, 1.2e-12
    i = gain * (1e-9 - 5e-12)
    closed = tau * (log((i - i_r) / (i - i_th)) + i_g / i * log(i_th * (i - i_r) / (i_r * (i - i_th))))
    assert closed == close(10.47758, rel=1e-5)
    period = np.diff(times).mean() * ms
    assert 1e3 / period == close(hertz, rel=2e-4)
    assert period == close(closed + 5, abs=2 * ms)


def test_feedback_makes_the_silicon_neuron_fire_below_its_threshold():
    """300 pA leads to 1.18 nA, below 2 nA; with feedback it fires every 23.774 ms and 5 ms of rest."""
    text = neuron("dpi", dt="10 us", step="10 us", parameters={"tau_s": "1e6 second"})
    assert np.diff(spiked(text, 9000, I_s=300e-12)).mean() * 0.01 == close(23.774 + 5, rel=2e-3)
    without = neuron("dpi", dt="100 us", step="1 ms", parameters={"tau_s": "1e6 second", "I_gain": "1e-30 A"})
    assert len(spiked(without, 100, I_s=300e-12)) == 0


def test_an_adapting_threshold_settles_at_the_interval_of_its_fixed_point():
    """Of a drive of 2 with τ 20 ms, τ_a 200 ms, β .1 and reset by subtraction: T = 27.847536 ms, an equation's root."""
    text = neuron(
        "alif",
        equations="dv/dt = (2 - v)/tau : 1\nda/dt = -a/tau_a : 1\n",
        refractory=None,
        dt="0.02 ms",
        step="0.02 ms",
        parameters={"tau_a": "200 ms", "theta": 1, "beta": 0.1},
    )
    assert np.diff(spiked(text, 10_000, a=8.0))[-4:].mean() * 0.02 == close(27.847536, abs=0.02)


def test_noise_has_the_variance_of_its_equation():
    """dv = -v/τ dt + σ √(2/τ) dW by Euler's steps: σ² / (1 - Δ/2τ). 40 000 values, a false alarm in 10⁷ at 5 σ."""
    text = hardware.neuron(
        documents.Document(
            "test",
            {"name": "ou", "equations": "dv/dt = -v/tau + 0.1*sqrt(2/tau)*xi : 1", "dt": "1 ms", "step": "100 ms",
             "parameters": {"tau": {"value": "10 ms", "assumed": "test"}}},
        )
    )  # fmt: skip
    circuit, source = Circuit(text, 40_000), Source(1, "noise", 1)
    v = circuit.run(np.zeros((1, 1, 40_000)), np.zeros((1, 1, 40_000)), noise=lambda n: source.draw(n, (0, 0, 0)))
    expected = 0.1**2 / (1 - 0.05)
    assert v.var() == close(expected, rel=5 * sqrt(2 / 40_000))


# ---- chips ---------------------------------------------------------------------------------------------------------


def test_parameters_differ_by_their_spread_and_by_the_size_of_a_transistor():
    """σ of ln τ: 0.2, and κ A_VT / (U_T √(W L)) = 0.7 · 3.36 mV µm / (25 mV · 1 µm). 20 000 draws, 5 σ of each."""
    pelgrom = {"a_vt": {"value": "3.36 mV*um", "assumed": "test"}}
    pelgrom |= {key: {"value": "1 um", "assumed": "test"} for key in ("width", "length")}
    text = neuron("lif")
    parameters = dict(text.parameters)
    parameters["theta"] = parameters["theta"].model_validate({"value": 0.6, "assumed": "test", "matching": pelgrom})
    circuit = Circuit(text.model_copy(update={"parameters": parameters}), 20_000)
    found = drawn(circuit, 1, "layer 1", [0, 1], 1.0)
    for name, spread in (("tau", 0.2), ("theta", 0.7 * 3.36 / 25)):
        logs = np.log(found[name] / circuit.text.numbers[name])
        assert logs.std(1) == close([spread, spread], rel=5 / sqrt(40_000))
        assert abs(np.corrcoef(logs)[0, 1]) < 5 / sqrt(20_000)
    assert "t_ref" not in found


def test_neurons_of_a_chip_are_the_same_alone_and_beside_others():
    """Mismatch and noise go by the number of the chip: chip 1 alone makes the bytes that it makes beside chip 0."""
    found = {}
    for numbers in ([0, 1], [1]):
        stage = machines.build(machine_options("neuron_crossbar"), chips=numbers, seed=4)
        circuit = Circuit(neuron("dpi"), 3)
        source = Source(4, "layer 1 neurons noise", stage.numbers)
        parameters = drawn(circuit, 4, "layer 1", stage.numbers, 1.0)
        h, drive = (np.zeros((len(numbers), 2, width), np.float32) for width in (12, 3))
        found[len(numbers)] = circuit.run(h, drive + 1, parameters, lambda n, s=source: s.draw(n, (0, 0, 0)))
    assert found[2][1].tobytes() == found[1][0].tobytes()
    assert found[2][0].tobytes() != found[1][0].tobytes()


def test_a_variable_that_is_defined_twice_is_refused_at_its_second_line() -> None:
    twice = "dv/dt = -v/tau : 1\ndI/dt = -I/tau_s : 1\ndv/dt = -v/tau : 1\n"
    with pytest.raises(ConfigError, match="equations: duplicate definition of variable 'v'"):
        hardware.neuron(documents.Document("test", {"like": "lif", "equations": twice}))
    text = hardware.neuron(documents.Document("test", "lif")).model_copy(update={"equations": twice})
    fault = text.fault()
    assert fault is not None
    assert fault.line == 2
