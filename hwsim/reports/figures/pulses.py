"""Pulses of a data sheet, drawn: what devices conduct over the pulses that they got, up and, if they do, down."""

from __future__ import annotations

from math import ceil

import numpy as np
from matplotlib.axes import Axes

from hwsim import streams
from hwsim.physics import DataSheet, pulses
from hwsim.physics.pulses import Law
from hwsim.reports.figures.canvas import PALETTE, quantities

DEVICES = 300
"""How many devices get pulses."""
POINTS = 60
"""In so many places of each direction they are looked at."""
_MOST = 10_000
_BAND = 10, 90
_SINGLE = 3


def draw(axes: Axes, device: DataSheet, law: Law) -> None:
    """The median of what devices conduct, the band that 80 % of them are in, and a few of them.

    There are as many pulses in each direction as lead through the range if all are as large as at x = 0.
    """
    count, conducts = _trajectories(device, law)
    low, median, high = np.percentile(conducts, (_BAND[0], 50, _BAND[1]), axis=1)
    axes.fill_between(count, low, high, color=PALETTE["sky"], alpha=0.3, linewidth=0)
    for single in conducts.T[:_SINGLE]:
        axes.plot(count, single, color=PALETTE["orange"], linewidth=0.6)
    axes.plot(count, median, color=PALETTE["blue"])
    if not law.one_way:
        axes.axvline(count[len(count) // 2], color=PALETTE["slate"], linewidth=1, linestyle=(0, (4, 3)))
    axes.set_xlim(0, count[-1])
    axes.set_xlabel("pulses, which lead upward only" if law.one_way else "pulses, up and then down")
    axes.set_ylabel("conductance")
    axes.grid(axis="y")
    quantities(axes.yaxis, "S")


def _trajectories(device: DataSheet, law: Law) -> tuple[np.ndarray, np.ndarray]:
    """How many pulses devices have had, and what each of them conducts, `(points, devices)`, from x = 0 on."""

    def normal(purpose: str) -> np.ndarray:
        return streams.generator(0, "pulses of a data sheet", device.name, purpose).standard_normal(DEVICES)

    drawn, fresh = law.draw(DEVICES, normal), streams.generator(0, "pulses of a data sheet", device.name, "noise")
    in_all = min(ceil((law.high - law.low) / law.step), _MOST)
    marks = np.unique(np.linspace(0, in_all, min(in_all, POINTS) + 1).astype(int))
    at, x = [np.zeros(1, int)], np.zeros(DEVICES)
    states = [x.copy()]
    for sign in (1,) if law.one_way else (1, -1):
        for given in np.diff(marks).tolist():
            noise = fresh.standard_normal(given * DEVICES if law.noise else 1).astype(np.float32)
            counts = np.full(DEVICES, sign * given)
            pulses.pulse(law.form, x, counts, *drawn, law.shape, law.noise, law.noise_of == "step", noise)
            written = law.write_noise * law.step * fresh.standard_normal(DEVICES) if law.write_noise else 0.0
            states.append(x + written)
            at.append(at[-1] + given)
    per_x = device.window / (law.high - law.low)
    g = device.conductance.min.value + (np.array(states) - law.low) * per_x
    return np.concatenate(at), np.maximum(g, 0)
