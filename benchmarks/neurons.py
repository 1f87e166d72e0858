"""How fast spiking neurons are: beside steps in which nothing happens, and beside Brian2, NEST and snnTorch.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/neurons.py

Each row is measured in turn with what it is compared with, so that a slow moment of the computer hits both sides.
What is not installed is left out with a line that says so.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import exp
from shutil import which
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from hwsim import initial
from hwsim.episode import Episode
from hwsim.machine import Bias
from hwsim.machine.sparse import SparseMatrix
from hwsim.machines.ideal import IdealMachine, Options
from hwsim.operations import Neuron, fire, membrane

Run = Callable[[], Any]
TAU, DRIVE = 20.0, 1.5  # in steps, and in multiples of the threshold
NEURON = Neuron(1.0, exp(-1 / TAU))


def passes(neurons: int, steps: int) -> dict[str, Callable[[], Any]]:
    """A pass of an ideal machine with neurons that are driven alike, and one that stores its input and does no more."""
    machine = IdealMachine(Options(kind="ideal", name="ideal"))
    charge = DRIVE * (1 - NEURON.decay)
    episode = Episode(np.full((1, steps, neurons), charge), values=np.zeros((1, 1)), loss_from=steps - 1)

    def integrated() -> None:
        with machine.showing(episode, "neurons"), machine.workspace() as workspace:
            state = workspace.register("v", neurons)
            for step in machine.forward_pass("neurons"):
                h = state.load()
                state.store(membrane(h, fire(h, NEURON), step.input, NEURON))

    def empty() -> None:
        with machine.showing(episode, "empty"), machine.workspace() as workspace:
            state = workspace.register("v", neurons)
            for step in machine.forward_pass("empty"):
                state.store(step.input)

    return {"neurons": integrated, "empty": empty}


def kernel(neurons: int, steps: int) -> Callable[[], None]:
    """The two words of a step alone, in float64."""
    drive = np.full((1, 1, neurons), DRIVE * (1 - NEURON.decay))

    def run() -> None:
        state = np.zeros((1, 1, neurons))
        for _ in range(steps):
            state = membrane.values(state, fire.values(state, NEURON), drive, NEURON)

    return run


def brian(neurons: int, steps: int, target: str = "numpy") -> Run:
    """The same neurons in Brian2, integrated exactly."""
    brian2, code = _brian(target)
    group = brian2.NeuronGroup(
        neurons, "dv/dt = (drive - v) / tau : 1", threshold="v > 1", reset="v -= 1", method="exact",
        dt=1 * brian2.ms, namespace={"drive": DRIVE, "tau": TAU * brian2.ms}, codeobj_class=code,
    )  # fmt: skip
    network = brian2.Network(group)
    network.run(0 * brian2.second)  # makes its code

    def run() -> None:
        network.run(steps * brian2.ms)

    return run


def nest(neurons: int, steps: int) -> Run:
    """The same neurons in NEST, which starts them again from 0."""
    import nest as package

    _fresh(package, 1.0)
    _nest_neurons(package, neurons, TAU, DRIVE)
    package.Prepare()
    return lambda: package.Run(float(steps))


def snntorch(neurons: int, steps: int) -> Run:
    """The same neurons in snnTorch, in float32, without gradients."""
    import snntorch as package
    import torch

    torch.set_num_threads(1)
    cell, drive = package.Leaky(beta=NEURON.decay), torch.full((1, neurons), DRIVE * (1 - NEURON.decay))

    def run() -> None:
        membranes = torch.zeros(1, neurons)
        with torch.no_grad():
            for _ in range(steps):
                _, membranes = cell(drive, membranes)

    return run


def _brian(target: str) -> tuple[Any, Any]:
    """Brian2, and what its objects are to make of their code.

    Raises:
        ImportError: there is no Brian2, or no compiler for cython.
    """
    import brian2

    brian2.BrianLogger.log_level_error()
    if target == "cython":
        if not any(map(which, ("cc", "gcc", "cl"))):
            raise ImportError("there is no compiler")
        from brian2.codegen.runtime.cython_rt import CythonCodeObject

        return brian2, CythonCodeObject
    from brian2.codegen.runtime.numpy_rt import NumpyCodeObject

    return brian2, NumpyCodeObject


def _fresh(package: Any, resolution: float) -> None:
    package.ResetKernel()
    package.verbosity = package.VerbosityLevel.ERROR
    package.set(resolution=resolution, local_num_threads=1)


def _nest_neurons(package: Any, neurons: int, tau: float, drive: float) -> Any:
    """Neurons of capacity τ, so that a resistance is 1."""
    numbers = {"C_m": tau, "tau_m": tau, "E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "V_th": 1.0, "t_ref": 0.0}
    return package.Create("iaf_psc_delta", neurons, {**numbers, "I_e": drive})


# ---- with synapses ---------------------------------------------------------------------------------------------------

FAN_IN, FINE, WEIGHT = 100, 0.1, 0.02
"""Synapses of a neuron, ms of a step, and the size of a weight, in multiples of the threshold."""
FINELY = Neuron(1.0, exp(-FINE / TAU))
SUSTAINED = 1.1
"""The drive of neurons with synapses: some 20 spikes a second of each."""


SPREAD = 1.02, 1.5
"""Drives of neurons that do not fire together: so many rise evenly from the first of these to the second."""


class Connected:
    """Neurons that hear 100 others each, here.

    Args:
        drives: of the first and the last neuron; those between rise evenly.

    Attributes:
        bytes: of the synapses: weights and places, by row and by column.
        spikes: how many there are, once it ran.
        run: goes through so many steps.
    """

    def __init__(self, neurons: int, steps: int, drives: tuple[float, float] = (SUSTAINED, SUSTAINED)) -> None:
        self._machine = machine = IdealMachine(Options(kind="ideal", name="ideal"))
        weights = initial.normal(1, "W", neurons, FAN_IN, WEIGHT * FAN_IN**0.5)
        self._matrix = SparseMatrix(
            machine, "W", "recurrent", weights, initial.connections(1, "W", neurons, neurons, FAN_IN), neurons,
            of_spikes=True,
        )  # fmt: skip
        charges = np.linspace(*drives, neurons) * (1 - FINELY.decay)
        self._bias = Bias.trained(machine, "b", "input", initial.Initial((neurons,), lambda: charges))
        for _ in machine.phase("programming"):
            for each in (self._matrix, self._bias):
                each.program()
        self.places = np.array(self._matrix.connections).reshape(neurons, FAN_IN)
        self.weights = np.array(self._matrix.weights).reshape(neurons, FAN_IN)
        by_row, by_column = self._matrix.fetched, self._matrix.by_column
        self.bytes = 2 * by_row.weights.nbytes + by_row.places.nbytes + sum(each.nbytes for each in by_column)
        self._neurons, self.spikes, self._ran = neurons, 0, False
        self._episode = Episode(np.zeros((1, steps, 1)), values=np.zeros((1, 1)), loss_from=steps - 1)

    def _fired(self, z: np.ndarray) -> None:
        self.spikes += int(z.sum())

    def run(self) -> None:
        machine = self._machine
        machine.watchers.clear()
        if not self._ran:
            machine.watchers["z"] = self._fired
        self._ran = True
        with machine.showing(self._episode, "connected"), machine.workspace() as workspace:
            state = workspace.register("v", self._neurons)
            for _ in machine.forward_pass("connected"):
                h = state.load()
                z = fire(h, FINELY)
                machine.probe("z", z)
                state.store(membrane(h, z, self._matrix @ z + self._bias, FINELY))


def brian_connected(ours: Connected, steps: int, target: str) -> Run:
    """The same network in Brian2."""
    brian2, code = _brian(target)
    ms, neurons = brian2.ms, len(ours.weights)
    common = {"dt": FINE * ms, "codeobj_class": code}
    group = brian2.NeuronGroup(
        neurons, "dv/dt = (drive - v) / tau : 1", threshold="v > 1", reset="v -= 1", method="exact",
        namespace={"drive": SUSTAINED, "tau": TAU * ms}, **common,
    )  # fmt: skip
    synapses = brian2.Synapses(group, group, "w : 1", on_pre="v_post += w", **common)
    synapses.connect(i=ours.places.ravel(), j=np.repeat(np.arange(neurons), FAN_IN))
    synapses.w = ours.weights.ravel()
    network = brian2.Network(group, synapses)
    network.run(0 * ms)
    return lambda: network.run(steps * FINE * ms)


def nest_connected(ours: Connected, steps: int) -> Run:
    """The same network in NEST, which starts neurons again from 0."""
    import nest as package

    _fresh(package, FINE)
    group = _nest_neurons(package, len(ours.weights), TAU, SUSTAINED)
    first, count = group[0].global_id, ours.weights.size
    package.Connect(
        ours.places.ravel() + first, np.repeat(np.arange(len(ours.weights)), FAN_IN) + first, "one_to_one",
        {"weight": ours.weights.ravel(), "delay": np.full(count, FINE)},
    )  # fmt: skip
    package.Prepare()
    return lambda: package.Run(steps * FINE)


# ---- rows ----------------------------------------------------------------------------------------------------------


def peers(rows: dict[str, Run], makers: dict[str, Callable[[], Run]]) -> None:
    """Add the rows of those that are installed, and say which are not."""
    for name, make in makers.items():
        try:
            start = perf_counter()
            rows[name] = make()
        except ImportError as error:
            print(f"  {name} is left out: {error}")
        else:
            if perf_counter() - start > 5:
                print(f"  {name} was made ready in {perf_counter() - start:.0f} s")


def timed(rows: dict[str, Run], repeats: int) -> dict[str, list[float]]:
    """Seconds of each, in turn, after two runs that do not count: the first is noted, the second captured."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(repeats + 2):
        for name, run in rows.items():
            start = perf_counter()
            run()
            if round_ > 1:
                found[name].append(perf_counter() - start)
    return found


