"""SANA-FE's files: what is read from them, what is refused, and, where it is installed, that it counts the same."""

from __future__ import annotations

import re
from pathlib import Path

import events as benchmark
import numpy as np
import pytest
from conftest import close

from hwsim.accounts import spikes as counted
from hwsim.config import sanafe
from hwsim.errors import ConfigError
from hwsim.experiments.event_cost import EventCost, cost

STEPS = 60


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    architecture, network = tmp_path / "architecture.yaml", tmp_path / "network.yaml"
    architecture.write_text(benchmark.ARCHITECTURE, encoding="utf-8")
    network.write_text(benchmark.small_network(), encoding="utf-8")
    return architecture, network


def ran(architecture: Path, network: Path, links: bool) -> EventCost:
    machine = sanafe.architecture(architecture)
    _, placement = sanafe.network(network, machine)
    machine = sanafe.architecture(architecture, sanafe.tiles_used(placement, machine))
    return cost(machine, placement, benchmark.neurons(network, STEPS), links=links)


def test_an_architecture_is_read(files: tuple[Path, Path]) -> None:
    machine = sanafe.architecture(files[0], tiles_used=4)
    assert (machine.cores, machine.core.neurons, machine.default_synapse) == (8, 64, "one")
    assert machine.pace.barrier == 2_000_000  # of 3 tiles or more
    assert sanafe.architecture(files[0], tiles_used=2).pace.barrier == 1_000_000
    assert machine.events.update.energy is not None
    assert machine.events.update.energy.value == close(13e-12)  # access and update
    assert machine.seconds(counted.HOP_X) == close(5e-9)
    assert machine.seconds(counted.HOP_Y) == close(6e-9)


def test_a_network_is_read(files: tuple[Path, Path]) -> None:
    machine = sanafe.architecture(files[0])
    first, placement = sanafe.network(files[1], machine)
    assert first == {"a": 0, "b": 36, "c": 68}
    assert placement.neurons == 78
    assert sanafe.tiles_used(placement, machine) == 4
    assert placement.core[[0, 19, 20, 36, 52, 68]].tolist() == [0, 0, 3, 4, 6, 1]
    assert placement.synapses("two").sum() == 32 * 9  # each of 2 · 4 · 4 neurons sees 3 · 3
    assert placement.synapses("one").sum() == 32 * 10 + 2
    pre, post, weight = sanafe.synapses(files[1])
    assert (pre.size, set(weight[(pre == 68) & (post == 69)])) == (32 * 9 + 32 * 10 + 2, {-4.0})
    of = sanafe.parameters(files[1], threshold=1.0, leak_decay=1.0, absent=7.0)
    assert of["leak_decay"][[0, 36, 68]].tolist() == [0.9, 0.75, 1.0]
    assert set(of["absent"]) == {7.0}


