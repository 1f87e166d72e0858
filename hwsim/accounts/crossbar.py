"""What a crossbar machine is made of, and what its operations cost."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from hwsim.accounts.digital import DigitalPrices
from hwsim.accounts.energy import Area, Charge, Leak, Occupied, charge
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.accounts.periphery import Periphery
from hwsim.accounts.work import WORK
from hwsim.physics.device import CurrentPulses, DataSheet
from hwsim.quantities import Constant, Count, Energy, Time, Voltage
from hwsim.records import ANALOG, Record

Share = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Ranges(BaseModel, extra="forbid"):
    """Full scale of analog signals, in units of the network's numbers; what is larger saturates."""

    input: Annotated[Positive, Field(description="of inputs behind their converter")] = 1.0
    forward: Annotated[Positive, Field(description="of states and activations")] = 4.0
    error: Annotated[Positive, Field(description="of errors and products of Jacobians")] = 4.0


def _whole(key: object) -> object:
    """Keys of documents are texts."""
    return int(key) if isinstance(key, str) and key.isdecimal() else key


Bits = Annotated[int, BeforeValidator(_whole), Field(ge=2, le=24)]


class Converter(BaseModel, extra="forbid"):
    """Digital-to-analog or analog-to-digital converters; each layer has a bank of them."""

    bits: Annotated[int, Field(ge=2, le=24, description="of its values; its time does not follow")]
    energy: Annotated[
        Constant[Energy] | None, Field(description="of one conversion; without it that of `energy_per_bits`")
    ] = None
    energy_per_bits: Annotated[
        dict[Bits, Constant[Energy]], Field(description="of one conversion, by the converter's bits")
    ] = {}
    time: Annotated[Constant[Time], Field(description="of one conversion")]
    shared_by: Annotated[int, Field(ge=1, description="wires that one converter serves, one after another")] = 1

    @model_validator(mode="after")
    def _has_an_energy(self) -> Self:
        if self.energy is None and self.bits not in self.energy_per_bits:
            listed = ", ".join(map(str, sorted(self.energy_per_bits))) or "none"
            raise ValueError(
                f"no energy is known of {self.bits} bits; energy_per_bits has {listed}; or give an energy of your own, "
                "with its source or assumed"
            )
        return self

    @property
    def conversion(self) -> Constant[Energy]:
        """The energy of one conversion."""
        return self.energy_per_bits[self.bits] if self.energy is None else self.energy


class Scale(BaseModel, extra="forbid"):
    """From the node of a periphery to that of the chip."""

    power: Annotated[Constant[Count], Field(description="of what it draws")]
    area: Annotated[Constant[Count], Field(description="of what it takes")]


class Tiles(BaseModel, extra="forbid"):
    """Crossbar tiles: where matrices are, and how they are read."""

    rows: Annotated[int, Field(ge=1, description="outputs of a tile, read forward")]
    columns: Annotated[int, Field(ge=1, description="inputs of a tile, read forward")]
    count: Annotated[int, Field(ge=1, description="tiles on the chip")]
    voltage: Annotated[Constant[Voltage], Field(description="of an input at full scale")]
    time: Annotated[
        Constant[Time] | None, Field(description="of one phase of a read; without it that of `time_per_bits`")
    ] = None
    time_per_bits: Annotated[
        dict[Bits, Constant[Time]], Field(description="of one phase of a read, by the bits of its inputs")
    ] = {}
    phases: Annotated[
        int,
        Field(
            ge=1,
            description="of a read, one after another: 4 where inputs and weights of either sign are read apart, and "
            "the results summed as numbers",
        ),
    ] = 1
    scale: Annotated[Scale | None, Field(description="of the periphery, where its node is not that of the chip")] = None
    output_noise: Annotated[Share, Field(description="fresh, on each output of a tile, as a share of full scale")]
    interface: Annotated[
        Literal["analog", "digital"],
        Field(
            description="whether outputs stay analog until they are needed in digital form, or are converted at once"
        ),
    ] = "analog"
    weight_range: Annotated[
        Positive, Field(description="largest weight a tile can hold, in multiples of the largest initial one")
    ] = 2.0


class AnalogUnit(BaseModel, extra="forbid"):
    """One kind of analog circuit, one instance for each wire."""

    energy: Annotated[Constant[Energy], Field(description="of one operation on one wire")]
    time: Annotated[Constant[Time], Field(description="until it has settled")]
    mismatch: Annotated[
        Share, Field(description="frozen: standard deviation of its gain from instance to instance")
    ] = 0.0
    gain_noise: Annotated[Share, Field(description="fresh: standard deviation of its gain from use to use")] = 0.0
    noise: Annotated[Share, Field(description="fresh: added to each output, as a share of full scale")] = 0.0


