"""Sparse n-step approximation: sensitivities of the units that a parameter reaches within n steps."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from hwsim.cells import Cell
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.kept import Kept
from hwsim.learning.sensitivities import ForwardRule, OwnTraces, Sensitivities, exact
from hwsim.machine import Workspace


class Options(BaseModel, extra="forbid"):
    """Sparse n-step approximation of real-time recurrent learning (SnAp)."""

    name: Literal["snap"]
    steps: Annotated[
        int,
        Field(
            ge=1,
            description="n: a parameter keeps its sensitivities of the units that it reaches within n steps; 1 is its "
            "own unit alone, from 2 on a dense matrix reaches all",
        ),
    ] = 1


class SnAp(ForwardRule):
    """M_t = (J_{t-1} M_{t-1} + F_t) where the parameter reaches the unit within n steps, else 0.

    A parameter of a row acts on its own unit in the step itself, and with each further step on the units that hear
    those by a connection. n = 1 keeps one trace per parameter (and wire of a unit): e ← d e + F with d the part of J
    from a unit to itself. More steps need connections that are fixed and few, such as those of a `fan_in`: then each
    row keeps a number per parameter and unit that it reaches, and only these are held and computed. A dense matrix
    reaches all units in two steps, so there n ≥ 2 is `rtrl`, and for a diagonal cell every n is.

    In stacks, the errors that reach lower layers are those of the present step, as in `rtrl`.

    Source: Menick, Elsen, Evci, Osindero, Simonyan and Graves, "Practical real time recurrent learning with a sparse
    approximation", ICLR 2021, section 3.
    """

    def sensitivities(self, cell: Cell, workspace: Workspace) -> Sensitivities:
        if self.options.steps == 1:
            return OwnTraces(cell, workspace)
        return exact(cell, workspace) if cell.links is None else Kept(cell, workspace, self.options.steps)

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        if not directions.modes:
            return "what sensitivities of a unit alone keep of a dense recurrence has no closed form here"
        return Keeps((Lags.up_to(steps),), sends=(Lags.up_to(1),), sensitivities=True)
