"""What a rule, a cell, an optimizer, an update scheme or a task computes, as its own file says it."""

from __future__ import annotations

import inspect
from types import ModuleType

from hwsim.cells.cell import Cell
from hwsim.learning.optimizers.optimizer import Optimizer
from hwsim.learning.rule import Rule
from hwsim.learning.updates.scheme import Scheme

_MAIN = (Rule, Cell, Optimizer, Scheme)
"""What the main class of a file is one of; tasks and encoders have none."""


def mathematics(module: ModuleType) -> str:
    """The docstring of a file and that of its main class: equations, symbols and their source; plain text."""
    text = inspect.getdoc(module) or ""
    own = (each for each in vars(module).values() if inspect.isclass(each) and each.__module__ == module.__name__)
    main = next((each for each in own if issubclass(each, _MAIN)), None)
    said = None if main is None else main.__doc__  # not that of the class above it
    return "\n\n".join([text, *([] if said is None else [inspect.cleandoc(said)])])
