"""Spike-timing-dependent plasticity against closed forms, published values, and its definition in NumPy."""

from __future__ import annotations

from math import exp, sqrt
from typing import Any

import numpy as np
import pytest
from conftest import (
    NETWORKS,
    SPIKING,
    assert_estimated,
    built,
    close,
    gradient,
    gradient_of,
    machine_options,
    random_episode,
    rule,
)

from hwsim import machines, networks
from hwsim.accounts.memory import LEARNING
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.episode import Episode
from hwsim.errors import CapabilityError
from hwsim.learning import optimizers
from hwsim.learning.update import Options as Training
from hwsim.learning.update import Update
from hwsim.learning.updates import build as scheme_of
from hwsim.networks import Network

SONG: dict[str, Any] = {"name": "stdp", "a_plus": 0.01, "a_minus": 0.0105, "tau_plus": "20 ms", "tau_minus": "20 ms"}
"""As Song, Miller and Abbott 2000, for a largest weight of 1."""
PAIRS: dict[str, Any] = {**SONG, "time_step": "1 ms"}
VISUAL_CORTEX: dict[str, Any] = {
    "name": "stdp",
    "a_plus": 5e-10,
    "a_minus": 7e-3,
    "tau_plus": "16.8 ms",
    "tau_minus": "33.7 ms",
    "triplet": {"a_plus": 6.2e-3, "a_minus": 2.3e-4, "tau_x": "101 ms", "tau_y": "125 ms"},
}
"""Pfister and Gerstner 2006: visual cortex, all pairs."""
OBEDIENT: dict[str, Any] = {"name": "lif", "units": 2, "decay": 0.0, "threshold": 0.4}
"""Neurons that fire when they are told to, by inputs that they hear at weight 1: 1 and 1 - θ are above threshold."""


def trains(steps: int, *times: list[int]) -> np.ndarray:
    """Ones at these steps, `(1, steps, trains)`."""
    found = np.zeros((1, steps, len(times)))
    for number, each in enumerate(times):
        found[0, each, number] = 1
    return found


def told(learner: Any, inputs: np.ndarray, weight: float = 0.0) -> tuple[Network, Episode]:
    """Neuron i fires when input 1 + i says so; input 0 arrives at both by a weight that is far below threshold."""
    episode = Episode(inputs, values=np.zeros((*inputs.shape[:2], 1)))
    made = built({"layers": [{"cell": OBEDIENT}]}, learner, episode)
    W, U, _ = made.layers[0].cell.trainables
    W.master.value = np.full_like(W.master.value, weight)
    U.master.value = np.array([weight, 1, 0, weight, 0, 1.0]).reshape(U.master.value.shape)
    made.program()
    return made, episode


