"""How fast spiking neurons are: beside steps in which nothing happens, and beside Brian2.

    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 python benchmarks/neurons.py

Each row is measured in turn with what it is compared with, so that a slow moment of the computer hits both sides.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from math import exp
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from hwsim.episode import Episode
from hwsim.machines.ideal import IdealMachine, Options
from hwsim.operations import Neuron, fire, membrane

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


def brian(neurons: int, steps: int) -> Callable[[], None] | None:
    """The same neurons in Brian2's numpy target, integrated exactly; None without Brian2."""
    try:
        import brian2
    except ImportError:
        return None
    brian2.prefs.codegen.target = "numpy"
    brian2.BrianLogger.log_level_error()
    group = brian2.NeuronGroup(
        neurons, "dv/dt = (drive - v) / tau : 1", threshold="v > 1", reset="v -= 1", method="exact",
        dt=1 * brian2.ms, namespace={"drive": DRIVE, "tau": TAU * brian2.ms},
    )  # fmt: skip
    network = brian2.Network(group)
    network.run(0 * brian2.second)  # makes its code

    def run() -> None:
        network.run(steps * brian2.ms)

    return run


def timed(rows: dict[str, Callable[[], Any]], repeats: int) -> dict[str, float]:
    """Median seconds of each, in turn, after one run that does not count."""
    found: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in range(repeats + 1):
        for name, run in rows.items():
            start = perf_counter()
            run()
            if round_:
                found[name].append(perf_counter() - start)
    return {name: median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="few neurons and steps: shows that it works")
    neurons, steps, repeats = (10, 20, 1) if parser.parse_args().small else (1000, 1000, 7)
    rows = passes(neurons, steps)
    rows["kernel"] = kernel(neurons, steps)
    theirs = brian(neurons, steps)
    if theirs is not None:
        rows["brian"] = theirs
    times = timed(rows, repeats)
    print(f"{neurons} neurons, {steps} steps")
    for name, seconds in times.items():
        print(f"  {name:8} {1e3 * seconds:9.2f} ms, {1e6 * seconds / steps:8.2f} µs a step")
    print(f"  a pass against empty steps: {times['neurons'] / times['empty']:.2f}; at most 2.5")
    if theirs is None:
        print("  Brian2 is not installed, so its row is left out")
    else:
        print(f"  Brian2's numpy target against the kernel: {times['brian'] / times['kernel']:.1f}; at least 10")


if __name__ == "__main__":
    main()
