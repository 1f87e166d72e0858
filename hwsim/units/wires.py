"""Wires of a tile: the resistance of its lines, and what that does to the weights that a read multiplies with."""

from __future__ import annotations

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.errors import CapabilityError
from hwsim.physics import ir_drop
from hwsim.physics.wires import REFERENCE, resistance
from hwsim.quantities import Constant, Length, Resistance, Temperature, si

IR_DROP = "off: wires without resistance; doubled: twice the resistance"


class Wires(BaseModel, extra="forbid"):
    """Lines of a tile, and how the drop of voltage along them is worked out.

    Devices of positive weights and those of negative ones are arrays with lines of their own. A matrix lies next to the
    sources of its input lines and to the ends of its output lines. A read back drives the same lines at the ends where
    they were sensed, and so multiplies with the same weights. Noise of single devices is that without wires.
    """

    solution: Annotated[
        Literal["exact", "approximate", "off"],
        Field(
            description="`exact`: Kirchhoff's laws, solved each time that devices are written; `approximate`: lines "
            "that cross a line count as without resistance, which takes no time; `off`: none has resistance"
        ),
    ] = "approximate"
    resistance: Annotated[Constant[Resistance] | None, Field(description="of a line, from one cell to the next")] = None
    width_nm: Annotated[
        Literal[200, 100, 50, 40, 32, 22, 14] | None,
        Field(description="instead: width of the line, copper as in NeuroSim; with `length` and `temperature`"),
    ] = None
    length: Annotated[Constant[Length] | None, Field(description="of the line, from one cell to the next")] = None
    temperature: Annotated[Temperature, Field(ge=REFERENCE, description="of the line")] = REFERENCE
    times: Annotated[float, Field(ge=0, allow_inf_nan=False, description="so many times the resistance: what if?")] = (
        1.0
    )

    @model_validator(mode="after")
    def _has_a_resistance(self) -> Self:
        of_a_width = self.width_nm is not None and self.length is not None
        if (self.resistance is None) != of_a_width or (self.width_nm is None) != (self.length is None):
            raise ValueError("wires have either a `resistance` from cell to cell, or a `width_nm` and a `length`")
        return self

    @property
    def ohms(self) -> float:
        """From one cell to the next."""
        if self.resistance is not None:
            return self.times * self.resistance.value
        assert self.width_nm is not None
        assert self.length is not None
        return self.times * resistance(self.width_nm, self.length.value, self.temperature)

    def without(self) -> Wires:
        """The same wires without resistance."""
        return self.model_copy(update={"solution": "off"})

    def doubled(self) -> Wires:
        """Wires with twice the resistance."""
        return self.model_copy(update={"times": 2 * self.times})

    def seen(self, conductance: np.ndarray, rows: int, columns: int) -> np.ndarray:
        """Conductances that a read sees: currents of output lines over voltages of sources.

        Args:
            conductance: in siemens, `(…, outputs, inputs)`.
            rows, columns: outputs and inputs of a tile.

        Raises:
            CapabilityError: the currents of a tile have not been found, since wires conduct far worse than devices.
        """
        found = np.empty_like(conductance)
        *arrays, outputs, inputs = conductance.shape
        for array in np.ndindex(*arrays):
            for first in range(0, outputs, rows):
                for start in range(0, inputs, columns):
                    tile = *array, slice(first, first + rows), slice(start, start + columns)
                    found[tile] = self._solved(conductance[tile].T).T
        return found

    def _solved(self, conductance: np.ndarray) -> np.ndarray:
        if not np.isfinite(conductance).all():  # learning has diverged
            return np.full_like(conductance, np.nan)
        if self.solution == "approximate":
            return ir_drop.approximate(conductance, self.ohms)
        try:
            return ir_drop.exact(conductance, self.ohms)
        except ArithmeticError as error:
            raise CapabilityError(
                f"tiles.wires: {error}; take `solution: approximate`, or wires of less than {si(self.ohms, 'ohm')}"
            ) from None
