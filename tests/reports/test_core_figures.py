"""Figures of spikes by core: bars and tiles have the counts that a stream of spikes gave."""

from __future__ import annotations

import re

import numpy as np
import pytest
from event_machines import machine
from run_folders import Folders

from hwsim.accounts.contention import Mesh
from hwsim.accounts.placement import Placement
from hwsim.experiments.event_cost import cost
from hwsim.reports import spikes_by_core
from hwsim.reports.figures.cores import BARS, _number, cores, event_cores


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_spikes_of_each_core_are_counted_over_steps_and_sequences() -> None:
    core, source = np.array([0, 0, 5, 5, 7, 2]), np.array([True, False, False, False, False, False])
    spikes = np.random.default_rng(1).random((9, 2, 6)) < 0.4
    found = cost(machine("loihi_like"), Placement(core, source, (), 128), [spikes[:4], spikes[4:]], timed=())
    totals = spikes.sum((0, 1))
    assert found.by_core == {0: totals[1], 2: totals[5], 5: totals[2] + totals[3], 7: totals[4]}
    assert sum(found.by_core.values()) == found.counts["spikes"] == sum(found.by_step)
    drawn = spikes_by_core.drawn("net", found)
    assert drawn is not None
    assert [text for text in texts(drawn.svg) if text.startswith("core")] == ["core 0", "core 2", "core 5", "core 7"]
    assert {f"{count:.0f}" for count in found.by_core.values()} <= set(texts(drawn.svg))
    most = max(found.by_core, key=lambda each: found.by_core[each])
    assert drawn.heading.startswith(f"Core {most} of loihi_like fires most: {found.by_core[most]:.0f} spikes")
    assert "net in 9 steps, all 2 sequences together" in drawn.caption


def test_a_map_has_the_spikes_of_each_core() -> None:
    mesh, spikes = Mesh(8, 4, 4), {core: 100.0 + core for core in range(0, 128, 3)}
    drawn = cores(spikes, mesh, "chip", "Spikes.")
    assert drawn is not None
    assert len(spikes) > BARS
    assert drawn.wide
    assert {f"{count:.0f}" for count in spikes.values()} <= set(texts(drawn.svg))


@pytest.mark.parametrize("used", [0, 1, 3])
def test_few_cores_have_bars_and_none_no_figure(used: int) -> None:
    drawn = cores(dict.fromkeys(range(used), 2.0), Mesh(8, 4, 4), "chip", "Spikes.")
    assert (drawn is None) == (used == 0)
    if used == 1:
        assert drawn is not None
        assert drawn.heading == "All 2 spikes are of core 0 of chip"


def test_a_large_mesh_is_cut_and_stays_small() -> None:
    drawn = cores({core: float(core) for core in range(1500)}, Mesh(64, 64), "chip", "Spikes.")
    assert drawn is not None
    assert "Of 64 × 64 tiles those around the cores with neurons are shown." in drawn.caption
    assert len(drawn.svg) < 200_000


def test_a_run_shows_the_spikes_of_each_core_that_its_summary_has(folders: Folders) -> None:
    run = folders("spiking")
    spiking = run.systems["substrate"].spiking
    assert spiking is not None
    on = spiking.on_event_cores
    assert on is not None
    (drawn,) = event_cores(run)
    said = texts(drawn.svg)
    assert [text for text in said if text.startswith("core")] == [f"core {core}" for core in range(on.cores)]
    assert {_number(count) for count in on.spikes_per_core} <= set(said)
    assert "of loihi_like fires most" in drawn.heading
    assert event_cores(folders("ideal")) == []
