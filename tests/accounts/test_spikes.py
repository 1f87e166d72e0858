"""Counts of events: against a loop over every synapse, and what must not change them."""

from __future__ import annotations

from collections import Counter as Tally

import numpy as np
import pytest
from event_machines import machine, random_placement
from hypothesis import given
from hypothesis import strategies as st

from hwsim.accounts import spikes as counted
from hwsim.accounts.contention import Mesh
from hwsim.accounts.placement import Placement, Reach, dense, reach, spread
from hwsim.accounts.spikes import Counter

MESH = Mesh(3, 2, 2)
SYNAPSE = counted.operation("synapse")


def by_hand(placement: Placement, connections: np.ndarray, spikes: np.ndarray) -> Tally[str]:
    """The events of one step, spike by spike and synapse by synapse."""
    count: Tally[str] = Tally()
    for neuron in np.flatnonzero(spikes):
        count[counted.INPUT if placement.source[neuron] else counted.SPIKE] += 1
        targets = [int(placement.core[post]) for pre, post in connections.T if pre == neuron]
        count[SYNAPSE] += len(targets)
        for target in set(targets):
            here, there = int(placement.core[neuron]) // 2, target // 2
            x, y = abs(here // 2 - there // 2), abs(here % 2 - there % 2)
            count.update({counted.PACKET: 1, counted.RECEIVED: 1, counted.HOP_X: x, counted.HOP_Y: y})
            count[counted.WITHIN] += x + y == 0
    count[counted.UPDATE] = int((~placement.source).sum())
    return count


@given(st.integers(0, 1000), st.integers(2, 25))
def test_counts_are_those_of_a_loop_over_all_synapses(seed: int, neurons: int) -> None:
    placement, connections = random_placement(neurons, MESH.cores, seed=seed, sources=neurons // 3)
    spikes = np.random.default_rng(seed).random((3, neurons)) < 0.4
    counts = Counter(placement, MESH).totals(spikes)
    for step in range(3):
        hand = by_hand(placement, connections, spikes[step])
        assert {name: each[step] for name, each in counts.items()} == {name: hand[name] for name in counts}


@given(st.integers(0, 1000))
def test_cores_and_links_together_do_what_the_machine_does(seed: int) -> None:
    placement, _ = random_placement(20, MESH.cores, seed=seed, sources=5)
    draw = np.random.default_rng(seed)
    spikes, updated = draw.random((2, 3, 20)) < 0.3, draw.random((2, 3, 20)) < 0.5
    counter = Counter(placement, MESH)
    totals, cores = counter.totals(spikes, updated), counter.by_core(spikes, updated)
    for name, each in cores.items():
        np.testing.assert_array_equal(each.sum(-1), totals[name], err_msg=name)
    hops = totals[counted.HOP_X] + totals[counted.HOP_Y]
    np.testing.assert_array_equal(counter.by_link(spikes).sum(-1), hops)


def test_listed_and_dense_connections_are_counted_alike() -> None:
    core = spread(12, [0, 3, 5])
    pre, post = np.arange(5), np.arange(3, 12)
    pairs = np.array(np.meshgrid(pre, post, indexing="ij")).reshape(2, -1)
    source = np.zeros(12, dtype=bool)
    listed = Placement(core, source, (reach("synapse", *pairs, core, 12),), 12)
    whole = Placement(core, source, (dense("synapse", pre, post, core),), 12)
    assert (listed.synapses() - whole.synapses()).nnz == 0
    assert listed.synapses().sum() == 45


def test_other_cores_change_hops_and_nothing_else() -> None:
    placement, connections = random_placement(40, MESH.cores)
    order = np.random.default_rng(2).permutation(MESH.cores)
    moved = order[placement.core]
    other = Placement(moved, placement.source, (reach("synapse", *connections, moved, MESH.cores),), MESH.cores)
    spikes = np.random.default_rng(3).random((5, 40)) < 0.2
    one, two = (Counter(each, MESH).totals(spikes) for each in (placement, other))
    differ = {name for name in one if not np.array_equal(one[name], two[name])}
    assert differ == {counted.HOP_X, counted.HOP_Y, counted.WITHIN}


def test_a_step_without_spikes_updates_neurons_only() -> None:
    placement, _ = random_placement(10, MESH.cores)
    counts = Counter(placement, MESH).totals(np.zeros((1, 10), dtype=bool))
    assert {name: each.item() for name, each in counts.items() if each.item()} == {counted.UPDATE: 10}
    ledger = machine("loihi_like").ledger({name: each.item() for name, each in counts.items()}, 1.0)
    assert {account.component for account in ledger} == {"neurons", "static power"}


def test_routes_go_along_x_first() -> None:
    # tiles stand at (i // 2, i % 2); from (0, 0) to (2, 1): twice to larger x, then to larger y
    assert MESH.route(0, 11) == [0 * 4 + 0, 2 * 4 + 0, 4 * 4 + 2]
    assert MESH.route(11, 0) == [5 * 4 + 1, 3 * 4 + 1, 1 * 4 + 3]
    assert MESH.route(2, 3) == []


def test_kinds_of_synapses_are_counted_apart() -> None:
    core, source = np.zeros(4, dtype=int), np.zeros(4, dtype=bool)
    one, two = (Reach(kind, np.array([0]), np.array([0]), np.array([n])) for kind, n in (("a", 3), ("b", 5)))
    counter = Counter(Placement(core, source, (one, two), 1))
    counts = counter.totals(np.array([[1, 0, 0, 0]]))
    assert counts[counted.operation("a")] == [3]
    assert counts[counted.operation("b")] == [5]
    assert counts[counted.PACKET] == [1]  # one packet serves both


@pytest.mark.parametrize("wrong", [np.zeros((2, 3)), np.full((2, 4), -1.0), np.full((2, 4), np.nan)])
def test_activities_that_do_not_fit_are_refused(wrong: np.ndarray) -> None:
    placement, _ = random_placement(4, 2)
    with pytest.raises(ValueError, match="spikes: "):
        Counter(placement).totals(wrong)
