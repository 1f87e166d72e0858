"""Times of steps: the simulation against a recursion that knows nothing of it, and against hand-made cases."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from conftest import close
from event_machines import machine, random_placement
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.accounts import spikes as counted
from hwsim.accounts.contention import Mesh, Routes
from hwsim.accounts.events import Pace, Wiring, Work, ends
from hwsim.accounts.placement import Placement, Reach
from hwsim.experiments.event_cost import cost

MESH = Mesh(3, 2, 2)
PACES = [
    Pace(barrier=7), Pace(interval=400), Pace(barrier=7, while_sending=True), Pace(), Pace(while_sending=True),
    Pace(ahead=1),
]  # fmt: skip


def recursion(mesh: Mesh, placement: Placement, pace: Pace, works: list[Work], hop: int) -> list[int]:
    """End of each step by loops over routes: max-plus, with no events."""
    routes = Routes(mesh, placement)
    at = {link: place for place, link in enumerate(routes.links)}
    cores, links = placement.cores, len(routes.links)
    start, link_free, taken = np.zeros(cores, int), np.zeros(links, int), []
    for number, work in enumerate(works):
        sent = start + work.sends
        begin = np.full(links, 10**15)
        for (origin, _), route in zip(routes.pairs, routes.of_pairs, strict=True):
            for link in route:
                begin[at[link]] = min(begin[at[link]], start[origin])
        begin = np.maximum(begin, link_free)
        end = begin + work.links  # then each waits for what comes before it; as often as a route may be long
        for _ in range(mesh.width + mesh.height):
            for (origin, _), route in zip(routes.pairs, routes.of_pairs, strict=True):
                before = sent[origin]
                for link in route:
                    end[at[link]] = max(end[at[link]], before + (hop if work.links[at[link]] else 0))
                    before = end[at[link]]
        link_free = end
        received = np.maximum(start, 0) if pace.while_sending else sent
        received = np.maximum(received + work.receives, sent)
        for (origin, target), route in zip(routes.pairs, routes.of_pairs, strict=True):
            received[target] = max(received[target], end[at[route[-1]]] if route else sent[origin])
        last = max(received.max(initial=0), taken[-1] if taken else 0, end.max(initial=0))
        if pace.together:
            last = last + (pace.barrier or 0)
            last = max(last, pace.interval * (number + 1)) if pace.interval is not None else last
            start = np.full(cores, last)
        else:
            start = received
        taken.append(int(last))
    return taken


def some_works(wiring: Wiring, draw: np.random.Generator, steps: int) -> list[Work]:
    hops, cores = np.array(wiring.hops, dtype=int), wiring.cores
    return [
        Work(draw.integers(0, 90, cores), draw.integers(0, 90, cores), hops * draw.integers(0, 9, hops.size))
        for _ in range(steps)
    ]


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(PACES))
def test_simulation_equals_the_recursion(seed: int, pace: Pace) -> None:
    draw = np.random.default_rng(seed)
    placement, _ = random_placement(12, MESH.cores, density=draw.choice([0.02, 0.1, 0.5]), seed=seed)
    wiring = Wiring.with_links(range(MESH.cores), Routes(MESH, placement), lambda link: 5)
    works = some_works(wiring, draw, 6)
    if pace == Pace(ahead=1):  # cores that may not go far ahead are later at most; none is with a barrier
        free, behind = (list(ends(wiring, each, works)) for each in (Pace(), Pace(barrier=0)))
        assert all(a <= b <= c for a, b, c in zip(free, ends(wiring, pace, works), behind, strict=True))
    else:
        assert list(ends(wiring, pace, works)) == recursion(MESH, placement, pace, works, 5)


def test_cores_that_run_ahead_save_time() -> None:
    # two cores take turns at being slow, and do not wait for each other: 110 in place of 200
    works = [Work(np.array(each), np.zeros(2, int), np.zeros(0)) for each in ([100, 5], [5, 100])]
    assert list(ends(Wiring.without_links([0, 1]), Pace(), works)) == [100, 105]
    assert list(ends(Wiring.without_links([0, 1]), Pace(barrier=0), works)) == [100, 200]
    assert list(ends(Wiring.without_links([0, 1], [(0, 1)]), Pace(), works)) == [100, 200]  # 1 needs what 0 sends


def test_a_busy_link_holds_up_a_step() -> None:
    # 50 packets of 4 over one link, sent in 20 and received in 10: the link's 200 count
    placement = Placement(np.array([0, 1]), np.zeros(2, bool), (Reach("s", *(np.array([n]) for n in (0, 1, 1))),), 2)
    wiring = Wiring.with_links([0, 1], Routes(Mesh(2, 1), placement), lambda link: 4)
    pace = Pace(barrier=0, while_sending=True)
    (end,) = ends(wiring, pace, [Work(np.array([20, 0]), np.array([0, 10]), np.array([200]))])
    assert end == 200
    (end,) = ends(wiring, pace, [Work(np.array([20, 0]), np.array([0, 10]), np.array([4]))])
    assert end == 24  # one packet: sent last, and a hop


@pytest.mark.parametrize("pace", [Pace(barrier=1), Pace(), Pace(interval=10)])
def test_steps_are_taken_as_they_are_needed(pace: Pace) -> None:
    taken = 0

    def works() -> Iterator[Work]:
        nonlocal taken
        while True:
            taken += 1
            yield Work(np.array([10, 0]), np.array([0, 0]), np.zeros(0))

    found = ends(Wiring.without_links([0, 1]), pace, works())
    for _ in range(100):
        next(found)
    assert taken <= 100 + pace.ahead + 2  # a core without work is ahead by that


@pytest.mark.parametrize(
    ("active", "operations", "time", "energy"),
    [(0, 0, 5.4272e-6, 53.248e-9), (1024, 0, 8.6016e-6, 82.944e-9), (100, 20_000, 75.7372e-6, 528.148e-9)],
)
def test_a_step_of_a_loihi_core(active: int, operations: int, time: float, energy: float) -> None:
    """Sums of the published times and energies of events; without barrier, hops and static power."""
    chip = machine("loihi_like", steps={"barrier": None}, leakage=None)
    core, source = np.zeros(1025, int), np.arange(1025) == 1024
    reaches = (Reach("synapse", np.array([1024]), np.array([0]), np.array([operations])),) if operations else ()
    spikes, updated = np.zeros((1, 1025)), np.arange(1025)[None] < active
    spikes[0, 1024] = operations > 0
    found = cost(chip, Placement(core, source, reaches, 128), [(spikes, updated)])
    assert found.latency == close(time)
    within = found.counts[counted.WITHIN] * 1.7e-12
    assert found.spent.known - within == close(energy)


def test_energy_and_time_do_not_depend_on_blocks() -> None:
    placement, _ = random_placement(30, 128, seed=4)
    spikes = np.random.default_rng(5).random((12, 2, 3, 30)) < 0.2
    chip = machine("loihi_like")
    one, other = (cost(chip, placement, blocks, timed=(0, 5)) for blocks in ([spikes], np.split(spikes, 6)))
    assert (one.counts, one.spent.known, one.by_step) == (other.counts, other.spent.known, other.by_step)
    np.testing.assert_array_equal(one.step_times, other.step_times)
    assert (one.steps, one.sequences) == (12, 6)
    alone = cost(chip, placement, [spikes[:, 1, 2]])
    np.testing.assert_array_equal(one.step_times[1], alone.step_times[0])


def test_sequences_that_are_not_timed_take_as_long_as_those_that_are() -> None:
    placement, _ = random_placement(30, 128, seed=4)
    spikes = np.broadcast_to(np.random.default_rng(5).random((12, 1, 30)) < 0.2, (12, 4, 30))
    one, four = (cost(machine("loihi_like"), placement, [each]) for each in (spikes[:, :1], spikes))
    assert four.spent.known == close(4 * one.spent.known)
    assert four.latency == one.latency


def test_a_step_behind_its_interval_is_told() -> None:
    tick = {"interval": {"value": "10 us", "assumed": "a test"}, "barrier": None}
    chip = machine("loihi_like", steps=tick)
    placement = Placement(np.zeros(1000, int), np.zeros(1000, bool), (), 128)
    slow, fast = np.ones((1, 1000), bool), np.zeros((1, 1000), bool)
    found = cost(chip, placement, [(slow, np.ones((1, 1000))), (fast, np.zeros((1, 1000)))])
    assert found.late == 0
    longer = machine("loihi_like", steps={"interval": {"value": "6 us", "assumed": "a test"}, "barrier": None})
    found = cost(longer, placement, [(slow, np.ones((1, 1000))), (fast, np.zeros((1, 1000)))])
    assert found.late == 1


def test_an_event_without_energy_makes_the_total_unknown() -> None:
    chip = machine("loihi_like")
    chip = chip.model_copy(update={"events": chip.events.model_copy(update={"spike": type(chip.events.spike)()})})
    placement = Placement(np.zeros(2, int), np.zeros(2, bool), (), 128)
    found = cost(chip, placement, [np.ones((1, 2), bool)])
    assert found.spent.energy is None
    assert found.spent.unknown == {"events.spike"}
    assert cost(chip, placement, [np.zeros((1, 2), bool)]).spent.energy is not None