def test_a_file_is_read_once_for_all_that_is_asked_of_it(files: tuple[Path, Path]) -> None:
    read = sanafe.File(files[1])
    machine, expected = sanafe.architecture(sanafe.File(files[0])), sanafe.synapses(files[1])
    first, placement = sanafe.network(files[1], machine)
    files[1].unlink()
    for mine, theirs in zip(sanafe.synapses(read), expected, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    assert sanafe.parameters(read, leak_decay=1.0)["leak_decay"][0] == 0.9
    again, placed = sanafe.network(read, machine)
    assert again == first
    np.testing.assert_array_equal(placed.core, placement.core)
    read.data["network"]["groups"] = None
    with pytest.raises(ConfigError, match=f"^{re.escape(str(files[1]))}: groups is missing"):
        sanafe.synapses(read)


def test_a_convolution_is_that_of_a_loop(files: tuple[Path, Path]) -> None:
    text = benchmark.small_network()
    weights = [
        int(each) for each in text[text.index("weight: [") + 9 : text.index("]}", text.index("weight: ["))].split(",")
    ]
    found = {(int(a), int(b)): w for a, b, w in zip(*sanafe.synapses(files[1]), strict=True)}
    for out, y, x, dy, dx in np.ndindex(2, 4, 4, 3, 3):
        source, target = (y + dy) * 6 + x + dx, 36 + (out * 4 + y) * 4 + x
        assert found[source, target] == weights[(dy * 3 + dx) * 2 + out]


def test_sanafe_counts_the_same(files: tuple[Path, Path]) -> None:
    """SANA-FE simulates neurons, counts and prices by itself: all but the time over busy links is equal."""
    pytest.importorskip("sanafe")
    theirs = benchmark.theirs(*files, STEPS, "simple")
    ours = ran(*files, links=False)
    assert ours.counts[counted.SPIKE] == theirs["fired"]
    assert ours.counts[counted.PACKET] == theirs["packets"]
    assert ours.counts[counted.UPDATE] == theirs["updates"]
    assert ours.synaptic_operations == theirs["synaptic operations"]
    assert ours.spent.known == close(theirs["energy"], rel=1e-12)
    assert ours.latency == close(theirs["latency"], rel=1e-9)


def test_counts_that_sanafe_gave(files: tuple[Path, Path]) -> None:
    """What SANA-FE 2.2.9 says of these files for 100 steps, so that they are held where it is not installed."""
    machine = sanafe.architecture(files[0], tiles_used=4)
    _, placement = sanafe.network(files[1], machine)
    found = cost(machine, placement, benchmark.neurons(files[1], 100), links=False)
    names = counted.SPIKE, counted.PACKET, counted.UPDATE
    assert [found.counts[name] for name in names] == [1261, 1468, 6783]
    assert found.synaptic_operations == 8820
    assert found.spent.known == close(5.40954e-7, rel=1e-12)
    assert found.latency == close(2.39752e-4, rel=1e-12)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("20.0e-12", "20pJ", "energy_process_spike '20pJ': must be a number alone"),
        ("width: 2", "width: 1", "4 tiles on a mesh of 1 by 2"),
        ("energy_east_hop: 3.0e-12", "energy_east_hop: 5.0e-12", "hops to the east and to the west differ"),
        ("energy_update_neuron", "energy_update_neurons", "energy_update_neuron is missing"),
        ("energy_north_hop: 4.0e-12", "energy_north_hop: -4.0e-12", "differ"),
        ("architecture:", "structure:", "architecture is missing"),
    ],
)
def test_an_architecture_that_is_wrong_is_refused(files: tuple[Path, Path], old: str, new: str, said: str) -> None:
    assert old in benchmark.ARCHITECTURE
    files[0].write_text(benchmark.ARCHITECTURE.replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        sanafe.architecture(files[0])
    assert said in str(error.value)
    assert str(files[0]) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("synapse_hw_name: two", "synapse_hw_name: tow", "unknown synapse 'tow'; did you mean 'two'?"),
        ("- c: {core: '0.1'}", "- c: {core: '0.2'}", "core '0.2': must be TILE.CORE, from 0.0 to 3.1"),
        ("- c: {core: '0.1'}", "- d: {core: '0.1'}", "unknown group 'd'"),
        ("- c: {core: '0.1'}", "- c.4: {core: '0.1'}", "9 of 78 neurons are mapped to no core"),
        ("type: dense", "type: dens", "unknown type 'dens'; did you mean 'dense'?"),
        ("kernel_count: 2", "kernel_count: 3", "a convolution of 36 to 48 neurons, between groups of 36 and 32"),
        ("c.0 -> c.1", "c.0 -> c.10", "c has the neurons 0 to 9"),
        ("c.0 -> c.1", "c.0 to c.1", "must be written as FROM -> TO"),
    ],
)
def test_a_network_that_is_wrong_is_refused(files: tuple[Path, Path], old: str, new: str, said: str) -> None:
    assert old in benchmark.small_network()
    files[1].write_text(benchmark.small_network().replace(old, new), encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        sanafe.network(files[1], sanafe.architecture(files[0]))
    assert said in str(error.value)


def test_more_neurons_than_a_core_holds_are_refused(files: tuple[Path, Path]) -> None:
    text = benchmark.ARCHITECTURE.replace("max_neurons_supported: 64", "max_neurons_supported: 19")
    files[0].write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match="core 0 would hold 20 neurons; a core of small holds 19"):
        sanafe.network(files[1], sanafe.architecture(files[0]))
