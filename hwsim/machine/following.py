"""Following: which operations were carried out on which signals, so that their derivatives can be taken in the step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hwsim.machine.stage import Stage
from hwsim.operations.derivative import Node


@contextmanager
def following(machine: Stage) -> Iterator[list[Node]]:
    """The operations that are carried out inside, in order; what a unit does to carry one out is not among them."""
    nodes: list[Node] = []
    inside = False

    def noting(carry_out: Callable[..., Any], held: bool) -> Callable[..., Any]:
        def noted(operation: Any, *words: Any) -> Any:
            nonlocal inside
            if inside:
                return carry_out(operation, *words)
            inside = True
            try:
                result = carry_out(operation, *words)
            finally:
                inside = False
            holder, operands = (words[0], words[1:]) if held else (None, words)
            signals = tuple(each for each in operands if hasattr(each, "_slot"))
            nodes.append(Node(operation, signals, operands[len(signals) :], holder, result))
            return result

        return noted

    patched: Any = machine
    names = {"one": False, "two": False, "carry_out": False, "apply": True}
    for name, held in names.items():
        setattr(patched, name, noting(getattr(machine, name), held))
    try:
        yield nodes
    finally:
        for name in names:
            delattr(patched, name)
