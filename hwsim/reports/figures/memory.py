"""Memory during a training step, step by step, stacked by class, with lines for BPTT."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from hwsim.accounts.memory import (
    ACCUMULATORS,
    BUFFERS,
    CLASSES,
    DELAY,
    INPUT_REPLAY,
    LEARNING,
    MASTER,
    OPTIMIZER,
    STATE,
    TAPE,
    TARGET_REPLAY,
    WEIGHTS,
)
from hwsim.quantities import si
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, Drawing, canvas, drawing, quantities, shortened
from hwsim.results.run_folder import RunFolder

KEPT = (WEIGHTS, MASTER, OPTIMIZER, ACCUMULATORS)
"""Classes that have the size of the parameters, whatever the length of a sequence."""

COLOURS = {
    WEIGHTS: (PALETTE["slate"], 0.85),
    MASTER: (PALETTE["slate"], 0.6),
    OPTIMIZER: (PALETTE["slate"], 0.4),
    ACCUMULATORS: (PALETTE["slate"], 0.2),
    STATE: (PALETTE["green"], 0.9),
    LEARNING: (PALETTE["orange"], 0.9),
    TAPE: (PALETTE["rose"], 0.9),
    INPUT_REPLAY: (PALETTE["sky"], 0.9),
    TARGET_REPLAY: (PALETTE["blue"], 0.9),
    DELAY: (PALETTE["purple"], 0.9),
    BUFFERS: (PALETTE["brown"], 0.9),
}
"""Colour and opacity: grey for what has the size of the parameters."""


class Occupancy(NamedTuple):
    """The peak memory of one system in each step of a training step.

    Attributes:
        sweeps: its passes and phases, and how many steps each has.
        bits: bits by class, `(steps + 1,)`; the first value is from before the first step.
    """

    sweeps: tuple[tuple[str, int], ...]
    bits: Mapping[str, np.ndarray]

    def total(self, classes: Any) -> np.ndarray:
        return sum((self.bits[name] for name in classes if name in self.bits), np.zeros(self.steps + 1))

    @property
    def steps(self) -> int:
        return sum(count for _, count in self.sweeps)


def occupancy_of(run: RunFolder, system: str) -> Occupancy | None:
    """The peak memory of a system in each step, by class; None if no step was recorded."""
    steps, rows = run.energy[(run.energy.system == system) & (run.energy.part == "step")], run.memory
    rows = rows[rows.system == system]
    sweeps = _sweeps(steps)
    if not sweeps or rows.empty:
        return None
    length = sum(count for _, count in sweeps)
    now: dict[str, int] = dict.fromkeys(CLASSES, 0)
    most = {kind: np.zeros(length + 1) for kind in CLASSES}
    at, largest = 0, 0

    def note(place: int) -> None:
        nonlocal at, largest
        while at < place:  # what is there when a step begins counts for it
            at, largest = at + 1, -1
            enter()
        enter()

    def enter() -> None:
        nonlocal largest
        total = sum(now.values())
        if total > largest:
            largest = total
            for kind, bits in now.items():
                most[kind][at] = bits

    starts = np.cumsum([0, *(count for _, count in sweeps)])
    sweep = 0
    for name, step, kind, change in zip(rows.sweep, rows.step, rows.memory_class, rows.change_bits, strict=True):
        if not isinstance(name, str):
            place = 0
        elif name == "end":
            place = length
        else:
            while sweep < len(sweeps) - 1 and sweeps[sweep][0] != name:
                sweep += 1
            place = min(int(starts[sweep] + step) + 1, length)
        note(place)
        now[kind] += change
        note(place)
    note(length)
    return Occupancy(sweeps, {kind: bits for kind, bits in most.items() if bits.any()})


def _sweeps(steps: pd.DataFrame) -> tuple[tuple[str, int], ...]:
    """The passes and phases of a training step in order, and how many steps each has."""
    sweeps: list[tuple[str, int]] = []
    last = -1.0
    moments = steps.loc[steps.step.notna(), ["sweep", "step"]].drop_duplicates()
    for name, step in zip(moments.sweep, moments.step, strict=True):
        if sweeps and sweeps[-1][0] == name and step != last:
            sweeps[-1] = name, sweeps[-1][1] + 1
        else:
            sweeps.append((name, 1))
        last = step
    return tuple(sweeps)


def memory(run: RunFolder) -> Drawing | None:
    """The memory of the substrate, in total and without parameters, with lines for systems that learn by BPTT."""
    name, substrate = next(iter(run.systems.items()))
    occupancy = occupancy_of(run, name)
    if occupancy is None:
        return None
    lines = {
        other: reference
        for other, system in run.systems.items()
        if other != name and system.rule == "bptt" and (reference := occupancy_of(run, other)) is not None
    }
    added = [kind for kind in CLASSES if kind not in KEPT]
    with canvas(430) as figure:
        whole, part = figure.subplots(2, 1, sharex=True)
        _stack(whole, occupancy, [*KEPT, *added])
        _stack(part, occupancy, added)
        for dash, (other, reference) in zip(("--", ":", "-."), lines.items(), strict=False):
            x = np.arange(reference.steps + 1)
            whole.plot(x, reference.total(CLASSES) / 8, dash, color=INK, label=other, drawstyle="steps-pre")
            part.plot(x, reference.total(added) / 8, dash, color=INK, drawstyle="steps-pre")
        whole.set_ylabel("all that is held")
        part.set_ylabel("without parameters")
        for axes in (whole, part):
            axes.set_ylim(0)
            axes.grid(axis="y")
            quantities(axes.yaxis, "B")
            _mark_sweeps(axes, occupancy, named=axes is whole)
        part.set_xlabel("steps of one training step, pass after pass")
        part.set_xlim(0, max([occupancy.steps, *(reference.steps for reference in lines.values())]))
        handles, labels = whole.get_legend_handles_labels()
        figure.legend(handles, [shortened(label) for label in labels], loc="outside upper left", ncols=2)
        return drawing(
            figure,
            "memory",
            _heading(name, occupancy, lines, added),
            f"Areas are what {name} ({substrate.rule}) holds for one sequence, by class; broken lines are what BPTT "
            "holds in its own passes. Dotted vertical lines separate the passes. Grey areas have the size of the "
            "parameters; the lower panel leaves them out, and shows whether the rest grows with the sequence.",
        )


def _stack(axes: Any, occupancy: Occupancy, classes: list[str]) -> None:
    shown = [kind for kind in classes if kind in occupancy.bits]
    x = np.arange(occupancy.steps + 1)
    below = np.zeros(occupancy.steps + 1)
    for kind in shown:
        above, (colour, opacity) = below + occupancy.bits[kind] / 8, COLOURS[kind]
        axes.fill_between(x, below, above, step="pre", color=colour, alpha=opacity, linewidth=0, label=kind)
        below = above


def _mark_sweeps(axes: Any, occupancy: Occupancy, *, named: bool) -> None:
    at = 0
    for name, count in occupancy.sweeps:
        if named and count > occupancy.steps / 8:
            axes.annotate(
                name,
                (at + count / 2, 1),
                xycoords=("data", "axes fraction"),
                xytext=(0, 2),
                textcoords="offset points",
                ha="center",
                fontsize=9.5,
                color=MUTED,
            )
        at += count
        axes.axvline(at, color=MUTED, linestyle=(0, (1, 3)), linewidth=1)


def _heading(name: str, occupancy: Occupancy, lines: Mapping[str, Occupancy], added: list[str]) -> str:
    most = float(occupancy.total(added).max()) / 8
    text = f"For a sequence {name} holds {si(most, 'B')} beside its parameters"
    for other, reference in lines.items():
        return f"{text}, {other} {si(float(reference.total(added).max()) / 8, 'B')}"
    return text
