"""The crossbar machine, as files describe it: crossbar tiles, analog circuits, and a digital unit beside them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim import formats
from hwsim.documents import ByName
from hwsim.formats import FormatName
from hwsim.imperfection import Imperfection, Part
from hwsim.machine.machine import Machine
from hwsim.machines import digital
from hwsim.machines.chip import Chip
from hwsim.machines.digital import Options as DigitalOptions
from hwsim.machines.host import HostedChip
from hwsim.physics import DataSheet
from hwsim.quantities import Constant, Energy
from hwsim.units.column import Load
from hwsim.units.converter import AnalogToDigital, Converter
from hwsim.units.function import Functions
from hwsim.units.integrator import Integrators
from hwsim.units.inverse import InverseSolver
from hwsim.units.multiplier import Diagonals, Sharing
from hwsim.units.neurons import Neurons
from hwsim.units.periphery import Periphery
from hwsim.units.ranges import Ranges
from hwsim.units.register import StateRegisters
from hwsim.units.spiking import SpikingCircuits
from hwsim.units.tiles import Tiles


class CrossbarParts(BaseModel, extra="forbid"):
    """Tiles, converters and analog circuits."""

    tiles: Annotated[Tiles, Part("tiles"), Field(description="where matrices are, and how they are read")]
    dac: Annotated[Converter, Part("DACs"), Field(description="from numbers to voltages")]
    adc: Annotated[AnalogToDigital, Part("ADCs"), Field(description="from voltages to numbers")]
    ranges: Annotated[Ranges, Field(description="full scale of analog signals")] = Ranges()
    functions: Annotated[Functions, Field(description="circuits for arithmetic on signals")]
    diagonals: Annotated[Diagonals, Field(description="multipliers by λ, λ̄ and 1/λ̄, with errors of their own")]
    integrators: Annotated[
        Integrators | None,
        Part("integrators"),
        Field(description="Euler steps of cells in continuous time; without them the digital unit takes them"),
    ] = None
    registers: Annotated[StateRegisters, Part("registers"), Field(description="analog sample-and-hold registers")]
    neurons: Annotated[
        Neurons | None,
        Part("neurons"),
        Field(description="analog neurons that cells named `circuit` are; without, a digital unit integrates them"),
    ] = None
    spiking: Annotated[
        SpikingCircuits | None,
        Part("spiking"),
        Field(
            description="circuits of the cells lif, alif and liquid; without them the digital unit updates membranes"
        ),
    ] = None
    solver: Annotated[
        InverseSolver | None,
        Part("inverse solver"),
        Field(description="amplifiers that solve with the transposed Jacobian, for `learning.inverse: analog`"),
    ] = None
    verify: Annotated[Constant[Energy], Field(description="to read a device once while it is programmed")]

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Parts without a solver are what they were before there was such a key."""
        data: dict[str, Any] = written(self)
        if self.solver is None:
            data.pop("solver", None)
        return data

    @model_validator(mode="after")
    def _reads_have_a_time(self) -> Self:
        tiles = self.tiles
        if tiles.time is None and self.dac.bits not in tiles.time_per_bits:
            listed = ", ".join(map(str, sorted(tiles.time_per_bits))) or "none"
            raise ValueError(
                f"tiles: no time is known of reads with inputs of {self.dac.bits} bits; time_per_bits has {listed}; or "
                "give a time of your own, with its source or assumed"
            )
        return self


