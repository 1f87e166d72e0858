"""What many tests start from: a network on a machine, an episode, a rule, and the gradient that it finds."""

from __future__ import annotations

import gc
import json
import os
import signal
from collections.abc import Iterable
from functools import cache
from itertools import combinations
from typing import Any
from zlib import crc32

import numpy as np
import pytest
from hypothesis import strategies as st
from pydantic import TypeAdapter

import hwsim
from hwsim import documents, formats, learning, machines, networks
from hwsim.config import hardware
from hwsim.episode import Episode
from hwsim.errors import ConfigError, HwsimError
from hwsim.experiments.estimate import estimate
from hwsim.experiments.look import Outside
from hwsim.learning.diagnostics import Look
from hwsim.learning.horizon import Horizon
from hwsim.machine import Machine, UnitErrors
from hwsim.networks import Network
from hwsim.operations import Operation
from hwsim.operations.circuits import COUNTED

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of processes import the package: compiled once, and kept
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells start what runs in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)

_RULE = TypeAdapter(learning.AnyOptions)
_MACHINES: dict[str, Any] = {}

LRU = {"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"hidden": [5]}}
TANH = {"cell": {"name": "leaky_tanh", "units": 6, "leak": 0.3}, "readout": {"hidden": [5]}}
NORMED = {"cell": {"name": "lru", "modes": 4, "r_min": 0.9}, "readout": {"project": 6, "norm": True, "hidden": [5]}}
NETWORKS = {
    "lru": {"layers": [LRU]},
    "lru deep": {"layers": [LRU, LRU]},
    "lru stack": {"layers": [LRU, NORMED], "pooling": "cumulative_mean"},
    "tanh": {"layers": [TANH]},
    "tanh stack": {"layers": [TANH, TANH]},
    "gru": {"layers": [{"cell": {"name": "gru", "units": 4}, "readout": {"hidden": [5]}}]},
    "lstm": {"layers": [{"cell": {"name": "lstm", "units": 3}, "readout": {"hidden": [5]}}]},
    "rev gru": {"layers": [{"cell": {"name": "rev_gru", "units": 3}, "readout": {"hidden": [5]}}]},
}
SPARSE: dict[str, Any] = {
    "layers": [
        {"cell": {"name": "leaky_tanh", "units": 6, "leak": 0.3, "fan_in": 2}, "readout": {"hidden": [5]}},
        {"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.2, "fan_in": 3}},
    ]
}
"""Cells with sparse matrices, which no crossbar takes."""
CONTINUOUS: dict[str, Any] = {
    "layers": [
        {
            "cell": {"name": "continuous_tanh", "units": 5, "tau": "2 ms", "step": "1 ms", "dt": "0.25 ms"},
            "readout": {"hidden": [5]},
        }
    ]
    * 2
}
"""Cells in continuous time, of four Euler steps in each step of the input."""
UNDONE: dict[str, Any] = {
    "layers": [{"cell": {"name": "rev_gru", "units": 3, "forgets": 3}, "readout": {"hidden": [5]}}] * 2
}
"""Cells whose steps can be undone, with states in fixed point, which coarse formats do not hold."""
_LIF: dict[str, Any] = {"units": 5, "decay": 0.9, "threshold": 0.3, "gain": 2.0}
SPIKING: dict[str, Any] = {
    "lif": {"layers": [{"cell": {"name": "lif", **_LIF}, "readout": {"hidden": [5]}}] * 2},
    "alif": {
        "layers": [
            {
                "cell": {"name": "alif", **_LIF, "beta": 0.1, "adaptation_decay": 0.97, "refractory": 2},
                "readout": {"hidden": [5]},
            },
            {"cell": {"name": "alif", **_LIF, "beta": 0.1, "adaptation_decay": 0.97, "readout_decay": 0.8}},
        ]
    },
    "liquid": {"layers": [{"cell": {"name": "liquid", "units": 4, "threshold": 0.1, "gain": 2.0}}]},
}
"""Cells whose neurons fire, some of them with a leaky readout."""
ALL_NETWORKS = {**NETWORKS, **SPIKING, "sparse": SPARSE, "undone": UNDONE, "continuous": CONTINUOUS}
MIXED: dict[str, Any] = {
    "layers": [
        {**LRU, "readout": {"project": 7, "norm": True, "hidden": [5, 6], "width": 3}},
        {"cell": {"name": "leaky_tanh", "units": 4}, "readout": {"norm": True}},
        {**NORMED, "readout": {"project": 6, "norm": True}},
        TANH,
    ]
}
"""Cells of both kinds, with readouts of all kinds between them."""
RULES = {
    "bptt": {"name": "bptt"},
    "bptt checkpoints": {"name": "bptt", "checkpoints": 2},
    "fpe": {"name": "fpe"},
    "fpe seed": {"name": "fpe", "warm_up": "seed"},
    "fpe two_minus": {"name": "fpe", "inverse": "two_minus"},
    "fpe tangents": {"name": "fpe", "tangents": 3},
    "fpe neumann": {"name": "fpe", "inverse": "neumann"},
    "fpe_anchored": {"name": "fpe_anchored", "every": 2, "age": 3},
    "fpe_lagged": {"name": "fpe_lagged", "lag": 4, "every": 2},
    "fpe_hybrid": {"name": "fpe_hybrid", "slow": 1, "lag": 4, "every": 2},
    "fpe_slowfast": {"name": "fpe_slowfast", "slow": 1, "lag": 3},
    "rtrl": {"name": "rtrl"},
    "rtrl across": {"name": "rtrl", "across": True},
    "snap": {"name": "snap"},
    "snap 2": {"name": "snap", "steps": 2},
    "uoro": {"name": "uoro"},
    "kf_rtrl": {"name": "kf_rtrl"},
    "eprop random": {"name": "eprop", "feedback": "random"},
    "rflo": {"name": "rflo"},
    "one_step": {"name": "one_step"},
    "tbptt window": {"name": "tbptt", "k": 3},
    "fptt": {"name": "fptt", "parts": 3},
    "fptt steps": {"name": "fptt", "parts": "steps", "form": "paper"},
    "tbptt block": {"name": "tbptt", "kind": "block", "k": 3},
    "spatial": {"name": "spatial"},
    "reversible": {"name": "reversible"},
    "stdp": {"name": "stdp", "a_plus": 0.02, "a_minus": 0.01, "decay_plus": 0.8, "decay_minus": 0.7},
    "stdp triplet": {
        "name": "stdp",
        "a_plus": 0.02,
        "a_minus": 0.01,
        "decay_plus": 0.8,
        "decay_minus": 0.7,
        "triplet": {"a_plus": 0.01, "a_minus": 0.02, "decay_x": 0.9, "decay_y": 0.95},
        "bounds": {"smallest": -3.0, "largest": 3.0},
    },
}
VARIANTS = {
    "bptt input": {"name": "bptt", "recall": "input"},
    "bptt sqrt": {"name": "bptt", "checkpoints": "sqrt"},
    "bptt 4": {"name": "bptt", "checkpoints": 4},
    "bptt 1": {"name": "bptt", "checkpoints": 1, "recall": "input"},
}
"""Rules that differ in what they cost alone."""
AT_HOME = {
    "fpe_hybrid": "lru stack",
    "rflo": "tanh",
    "snap 2": "sparse",
    "reversible": "undone",
    "stdp": "lif",
    "stdp triplet": "alif",
}
"""Where rules run that take few networks, or are like another rule in all others."""


def pairs(networks: Iterable[Any]) -> list[tuple[str, Any]]:
    """Every rule with each of these networks; those that are at home in one with that one alone."""
    found, homes = list(networks), {learner: [home] for learner, home in AT_HOME.items()}
    return [(learner, network) for learner in RULES for network in homes.get(learner, found)]


def cases(networks: Iterable[Any], machines: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    """Every rule with each of these networks, or with its own one, on the machines that have what they ask for."""
    found = list(machines)
    return [(*pair, on) for pair in pairs(networks) for on in found if fits(*pair, on)]


def in_pairs(found: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Few of these cases, in which each two things that stand in one case meet in one all the same.

    Faults of one rule, network or machine, and of two of them together, are found as they are in all cases; those that
    need three together may not be.
    """
    given, met, chosen = list(found), set[tuple[Any, ...]](), list[tuple[Any, ...]]()
    brings = [set(combinations(enumerate(map(str, case)), 2)) for case in given]
    mixed = sorted(range(len(given)), key=lambda place: crc32(str(given[place]).encode()))
    for new in range(max(map(len, brings)), 0, -1):  # those that bring the most together come first
        for place in mixed:
            if len(brings[place] - met) == new:
                chosen.append(given[place])
                met |= brings[place]
    return [case for case in given if case in chosen]


def spiking_cases(machines: Iterable[Any]) -> list[tuple[str, Any, Any]]:
    """Rules with networks of spiking cells that they take, on the machines that have what they ask for."""
    learners = ("bptt", "fpe", "fpe_anchored", "eprop random", "rtrl", "fptt", "one_step", "stdp triplet")
    refused = {(learner, "liquid") for learner in ("eprop random", "rtrl")}  # its units have no rows of their own
    return [
        (learner, network, on)
        for learner in learners
        for network in SPIKING
        for on in machines
        if (learner, network) not in refused
        and fits(learner, network, on)
        and not (network == "liquid" and learner.startswith("fpe") and on != "ideal")  # J is singular once rounded
    ]


def fits(learner: str, network: Any, on: Any) -> bool:
    """Whether a machine has what a rule and a network ask for: a tape, sparse matrices, or a fine format."""
    has = _has(json.dumps(on))
    lacks_tape = rule(learner).needs_tape and "tape" not in has
    return not lacks_tape and (network not in ("sparse", "undone") or network in has)


@cache
def _has(on: str) -> set[str]:
    options = machine_options(json.loads(on))
    chip = options.kind == "crossbar"
    fine = formats.parse((options.digital if chip else options).format).epsilon <= 2.0**-24
    known = {"tape": not chip or options.attached != "nothing", "sparse": not chip, "undone": fine}
    return {what for what, there in known.items() if there}


@cache
def takes(learner: str, network: str) -> bool:
    """Whether a rule does not refuse a network."""
    found, episode = rule(learner), random_episode()
    try:
        made = built(network, found, episode)
        found.check(made)
        gradient_of(made, found, episode)  # some cells refuse when they are asked for products
    except HwsimError:
        return False
    return True


@st.composite
def two_systems(
    draw: st.DrawFn, learners: Iterable[str], machines: Iterable[Any]
) -> tuple[list[tuple[str, Any]], dict[str, Any] | None]:
    """Two rules on machines that have what they ask for, and the cell of the first, if it is for one alone."""
    general = [learner for learner in learners if learner not in AT_HOME]
    special = draw(st.sampled_from([None] * 6 + sorted(AT_HOME)))
    home = AT_HOME[special] if special else None
    found = []
    for chosen in (special, None):
        able = [chosen] if chosen else [each for each in general if home is None or takes(each, home)]
        learner = draw(st.sampled_from(able))
        found.append((learner, draw(st.sampled_from([on for on in machines if fits(learner, home, on)]))))
    return found, ALL_NETWORKS[home]["layers"][0]["cell"] if home else None


def close(expected: Any, rel: float = 1e-9, abs: float = 0, nan_ok: bool = False) -> Any:  # noqa: A002
    """Equal but for rounding. `pytest.approx` alone takes everything below a picojoule for zero."""
    return pytest.approx(expected, rel=rel, abs=abs, nan_ok=nan_ok)  # noqa: TID251


def machine_options(name: Any) -> Any:
    """The options of a machine, by name or as the mapping that a document would hold."""
    if not isinstance(name, str):
        return hardware.machine(documents.Document("test", name))
    if name not in _MACHINES:
        _MACHINES[name] = hardware.machine(documents.Document("test", name))
    return _MACHINES[name]


def sized(kind: str, *dimensions: int) -> tuple[int, ...]:
    """A size of this kind of work; circuits have a time and two of each elementary operation per neuron behind it."""
    return (*dimensions, 1, *(3 for _ in COUNTED)) if kind in ("advance", "advance slopes") else dimensions


def rule(options: dict[str, Any] | str) -> learning.Rule:
    return learning.build(
        _RULE.validate_python({**RULES, **VARIANTS}[options] if isinstance(options, str) else options)
    )


def least_steps(*learners: dict[str, Any] | str) -> int:
    """The length of the shortest sequences that all of these rules learn from."""
    steps = 1
    for learner in map(rule, learners):
        while True:
            try:
                learner.fits(steps)
            except ConfigError:
                steps += 1
            else:
                break
    return steps


def random_episode(
    seed: int = 0, batch: int = 3, steps: int = 7, width: int = 2, classes: int = 3, **kinds: Any
) -> Episode:
    """Random inputs; `target` is one of each (a class a step), one (a class a sequence), values, value (a sequence)."""
    draw, target = np.random.default_rng(seed), kinds.pop("target", "each")
    inputs = draw.uniform(size=(batch, steps, width))
    if target in ("values", "value"):
        rows = (batch, steps) if target == "values" else (batch,)
        return Episode(inputs, values=draw.normal(size=(*rows, classes)), **kinds)
    shape = (batch, steps) if target == "each" else (batch,)
    return Episode(inputs, draw.integers(classes, size=shape), classes=classes, **kinds)


def built(
    network: dict[str, Any] | str,
    learner: learning.Rule,
    episode: Episode,
    on: Any = "ideal",
    chips: int = 1,
    seed: int = 0,
    strict: bool = False,
    stage: Machine | None = None,
    uses: frozenset[str] = frozenset(),
) -> Network:
    """A network, programmed and ready to learn."""
    stage = stage or machines.build(machine_options(on), chips=chips, seed=seed, strict=strict)
    options = networks.Options.model_validate(ALL_NETWORKS[network] if isinstance(network, str) else network)
    made = Network(stage, options, episode.width, episode.outputs, learner.uses | uses)
    made.begin_training()
    learner.prepare(made)
    made.program()
    stage.journal.close_batch(1)
    return made


def perturb(made: Network) -> None:
    """Move every parameter a little, so that none is zero."""
    draw = np.random.default_rng(3)
    for trainable in made.trainables:
        before = trainable.master.value
        trainable.master.value = (before + 0.1 * draw.normal(size=before.shape)).astype(before.dtype)
    made.program()


def gradient_of(made: Network, learner: learning.Rule, episode: Episode) -> dict[str, np.ndarray]:
    """The gradient by parameter, `(chips, *shape)`."""
    with made.machine.showing(episode):
        learner.gradients(made)
    return {trainable.name: trainable.gradient.value.copy() for trainable in made.trainables}


def gradient(
    network: dict[str, Any] | str, learner: dict[str, Any] | str, episode: Episode, **kinds: Any
) -> dict[str, Any]:
    """Build, show, and give the gradient."""
    found = rule(learner)
    return gradient_of(built(network, found, episode, **kinds), found, episode)


def horizon(made: Network, exact: Network, episode: Episode, tolerance: float = 0.2) -> Horizon | None:
    """That of forward error propagation, which accepts this relative error at the end of a sequence."""
    return rule({"name": "fpe", "tolerance": tolerance}).horizon(Outside(made, lambda: exact, episode))


def assert_estimated(data: dict[str, Any]) -> None:
    """An estimate costs what the run costs, on a machine whose energy depends on no value."""
    ran, sketched = (work(data).summary.systems["substrate"] for work in (hwsim.run, estimate))
    assert ran.energy.training_step_j is not None
    assert sketched.energy.training_step_j == close(ran.energy.training_step_j, rel=1e-12)
    assert sketched.memory == ran.memory
    assert sketched.time == ran.time


def distance(mine: dict[str, np.ndarray], other: dict[str, np.ndarray], names: Any = None) -> float:
    """The largest |mine - other| of a parameter array, relative to the largest entry of other."""
    return max(float(np.abs(mine[name] - other[name]).max() / np.abs(other[name]).max()) for name in names or other)


class Sized(Look):
    """A look at the units of a machine, beside errors of this size; it finds nothing else."""

    steps = 1

    def __init__(self, stage: Machine, size: float) -> None:
        self._stage, self._size = stage, size

    def forgetting(self) -> float:
        return float("nan")

    def rates(self) -> dict[str, tuple[float, ...]]:
        return {}

    def errors(self, operation: Operation) -> UnitErrors:
        return self._stage.errors(operation)

    def size(self) -> float:
        return self._size

    def differences(self, name: str) -> dict[str, float]:
        return {}


def pytest_collection() -> None:
    """Collect no garbage while tests are found: they are some hundred thousand objects, all of which stay."""
    gc.disable()


def pytest_collection_finish() -> None:
    """Leave tests and imported modules out of all later collections, which would take half of the time of tests.

    Other objects are looked at less often than by default: nearly all go with the last reference to them.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """Give each process tests that stand beside each other, which share what they start from, until one has none."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log) if config.getoption("dist") == "load" else None


@pytest.fixture(scope="session")
def numba_is_warm() -> None:
    """Compile once, so that no test is slow by accident."""
    gradient("lru stack", "fpe", random_episode(), on="pcm_crossbar")
