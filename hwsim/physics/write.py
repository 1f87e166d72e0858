"""Writing: what a write of a device costs, in energy and in time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.quantities import Constant, Current, Energy, Time, Voltage


class PulseByPulse:
    """What laws have in common whose energy and time are those of one pulse: `pulses` of them make a write."""

    if TYPE_CHECKING:  # keys of the laws themselves, which have them in the order of a data sheet
        time: Constant[Any]
        pulses: Constant[Any]

    @property
    def rounds(self) -> tuple[Constant[Any], ...]:
        """How many pulses a write has, where the energy is that of one of them."""
        return (self.pulses,)

    @property
    def by_conductance(self) -> bool:
        """Whether the energy goes with the conductance that a pulse meets, as well."""
        return False

    @property
    def duration(self) -> float:
        """Of a write, in seconds."""
        return self.time.value * self.pulses.value

    @property
    def reads(self) -> float:
        """Verifying reads of a write: one behind each pulse."""
        return self.pulses.value


class CurrentPulses(PulseByPulse, BaseModel, extra="forbid"):
    """Writing drives a fixed current: E = pulses × voltage × current × time."""

    law: Literal["current"]
    voltage: Annotated[Constant[Voltage], Field(description="across device and driver")]
    current: Annotated[Constant[Current], Field(description="of a pulse")]
    time: Annotated[Constant[Time], Field(description="of a pulse")]
    pulses: Annotated[Constant[Annotated[float, Field(gt=0)]], Field(description="of one write, on average")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """Constants whose product is the energy of a pulse."""
        return self.voltage, self.current, self.time


class VoltagePulses(BaseModel, extra="forbid"):
    """Writing applies a fixed voltage: E = voltage² × conductance × time, time that of all pulses together."""

    law: Literal["voltage"]
    voltage: Annotated[Constant[Voltage], Field(description="across the device")]
    time: Annotated[Constant[Time], Field(description="of all pulses of a write together")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """Constants whose product is the energy of a write, or of a pulse, per conductance."""
        return self.voltage, self.voltage, self.time

    @property
    def rounds(self) -> tuple[Constant[Any], ...]:
        """None: the time is that of all pulses."""
        return ()

    @property
    def by_conductance(self) -> bool:
        """As E = V² g t says."""
        return True

    @property
    def duration(self) -> float:
        return self.time.value

    @property
    def reads(self) -> float:
        """Verifying reads of a write: one behind all pulses."""
        return 1.0


class MeasuredPulses(PulseByPulse, BaseModel, extra="forbid"):
    """Writing takes what was measured: E = pulses × energy, whatever the conductance.

    For a measured energy of whole writes, `pulses` is 1, and `time` is that of the whole write.
    """

    law: Literal["energy"]
    energy: Annotated[Constant[Energy], Field(description="of a pulse, as measured")]
    time: Annotated[Constant[Time], Field(description="of a pulse")]
    pulses: Annotated[Constant[Annotated[float, Field(gt=0)]], Field(description="of one write, on average")]

    @property
    def pulse(self) -> tuple[Constant[Any], ...]:
        """The constant that is the energy of a pulse."""
        return (self.energy,)


Write = Annotated[CurrentPulses | VoltagePulses | MeasuredPulses, Field(discriminator="law")]
"""The laws that a data sheet may have."""
