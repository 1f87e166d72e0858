"""The complexities in the appendix of Zucchet, Pourcel and Ernoult, a post of 2026, read from the ledgers of estimates.

The post gives memory, time and accesses of one layer of N units over T steps: BPTT N T, N² T, N T; RTRL N³, N⁴ T, N³
T; RTRL of diagonal units N², N³ T, N² T; forward error propagation N², N³ T, N² T. Two of these do not hold.
Sensitivities of diagonal units meet their own modes alone, so they take N² T operations, not N³ T. And forward error
propagation holds one product of Jacobians at a time, so its memory in a stack of L layers is N² + O(L N), not L N².
"""

from __future__ import annotations

from math import log
from typing import Any

import pytest
from conftest import close

from hwsim.experiments.estimate import estimate
from hwsim.results.summary import SystemSummary

STEPS = 1000
SIZES = 512, 1024


def costs(rule: str, cell: dict[str, Any], layers: int = 1, steps: int = STEPS) -> SystemSummary:
    """The costs of one gradient; inputs are as wide as the state."""
    n = cell.get("units") or cell.get("modes")
    asked = {
        "name": "complexity",
        "task": {"name": "random", "steps": steps, "width": n, "outputs": 10, "train": 1, "test": 1},
        "network": {"layers": [{"cell": cell}] * layers},
        "learning": {"name": rule},
        "machine": "ideal",
        "gradient_check": {"sequences": 1},
        "test": False,
    }
    return estimate(asked).summary.systems["substrate"]


def grown(of: Any, rule: str, kind: str) -> float:
    """The exponent of a cost over N, between the two sizes."""
    key = {"leaky_tanh": "units", "lru": "modes"}[kind]
    few, many = (of(costs(rule, {"name": kind, key: n})) for n in SIZES)
    return log(many / few) / log(SIZES[1] / SIZES[0])


@pytest.mark.parametrize(
    ("rule", "kind", "memory", "operations", "accesses"),
    [
        ("bptt", "leaky_tanh", 1, 2, 2),
        ("rtrl", "leaky_tanh", 3, 4, 3),
        ("rtrl", "lru", 2, 2, 2),  # the post: N³ operations
        ("fpe", "leaky_tanh", 2, 3, 2),
        ("fpe", "lru", 1, 2, 2),
    ],
)
def test_costs_grow_with_the_number_of_units(rule: str, kind: str, memory: int, operations: int, accesses: int) -> None:
    """Accesses include those to the sums of the gradient, N² for each rule, which the post leaves out."""
    assert grown(lambda s: s.memory.most_by_class["learning state"], rule, kind) == close(memory, abs=0.05)
    assert grown(lambda s: s.work.operations, rule, kind) == close(operations, abs=0.1)
    assert grown(lambda s: s.work.accesses, rule, kind) == close(accesses, abs=0.1)


@pytest.mark.parametrize("rule", ["bptt", "rtrl", "fpe"])
def test_operations_and_accesses_grow_with_the_length_of_the_sequence(rule: str) -> None:
    few, many = (costs(rule, {"name": "leaky_tanh", "units": 16}, steps=steps) for steps in (10_000, 100_000))
    assert many.work.operations / few.work.operations == close(10, rel=0.01)
    assert many.work.accesses / few.work.accesses == close(10, rel=0.01)
    tape = {"bptt": close(10, rel=0.01)}.get(rule, 1)
    held = [s.memory.most_by_class["learning state"] + s.memory.most_by_class.get("tape", 0) for s in (few, many)]
    assert held[1] / held[0] == tape


def test_forward_propagation_holds_one_product_of_jacobians_at_a_time() -> None:
    """In words of 8 bytes, for N = 512 units: N² and a few vectors per layer, where the post has L N²."""
    n = SIZES[0]
    for layers in (1, 2, 4):
        held = costs("fpe", {"name": "leaky_tanh", "units": n}, layers).memory.most_by_class["learning state"] / 8
        assert n**2 < held < n**2 + 4 * layers * n


@pytest.mark.parametrize(("rule", "forward", "backward"), [("bptt", 1, 1), ("rtrl", 1, 0), ("fpe", 2, 0)])
def test_passes_are_those_of_the_post(rule: str, forward: int, backward: int) -> None:
    assert costs(rule, {"name": "leaky_tanh", "units": 16}).time.passes == forward + backward
