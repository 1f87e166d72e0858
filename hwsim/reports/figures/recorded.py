"""What a run recorded of the spikes of one sequence: of each system whose units fire, on its first chip."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hwsim.accounts.energy import LEAKAGE
from hwsim.records import INFERENCE, PURPOSES
from hwsim.results.run_folder import RunFolder


class Recorded(NamedTuple):
    """Spikes and traces of one sequence.

    Attributes:
        system: the name of the system.
        machine: the name of its machine.
        sequence: the number of the sequence in its batch.
        learned: whether it was seen in a training step; otherwise in a test.
        steps: how many it has.
        neurons: of each layer whose units fire, how many it has.
        spikes: the rows of `spikes.csv` that are of the sequence.
        traces: the rows of `traces.csv` that are of the system; they are of the first sequence, too.
    """

    system: str
    machine: str
    sequence: int
    learned: bool
    steps: int
    neurons: Mapping[str, int]
    spikes: pd.DataFrame
    traces: pd.DataFrame

    @property
    def where(self) -> str:
        """Which sequence it is, and where it was seen, as part of a sentence."""
        when = "a training step in the middle of training" if self.learned else "the test"
        return f"the first sequence of {when}, on the first chip of {self.system}, machine {self.machine}"

    def of(self, layer: str) -> np.ndarray:
        """How often each neuron of a layer fired in each step, `(neurons, steps)`."""
        rows, found = self.spikes[self.spikes.layer == layer], np.zeros((self.neurons[layer], self.steps), dtype=int)
        np.add.at(found, (rows.neuron.to_numpy(int), rows.step.to_numpy(int)), 1)
        return found

    @staticmethod
    def moments(counts: np.ndarray) -> list[tuple[float, float]]:
        """Where to draw the spikes of one neuron, and how wide: those of one step have equal parts of it.

        When in a step a circuit fired is not recorded.
        """
        parts = [(step, 1 / counts[step], place) for step in np.flatnonzero(counts) for place in range(counts[step])]
        return [(float(step - 0.5 + (place + 0.5) * share), float(share)) for step, share, place in parts]


def spiking(run: RunFolder) -> list[str]:
    """The systems whose spikes were recorded, in the order of the run."""
    named = {*run.traces.system, *run.spikes.system}  # a network that is silent has membranes all the same
    return [name for name in run.systems if name in named]


def named(figure: str, system: str, systems: list[str]) -> str:
    """The name of a system's figure: that of the first has the plain name.

    >>> named("raster", "exact BPTT", ["substrate", "exact BPTT"])
    'raster-exact-BPTT'
    """
    if system == systems[0]:
        return figure
    names = [re.sub(r"[^A-Za-z0-9_-]+", "-", each) for each in systems]
    own = names[systems.index(system)]
    return f"{figure}-{own if names.count(own) == 1 else systems.index(system) + 1}"


def recorded(run: RunFolder, system: str | None = None) -> Recorded | None:
    """The first sequence of a system, by default the first whose spikes were recorded; None if no unit fires."""
    known = spiking(run)
    if not known:
        return None
    system = known[0] if system is None else system
    spikes, traces = run.spikes, run.traces
    spikes, traces = spikes[spikes.system == system], traces[traces.system == system]
    sequence = 0 if spikes.empty else int(spikes.sequence.min())
    spikes = spikes[spikes.sequence == sequence]
    steps = 1 + int(max(traces.step.max(), spikes.step.max()) if len(spikes) else traces.step.max())
    layers = dict.fromkeys([*traces.layer, *spikes.layer])
    units = _units(run.config)
    neurons = {layer: units[layer] for layer in units if layer in layers}
    machine, learned = run.systems[system].machine, run.config.get("training") is not None
    return Recorded(system, machine, sequence, learned, steps, neurons, spikes, traces)


def _units(config: Mapping[str, Any]) -> dict[str, int]:
    """How many units the layers of an experiment have, by the name of the layer."""
    layers = config["network"]["layers"]
    return {f"layer {number}": layer["cell"].get("units", 0) for number, layer in enumerate(layers, 1)}


class StepEnergy(NamedTuple):
    """What the steps of a sequence cost while they were recorded.

    Attributes:
        sweep: the name of the pass through the sequence.
        joules: by purpose, for the whole batch, `(steps,)` each.
        beside: the energy of the training step that is in no step of that pass.
    """

    sweep: str
    joules: Mapping[str, np.ndarray]
    beside: float

    @property
    def total(self) -> float:
        """Over all steps of the pass."""
        return float(sum(each.sum() for each in self.joules.values()))


def step_energy(run: RunFolder, seen: Recorded) -> StepEnergy | None:
    """The energy of each step in the first pass through the sequence; None if it is unknown, or of other steps."""
    rows = run.energy[(run.energy.system == seen.system) & (run.energy.part == "step")]
    numbered = rows[rows.step.notna() & rows.energy_j.notna()]
    passes = numbered[numbered.sweep.isin(numbered[numbered.purpose == INFERENCE].sweep)]
    whole = passes.groupby("sweep", sort=False).step.nunique()
    if not seen.learned or whole.empty or whole.max() != seen.steps:
        return None
    sweep = str(whole.index[int(np.argmax(whole == seen.steps))])
    table = passes[passes.sweep == sweep].groupby(["purpose", "step"]).energy_j.sum().unstack().fillna(0.0)
    joules = {name: table.loc[name].to_numpy(float) for name in (*PURPOSES, LEAKAGE) if name in table.index}
    return StepEnergy(sweep, joules, float(rows.energy_j.sum()) - float(table.to_numpy().sum()))