class Options(BaseModel, extra="forbid"):
    """A chip of crossbar tiles with analog state and a digital unit for sums, weights and the optimizer."""

    kind: Literal["crossbar"]
    name: Annotated[str, Field(description="what it is called in tables")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    device: Annotated[DataSheet, ByName(like=False), Field(description="a data sheet in devices/, by name")]
    periphery: Annotated[
        Periphery,
        ByName(like=False),
        Field(description="circuits around the devices, from configs/periphery/, by name"),
    ]
    digital: Annotated[
        DigitalOptions,
        ByName(),
        digital.rounding("rounding of the digital unit", "float32"),
        Field(description="a digital machine, by name: the chip's digital unit"),
    ]
    parts: Annotated[CrossbarParts, Field(description="what it is made of")]
    sharing: Annotated[Sharing, Field(description="which multipliers are the same circuits")] = Sharing()
    coefficients: Annotated[
        FormatName,
        Imperfection(
            "rounding of factors and biases", lambda _: "float32", formats.coarser, "off: float32; doubled: a bit fewer"
        ),
        Field(description="of factors and biases in analog circuits"),
    ] = "fixed<16,12>"
    attached: Annotated[
        Literal["nothing", "memory", "host"],
        Field(
            description="digital memory that records states, so that there is a tape; a host has it too, and runs "
            "backward passes itself, with its own weights"
        ),
    ] = "nothing"

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.digital.parts.dataflow.batch_parallel != 1:
            raise ValueError("the digital unit of a crossbar machine works on one sequence at a time: batch_parallel 1")
        if self.parts.tiles.slices is not None and self.device.update is not None:
            raise ValueError(
                f"devices of {self.device.name} answer to pulses by a law, and slices are programmed digit by digit; "
                "take a device without `update`, or leave out tiles.slices"
            )
        if self.parts.tiles.shares and self.device.update is not None:
            raise ValueError(
                f"devices of {self.device.name} answer to pulses by a law, each beside a reference of its own or in a "
                "pair; take a device without `update`, or leave out tiles.mapping and tiles.parallel"
            )
        if self.parts.tiles.slices is not None and self.device.colour is not None:
            raise ValueError(
                f"read noise of {self.device.name} has a memory, which is modelled for pairs of devices, not slices; "
                "take a device without `colour`, or leave out tiles.slices"
            )
        self._inputs_fit_the_periphery()
        unit = self.digital
        for name in (unit.format, unit.accumulator, unit.update or unit.format, self.coefficients):
            if formats.parse(name).dtype != "float32":
                raise ValueError(f"a crossbar machine needs formats of at most 24 significant bits, not {name}")
        return self

    def _inputs_fit_the_periphery(self) -> None:
        tiles, around = self.parts.tiles, self.periphery
        if tiles.management is not None and tiles.management.bound and around.converter is None:
            raise ValueError(
                f"reads are repeated where converters of a tile saturate, and tiles with the periphery {around.name} "
                "have no converters of their own; take another periphery, or `management: {bound: 0}`"
            )
        coded = tiles.encoding(self.parts.dac.bits)
        if coded is None:
            return
        if around.bit_serial and tiles.inputs != "bit_serial":
            raise ValueError(
                f"the periphery {around.name} applies inputs bit by bit; take `inputs: bit_serial`, or none"
            )
        if (coded.reads > 1 or tiles.slices is not None) and around.converter is None:
            raise ValueError(
                f"bits, phases and slices are converted one by one, and tiles with the periphery {around.name} have no "
                "converters of their own; take another periphery, or `inputs: parallel` or `pulse_width` in one phase, "
                "without slices"
            )
        if tiles.phases == 4 and self.device.update is not None:
            raise ValueError(
                f"devices of {self.device.name} answer to pulses by a law and have no partners for negative weights; "
                "take `phases: 1` or 2, or leave out tiles.inputs"
            )

    @property
    def load(self) -> Load:
        """The most that a line of a tile can bring to its integrator, read forward or transposed."""
        tiles = self.parts.tiles
        phase = tiles.phase(self.parts.dac.bits).value
        return Load(max(tiles.rows, tiles.columns), self.device.conductance.max.value, tiles.voltage.value, phase)

    @property
    def apart(self) -> frozenset[str]:
        """Keys in which chips side by side cannot differ: bits that are applied in turn, and those of a sign alone."""
        bits = {"parts.dac.bits": self.parts.dac.bits, "parts.adc.bits": self.parts.adc.bits}
        alone = {key for key, each in bits.items() if each == 1}
        return frozenset(alone | ({"parts.dac.bits"} if self.parts.tiles.inputs == "bit_serial" else set()))

    @property
    def idle(self) -> frozenset[str]:
        """Keys that change nothing: cells of slices have the states of their bits, however fine steps may be."""
        return frozenset() if self.parts.tiles.slices is None else frozenset({"device.programming.step"})

    @property
    def digital_unit(self) -> DigitalOptions:
        """The digital unit of the chip, which takes its products step by step if it has no addressable memory."""
        unit, flow = self.digital, self.digital.parts.dataflow
        if self.attached != "nothing" or flow.together is not None:
            return unit
        parts = unit.parts.model_copy(update={"dataflow": flow.model_copy(update={"together": 1})})
        return unit.model_copy(update={"parts": parts})


def machine(options: Options) -> type[Machine]:
    """The class of the machine that options describe."""
    return HostedChip if options.attached == "host" else Chip