def shown(times: dict[str, list[float]], steps: int) -> None:
    for name, seconds in times.items():
        print(f"  {name:14} {1e3 * median(seconds):10.2f} ms, {1e6 * median(seconds) / steps:10.2f} µs a step")


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    """The median of how many times as long one takes as the other, round by round."""
    return median(a / b for a, b in zip(times[one], times[other], strict=True))


def alone(neurons: int, steps: int, repeats: int) -> None:
    """Neurons without synapses."""
    print(f"{neurons} neurons, {steps} steps")
    times = timed(passes(neurons, steps), 2 * repeats)
    shown(times, steps)
    print(f"  a pass against empty steps: {ratio(times, 'neurons', 'empty'):.2f}; at most 2.5")
    rows: dict[str, Run] = {"kernel": kernel(neurons, steps)}
    peers(
        rows,
        {
            "Brian2 numpy": lambda: brian(neurons, steps),
            "Brian2 cython": lambda: brian(neurons, steps, "cython"),
            "NEST": lambda: nest(neurons, steps),
            "snnTorch": lambda: snntorch(neurons, steps),
        },
    )
    times = timed(rows, repeats)
    shown(times, steps)
    if "Brian2 numpy" in times:
        print(f"  Brian2's numpy target against the kernel: {ratio(times, 'Brian2 numpy', 'kernel'):.1f}; at least 10")


