"""The derivative that an operation declares, against differences of its values."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from conftest import machine_options

from hwsim import initial, machines
from hwsim import operations as words
from hwsim.episode import Episode
from hwsim.machine import Bias, Diagonal, Gain, Matrix, ModeGain, Signal, SparseMatrix
from hwsim.machine.following import following
from hwsim.operations import BY_NAME, Operation, Places

WIRES, STEP = 4, 1e-6
CONSTANTS = {
    "scale": (0.7,),
    "offset": (0.3,),
    "integrate": (0.25,),
    "take": (1, 3),
    "pad": (1, 2),
    "pick": (Places((3, 1)),),
    "patch": (Places((2, 0, 3, 1)),),
}
NO_SLOPE = {"spike", "forget", "round to", "fire", "membrane"}
"""What declares a surrogate, which is no slope of its values, such as that of a number before it is rounded."""


class Stage:
    """An ideal machine with one of everything that holds numbers, and two steps of input."""

    def __init__(self) -> None:
        self.machine = stage = machines.build(machine_options("ideal"), seed=1)
        self.W = Matrix(stage, "W", "input", initial.glorot(1, "W", 3, WIRES))
        places = initial.connections(1, "S", 3, WIRES, 2)
        self.S = SparseMatrix(stage, "S", "input", initial.normal(1, "S", 3, 2), places, WIRES)
        self.b = Bias.trained(stage, "b", "input", initial.ones(WIRES))
        self.g = Gain.trained(stage, "g", "input", initial.ones(WIRES))
        self.gamma, self.diagonal = ModeGain(stage, "gamma", WIRES // 2), Diagonal(stage, "lambda", WIRES, True)
        draw = np.random.default_rng(2)
        self.gamma.take(draw.uniform(0.5, 1.5, (1, 1, WIRES // 2)))
        self.diagonal.take(draw.uniform(0.5, 1.5, (1, 1, WIRES)))
        for unit in (self.b, self.g):
            unit.take(draw.uniform(0.5, 1.5, (1, 1, WIRES)))


HELD: dict[str, Callable[[Stage, Any], Any]] = {
    "read": lambda stage, x: stage.W @ x,
    "read transposed": lambda stage, x: stage.W.T @ (stage.W @ x),
    "sparse read": lambda stage, x: stage.S @ x,
    "sparse read transposed": lambda stage, x: stage.S.T @ (stage.S @ x),
    "bias": lambda stage, x: x + stage.b,
    "gain": lambda stage, x: stage.g * x,
    "mode gain": lambda stage, x: stage.gamma * x,
    "diagonal": lambda stage, x: stage.diagonal * x,
}
OPERANDS = {
    "join": 3,
    "add": 2,
    "subtract": 2,
    "multiply": 2,
    "divide": 2,
    "larger": 2,
    "hypot": 2,
    "patch": 2,
    "integrate": 2,
}
DECLARED = sorted(name for name, operation in BY_NAME.items() if operation.derivative is not None)


def acted(stage: Stage, name: str, operands: list[Signal]) -> Any:
    if name in HELD:
        return HELD[name](stage, *operands)
    return BY_NAME[name](*operands, *CONSTANTS.get(name, ()))


def shown(name: str, values: list[np.ndarray], look: Callable[[Stage, list[Any], Any], None]) -> None:
    """Carry an operation out on these values, and look at what was done in the step."""
    stage = Stage()
    episode = Episode(np.zeros((1, 1, 1)), values=np.zeros((1, 1, 1)))
    with stage.machine.showing(episode), stage.machine.workspace() as workspace:
        registers = [workspace.register(f"operand {k}", value.size) for k, value in enumerate(values)]
        for register, value in zip(registers, values, strict=True):
            register.value = value.reshape(1, 1, -1)
        for _ in stage.machine.forward_pass("once"):
            operands = [register.load() for register in registers]
            with following(stage.machine) as nodes:
                acted(stage, name, operands)
            look(stage, operands, nodes[-1])


def result(name: str, values: list[np.ndarray]) -> np.ndarray:
    found: list[np.ndarray] = []
    shown(name, values, lambda stage, operands, node: found.append(node.result._value.ravel().copy()))
    return found[0]


def taken(
    name: str, position: int, change: np.ndarray, error: np.ndarray, found: dict[str, np.ndarray],
    stage: Stage, operands: list[Any], node: Any,
) -> None:  # fmt: skip
    """Take a change of an operand along, and an error back to it."""
    delta, moved = (
        stage.machine.emit(stage.machine.heads[words.scale], each.reshape(1, 1, -1), ()) for each in (error, change)
    )
    behind = {"read transposed": stage.W, "sparse read transposed": stage.S}.get(name)
    if behind is not None:
        moved = behind @ moved  # it is read behind a product
    found["along"] = node.operation.derivative.along(node, position, moved)._value.ravel()
    back = node.operation.derivative.back(node, position, delta)
    assert back.width == node.operands[position].width
    found["back"] = (back if behind is None else behind.T @ back)._value.ravel()


@pytest.mark.parametrize("name", sorted(set(DECLARED) - NO_SLOPE))
def test_the_declared_derivative_is_the_slope_of_the_values(name: str) -> None:
    """Along a change, and back from an error: both against central differences, for each operand."""
    draw = np.random.default_rng(3)
    values = [draw.uniform(0.3, 1.6, WIRES) for _ in range(OPERANDS.get(name, 1))]
    error = draw.normal(size=result(name, values).size)
    for position in range(len(values)):
        change = draw.normal(size=WIRES)
        found: dict[str, np.ndarray] = {}
        steps = [[v + s * STEP * change if k == position else v for k, v in enumerate(values)] for s in (1, -1)]
        slope = (result(name, steps[0]) - result(name, steps[1])) / (2 * STEP)

        shown(name, values, partial(taken, name, position, change, error, found))
        np.testing.assert_allclose(found["along"], slope, atol=1e-8)
        np.testing.assert_allclose(found["back"] @ change, error @ slope, atol=1e-8)


def test_a_surrogate_stands_for_the_slope_of_a_spike() -> None:
    """γ max(0, 1 - |x|) with γ = 0.3."""
    x, found = np.array([-1.2, -0.5, 0.0, 0.4, 2.0]), {}

    def look(stage: Stage, operands: list[Any], node: Any) -> None:
        one = stage.machine.emit(stage.machine.heads[words.scale], np.ones((1, 1, 5)), ())
        found["back"] = node.operation.derivative.back(node, 0, one)._value.ravel()

    shown("spike", [x], look)
    np.testing.assert_allclose(found["back"], [0, 0.15, 0.3, 0.18, 0])


def test_only_what_is_carried_out_by_name_is_followed() -> None:
    """A product on split tiles is one operation, not its reads and their sum."""
    chip = {"like": "ideal_crossbar", "parts": {"tiles": {"rows": 2, "columns": 2, "count": 99}}}
    stage = machines.build(machine_options(chip))
    W = Matrix(stage, "W", "input", initial.glorot(1, "W", 5, 5))
    episode = Episode(np.ones((1, 1, 5)), values=np.zeros((1, 1, 1)))
    for _ in stage.phase("programming"):
        W.program()
    with stage.showing(episode), stage.workspace():
        for step in stage.forward_pass("once"):
            with following(stage) as nodes:
                y = words.tanh(W @ step.input)
            assert [node.operation.name for node in nodes] == ["read", "tanh"]
            assert nodes[0].holder is W
            assert nodes[1].result is y
            with following(stage) as none:
                pass
            assert not none
            assert isinstance(BY_NAME["tanh"], Operation)
    records = [record.kind for record in stage.journal.traces[-1]]
    assert records.count("read") == 3
