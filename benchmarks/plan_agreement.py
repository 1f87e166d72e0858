"""Whether `hwsim plan` foresees on which side of a cosine of 0.9 a gradient is: a grid of rules, lengths and machines.

    python benchmarks/plan_agreement.py
    python benchmarks/plan_agreement.py --seeds 5 --layers 2
    python benchmarks/plan_agreement.py --task digits --layers 2 --seeds 1

`--small` does eight points with one seed: it shows that the script works.

One layer of 16 modes with |λ| from r_min to 1, two chips, a loss in each step. `random` has four normal inputs, random
classes and 16 sequences; `digits` has 96 images, by rows or by pixels. Rules take their default options, but for a
window of 8 steps and a lag of 24. What is expected is that of plans, seed by seed. What is measured
is the cosine of the whole gradient with that of exact backpropagation at the weights that the devices hold, at the
initial weights. Both are means over seeds, the measured one of medians over chips. No constant of the closed forms was
fitted to these measurements.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from itertools import product
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

import hwsim
from hwsim.config import experiment as config
from hwsim.experiments.plan import Prospect
from hwsim.results.plan import GOOD

RULES: dict[str, dict[str, Any]] = {
    "bptt": {"name": "bptt"},
    "rtrl": {"name": "rtrl"},
    "one_step": {"name": "one_step"},
    "tbptt k 8": {"name": "tbptt", "k": 8},
    "fpe": {"name": "fpe"},
    "fpe_anchored": {"name": "fpe_anchored"},
    "fpe_lagged lag 24": {"name": "fpe_lagged", "lag": 24},
}
MACHINES: dict[str, Any] = {
    "float64": {"like": "ideal"},
    "float32": {"like": "ideal", "format": "float32"},
    "crossbar with fine registers": {
        "like": "ideal_crossbar",
        "attached": "memory",
        "parts": {"ranges": {"input": 4.0, "forward": 8.0, "error": 8.0}, "registers": {"noise": 0.0002}},
    },
    "pcm_crossbar": {"like": "pcm_crossbar", "attached": "memory", "parts": {"ranges": {"input": 4.0}}},
}
FIRST = 4000
"""The first seed. The forms were written beside others, below 3100."""
RADII = (0.5, 0.9, 0.98)
TASKS: dict[str, dict[int, dict[str, Any]]] = {
    "random": {
        steps: {"name": "random", "steps": steps, "width": 4, "outputs": 4, "train": 16, "test": 1}
        for steps in (16, 64, 160)
    },
    "digits": {steps: {"name": "digits", "order": order} for steps, order in ((8, "rows"), (64, "pixels"))},
}
"""By their steps."""
SEQUENCES = {"random": 16, "digits": 96}


class Point(NamedTuple):
    """One point of the grid: means over seeds of what is expected, and of what is measured."""

    machine: str
    steps: int
    r_min: float
    rule: str
    expected: float
    measured: float

    @property
    def agrees(self) -> bool:
        return (self.expected >= GOOD) == (self.measured >= GOOD)


def experiment(
    task: str, machine: str, steps: int, r_min: float, layers: int, seed: int, rules: list[str]
) -> dict[str, Any]:
    cell = {"name": "lru", "modes": 16, "r_min": r_min}
    first, *others = rules
    return {
        "name": "agreement",
        "seed": seed,
        "task": TASKS[task][steps],
        "network": {"layers": [*[{"cell": cell, "readout": {"width": 8}}] * (layers - 1), {"cell": cell}]},
        "learning": RULES[first],
        "machine": MACHINES[machine],
        "called": first,
        "chips": 2,
        "gradient_check": {"sequences": SEQUENCES[task]},
        "test": False,
        "references": [{"name": rule, "learning": RULES[rule], "machine": MACHINES[machine]} for rule in others],
    }


def cosines(asked: dict[str, Any]) -> Iterator[tuple[str, float, float]]:
    """What is expected of each rule, and what is measured; a gradient that is not finite has a cosine of zero."""
    prospect, run = Prospect(config.load(asked), None), hwsim.run(asked)
    for name, system in run.summary.systems.items():
        prediction = prospect.expected(*prospect.candidate(RULES[name]))
        assert not isinstance(prediction, str), prediction
        assert system.gradient is not None
        yield name, prediction.cosines["all"], system.gradient.all.programmed.cosine or 0.0


def points(
    task: str, machine: str, steps: int, r_min: float, layers: int, seeds: range, rules: list[str]
) -> list[Point]:
    found: dict[str, list[tuple[float, float]]] = {rule: [] for rule in rules}
    for seed in seeds:
        for rule, expected, measured in cosines(experiment(task, machine, steps, r_min, layers, seed, rules)):
            found[rule].append((expected, measured))
    means = {rule: [sum(each) / len(seeds) for each in zip(*of_rule, strict=True)] for rule, of_rule in found.items()}
    return [Point(machine, steps, r_min, rule, *mean) for rule, mean in means.items()]


def show(grid: list[Point], console: Console) -> None:
    table = Table(title=f"Points whose side of {GOOD:g} is foreseen")
    for column in ("machine", "points", "foreseen", "measured to be good", "mean |difference|"):
        table.add_column(column)
    for name in dict.fromkeys(point.machine for point in grid):
        own = [point for point in grid if point.machine == name]
        off = sum(abs(point.expected - point.measured) for point in own) / len(own)
        good = sum(point.measured >= GOOD for point in own)
        table.add_row(name, str(len(own)), str(sum(point.agrees for point in own)), str(good), f"{off:.3f}")
    console.print(table)
    right = sum(point.agrees for point in grid)
    console.print(f"{right} of {len(grid)} points are foreseen, {right / len(grid):.1%}")
    missed = Table(title="Points that are missed")
    for column in ("machine", "T", "r_min", "rule", "expected", "measured"):
        missed.add_column(column)
    for point in grid:
        if not point.agrees:
            numbers = f"{point.expected:.3f}", f"{point.measured:.3f}"
            missed.add_row(point.machine, str(point.steps), f"{point.r_min:g}", point.rule, *numbers)
    console.print(missed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=FIRST, help="the first seed")
    parser.add_argument("--seeds", type=int, default=2, help="the number of seeds")
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--task", choices=list(TASKS), default="random")
    parser.add_argument("--machines", nargs="*", choices=list(MACHINES), default=list(MACHINES))
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    console = Console(width=110)
    places = list(product(asked.machines, TASKS[asked.task], RADII))
    if asked.small:
        places, asked.seeds, asked.task = [("float32", 16, 0.5), ("float32", 64, 0.9)], 1, "random"
    rules = ["bptt", "one_step", "fpe", "fpe_lagged lag 24"] if asked.small else list(RULES)
    seeds, grid = range(asked.first, asked.first + asked.seeds), list[Point]()
    for machine, steps, r_min in places:
        grid += points(asked.task, machine, steps, r_min, asked.layers, seeds, rules)
        console.print(*(f"{p.rule} {p.expected:.2f}/{p.measured:.2f}" for p in grid[-len(rules) :]), sep="; ")
    show(grid, console)


if __name__ == "__main__":
    main()
