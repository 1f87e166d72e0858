"""The digital machine: a systolic array, a vector unit and memories, computing in a number format."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim import formats
from hwsim.accounts.energy import Prices
from hwsim.accounts.memories import memory_of
from hwsim.accounts.memory import ACCUMULATORS, BUFFERS, MASTER, OPTIMIZER, WEIGHTS
from hwsim.accounts.passes import Flow, Pass
from hwsim.accounts.scaling import Node, Target
from hwsim.formats import FormatName
from hwsim.imperfection import Imperfection
from hwsim.machine.holder import WeightCopy, Weights
from hwsim.machine.machine import SUMS, Machine, UnitErrors
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.port import Port, RoundedSums
from hwsim.machine.storage import Storage
from hwsim.operations import Operation
from hwsim.records import GRADIENT, Head, Trace
from hwsim.units.arithmetic import PricedFormat
from hwsim.units.processor import DigitalParts, DigitalPrices, at_node


class PricedAs(BaseModel, extra="forbid"):
    """Formats that operations and memory are priced in, while values keep the machine's own: a bound, not a result."""

    format: Annotated[FormatName | Literal["int8"], Field(description="of operands, and of what memories hold")]
    accumulator: Annotated[FormatName | Literal["int32"], Field(description="of sums of products")]
    bound: Annotated[str, Field(description="what the costs are a bound of; said wherever they are shown")]


def rounding(name: str, finest: str) -> Imperfection:
    """The rounding of a digital machine's numbers, as one imperfection of its options.

    Args:
        finest: the format that is as good as no rounding.
    """

    def off(options: Any) -> Any:
        return options.model_copy(update=dict.fromkeys(_formats(options), finest))

    def doubled(options: Any) -> Any:
        coarser = {key: formats.coarser(getattr(options, key)) for key in _formats(options)}
        return None if None in coarser.values() else options.model_copy(update=coarser)

    return Imperfection(name, off, doubled, f"off: {finest}; doubled: a bit fewer, which floating point has not")


def _formats(options: Any) -> list[str]:
    """The keys of the formats that results are rounded to."""
    return [key for key in ("format", "accumulator", "update") if getattr(options, key) is not None]


