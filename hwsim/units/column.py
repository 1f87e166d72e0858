"""What flows out of a line of a tile, and whether the integrator behind it holds as much.

n devices that conduct g each, with V on their input lines, pass I = n V g, and in the time t of one phase the charge
Q = n V g t. A capacitor C that may change by a voltage U holds C U. The largest charge is that of devices at their
largest conductance, on all lines of a tile, with inputs at full scale.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple

from pydantic import BaseModel, Field

from hwsim.quantities import Capacitance, Constant, Voltage, si


class Integrator(BaseModel, extra="forbid"):
    """A capacitor at the end of an output line, which takes up its current for one phase of a read."""

    capacitance: Annotated[Constant[Capacitance], Field(description="C")]
    voltage: Annotated[Constant[Voltage], Field(description="U, by which its voltage may change")]

    @property
    def charge(self) -> float:
        """What it holds, in coulombs."""
        return self.capacitance.value * self.voltage.value


class Load(NamedTuple):
    """The most that a line can bring to an integrator.

    Attributes:
        devices: on the line.
        conductance: of each, in siemens.
        voltage: on its input lines, in volts.
        time: of a phase, in seconds.
    """

    devices: int
    conductance: float
    voltage: float
    time: float

    @property
    def current(self) -> float:
        """In amperes."""
        return self.devices * self.conductance * self.voltage

    @property
    def charge(self) -> float:
        """In coulombs."""
        return self.current * self.time

    def beyond(self, integrator: Integrator) -> str | None:
        """What is wrong where an integrator holds less, with the numbers; None where it holds it all."""
        held = integrator.charge
        if self.charge <= held:
            return None
        return (
            f"holds {si(held, 'C')}, and a line of {self.devices} devices of {si(self.conductance, 'S')} at "
            f"{si(self.voltage, 'V')} brings {si(self.current, 'A')} for {si(self.time, 's')}, {si(self.charge, 'C')}: "
            f"it is full at {held / self.charge:.3g} of that; shorten the read, lower `tiles.voltage`, or take smaller "
            "tiles"
        )