def changes(options: dict[str, Any], inputs: np.ndarray, weight: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Σ Δw of W and of U."""
    learner = rule(options)
    made, episode = told(learner, inputs, weight)
    found = gradient_of(made, learner, episode)
    return -found["layer 1 W"][0], -found["layer 1 U"][0]


def pair(options: dict[str, Any], pre: list[int], post: list[int], steps: int = 60, weight: float = 0.0) -> float:
    """Σ Δw of the synapse from input 0 to neuron 0."""
    return float(changes(options, trains(steps, pre, post, []), weight)[1][0, 0])


# ---- pairs and triplets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("delta", "published"), [(10, 0.00606530660), (-10, -0.00636857193)])
def test_a_pair_gives_what_is_published(delta: int, published: float) -> None:
    """Brian2's example after Song, Miller and Abbott, event-driven."""
    assert pair(PAIRS, [20], [20 + delta]) == close(published, rel=2e-9)


@pytest.mark.parametrize("delta", [-19, -2, -1, 0, 1, 2, 30])
def test_a_pair_follows_the_closed_form(delta: int) -> None:
    options = {**PAIRS, "tau_plus": "17 ms", "tau_minus": "34 ms"}
    expected = 0.01 * exp(-delta / 17) if delta >= 0 else -0.0105 * exp(delta / 34)
    assert pair(options, [20], [20 + delta]) == close(expected)


def test_what_arrives_in_the_step_of_a_spike_came_first() -> None:
    """A coincidence is a pair of potentiation alone, as in Brian2, whose `pre` pathway comes first."""
    assert pair(PAIRS, [20], [20]) == close(0.01)


def test_the_last_step_counts() -> None:
    assert pair(PAIRS, [0], [59]) == close(0.01 * exp(-59 / 20))


def test_all_pairs_count() -> None:
    pre, post = [1, 8, 30], [2, 9, 25, 40]
    wanted = sum(0.01 * exp((a - b) / 20) if b >= a else -0.0105 * exp((b - a) / 20) for a in pre for b in post)
    assert pair(PAIRS, pre, post) == close(wanted)


def test_a_spike_arrives_at_other_neurons_a_step_later() -> None:
    W, _ = changes(PAIRS, trains(60, [], [20], [23]))
    assert W[1, 0] == close(0.01 * exp(-2 / 20))  # it arrives at 21
    assert W[0, 1] == close(-0.0105 * exp(-4 / 20))  # and the other one at 24
    assert W[0, 0] == close(-0.0105 * exp(-1 / 20))  # a neuron hears itself after it fired


SEQUENCES = {0.1: (30, 1000, 10), 10: (1, 10, 10), 20: (1, 5, 10), 40: (1, 5, 5), 50: (1, 2, 10)}
"""By rate in Hz: how often a sequence counts, its period in steps, and the length of a step in ms."""


@pytest.mark.parametrize(
    ("rate", "after", "before"),
    [
        (0.1, 0.00000, -0.31216),
        (10, 0.13205, -0.33362),
        (20, 0.24696, -0.35162),
        (40, 0.53372, 0.15479),
        (50, 0.74091, 0.72725),
    ],
)
def test_sixty_pairs_of_triplets_give_what_is_published(rate: float, after: float, before: float) -> None:
    """Post 10 ms after pre, and 10 ms before it. At .1 Hz pairs are so far apart that two stand for sixty."""
    times, period, length = SEQUENCES[rate]
    lag, count = 10 // length, 60 // times
    first = [lag + period * number for number in range(count)]
    options, steps = {**VISUAL_CORTEX, "time_step": f"{length} ms"}, period * count + 2 * lag
    for wanted, sign in ((after, 1), (before, -1)):
        found = times * pair(options, first, [each + sign * lag for each in first], steps)
        assert found == close(wanted, rel=0, abs=6e-6)


def test_independent_spikes_drift_as_the_areas_of_the_window() -> None:
    """p² (A₊ Σ_{δ ≥ 0} ρ₊^δ - A₋ Σ_{δ < 0} ρ₋^-δ) per step: depression, though most single pairs would not show it.

    64 sequences of 400 steps at p = .1; missed by chance once in 15 000 seeds, as it is 4 standard errors.
    """
    p, draw, options = 0.1, np.random.default_rng(5), {**PAIRS, "tau_minus": "40 ms", "readout": "fixed"}
    inputs = (draw.uniform(size=(64, 400, 3)) < p).astype(float)
    learner = rule(options)
    each = [-gradient_of(*_split(learner, inputs[n : n + 1]))["layer 1 U"][0][0, 0] for n in range(64)]
    up, down = exp(-1 / 20), exp(-1 / 40)
    steps = np.arange(400)
    wanted = p**2 * (
        0.01 * ((1 - up ** (steps + 1)) / (1 - up)).sum() - 0.0105 * (down * (1 - down**steps) / (1 - down)).sum()
    )
    assert wanted < 0
    assert abs(np.mean(each) - wanted) < 4 * np.std(each) / sqrt(64)


def _split(learner: Any, inputs: np.ndarray) -> tuple[Network, Any, Episode]:
    made, episode = told(learner, inputs)
    return made, learner, episode


# ---- bounds --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "above", "below"), [("soft", 0.75, 0.25), ("hard", 1.0, 1.0)])
def test_bounds_scale_a_pair(kind: str, above: float, below: float) -> None:
    options = {**PAIRS, "bounds": {"kind": kind, "smallest": -0.1, "largest": 0.3}}
    assert pair(options, [20], [30], weight=0.0) == close(above * 0.01 * exp(-0.5))
    assert pair(options, [30], [20], weight=0.0) == close(-below * 0.0105 * exp(-0.5))


@pytest.mark.parametrize("kind", ["soft", "hard"])
def test_there_is_no_change_beyond_a_bound(kind: str) -> None:
    at_top = {**PAIRS, "bounds": {"kind": kind, "smallest": -0.2, "largest": 0.0}}
    at_bottom = {**PAIRS, "bounds": {"kind": kind, "smallest": 0.0, "largest": 0.2}}
    assert pair(at_top, [20], [30]) == 0.0
    assert pair(at_top, [30], [20]) < 0
    assert pair(at_bottom, [30], [20]) == 0.0
    assert pair(at_bottom, [20], [30]) > 0


# ---- on networks ---------------------------------------------------------------------------------------------


def by_hand(spikes: np.ndarray, arriving: np.ndarray, options: dict[str, Any]) -> np.ndarray:
    """Σ Δw over all pairs of a sequence, `(steps, neurons)` and `(steps, lines)`."""
    steps = np.arange(len(spikes))
    delta = steps[:, None] - steps
    window = np.where(
        delta >= 0,
        options["a_plus"] * options["decay_plus"] ** np.maximum(delta, 0),
        -options["a_minus"] * options["decay_minus"] ** np.maximum(-delta, 0),
    )
    found: np.ndarray = np.einsum("ti,ts,sj->ij", spikes, window, arriving)
    return found


DECAYS: dict[str, Any] = {"name": "stdp", "a_plus": 0.03, "a_minus": 0.02, "decay_plus": 0.8, "decay_minus": 0.7}


def circuit(**neuron: Any) -> dict[str, Any]:
    """Neurons told by equations, which fire often."""
    text = hardware.neuron(Document("test", neuron or {"like": "lif", "dt": "0.5 ms"}))
    return {"layers": [{"cell": {"name": "circuit", "units": 3, "neuron": text, "bias": 0.4, "input_gain": 3.0}}]}


@pytest.mark.parametrize("network", ["lif", "alif", "liquid", "circuit"])
def test_it_is_the_sum_over_all_pairs_in_every_spiking_cell(network: str) -> None:
    learner, episode = rule(DECAYS), random_episode(batch=2, steps=12, target="values")
    made = built(circuit() if network == "circuit" else SPIKING[network], learner, episode)
    learner.check(made)
    spikes: dict[str, list[np.ndarray]] = {}
    arriving: dict[str, list[np.ndarray]] = {}
    for layer in made.layers:
        _record(made, layer.cell, spikes, arriving)
    found = gradient_of(made, learner, episode)
    for layer in made.layers:
        fired = np.array(spikes[layer.name])[:, 0]  # of the only chip: (steps, batch, neurons)
        assert 0 < fired.mean() < 1
        heard_of_itself = np.array(arriving[f"{layer.name} 0"])[:, 0]
        np.testing.assert_array_equal(heard_of_itself, np.concatenate([0 * fired[:1], fired[:-1]]))
        for matrix, heard in zip("WU", (0, 1), strict=True):
            came = np.array(arriving[f"{layer.name} {heard}"])[:, 0]
            wanted = sum(by_hand(fired[:, b], came[:, b], DECAYS) for b in range(2))
            np.testing.assert_allclose(-found[f"{layer.name} {matrix}"][0], wanted, rtol=1e-10, atol=1e-13)
        assert not found[f"{layer.name} b"].any()


def _record(
    made: Network, cell: Any, spikes: dict[str, list[np.ndarray]], arriving: dict[str, list[np.ndarray]]
) -> None:
    """Have a cell show its spikes, and what arrives, to lists."""
    machine, fired, came = made.machine, cell.fired, cell.arriving
    seen = spikes.setdefault(cell.name, [])
    lists = [arriving.setdefault(f"{cell.name} {number}", []) for number in range(2)]

    def see(value: np.ndarray) -> None:
        if len(seen) == machine.sequencer.step_index:  # the layer asks for them as well as the rule
            seen.append(value.copy())

    machine.watchers[f"{cell.name} z"] = see
    for number in range(2):
        machine.watchers[f"{cell.name} {number}"] = lambda value, number=number: lists[number].append(value.copy())

    def shown_fired(at: Any, emitted: Any) -> Any:
        found = fired(at, emitted)
        machine.probe(f"{cell.name} z", found)
        return found

    def shown_arriving(at: Any) -> Any:
        found = came(at)
        for number, signal in enumerate(found):
            machine.probe(f"{cell.name} {number}", signal)
        return found

    cell.fired, cell.arriving = shown_fired, shown_arriving


def test_later_input_changes_nothing_before_it() -> None:
    """Traces and weights after five steps of pulses in place are the same, whatever comes then."""
    found = []
    for later in (0.0, 1.0):
        episode = random_episode(batch=1, steps=8, target="values")
        episode.inputs[:, 5:] = later
        learner, shots = rule({**DECAYS, "readout": "fixed"}), []
        made, update = in_situ(learner, episode, SPIKING["alif"], "ideal", 0.1)
        machine = made.machine
        machine.sequencer.after_step = lambda shots=shots, machine=machine: shots.append(
            {name: storage.saved.tobytes() for name, storage in machine.storages.items()}
        )
        with machine.showing(episode):
            learner.learn(made, update)
        found.append(shots)
    for step in range(5):
        assert found[0][step] == found[1][step]
    assert found[0][7] != found[1][7]


def in_situ(learner: Any, episode: Episode, network: Any, on: Any, rate: float) -> tuple[Network, Update]:
    """A network whose weights change at each step."""
    options = Training.model_validate({"optimizer": {"name": "sgd", "rate": rate}, "update": {"name": "in_situ"}})
    scheme = scheme_of(options.update)
    stage = machines.build(machine_options(on), chips=1, seed=0)
    scheme.place(stage)
    made = Network(stage, networks.Options.model_validate(network), episode.width, episode.outputs, learner.uses)
    learner.check(made)
    scheme.prepare(made)
    made.begin_training()
    learner.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    return made, Update(made, optimizers.build(options.optimizer, made), options, scheme=scheme)


# ---- weights -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [None, {"kind": "soft", "smallest": -3.0, "largest": 3.0}], ids=["none", "soft"])
def test_in_situ_pulses_change_weights_by_the_same_sum(bounds: Any) -> None:
    """At a rate so small that spikes stay the same."""
    options, rate = {**DECAYS, "bounds": bounds}, 1e-9
    learner, episode = rule(options), random_episode(batch=1, steps=12, target="values")
    exact = gradient(SPIKING["lif"], options, episode)
    made, update = in_situ(learner, episode, SPIKING["lif"], "ideal", rate)
    before = {each.name: each.values.copy() for each in made.trainables}
    with made.machine.showing(episode):
        learner.learn(made, update)
    for each in made.trainables:
        np.testing.assert_allclose((before[each.name] - each.values) / rate, exact[each.name], rtol=1e-4, atol=1e-6)
    assert np.abs(exact["layer 1 W"]).max() > 0.01


def test_pulses_on_devices_change_weights_towards_the_sum() -> None:
    """On phase-change devices, which are nonlinear, noisy, and saturate."""
    learner, episode, rate = rule(DECAYS), random_episode(batch=1, steps=12, target="values"), 0.5
    exact = gradient(SPIKING["lif"], DECAYS, episode)["layer 1 U"][0]
    made, update = in_situ(learner, episode, SPIKING["lif"], "pcm_crossbar", rate)
    matrix: Any = made.layers[0].cell.synapses[1]
    before = matrix.programmed.copy()
    with made.machine.showing(episode):
        learner.learn(made, update)
    change = (matrix.programmed - before)[0].ravel()
    cosine = change @ -exact.ravel() / np.linalg.norm(change) / np.linalg.norm(exact)
    assert cosine > 0.7
    assert {"pulse outer"} <= {record.kind for trace in made.machine.journal.traces for record in trace}


def test_bounds_are_refused_where_devices_alone_hold_the_weights() -> None:
    learner = rule({**DECAYS, "bounds": {"smallest": -1.0, "largest": 1.0}})
    with pytest.raises(
        CapabilityError, match=r"learning\.bounds: .* devices alone hold those of layer 1; leave bounds"
    ):
        in_situ(learner, random_episode(batch=1, target="values"), SPIKING["lif"], "pcm_crossbar", 0.1)


@pytest.mark.parametrize("triplets", [False, True])
def test_traces_are_charged_as_learning_state(triplets: bool) -> None:
    """A number per neuron, per recurrent line and per input, twice with triplets."""
    slow = {"a_plus": 0.1, "a_minus": 0.1, "decay_x": 0.9, "decay_y": 0.9}
    learner, episode = rule({**DECAYS, **({"triplet": slow} if triplets else {})}), random_episode(batch=1)
    made = built({"layers": SPIKING["lif"]["layers"][:1]}, learner, episode)
    gradient_of(made, learner, episode)
    assert made.machine.memory.peak_by_class()[LEARNING] == (1 + triplets) * (5 + 5 + 2) * 64


@pytest.mark.parametrize("readout", ["error", "fixed"])
def test_only_the_last_readout_learns_from_an_error(readout: str) -> None:
    """As it does by `spatial`; nothing else changes with targets."""
    one, other = random_episode(target="values"), random_episode(target="values")
    assert other.values is not None
    other.values[:] += 1
    options = {**DECAYS, "readout": readout}
    mine, theirs = (gradient("alif", options, episode) for episode in (one, other))
    last = {"layer 2 V1", "layer 2 V1 b"}
    assert {name for name in mine if mine[name].any() and "V" in name} == (last if readout == "error" else set())
    assert {name for name in mine if (mine[name] != theirs[name]).any()} == (last if readout == "error" else set())
    if readout == "error":
        spatial = gradient("alif", "spatial", one)
        for name in last:
            np.testing.assert_array_equal(mine[name], spatial[name])


def test_a_cell_needs_no_surrogate_slope() -> None:
    cell = {**SPIKING["lif"]["layers"][0]["cell"], "surrogate": None}
    assert gradient({"layers": [{"cell": cell}]}, DECAYS, random_episode())["layer 1 U"].any()


@pytest.mark.parametrize("on", ["digital_45nm", "spiking_crossbar"])
def test_it_learns_on_machines(on: str) -> None:
    found = gradient("alif", DECAYS, random_episode(), on=on)
    assert all(np.isfinite(value).all() for value in found.values())
    assert found["layer 1 W"].any()


def test_an_estimate_costs_what_the_run_costs() -> None:
    assert_estimated(
        {
            "name": "plasticity",
            "task": {"name": "random", "steps": 6, "width": 2, "train": 4, "test": 2},
            "network": SPIKING["alif"],
            "learning": DECAYS,
            "machine": "digital_45nm",
            "gradient_check": {"sequences": 2},
            "training": {"optimizer": {"name": "sgd", "rate": 0.01}, "batch": 2, "steps": 3},
        }
    )


# ---- what it refuses -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["lru", "tanh stack", "gru"])
def test_it_is_for_cells_that_fire(network: str) -> None:
    learner = rule(DECAYS)
    with pytest.raises(CapabilityError, match=r"stdp goes by the times of spikes.*layer 1 do not fire.*lif, alif"):
        learner.check(built(NETWORKS[network], learner, random_episode()))


def test_a_circuit_needs_a_threshold() -> None:
    rate = {
        "name": "rate",
        "equations": "dv/dt = (tanh(drive) - v)/tau : 1",
        "parameters": {"tau": {"value": "10 ms", "assumed": "test"}},
        "dt": "3 ms",
        "step": "3 ms",
    }
    learner = rule(DECAYS)
    with pytest.raises(CapabilityError, match="a circuit whose neuron has a threshold"):
        learner.check(built(circuit(**rate), learner, random_episode()))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"tau_plus": "20 ms"}, "either tau_plus or decay_plus"),
        ({"decay_minus": None}, "give tau_minus, such as '20 ms', with time_step, or decay_minus"),
        ({"decay_minus": None, "tau_minus": "20 ms"}, "time_step: tau_minus is a time, so say how long a step is"),
        ({"a_plus": -0.1}, "greater than or equal to 0"),
        ({"bounds": {"smallest": 1.0, "largest": -1.0}}, "1.0 is not below the largest weight, -1.0"),
        ({"triplet": {"a_plus": 0.1, "a_minus": 0.1, "decay_x": 0.5}}, "give tau_y, such as"),
    ],
)
def test_options_are_said_once_and_whole(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        rule({**DECAYS, **wrong})