class Functions(BaseModel, extra="forbid"):
    """Analog circuits for arithmetic on signals."""

    add: Annotated[AnalogUnit, Field(description="sums, differences and biases")]
    multiply: Annotated[AnalogUnit, Field(description="products and gains")]
    tanh: Annotated[AnalogUnit, Field(description="tanh and its slope")]
    compare: Annotated[AnalogUnit, Field(description="relu, and what gates its errors")]


class Diagonals(BaseModel, extra="forbid"):
    """Multipliers by programmed factors, for diagonal recurrences: separate ones for λ, λ̄ and 1/λ̄."""

    forward: Annotated[AnalogUnit, Field(description="by λ")]
    transposed: Annotated[AnalogUnit, Field(description="by λ̄, the conjugate")]
    inverse: Annotated[AnalogUnit, Field(description="by 1/λ̄")]


class StateRegisters(BaseModel, extra="forbid"):
    """Analog sample-and-hold registers."""

    classes: Annotated[
        list[Literal["state", "learning state"]], Field(description="what is kept in them; the rest is digital")
    ] = ["state", "learning state"]
    energy: Annotated[Constant[Energy], Field(description="to store one value")]
    time: Annotated[Constant[Time], Field(description="to store one value")]
    noise: Annotated[Share, Field(description="fresh, at storing, as a share of full scale")] = 0.0
    retention: Annotated[
        Constant[Time] | None, Field(description="time constant with which they leak; without one they do not")
    ] = None


class CrossbarParts(BaseModel, extra="forbid"):
    """Tiles, converters and analog circuits."""

    tiles: Annotated[Tiles, Field(description="where matrices are, and how they are read")]
    dac: Annotated[Converter, Field(description="from numbers to voltages")]
    adc: Annotated[Converter, Field(description="from voltages to numbers")]
    ranges: Annotated[Ranges, Field(description="full scale of analog signals")] = Ranges()
    functions: Annotated[Functions, Field(description="circuits for arithmetic on signals")]
    diagonals: Annotated[Diagonals, Field(description="multipliers by λ, λ̄ and 1/λ̄, with errors of their own")]
    registers: Annotated[StateRegisters, Field(description="analog sample-and-hold registers")]
    verify: Annotated[Constant[Energy], Field(description="to read a device once while it is programmed")]

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

    @property
    def phase(self) -> Constant[Time]:
        """How long one phase of a read takes."""
        return self.tiles.time_per_bits[self.dac.bits] if self.tiles.time is None else self.tiles.time


FUNCTION_OF = {
    "add": "add",
    "subtract": "add",
    "bias": "add",
    "multiply": "multiply",
    "scale": "multiply",
    "gain": "multiply",
    "mode gain": "multiply",
    "spread": "multiply",
    "complex multiply": "multiply",
    "tanh": "tanh",
    "tanh slope": "tanh",
    "relu": "compare",
    "gate": "compare",
}
"""The analog circuit that carries out each kind of operation, where it limits noise and time."""

DIAGONAL_OF = {"diagonal": "forward", "conjugate diagonal": "transposed", "inverse diagonal": "inverse"}


