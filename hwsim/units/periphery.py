"""The periphery of a tile: what drives its input lines, senses and converts its output lines, and controls it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer

from hwsim.quantities import Area, Constant, Power
from hwsim.units.column import Integrator


class TileArea(BaseModel, extra="forbid"):
    """The area of a tile with its periphery, part by part."""

    fixed: Annotated[Constant[Area] | None, Field(description="of each tile, whatever its size")] = None
    driver: Annotated[Constant[Area] | None, Field(description="of one input line")] = None
    output: Annotated[Constant[Area], Field(description="of one output line, with its converter")]
    cell: Annotated[Constant[Area], Field(description="of the devices of one weight")]

    def of(self, inputs: int, outputs: int) -> float:
        """Of a tile with so many lines, in square metres."""
        fixed, driver = (0.0 if each is None else each.value for each in (self.fixed, self.driver))
        return fixed + inputs * driver + outputs * self.output.value + inputs * outputs * self.cell.value


class Periphery(BaseModel, extra="forbid"):
    """Circuits around the devices of a tile, by the static power that they draw while it is read.

    In published tiles the energy of a read is a power times the time that it takes, within some percent, however many
    inputs are zero: HERMES takes four times the energy for four times the time (Le Gallo et al., Nat. Electron. 6:680,
    2023), and so does NeuRRAM for more bits (Wan et al., Nature 608:504, 2022). So idle lines save nothing.
    """

    name: Annotated[str, Field(description="what it is called in tables")]
    what: Annotated[str, Field(description="one line on it: circuits, node, chip")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    fixed: Annotated[Constant[Power] | None, Field(description="of each tile: control, registers, references")] = None
    unexplained: Annotated[
        Constant[Power] | None, Field(description="of each tile: what a published total leaves, fitted at one point")
    ] = None
    driver: Annotated[
        Constant[Power], Field(description="of one input line: its driver, also where inputs are analog voltages")
    ]
    output: Annotated[Constant[Power], Field(description="of one output line: what senses or integrates its current")]
    converter: Annotated[
        Constant[Power] | None,
        Field(description="of one output line: its converter, where tiles convert their outputs themselves"),
    ] = None
    cell: Annotated[
        Constant[Power] | None,
        Field(description="of the devices of one weight, instead of what inputs and conductances draw"),
    ] = None
    bit_serial: Annotated[
        bool, Field(description="whether bits of an input are applied one after another, a read for each")
    ] = False
    integrator: Annotated[
        Integrator | None,
        Field(description="of one output line; a machine whose columns bring more than it holds is warned of"),
    ] = None
    area: Annotated[TileArea | None, Field(description="of a tile with its periphery; unknown if absent")] = None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """A periphery without an integrator is what it was before there was such a key."""
        data: dict[str, Any] = written(self)
        if self.integrator is None:
            data.pop("integrator", None)
        return data
