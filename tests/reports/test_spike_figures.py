"""Figures of spikes: as many marks as spikes, the energies of energy.csv below them, and membranes at their steps."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import close
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from run_folders import Folders, changed

from hwsim.quantities import si
from hwsim.reports import html
from hwsim.reports.figures import canvas, membranes, raster
from hwsim.reports.figures.recorded import recorded, spiking
from hwsim.results.run_folder import RunFolder


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures of Matplotlib behind the drawings that a test makes."""
    made: list[Figure] = []

    @contextmanager
    def kept(*size: float) -> Iterator[Figure]:
        with canvas.canvas(*size) as figure:
            made.append(figure)
            yield figure

    for module in (raster, membranes):
        monkeypatch.setattr(module, "canvas", kept)
    return made


def marks(axes: Axes) -> list[tuple[float, float, float]]:
    """Left end, right end and height of each mark of a raster."""
    (line,) = axes.lines
    x, y = (np.asarray(values, float).reshape(-1, 3) for values in line.get_data())
    return list(zip(x[:, 0], x[:, 1], y[:, 0], strict=True))


def heights(axes: Axes) -> np.ndarray:
    """The height of each step, of all that is stacked in a panel."""
    patches = [patch for patch in axes.patches if isinstance(patch, StepPatch)]
    return np.sum([patch.get_data().values - np.asarray(patch.get_data().baseline) for patch in patches], axis=0)


