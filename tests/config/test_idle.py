"""Options that do nothing are warned of: where, why, and what has an effect."""

from __future__ import annotations

from typing import Any

import pytest

from hwsim.config import experiment as config
from hwsim.config.plausible import doubts

TANH: dict[str, Any] = {"cell": {"name": "leaky_tanh", "units": 4, "leak": 0.3}}
MODES: dict[str, Any] = {"cell": {"name": "lru", "modes": 4}}
FPE: dict[str, Any] = {"name": "fpe", "inverse": "analog"}


def warnings(
    layers: list[dict[str, Any]], learning: Any, machine: str, references: list[dict[str, Any]] | None = None
) -> list[str]:
    asked = {
        "name": "idle",
        "task": {"name": "random", "steps": 5, "width": 3, "train": 4, "test": 2},
        "network": {"layers": layers},
        "learning": learning,
        "machine": machine,
        "references": references or [],
        "gradient_check": {"sequences": 2},
    }
    return [each.text for each in doubts(config.load(asked)) if "inverse" in each.text]


@pytest.mark.parametrize(
    ("layers", "learning", "machine", "said"),
    [
        ([MODES], FPE, "solving_crossbar", "Jacobians of lru are one number per mode, which multipliers invert"),
        ([TANH], FPE, "digital_45nm", "digital_45nm has no analog circuits, and solves in numbers; solving_crossbar"),
        ([TANH], FPE | {"name": "fpe_lagged", "every": 1}, "solving_crossbar", "with `every: 1` fpe_lagged sums all"),
    ],
)
def test_an_analog_inverse_that_is_never_used_is_warned_of(
    layers: list[Any], learning: Any, machine: str, said: str
) -> None:
    (text,) = warnings(layers, learning, machine)
    assert text.startswith("learning.inverse: analog does nothing: ")
    assert said in text


def test_one_that_is_used_is_not() -> None:
    for learning in (FPE, FPE | {"name": "fpe_lagged", "every": 2}, {"name": "fpe_anchored", "inverse": "analog"}):
        assert warnings([MODES, TANH], learning, "solving_crossbar") == []
    assert warnings([MODES], {"name": "fpe"}, "solving_crossbar") == []


def test_that_of_a_reference_is_told_at_its_place() -> None:
    reference = {"name": "modes", "learning": FPE, "machine": "ideal"}
    (text,) = warnings(
        [TANH], FPE, "solving_crossbar", [{**reference, "learning": {"name": "bptt"}, "name": "b"}, reference]
    )
    assert text.startswith("references.1.learning.inverse: analog does nothing: ideal has no analog")