class CrossbarPrices:
    """Energy and time of a crossbar machine's operations.

    A read costs Σ V² G t for the inputs and conductances that it really had, and what the whole periphery of each tile
    draws meanwhile, used or not, once for each phase. Converters that are not in the tiles come apart, where a signal
    changes its domain. Analog circuits cost their elementary operations. Programming costs the pulses of the devices
    that were really written; its time is that of writing and verifying all rows, one after another, since schedules do
    not depend on values. Digital operations cost what they do on the digital machine that the chip contains.

    Args:
        multipliers: kinds of diagonal operations that the circuits of another section of `parts.diagonals` carry out.
        tiles: how many are in use.
        analog: whether there are other analog circuits than those of tiles.
    """

    def __init__(
        self,
        parts: CrossbarParts,
        periphery: Periphery,
        sheet: DataSheet,
        digital: DigitalPrices,
        multipliers: Mapping[str, str] = MappingProxyType({}),
        tiles: int = 0,
        analog: bool = True,
    ) -> None:
        self.tiles, self.analog = tiles, analog
        self.parts, self.periphery, self.sheet, self.digital = parts, periphery, sheet, digital
        self.multipliers = {**DIAGONAL_OF, **multipliers}

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        parts, kind, n = self.parts, record.kind, prod(record.size)
        if kind == "program":
            return self._programming()
        if kind in ("dac", "adc"):
            conversion = charge(kind, f"{kind}.energy", n, getattr(parts, kind).conversion)
            return [conversion, *self.digital.traffic(self.digital.waiting(record, where))]
        if kind == "tile adc":
            return self.digital.traffic(self.digital.waiting(record, where))  # the tile is charged for it
        if record.format != ANALOG:
            return self.digital.charges(record, where)
        if kind in ("read", "read transposed"):
            return self._read(record)
        if kind in ("load", "negate", "wire"):
            return []
        if kind == "store":
            return [charge("analog registers", "registers.energy", n, parts.registers.energy)]
        return [
            charge(f"analog {name}", f"{where}.energy", count, unit.energy)
            for name, count in WORK[kind](record.size).items()
            for where, unit in [self._unit(kind, name)]
        ]

    def activities(self, record: Record) -> int:
        if record.kind == "program":
            return 2
        return int(record.format == ANALOG and record.kind in ("read", "read transposed"))

    def leakage(self) -> list[Leak]:
        return self.digital.leakage()

    def area(self) -> Area:
        """Of the tiles in use with their periphery, and of the digital unit."""
        digital, tiles, around = self.digital.area(), self.parts.tiles, self.periphery.area
        lacks = [digital.lacks] if digital.lacks else []
        found = digital.parts
        if around is None:
            lacks.append(f"the periphery {self.periphery.name} does not say what it takes")
        else:
            scale = 1.0 if tiles.scale is None else tiles.scale.area.value
            found = {"tiles": self.tiles * around.of(tiles.columns, tiles.rows) * scale, **found}
        if self.analog:
            lacks.append("no source gives the area of analog registers, multipliers and function circuits")
        return Area(found, "; ".join(lacks))

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        parts, kind = self.parts, record.kind
        vectors = prod(record.size[:-1]) if kind not in ("read", "read transposed") else prod(record.size[:-2])
        if kind == "program":
            write = self.sheet.write
            return Occupied.of(record.size[-2] * (write.duration + write.reads * parts.phase.value))
        if kind == "tile adc":
            return Occupied.of(0.0, self.digital.times(self.digital.waiting(record, where)))
        if kind in ("dac", "adc"):
            converter = getattr(parts, kind)
            seconds = vectors * min(record.size[-1], converter.shared_by) * converter.time.value
            return Occupied.of(seconds, self.digital.times(self.digital.waiting(record, where)))
        if record.format != ANALOG:
            return self.digital.occupied(record, where)
        if kind in ("read", "read transposed"):
            return Occupied.of(vectors * self._phases * parts.phase.value)
        if kind in ("load", "negate", "wire"):
            return Occupied()
        if kind == "store":
            return Occupied.of(vectors * parts.registers.time.value)
        return Occupied.of(vectors * self._unit(kind, FUNCTION_OF.get(kind, "multiply"))[1].time.value)

    def _unit(self, kind: str, elementary: str) -> tuple[str, AnalogUnit]:
        """The circuit that does one elementary part of an operation, and its section of the file."""
        if kind in DIAGONAL_OF and elementary == "multiply":
            multiplier = self.multipliers[kind]
            return f"diagonals.{multiplier}", getattr(self.parts.diagonals, multiplier)
        return f"functions.{elementary}", getattr(self.parts.functions, elementary)

    @property
    def _phases(self) -> int:
        """How often a tile is read to read it once."""
        return self.parts.tiles.phases * (self.parts.dac.bits if self.periphery.bit_serial else 1)

    def _read(self, record: Record) -> list[Charge]:
        """The periphery of all tiles that are read, used lines or not, and the devices that are there."""
        tiles, around, (rows, columns) = self.parts.tiles, self.periphery, record.size[-2:]
        reads = prod(record.size[:-2]) * ceil(rows / tiles.rows) * ceil(columns / tiles.columns) * self._phases
        forward = record.kind == "read"
        inputs, outputs = (tiles.columns, tiles.rows) if forward else (tiles.rows, tiles.columns)
        converted = outputs if tiles.interface == "digital" else 0
        drawn = {
            "fixed": ("tile control", around.fixed, 1),
            "unexplained": ("tile control", around.unexplained, 1),
            "driver": ("tile drivers", around.driver, inputs),
            "output": ("tile outputs", around.output, outputs),
            "converter": ("adc", around.converter, converted),
            "cell": ("devices", around.cell, inputs * outputs),
        }
        scale = [] if tiles.scale is None else [tiles.scale.power]
        charges = [
            charge(component, f"periphery.{name} tiles.time", reads * lines, power, self.parts.phase, *scale)
            for name, (component, power, lines) in drawn.items()
            if power is not None and lines and power.value
        ]
        if around.cell is None:
            square, phases = (tiles.voltage, tiles.voltage), self._phases
            charges.append(
                charge("devices", "tiles.voltage² tiles.time", phases, *square, self.parts.phase, activity=0)
            )
        return charges

    def _programming(self) -> list[Charge]:
        """Pulses and verifying reads of the devices written, whose number and conductance are measured."""
        write = self.sheet.write
        component, rounds = "programming", []
        if isinstance(write, CurrentPulses):
            rounds = [write.pulses]  # each is followed by a verifying read
            factors, written = [write.voltage, write.current, write.time, write.pulses], 0
        else:
            factors, written = [write.voltage, write.voltage, write.time], 1
        return [
            charge(component, "device.write", 1.0, *factors, activity=written),
            charge(component, "verify", 1.0, self.parts.verify, *rounds, activity=0),
        ]
