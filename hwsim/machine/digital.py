"""The digital machine: a systolic array, a vector unit and memories, computing in a number format."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.digital import DigitalParts, DigitalPrices, memory_of
from hwsim.accounts.memory import ACCUMULATORS, BUFFERS
from hwsim.circuits import formats
from hwsim.circuits.formats import FormatName
from hwsim.machine.machine import Machine, Precision
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Accumulator, Storage
from hwsim.records import GRADIENT, Head, Shape

MULTIPLIED = ("read", "read transposed", "outer", "project", "solve")
"""Operations of the systolic array; the vector unit does the others."""


class Options(BaseModel, extra="forbid"):
    """A digital accelerator."""

    kind: Literal["digital"]
    name: Annotated[str, Field(description="what it is called in tables")]
    sources: Annotated[dict[str, str], Field(description="citations, by the keys that constants name")]
    format: Annotated[FormatName, Field(description=f"of every result: {formats.NAMES}")] = "float32"
    accumulator: Annotated[FormatName, Field(description="of sums of products")] = "float32"
    parts: Annotated[DigitalParts, Field(description="what it is made of")]

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
    """Each operation rounds its result once to the format; products are summed in the format of the accumulators."""

    def __init__(
        self, options: Options, *, chips: int = 1, seed: int = 0, strict: bool = False, numerics: Numerics = EXACT
    ) -> None:
        self.format, self.accumulator = formats.parse(options.format), formats.parse(options.accumulator)
        holds_both = str(np.result_type(self.format.dtype, self.accumulator.dtype))
        super().__init__(chips=chips, seed=seed, dtype=holds_both, strict=strict, numerics=numerics)
        self.options = options
        self.parallel = options.parts.dataflow.batch_parallel
        self._round = numerics.rounding(self.format, self.dtype)
        self._round_sums = numerics.rounding(self.accumulator, self.dtype)
        self.finishes = strict or self._round is not None

    def prices(self) -> DigitalPrices:
        """What its operations cost, with memories as large as they had to be so far."""
        return DigitalPrices(
            self.options.parts,
            self.memory.most,
            self.format.bits,
            self.format.arithmetic,
            self.accumulator.arithmetic,
            self.memory.widths,
        )

    def precision(self, size: Callable[[], float]) -> Precision:
        return Precision(self.format.epsilon, 0.0)

    def head(self, key: str | tuple[str, str]) -> Head:
        kind, port = (key, "") if isinstance(key, str) else key
        if kind in ("accumulate", "outer") or not port:
            port = "systolic array" if kind in MULTIPLIED else "vector unit"
        purpose = GRADIENT if kind in ("accumulate", "outer") else self.purpose
        return Head(kind, port, self.layer, purpose, self.format.name)

    def held_as(self, kind: str) -> tuple[int, str]:
        bits = self.accumulator.bits if kind == ACCUMULATORS else self.format.bits
        return bits, "registers" if kind == BUFFERS else memory_of(kind)

    def port_of(self, storage: Storage) -> str:
        return memory_of(storage.kind)

    def accumulate(self, sums: Accumulator, x: Signal) -> None:
        super().accumulate(sums, x)
        if self._round_sums is not None:
            sums.value[:] = self._round_sums(sums.value)

    def accumulate_outer(self, sums: Accumulator, error: Signal, x: Signal) -> None:
        super().accumulate_outer(sums, error, x)
        if self._round_sums is not None:
            sums.value[:] = self._round_sums(sums.value)

    def received(self, inputs: np.ndarray) -> np.ndarray:
        return inputs if self._round is None else self._round(inputs)

    def finish(self, head: Head, value: np.ndarray, shape: Shape) -> np.ndarray:
        if self._round is not None:
            value = self._round(value)
        if self.strict:
            self.check(head, value, shape)
        return value
