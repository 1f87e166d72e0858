"""What a crossbar machine is made of, and what its operations cost."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod
from types import MappingProxyType
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from hwsim.accounts.digital import DigitalPrices
from hwsim.accounts.energy import Charge, Leak, Occupied, charge
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.accounts.work import WORK
from hwsim.physics.device import CurrentPulses, DataSheet
from hwsim.quantities import Constant, Energy, Time, Voltage
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


class Tiles(BaseModel, extra="forbid"):
    """Crossbar tiles: where matrices are, and how they are read."""

    rows: Annotated[int, Field(ge=1, description="outputs of a tile, read forward")]
    columns: Annotated[int, Field(ge=1, description="inputs of a tile, read forward")]
    count: Annotated[int, Field(ge=1, description="tiles on the chip")]
    voltage: Annotated[Constant[Voltage], Field(description="of an input at full scale")]
    time: Annotated[Constant[Time], Field(description="of one read")]
    integrator: Annotated[Constant[Energy], Field(description="of one output line in one read")]
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

    A read costs Σ V² G t for the inputs and conductances that it really had, and an integrator for each output line of
    each tile; converters come apart, where a signal changes its domain. Analog circuits cost their elementary
    operations. Programming costs the pulses of the devices that were really written; its time is that of writing and
    verifying all rows, one after another, since schedules do not depend on values. Digital operations cost what they do
    on the digital machine that the chip contains.

    Args:
        multipliers: kinds of diagonal operations that the circuits of another section of `parts.diagonals` carry out.
    """

    def __init__(
        self,
        parts: CrossbarParts,
        sheet: DataSheet,
        digital: DigitalPrices,
        multipliers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.parts, self.sheet, self.digital = parts, sheet, digital
        self.multipliers = {**DIAGONAL_OF, **multipliers}

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        parts, kind, n = self.parts, record.kind, prod(record.size)
        if kind == "program":
            return self._programming()
        if kind in ("dac", "adc"):
            conversion = charge(kind, f"{kind}.energy", n, getattr(parts, kind).conversion)
            return [conversion, *self.digital.traffic(self.digital.waiting(record, where))]
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

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        parts, kind = self.parts, record.kind
        vectors = prod(record.size[:-1]) if kind not in ("read", "read transposed") else prod(record.size[:-2])
        if kind == "program":
            write = self.sheet.write
            return Occupied.of(record.size[-2] * (write.duration + write.reads * parts.tiles.time.value))
        if kind in ("dac", "adc"):
            converter = getattr(parts, kind)
            seconds = vectors * min(record.size[-1], converter.shared_by) * converter.time.value
            return Occupied.of(seconds, self.digital.times(self.digital.waiting(record, where)))
        if record.format != ANALOG:
            return self.digital.occupied(record, where)
        if kind in ("read", "read transposed"):
            return Occupied.of(vectors * parts.tiles.time.value)
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

    def _read(self, record: Record) -> list[Charge]:
        tiles, (rows, columns) = self.parts.tiles, record.size[-2:]
        forward = record.kind == "read"
        lines, across = (rows, ceil(columns / tiles.columns)) if forward else (columns, ceil(rows / tiles.rows))
        outputs = lines * across * prod(record.size[:-2])
        volt = tiles.voltage
        return [
            charge("devices", "tiles.voltage² tiles.time", 1.0, volt, volt, tiles.time, activity=0),
            charge("integrators", "tiles.integrator", outputs, tiles.integrator),
        ]

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