def connected(neurons: int, steps: int, repeats: int) -> None:
    """Neurons with synapses, one second at .1 ms a step."""
    print(f"{neurons} neurons, {neurons * FAN_IN} synapses, {steps} steps of {FINE} ms")
    ours = Connected(neurons, steps)
    rows: dict[str, Run] = {"hwsim": ours.run}
    peers(
        rows,
        {
            "Brian2 numpy": lambda: brian_connected(ours, steps, "numpy"),
            "Brian2 cython": lambda: brian_connected(ours, steps, "cython"),
            "NEST": lambda: nest_connected(ours, steps),
        },
    )
    shown(timed(rows, repeats), steps)
    print(f"  {ours.spikes} spikes, {FAN_IN * ours.spikes} synaptic events")


def growing(sizes: list[int], steps: int) -> None:
    """How time and memory grow with the number of neurons: the least of some runs, with and without spikes."""
    print(f"{FAN_IN} synapses each, {steps} steps of {FINE} ms")
    for neurons in sizes:
        silent, ours = Connected(neurons, steps, (0.0, 0.9)), Connected(neurons, steps, SPREAD)
        times = timed({"silent": silent.run, "firing": ours.run}, 5)
        events = FAN_IN * ours.spikes
        alone, more = (min(each) for each in (times["silent"], times["firing"]))
        print(
            f"  {neurons:7} neurons {1e3 * more:10.1f} ms, {1e3 * alone:.1f} ms without spikes; "
            f"{events} synaptic events of {1e9 * (more - alone) / max(events, 1):.2f} ns, "
            f"{ours.bytes / (neurons * FAN_IN):.1f} bytes a synapse"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few neurons and steps: shows that it works")
    if parser.parse_args().small:
        passes_, kernels = passes(10, 20), kernel(10, 20)
        shown(timed({**passes_, "kernel": kernels, "Brian2 numpy": brian(10, 20)}, 1), 20)
        print("left out with --small: compiled code, NEST, snnTorch, and more than 200 neurons with synapses")
        growing([200], 400)
        return
    alone(1000, 1000, 21)
    connected(1000, 10_000, 3)
    growing([1000, 10_000, 100_000], 600)


if __name__ == "__main__":
    main()