class Options(BaseModel, extra="forbid"):
    """A digital accelerator."""

    imperfection: ClassVar = rounding("rounding", "float64")

    kind: Literal["digital"]
    name: Annotated[str, Field(description="what it is called in tables")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    format: Annotated[FormatName, Field(description=f"of every result: {formats.NAMES}")] = "float32"
    accumulator: Annotated[FormatName, Field(description="of sums of products")] = "float32"
    update: Annotated[
        FormatName | None,
        Field(
            description="of the optimizer and all else between passes, and of master weights; by default as `format`"
        ),
    ] = None
    priced_as: PricedAs | None = None
    measured_at: Annotated[
        Node | None, Field(description="the node and voltage that the energies of arithmetic and registers are of")
    ] = None
    scaled_to: Annotated[
        Target | None,
        Field(description="the node and voltage to scale them to, and the clock, by Stillmaker and Baas (2017)"),
    ] = None
    parts: Annotated[DigitalParts, Field(description="what it is made of")]

    @model_validator(mode="after")
    def _can_be_scaled(self) -> Self:
        if self.scaled_to is not None and self.measured_at is None:
            raise ValueError("scaled_to: measured_at has to say which node and voltage the numbers are of")
        self.priced_parts()
        return self

    def priced_parts(self) -> DigitalParts:
        """The parts at the node that they are to be priced at."""
        if self.scaled_to is None or self.measured_at is None:
            return self.parts
        return at_node(self.parts, self.measured_at, self.scaled_to)

    @model_validator(mode="after")
    def _sums_fit(self) -> Self:
        wide, narrow = formats.parse(self.accumulator), formats.parse(self.format)
        if wide.bits < narrow.bits:
            raise ValueError(f"accumulator: {self.accumulator} is narrower than the format, {self.format}")
        if narrow.name == "float32" and wide.dtype != "float32":
            raise ValueError(
                f"accumulator: float32 is summed in float32, or in float64 from the start; not in {wide.name}"
            )
        return self


class DigitalMachine(Machine):
    """Each operation rounds its result once to the format; products are summed in the format of the accumulators.

    With a format of its own for updates, all between passes is rounded to that one instead; master weights and the
    optimizer's slots are kept in it, and products read a copy of the weights in the format of results (Micikevicius et
    al., "Mixed precision training", ICLR 2018). Biases and factors are few, and applied as their masters are.
    """

    def __init__(
        self,
        options: Options,
        *,
        chips: int | Sequence[int] = 1,
        seed: int = 0,
        strict: bool = False,
        numerics: Numerics = EXACT,
    ) -> None:
        self.format, self.accumulator = formats.parse(options.format), formats.parse(options.accumulator)
        update = formats.parse(options.update or options.format)
        holds_all = str(np.result_type(self.format.dtype, self.accumulator.dtype, update.dtype))
        super().__init__(chips=chips, seed=seed, dtype=holds_all, strict=strict, numerics=numerics)
        self.update = update
        self.options, self.priced_parts = options, options.priced_parts()
        priced = options.priced_as or options
        self.priced_format, self.priced_accumulator = _priced(priced.format), _priced(priced.accumulator)
        if options.priced_as is not None:
            self.bound = options.priced_as.bound
        self.parallel = options.parts.dataflow.batch_parallel
        self.blocking = self.priced_parts.blocking(self.priced_format.bits, self.priced_accumulator.bits)
        self._flows: dict[int, Flow] = {}  # of traces, by their numbers
        self._round = numerics.rounding(self.format, self.dtype)
        self._round_sums = numerics.rounding(self.accumulator, self.dtype)
        self.round_updates = numerics.rounding(self.update, self.dtype)
        self.finishes = strict or self._round is not None or self.round_updates is not None
        self.copies = self.update != self.format and self.master_class == WEIGHTS
        if self.copies:
            self.master_class = MASTER

    # ---- where things go -------------------------------------------------------------------------------------

    def place_storage(self, storage: Storage) -> Port:
        name = memory_of(storage.kind)
        if storage.kind == ACCUMULATORS:
            return RoundedSums(self, name, self._round_sums, self.round_updates)
        return Port(self, name)

    def place_matrix(self, matrix: Any) -> Any:
        return WeightCopy(self, matrix, self._round) if self.copies else Weights(matrix, self._round)

    def held_as(self, kind: str) -> tuple[int, str]:
        bits = self.priced_accumulator.bits if kind == ACCUMULATORS else self.priced_format.bits
        if kind in (MASTER, OPTIMIZER) and self.options.priced_as is None:
            bits = self.update.bits
        return bits, "registers" if kind == BUFFERS else memory_of(kind)

    def head(self, key: Any) -> Head:
        operation, unit = (key, "") if isinstance(key, Operation) else key
        if operation in SUMS or not unit:
            unit = "systolic array" if operation.product else "vector unit"
        purpose = GRADIENT if operation in SUMS else self.purpose
        format = self.format if self.sequencer.in_pass else self.update  # noqa: A001
        return Head(operation.kind, unit, self.layer, purpose, format.name)

    def received(self, inputs: np.ndarray) -> np.ndarray:
        return inputs if self._round is None else self._round(inputs)

    def finish(self, head: Head, value: np.ndarray) -> np.ndarray:
        rounding = self._round if head.format == self.format.name else self.round_updates
        return super().finish(head, value if rounding is None else rounding(value))

    def waiting_operands(self, traces: dict[int, Trace], steps: int) -> int:
        return Pass(traces, steps, self._flows).waiting(self.blocking.waits) * self.blocking.window(steps)

    # ---- what it costs, and how exact it is ------------------------------------------------------------------

    def prices(self, options: Options | None = None) -> Prices:
        return self.digital_prices(options)

    def digital_prices(self, options: Options | None = None) -> DigitalPrices:
        """What digital operations cost, with memories as large as they had to be so far."""
        apart = self.update != self.format and self.options.priced_as is None  # updates have a price of their own
        return DigitalPrices(
            self.priced_parts if options is None else options.priced_parts(),
            self.memory.most,
            self.priced_format,
            self.priced_accumulator,
            self.memory.widths,
            (self.update.name, _priced(self.update.name)) if apart else None,
        )

    def errors(self, operation: Operation) -> UnitErrors:
        return UnitErrors("arithmetic", 0.0, 0.0, 0.0, self.format.epsilon)


def _priced(name: str) -> PricedFormat:
    if name in ("int8", "int32"):
        return PricedFormat(int(name[3:]), name)
    found = formats.parse(name)
    return PricedFormat(found.bits, found.arithmetic)
