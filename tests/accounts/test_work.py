"""Counts of elementary operations, against ones made by hand and by carrying the loops out."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import numpy as np
import pytest
from conftest import NETWORKS, RULES, SPARSE, built, gradient_of, machine_options, random_episode, rule, sized

from hwsim.accounts.work import total_work, work
from hwsim.config import hardware
from hwsim.errors import CapabilityError
from hwsim.learning import optimizers
from hwsim.learning.update import Options, Update
from hwsim.machine import Machine
from hwsim.operations import BY_KIND
from hwsim.records import PURPOSES, Record

ALIKE = r"digital_(?!45)\d+nm|isaac_ce_32nm"
"""Machines whose units are those of others."""
MACHINES = [name for name in hardware.names("configs/hardware") if not re.fullmatch(ALIKE, name)]
"""All that are shipped, but for the digital one at other nodes, where only numbers differ."""
NO_ARITHMETIC = (
    "wire", "negate", "load", "store", "push", "pop", "put", "get", "keep", "replay", "fetch", "sparse fetch", "input",
    "target",
)  # fmt: skip
WITHIN = {"lru", "lru deep", "tanh"}
"""Networks that leave no record that stacks of the same cells do not leave as well."""
ELEMENTARY = {"mac", "multiply", "add", "compare", "divide", "root", "exp", "tanh", "cos"}


@pytest.mark.parametrize(
    ("kind", "size", "counts"),
    [
        ("add", (5,), {"add": 5}),
        ("subtract", (2, 3), {"add": 6}),
        ("offset", (4,), {"add": 4}),
        ("multiply", (5,), {"multiply": 5}),
        ("scale", (5,), {"multiply": 5}),
        ("square", (5,), {"multiply": 5}),
        ("divide", (5,), {"divide": 5}),
        ("integrate", (2, 5), {"multiply": 10, "add": 10}),  # x + a dx
        ("reciprocal", (5,), {"divide": 5}),
        ("sqrt", (5,), {"root": 5}),
        ("exp", (5,), {"exp": 5}),
        ("cos", (5,), {"cos": 5}),
        ("sin", (5,), {"cos": 5}),
        ("tanh", (2, 5), {"tanh": 10}),
        ("tanh slope", (5,), {"multiply": 5, "add": 5}),  # 1 - y y
        ("relu", (5,), {"compare": 5}),
        ("gate", (5,), {"compare": 5}),
        ("greater", (5,), {"compare": 5}),
        ("unequal", (5,), {"compare": 5}),
        ("quantise", (5,), {"multiply": 5}),
        ("where", (5,), {"compare": 5}),
        ("spike", (5,), {"compare": 5}),
        ("spike slope", (5,), {"add": 5, "compare": 5, "multiply": 5}),  # 1 - |x|, not below 0, times its height
        ("fire", (5, 1, 1), {"add": 0, "compare": 5}),  # the membrane against its threshold
        ("fire", (2, 5, 2, 2), {"add": 10, "compare": 20}),  # a raised one; and the refractory time against zero
        ("fire slope", (5, 1, 1, 1), {"add": 10, "compare": 5, "multiply": 10}),  # γ/θ max(0, 1 - |v - θ| / (w θ))
        ("membrane", (5, 1, 1, 1), {"add": 10, "compare": 0, "multiply": 5}),  # α v + x - θ z
        ("membrane", (5, 1, 1, 2), {"add": 5, "compare": 5, "multiply": 5}),  # α v + x where it did not fire
        ("membrane", (5, 2, 2, 1), {"add": 25, "compare": 10, "multiply": 10}),  # ρ b + β z; r + z - 1/n in bounds
        ("quiet", (5,), {"compare": 5}),
        ("sigmoid", (2, 5), {"tanh": 10, "add": 10}),  # half a tanh, and a half
        ("sigmoid slope", (5,), {"multiply": 5, "add": 5}),  # y (1 - y)
        ("signs", (5,), {"add": 5}),
        ("gather", (3, 5), {"add": 10}),
        ("place", (3, 4), {"mac": 12}),
        ("place each", (3, 4), {"add": 12}),
        ("collect", (5,), {"add": 5}),
        ("qr", (1, 5), {"mac": 10, "root": 1, "divide": 1}),  # a norm, and a vector over it
        ("at most", (1,), {"compare": 1}),
        ("at least", (5,), {"compare": 5}),
        ("larger", (5,), {"compare": 5}),
        ("hypot", (5,), {"multiply": 10, "add": 5, "root": 5}),
        ("complex multiply", (6,), {"multiply": 12, "add": 6}),  # three modes: ac - bd, ad + bc
        ("conjugate multiply", (6,), {"multiply": 12, "add": 6}),
        ("pair dot", (6,), {"multiply": 6, "add": 3}),  # three modes: ac + bd
        ("pair cross", (6,), {"multiply": 6, "add": 3}),
        ("sum", (5,), {"add": 4}),
        ("sum", (2, 5), {"add": 8}),
        ("sum", (1,), {"add": 0}),
        ("largest", (5,), {"compare": 4}),
        ("largest", (2, 5), {"compare": 8}),
        ("norm", (5,), {"mac": 5, "root": 1, "multiply": 1}),
        ("norm", (2, 5), {"mac": 10, "root": 2, "multiply": 2}),
        ("project", (3, 4), {"mac": 12}),  # three vectors on one
        ("read", (3, 4), {"mac": 12}),
        ("read transposed", (3, 4), {"mac": 12}),
        ("read", (5, 3, 4), {"mac": 60}),  # a bundle of five
        ("outer", (3, 4), {"mac": 12}),
        ("sparse read", (6, 2, 9), {"mac": 12}),  # six rows of two connections
        ("sparse read transposed", (5, 6, 2, 9), {"mac": 60}),
        ("sparse outer", (6, 2, 9), {"mac": 12}),
        ("accumulate", (5,), {"add": 5}),
        ("bias", (5,), {"add": 5}),
        ("gain", (5,), {"multiply": 5}),
        ("mode gain", (6,), {"multiply": 6}),  # both wires of three modes
        ("spread", (2, 3), {"multiply": 6}),  # three real factors for each of two wires
        ("diagonal", (6,), {"multiply": 12, "add": 6}),
        ("conjugate diagonal", (6,), {"multiply": 12, "add": 6}),
        ("inverse diagonal", (6,), {"multiply": 12, "add": 6}),
        # two comparisons; three differences and two sums; three powers; one reciprocal; three products
        ("softmax", (3,), {"compare": 2, "add": 5, "exp": 3, "divide": 1, "multiply": 3}),
        # mean 2 + 1; differences 3; squares 3; variance 2 + 1; epsilon 1; root, reciprocal; products 3
        ("standardise", (3,), {"add": 8, "multiply": 8, "root": 1, "divide": 1}),
        # mean 2 + 1; products 3, their mean 2 + 1; minus mean 3; y times mean 3, minus that 3; times scale 3
        ("standardise error", (3,), {"add": 10, "multiply": 11}),
        ("standardise error", (2, 3), {"add": 20, "multiply": 22}),
        # x = b / a
        ("solve", (1, 1), {"mac": 0, "divide": 1}),
        # one factor, one elimination; one forward, one back, two divisions
        ("solve", (2, 2), {"mac": 3, "divide": 3}),
    ],
)
def test_work_is_what_a_count_by_hand_gives(kind: str, size: tuple[int, ...], counts: dict[str, int]) -> None:
    assert BY_KIND[kind].work(size) == counts


@pytest.mark.parametrize("kind", [*NO_ARITHMETIC, "dac", "adc", "program"])
def test_moving_values_is_no_arithmetic(kind: str) -> None:
    assert BY_KIND[kind].work((3, 4)) == {}


@pytest.mark.parametrize("n", [1, 2, 3, 4, 7, 12])
def test_solving_takes_as_much_as_the_loops_of_a_textbook(n: int) -> None:
    count: Counter[str] = Counter(mac=0, divide=0)
    for k in range(n):  # Gaussian elimination, row by row
        for _ in range(k + 1, n):
            count["divide"] += 1  # the factor of a row below
            count["mac"] += n - k - 1  # times the rest of row k, from the rest of that row
    for i in range(n):  # L y = b, with ones on the diagonal
        count["mac"] += i
    for i in reversed(range(n)):  # U x = y
        count["mac"] += n - 1 - i
        count["divide"] += 1
    assert BY_KIND["solve"].work((n, n)) == dict(count)


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in BY_KIND
        # those of one vector, or of a whole bundle, are left out
        if kind not in ("solve", "solve in a loop", "standardise", "qr", "gather", "pulse outer")
    ],
)
def test_a_bundle_of_three_vectors_is_three_times_the_work(kind: str) -> None:
    one = BY_KIND[kind].work(sized(kind, 6))
    assert BY_KIND[kind].work(sized(kind, 3, 6)) == {name: 3 * count for name, count in one.items()}


def test_only_the_elementary_operations_are_counted() -> None:
    assert {
        name for operation in BY_KIND.values() for name in operation.work(sized(operation.kind, 4, 4))
    } == ELEMENTARY


def test_the_work_of_a_step_is_that_of_its_records() -> None:
    read = Record("read", "array", "layer 1", "inference", "float32", (3, 4), 3, (0,), 1)
    biased = Record("bias", "adder", "layer 1", "inference", "float32", (3,), 3, (1,), 2)
    assert (work(read), work(biased)) == ({"mac": 12}, {"add": 3})
    assert total_work((read, biased, biased)) == {"mac": 12, "add": 6}


@cache
def learned(on: str) -> list[Machine]:
    """Machines on which every rule has been shown two networks that it takes, others on the next machine."""
    stages = []
    networks = [*(name for name in NETWORKS if name not in WITHIN), SPARSE]
    for number, learner in enumerate(RULES, MACHINES.index(on)):
        found, episode, before = rule(learner), random_episode(), len(stages)
        for network in [*networks[number % len(networks) :], *networks[: number % len(networks)]]:
            try:
                stage = built(network, found, episode, on=on)
                found.check(stage)
                with np.errstate(all="ignore"):  # some rules leave the range of float16
                    gradient_of(stage, found, episode)
            except CapabilityError:
                continue
            stages.append(stage.machine)
            if len(stages) == before + 2:
                break
    return stages


@cache
def updated(on: str, optimizer: str) -> Machine:
    """A machine that has learned a little, with clipping."""
    found, episode = rule("spatial"), random_episode()
    network = built("lru stack", found, episode, on=on)
    options = Options.model_validate({"optimizer": {"name": optimizer, "rate": 0.01}, "clip": 0.5})
    with network.machine.showing(episode):
        found.gradients(network)
        Update(network, optimizers.build(options.optimizer, network), options, 0.5)(21)
    return network.machine


def records(stage: Machine) -> set[Record]:
    return {record for trace in stage.journal.traces for record in trace}


@pytest.mark.parametrize("on", MACHINES)
def test_every_operation_of_every_rule_has_its_work(on: str) -> None:
    stages = learned(on)
    assert len(stages) >= 36  # two networks for each rule; some need a tape, some have one network alone
    for stage in stages:
        for record in records(stage):
            assert set(work(record)) <= ELEMENTARY
            assert all(count >= 0 for count in work(record).values())
            assert record.purpose in PURPOSES


@pytest.mark.parametrize("optimizer", list(optimizers.OPTIMIZERS))
@pytest.mark.parametrize("on", MACHINES)
def test_every_operation_of_every_optimizer_has_its_work(on: str, optimizer: str) -> None:
    assert {record.kind for record in records(updated(on, optimizer))} <= set(BY_KIND)


def test_no_kind_of_work_is_never_done() -> None:
    done = {record.kind for on in MACHINES for stage in learned(on) for record in records(stage)}
    done |= {record.kind for name in optimizers.OPTIMIZERS for record in records(updated("ideal", name))}
    own = {"greater", "where", "look up", "spike", "spike slope", "mask"}
    own |= {"fire", "fire slope", "membrane", "quiet"}  # by spiking cells
    own |= {"advance", "advance slopes", "hold"}  # by circuits that are told by equations
    own |= {"integrate"}  # by cells in continuous time
    undone = {"round to", "forget", "forgotten", "remember"}  # by the reversible GRU
    pulsed = {"pulse", "pulse outer", "whole", "peak", "flips", "dither", "chop", "renew"}  # by other update schemes
    pulsed |= {"jittered"}
    ranged = {"shift", "count octaves", "choose full scale"}  # by chips that choose their full scales
    ranged |= {"part adc", "halvings"}  # where inputs are coded, or bounds are managed
    ranged |= {"solve in a loop"}  # by the analog inverse solver
    assert set(BY_KIND) - done == own | undone | pulsed | ranged  # words for rules of one's own
    assert done <= set(BY_KIND)


@pytest.mark.parametrize("on", MACHINES)
def test_every_operation_has_a_price_and_a_duration(on: str) -> None:
    for stage in [*learned(on), *(updated(on, name) for name in optimizers.OPTIMIZERS)]:
        prices = stage.prices()
        for record in records(stage):
            assert prices.occupied(record).duration >= 0
            assert isinstance(prices.occupied(record).duration, int)
            for charge in prices.charges(record):
                assert on == "ideal" or charge.energy is not None, (record, charge)
                assert charge.amount >= 0
                assert charge.activity is None or charge.activity < prices.activities(record)


@pytest.mark.parametrize("on", MACHINES)
def test_operations_of_a_machine_name_formats_that_it_has(on: str) -> None:
    options = machine_options(on)
    known = {
        "ideal": lambda: {options.format},
        "digital": lambda: {options.format, options.update or options.format},
        "crossbar": lambda: {options.digital.format, "analog"},
    }[options.kind]()
    assert {record.format for stage in learned(on) for record in records(stage)} <= known