def test_a_raster_has_a_mark_for_each_spike_of_one_sequence(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    drawn = raster.raster(run)
    assert drawn is not None
    rows = run.spikes[(run.spikes.system == "substrate") & (run.spikes.sequence == 0)]
    assert len(rows) > 20
    assert run.spikes.sequence.nunique() > 1
    shown = 0
    for layer, axes in zip(("layer 1", "layer 2"), figures[0].axes, strict=False):
        of_layer = rows[rows.layer == layer]
        found = sorted((round((left + right) / 2), height) for left, right, height in marks(axes))
        assert found == sorted(zip(of_layer.step, of_layer.neuron, strict=True))
        assert axes.get_title("left").startswith(f"{layer}: {len(of_layer)} spike")
        shown += len(found)
    assert drawn.heading.startswith(f"{shown} spikes of 26 neurons in 6 steps of substrate")
    paths = re.findall(r' d="([^"]*)"', drawn.svg)
    assert sum(path.count("M") for path in paths if path.count("M") > 5) == shown  # what the page draws
    np.testing.assert_array_equal(
        heights(figures[0].axes[2]), rows.groupby("step").size().reindex(range(6), fill_value=0)
    )


def test_energies_below_a_raster_are_those_of_the_table(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    drawn = raster.raster(run)
    assert drawn is not None
    step = run.energy[(run.energy.system == "substrate") & (run.energy.part == "step")]
    forward = step[(step.sweep == "forward") & step.step.notna()]
    inference, learning = (heights(axes) for axes in figures[0].axes[3:])
    mine = forward.purpose == "inference"
    np.testing.assert_allclose(inference, forward[mine].groupby("step").energy_j.sum(), rtol=1e-12)
    np.testing.assert_allclose(learning, forward[~mine].groupby("step").energy_j.sum(), rtol=1e-12)
    whole = run.systems["substrate"].energy.training_step_j
    assert whole is not None
    assert step.energy_j.sum() == close(whole, rel=1e-9)
    together = inference.sum() + learning.sum()
    assert f"{si(together, 'J')} together" in drawn.caption
    assert f"All else of the training step takes {si(whole - together, 'J')}" in drawn.caption
    assert "sweep “forward”" in drawn.caption


def test_all_panels_have_the_steps_of_the_sequence_on_one_axis(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    raster.raster(run), membranes.membranes(run)
    for figure in figures:
        assert {axes.get_xlim() for axes in figure.axes} == {(-0.5, 5.5)}
        first, *others = figure.axes
        assert all(first.get_shared_x_axes().joined(first, axes) for axes in others)


def test_membranes_thresholds_and_traces_are_those_of_the_table(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    drawn = membranes.membranes(run)
    assert drawn is not None
    table, seen = run.traces, recorded(run)
    assert seen is not None
    panels = [axes for axes in figures[0].axes if axes.get_title("left")]
    assert len(panels) == 6  # three of each layer
    for axes in panels:
        layer, neuron = axes.get_title("left").split(", neuron ")
        mine = table[(table.layer == layer) & (table.neuron == int(neuron))]
        for line, quantity in zip(axes.lines, ("membrane", "threshold"), strict=False):
            rows = mine[mine.quantity == quantity].sort_values("step")
            np.testing.assert_array_equal(line.get_xydata(), rows[["step", "value"]])
        ticks = axes.lines[2].get_xdata()
        np.testing.assert_array_equal(ticks, np.flatnonzero(seen.of(layer)[int(neuron)]))
        above = mine.pivot(index="step", columns="quantity", values="value")
        assert list(above.index[above.membrane > above.threshold]) == list(ticks)  # as the caption says
        trace = next(each for each in figures[0].axes if each.get_position().y1 < axes.get_position().y0 and each.lines)
        assert trace.get_title("left") == ""
    traced = table[table.quantity == "trace"].value
    assert traced.any()
    drawn_values = np.concatenate([axes.lines[0].get_ydata() for axes in figures[0].axes if len(axes.lines) == 1])
    assert set(drawn_values) <= set(traced)


def told(run: RunFolder, spikes: list[tuple[int, ...]], units: int, steps: int) -> RunFolder:
    """The same run, had the first of its layers so many neurons, and had they fired so."""
    config = {**run.config, "network": {"layers": [{"cell": {"name": "lif", "units": units}}]}}
    found = RunFolder(run.path, run.summary, config)
    rows = [("substrate", "layer 1", 0, step, neuron) for step, neuron in spikes]
    traces = [("substrate", "layer 1", step, 0, "membrane", 0.5) for step in range(steps)]
    found.__dict__["spikes"] = pd.DataFrame(rows, columns=["system", "layer", "sequence", "step", "neuron"])
    found.__dict__["traces"] = pd.DataFrame(traces, columns=["system", "layer", "step", "neuron", "quantity", "value"])
    return found


def test_spikes_of_one_step_are_drawn_side_by_side(folders: Folders, figures: list[Figure]) -> None:
    raster.raster(told(folders("spiking"), [(1, 2), (1, 2), (1, 2), (4, 0)], 3, 6))
    found = sorted(marks(figures[0].axes[0]))
    assert [height for *_, height in found] == [2, 2, 2, 0]
    assert all(right < left for (_, right, _), (left, *_) in pairwise(found))
    assert found[0][0] > 0.5
    assert found[2][1] < 1.5
    assert heights(figures[0].axes[1]).tolist() == [0, 3, 0, 0, 1, 0]


def test_a_silent_network_says_so(folders: Folders, figures: list[Figure]) -> None:
    run = told(folders("spiking"), [], 3, 6)
    drawn = raster.raster(run)
    assert drawn is not None
    assert drawn.heading == "No neuron of substrate fires in this sequence"
    assert marks(figures[0].axes[0]) == []
    assert membranes.membranes(run).heading == "No membrane of substrate reaches its threshold"  # type: ignore[union-attr]


@pytest.mark.parametrize(("units", "steps", "every"), [(1000, 40, 1), (3000, 40, 3), (300, 200, 1), (300, 2000, 5)])
def test_of_too_many_neurons_some_are_drawn_evenly(
    folders: Folders, figures: list[Figure], units: int, steps: int, every: int
) -> None:
    """Each neuron fires in as many steps, so that marks tell how many neurons there are."""
    spikes = [(step, neuron) for neuron in range(units) for step in range(neuron % 10, steps, 10)]
    drawn = raster.raster(told(folders("spiking"), spikes, units, steps))
    assert drawn is not None
    axes = figures[0].axes[0]
    assert {height for *_, height in marks(axes)} == set(range(0, units, every))
    assert len(marks(axes)) == len(range(0, units, every)) * steps / 10 <= raster.MARKS
    assert (f", of {every} one is shown" in axes.get_title("left")) == (every > 1)
    assert heights(figures[0].axes[1]).sum() == len(spikes)  # of all
    pitch = axes.get_window_extent().height / np.diff(axes.get_ylim())[0] * every
    assert axes.lines[0].get_linewidth() < pitch  # neighbours do not touch
    assert len(drawn.svg) < 500_000


def test_what_does_not_spike_has_no_such_figures(folders: Folders) -> None:
    run = folders("ideal")
    assert recorded(run) is None
    assert raster.raster(run) is None
    assert membranes.membranes(run) is None


def test_each_of_several_systems_that_spike_has_figures_of_its_own(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    other = "exact <e-prop>"
    two = changed(run, lambda systems: systems.update({other: copy.deepcopy(systems["substrate"])}))
    silent = run.spikes[run.spikes.step > 2].assign(system=other)  # it fires less
    two.__dict__["spikes"] = pd.concat([run.spikes, silent])
    two.__dict__["traces"] = pd.concat([run.traces, run.traces.assign(system=other)])
    assert spiking(two) == ["substrate", other]
    drawn = {drawing.name: drawing for section in html.run_sections(two) for drawing in section.drawings}
    for name in ("raster", "membranes", "cores"):
        first, second = drawn[name], drawn[f"{name}-exact-e-prop-"]
        assert first.caption.replace("substrate", other) == second.caption or name == "raster"
        assert f"of {other}" in (second.heading if name == "raster" else second.caption)
        assert "substrate" not in second.heading + second.caption
    rasters = [figure for figure in figures if figure.axes[0].get_title("left").startswith("layer 1: ")]
    counted = [heights(figure.axes[2]).sum() for figure in rasters]
    first_sequence = run.spikes.sequence == run.spikes.sequence.min()
    assert counted == [first_sequence.sum(), (first_sequence & (run.spikes.step > 2)).sum()]
    assert counted[1] < counted[0]


def test_the_page_of_a_run_shows_them(page: Callable[[str], str]) -> None:
    shown = page("spiking")
    for name in ("raster", "membranes"):
        assert shown.count(f'<figure id="{name}" class="wide">') == 1
    assert re.search(r'role="img" aria-label="\d+ spikes of 26 neurons in 6 steps of substrate', shown)
    assert '<figure id="raster"' not in page("ideal")


def test_energies_are_left_out_where_they_are_of_other_sequences(folders: Folders, figures: list[Figure]) -> None:
    """Without training, spikes are those of the test."""
    run = folders("spiking")
    untrained = RunFolder(run.path, run.summary, {**run.config, "training": None})
    drawn = raster.raster(untrained)
    assert drawn is not None
    assert "the first sequence of the test" in drawn.caption
    assert "Energies" not in drawn.caption
    assert [axes.get_title("left") for axes in figures[0].axes][2:] == ["spikes in each step"]


def test_membranes_have_the_unit_of_their_equations(folders: Folders, figures: list[Figure]) -> None:
    run = folders("spiking")
    equations = "dv/dt = (E_L - v)/tau + I/C : volt (unless refractory)\ndI/dt = -I/tau_s : amp\n"
    cell: dict[str, Any] = {"name": "circuit", "units": 3, "neuron": {"equations": equations, "threshold": "v > V_cut"}}
    run = told(run, [(1, 0)], 3, 6)
    run.config["network"]["layers"][0]["cell"] = cell
    run.traces["value"] = np.linspace(-0.07, -0.04, len(run.traces))
    drawn = membranes.membranes(run)
    assert drawn is not None
    assert "-60 mV" in drawn.svg
    assert "Membranes are those at the end of a step" in drawn.caption
