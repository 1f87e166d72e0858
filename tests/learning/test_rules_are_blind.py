"""Cells, networks and rules look at no value and at no future: read from their source, since they could."""

import ast
from pathlib import Path

import pytest

ROOMS = ("cells", "networks", "learning")
FILES = [path for room in ROOMS for path in (Path(__file__).parents[2] / "hwsim" / room).rglob("*.py")]
VALUES = {"value", "values", "saved", "entries", "front", "watchers", "storages", "snapshot", "journal", "memory"}
EPISODE = {"inputs", "targets", "labels", "mask", "ends", "select"}
HARMLESS = {"self.inputs", "self.layer.inputs", "group.value", "self._groups[0].value", "clip.value"}
HARMLESS |= {"step.mask", "step.ends"}
"""Widths or a delay line, options; a signal, and the place of a step in its pass."""


def peeks(source):
    """Attributes of others through which a value, or the future, could be seen."""
    nodes = list(ast.walk(ast.parse(source)))
    of_dictionaries = [
        node.func for node in nodes if isinstance(node, ast.Call) and not node.args and not node.keywords
    ]
    for node in nodes:
        if isinstance(node, ast.Attribute) and not (node.attr == "values" and node in of_dictionaries):
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            private = (
                node.attr.startswith("_") and not node.attr.startswith("__") and not own and node.attr != "_replace"
            )
            if ast.unparse(node) in HARMLESS:
                continue
            if private or node.attr in VALUES | EPISODE:
                yield f"line {node.lineno}: .{node.attr}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_nothing_looks_at_values(path):
    assert list(peeks(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize(
    "peek", ["h.value", "machine.episode.inputs[5]", "machine.episode.mask", "signal._value", "machine.watchers"]
)
def test_looking_is_noticed(peek):
    assert list(peeks(peek))
