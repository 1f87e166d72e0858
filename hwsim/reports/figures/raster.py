"""A raster: which neurons fire in which steps of one sequence, and below it what each step costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from hwsim.quantities import si
from hwsim.records import INFERENCE
from hwsim.reports.figures.canvas import INK, MUTED, PALETTE, Drawing, canvas, drawing, quantities
from hwsim.reports.figures.recorded import Recorded, StepEnergy, named, recorded, spiking, step_energy
from hwsim.reports.figures.timeline import COLOURS
from hwsim.results.run_folder import RunFolder

MARKS = 12_000
"""Largest number of spikes that are drawn; if there are more, some neurons are left out."""
_WIDTH = 760
_PITCH, _LEAST, _MOST = 3.2, 46, 380
"""Height of a neuron, and least and greatest height of a layer, in points."""
_ROOM, _TITLE = 520, 26
"""Largest height of all layers together, and room for the title of a panel, in points."""
_BELOW = 62
"""Height of a panel below the layers, in points."""
_THIN = 0.36
"""Least height of a neuron, in points; in layers of more neurons some are left out."""
_SHARE = 0.84
"""Part of a step, and of the distance to the next neuron, that a mark takes."""


class Panel(NamedTuple):
    """The part of the figure that a layer has.

    Attributes:
        height: in points.
        every: of so many neurons one is shown.
    """

    height: float
    every: int


def raster(run: RunFolder, system: str | None = None) -> Drawing | None:
    """Spikes of one sequence, layer above layer, with spikes and energy of each step; None if no unit fires.

    Args:
        system: by default the first that spikes.
    """
    seen = recorded(run, system)
    if seen is None:
        return None
    spent = step_energy(run, seen)
    layers, below = _panels(seen), _apart(spent)
    heights = [*(panel.height for panel in layers.values()), *[_BELOW] * (1 + len(below))]
    with canvas(sum(heights) + _TITLE * len(heights) + 30, _WIDTH) as figure:
        axes = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0])
        for (layer, panel), each in zip(layers.items(), axes, strict=False):
            _marks(each, seen, layer, panel)
        _counts(axes[len(layers)], seen)
        for (title, joules), each in zip(below.items(), axes[len(layers) + 1 :], strict=True):
            _energies(each, title, joules)
        _steps(figure, axes, seen)
        name = named("raster", seen.system, spiking(run))
        return drawing(figure, name, _heading(seen), _caption(run, seen, spent, layers), wide=True)


def _panels(seen: Recorded) -> dict[str, Panel]:
    """The panel of each layer."""
    asked = {layer: min(max(_PITCH * count, _LEAST), _MOST) for layer, count in seen.neurons.items()}
    fits = min(1.0, _ROOM / sum(asked.values()))
    crowd = len(seen.spikes) / MARKS
    return {
        layer: Panel(height * fits, int(np.ceil(max(crowd, seen.neurons[layer] * _THIN / (height * fits), 1))))
        for layer, height in asked.items()
    }


def _marks(axes: Axes, seen: Recorded, layer: str, panel: Panel) -> None:
    """A mark for each spike, side by side for those of one neuron in one step."""
    counts, n = seen.of(layer), seen.neurons[layer]
    x, y = [], []
    for neuron in range(0, n, panel.every):
        for middle, share in seen.moments(counts[neuron]):
            x += [middle - share * _SHARE / 2, middle + share * _SHARE / 2, np.nan]
            y += [neuron, neuron, np.nan]
    axes.plot(x, y, color=INK, linewidth=_SHARE * panel.height / n * panel.every, solid_capstyle="butt")
    axes.set_ylim(-0.5 - panel.every / 2, n - 0.5 + panel.every / 2)
    axes.yaxis.set_major_locator(MaxNLocator(3 if panel.height < 100 else 5, integer=True, min_n_ticks=2))
    axes.set_ylabel("neuron")
    total = int(counts.sum())
    shown = f", of {panel.every} one is shown" if panel.every > 1 else ""
    axes.set_title(f"{layer}: {total:,} spike{'s' * (total != 1)} of {n:,} neurons{shown}", loc="left")


def _counts(axes: Axes, seen: Recorded) -> None:
    """Spikes of all layers in each step."""
    counts = np.sum([seen.of(layer).sum(0) for layer in seen.neurons], axis=0)
    axes.stairs(counts, _edges(seen.steps), fill=True, color=PALETTE["slate"], alpha=0.6, linewidth=0)
    axes.set_ylim(0, max(1.0, 1.1 * counts.max()))
    axes.yaxis.set_major_locator(MaxNLocator(3, integer=True))
    axes.set_title("spikes in each step", loc="left")


def _apart(spent: StepEnergy | None) -> dict[str, Mapping[str, np.ndarray]]:
    """Energies by the title of the panel that they stand in: inference, and all that learning takes besides."""
    if spent is None:
        return {}
    inference = {name: each for name, each in spent.joules.items() if name == INFERENCE}
    learning = {name: each for name, each in spent.joules.items() if name != INFERENCE and each.any()}
    parts = {"energy of each step, inference": inference, "energy of each step, learning": learning}
    return {title: joules for title, joules in parts.items() if joules}


def _energies(axes: Axes, title: str, joules: Mapping[str, np.ndarray]) -> None:
    """The energy of each step, its purposes one above another."""
    below = np.zeros_like(next(iter(joules.values())))
    for purpose, each in joules.items():
        above = below + each
        axes.stairs(above, _edges(len(each)), baseline=below, fill=True, color=_colour(purpose), linewidth=0)
        below = above
    axes.set_ylim(0, 1.1 * below.max() or 1.0)
    quantities(axes.yaxis, "J")
    axes.yaxis.set_major_locator(MaxNLocator(3, steps=[1, 2, 5, 10], min_n_ticks=3))
    axes.set_title(title, loc="left")
    if set(joules) != {INFERENCE}:
        patches = [Patch(color=_colour(purpose), label=purpose) for purpose in joules]
        axes.legend(handles=patches, loc="lower right", bbox_to_anchor=(1, 1.02), ncols=6)


def _steps(figure: Figure, axes: list[Axes], seen: Recorded) -> None:
    """The axis that all panels share."""
    axes[-1].set_xlim(-0.5, seen.steps - 0.5)
    axes[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))
    axes[-1].set_xlabel("step of the sequence")
    for each in axes:
        each.grid(axis="x")
    figure.align_ylabels(axes)


def _colour(purpose: str) -> str:
    return COLOURS.get(purpose, MUTED)


def _edges(steps: int) -> np.ndarray:
    return np.arange(steps + 1) - 0.5


def _heading(seen: Recorded) -> str:
    if seen.spikes.empty:
        return f"No neuron of {seen.system} fires in this sequence"
    neurons = sum(seen.neurons.values())
    each = len(seen.spikes) / (neurons * seen.steps)
    return (
        f"{len(seen.spikes):,} spikes of {neurons:,} neurons in {seen.steps} steps of {seen.system}: "
        f"{each:.2g} per neuron and step"
    )


def _caption(run: RunFolder, seen: Recorded, spent: StepEnergy | None, layers: Mapping[str, Panel]) -> str:
    said = f"This is {seen.where}. A mark is a spike; steps and neurons count from 0."
    if any(panel.every > 1 for panel in layers.values()):
        said += " Where only some neurons are shown, spikes in each step are still those of all."
    if spent is None:
        return said
    mean = ", on average over chips" if run.systems[seen.system].chips > 1 else ""
    said += (
        f" Energies are of the same steps in the sweep “{spent.sweep}” and of the whole batch{mean}: "
        f"{si(spent.total, 'J')} together. "
    )
    if INFERENCE in spent.joules:
        least, most = (si(float(end), "J") for end in _ends(spent.joules[INFERENCE]))
        said += (
            f"Inference takes {least} in each step. "
            if least == most
            else f"Inference takes {least} to {most} a step. "
        )
    return f"{said}All else of the training step takes {si(spent.beside, 'J')}."


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())
