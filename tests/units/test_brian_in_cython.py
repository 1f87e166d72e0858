"""Neurons whose code Brian2 compiles: equal to those whose code is NumPy's, and to nobody's global state.

A compiler takes 20 s for the first run of a neuron; Brian2 keeps what it made, by default in the home folder.
"""

from __future__ import annotations

import shutil
from typing import Any

import numpy as np
import pytest
from conftest import close

from hwsim import documents
from hwsim.config import hardware
from hwsim.units.brian import brian2
from hwsim.units.circuit import Circuit

pytestmark = pytest.mark.skipif(not any(map(shutil.which, ("cc", "gcc", "cl"))), reason="there is no compiler")
UNITS, STEPS = 12, 80


def advanced(target: str) -> tuple[Circuit, np.ndarray]:
    """The states `(steps, batch, wires)` of shipped leaky neurons that get random pulses."""
    text = hardware.neuron(documents.Document("test", {"like": "lif", "target": target}))
    circuit, draw = Circuit(text, UNITS), np.random.default_rng(1)
    h, states = np.zeros((1, 2, len(circuit.blocks) * UNITS)), []
    for _ in range(STEPS):
        h = circuit.advance(h, draw.uniform(0, 3, (1, 2, UNITS)))
        states.append(h[0].copy())
    return circuit, np.array(states)


def test_compiled_neurons_equal_those_in_numpy() -> None:
    """Spikes equal, all states to 1e-9; Brian2's preferences and NumPy's global draws untouched."""
    b: Any = brian2()
    preferences, drawn = b.prefs.as_file, np.random.get_state()[1].copy()  # noqa: NPY002 (Brian2 would use it)
    circuit, compiled = advanced("cython")
    assert "Cython" in {type(each).__name__.removesuffix("CodeObject") for each in _code(circuit)}
    _, plain = advanced("numpy")
    assert compiled[..., :UNITS].sum() > 100, "they fire"
    assert np.array_equal(compiled[..., :UNITS], plain[..., :UNITS])
    assert compiled == close(plain, abs=1e-9)
    assert b.prefs.as_file == preferences
    assert np.array_equal(np.random.get_state()[1], drawn)  # noqa: NPY002


def _code(circuit: Circuit) -> list[Any]:
    """What carries out the steps of a group."""
    stepper = circuit._stepper((1, 2), None)
    return [each.codeobj for each in stepper.network.sorted_objects if getattr(each, "codeobj", None) is not None]
