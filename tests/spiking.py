"""Spiking networks: small ones, their equations written anew, and a cell that is stepped by itself."""

from __future__ import annotations

from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.extend import defvjp, primitive
from conftest import built, rule

from hwsim.episode import Episode

LIF: dict[str, Any] = {"name": "lif", "units": 5, "decay": 0.9, "threshold": 0.3, "gain": 2.0}
ALIF: dict[str, Any] = {**LIF, "name": "alif", "beta": 0.1, "adaptation_decay": 0.97, "refractory": 2}
FILTERED: dict[str, Any] = {**ALIF, "readout_decay": 0.8}
LIQUID: dict[str, Any] = {"name": "liquid", "units": 4, "threshold": 0.1, "gain": 2.0}
CELLS = {"lif": LIF, "alif": ALIF, "filtered": FILTERED, "liquid": LIQUID}
NETWORKS = {name: {"layers": [{"cell": cell, "readout": {"hidden": [5]}}]} for name, cell in CELLS.items()}


def stepped(
    cell: dict[str, Any], inputs: np.ndarray, parameters: dict[str, Any], on: Any = "ideal"
) -> tuple[np.ndarray, np.ndarray]:
    """Spikes and states `(steps, …)` behind each step of a cell without a leaky readout, shown one sequence."""
    episode = Episode(inputs[None], values=np.zeros((1, len(inputs), 1)))
    made = built({"layers": [{"cell": cell}]}, rule("one_step"), episode, on)
    for trainable in made.layers[0].cell.trainables:
        value = parameters.get(trainable.name.removeprefix("layer 1 "), 0.0)
        before = trainable.master.value
        trainable.master.value = np.broadcast_to(value, trainable.shape).reshape(before.shape).astype(before.dtype)
    made.program()
    spikes: list[np.ndarray] = []
    states: list[np.ndarray] = []
    machine, made_cell = made.machine, made.layers[0].cell
    machine.watchers["z"] = lambda value: spikes.append(value[0, 0].copy())
    machine.watchers["h"] = lambda value: states.append(value[0, 0].copy())
    with machine.showing(episode), machine.workspace() as workspace:
        h = workspace.register("h", made_cell.width)
        for step in machine.forward_pass("once"):
            new, _ = made_cell.step(h.load(), step.input)
            h.store(new)
            machine.probe("h", new)
            machine.probe("z", made_cell.emitted(new).result)
    return np.array(spikes), np.array(states)


@primitive
def heaviside(v, barrier, allowed, theta):
    """[v > A] where it is allowed, with the triangle of height .3 for its slope."""
    return anp.where(v > barrier, 1.0, 0.0) * allowed


def _slope(v, barrier, allowed, theta):
    return 0.3 / theta * np.maximum(0, 1 - np.abs((v - barrier) / theta)) * allowed


defvjp(
    heaviside,
    lambda z, v, barrier, allowed, theta: lambda g: g * _slope(v, barrier, allowed, theta),
    lambda z, v, barrier, allowed, theta: lambda g: -g * _slope(v, barrier, allowed, theta),
    None,
    None,
)


@primitive
def cut(x):
    """x, without a derivative."""
    return x


defvjp(cut, lambda y, x: lambda g: g * 0.0)


def seen(cell: dict[str, Any], p: dict[str, Any], xs: Any) -> list[Any]:
    """What a readout sees of a spiking cell at each step, from the equations: spikes, or their filtered sum."""
    n, theta = cell["units"], cell["threshold"]
    beta, rho, rest = cell.get("beta", 0.0), cell.get("adaptation_decay", 0.0), max(cell.get("refractory", 0), 1)
    v, a, z, filtered = (anp.zeros(n) for _ in range(4))
    left, found = np.zeros(n), []
    for x in xs:
        drive = anp.dot(p["W"], z) + anp.dot(p["U"], x) + p["b"]
        if cell["name"] == "liquid":
            m = v - theta * cut(z) if cell.get("reset", "subtract") == "subtract" else v * (1 - cut(z))
            gate = 1 / (1 + anp.exp(-(anp.dot(p["G"], anp.concatenate([drive, m])) + p["g"])))
            v = m + gate * (drive - m)
        else:
            soft = cell.get("reset", "subtract") == "subtract"
            v = cell["decay"] * (v if soft else v * (1 - cut(z))) + drive - (theta * cut(z) if soft else 0.0)
            a = rho * a + z
        z = heaviside(v, theta + beta * a, 1.0 * (left == 0), theta)
        left = np.clip(left + rest * anp.array(getattr(z, "_value", z)) - 1, 0, rest)
        filtered = cell.get("readout_decay", 0.0) * filtered + z
        found.append(filtered)
    return found
