"""What storages, parameters and passes need of the machine that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from hwsim.episode import Episode
from hwsim.machine.numerics import Functions, Numerics, Rounding
from hwsim.machine.signal import Carrier, Signal
from hwsim.operations import Held, Operation
from hwsim.records import Entry, Head, Shape, Trace


class Stage(Carrier, Protocol):
    """A machine, as its own parts see it; `Machine` says what each of these is."""

    chips: int
    numbers: Sequence[int]
    seed: int
    dtype: np.dtype
    strict: bool
    numerics: Numerics
    round_updates: Rounding | None
    pulsed: bool
    needs_copy: bool
    functions: Functions
    parallel: int
    addressable: bool
    sparse: bool
    uniform: bool
    master_class: str
    layer: str
    episode: Episode
    holdings: Any
    sequencer: Any
    units: list[Any]
    heads: Any
    operations: dict[int, Operation]
    aside: Any
    probe: Any
    storages: Any
    finishes: bool
    devices: Any
    ranges: Any
    given: Any
    input_bits: int | None
    input_full_scale: float | None

    def apply(self, operation: Held, holder: Any, x: Signal) -> Signal:
        """An operation on a signal with what a unit holds."""

    def fetch(self, operation: Held, holder: Any) -> Signal:
        """What a unit holds as a signal."""

    def see(self, signal: Signal) -> np.ndarray:
        """The value of a signal of this step."""

    def emit(self, head: Head, value: np.ndarray, reads: tuple[int | str, ...], size: Shape | None = None) -> Signal:
        """Enter one operation that makes a value."""

    def finish(self, head: Head, value: np.ndarray) -> np.ndarray:
        """What is still to be done to a new value."""

    def note(
        self, head: Head, shape: Shape, reads: tuple[int | str, ...], writes: str, work: Shape | None = None
    ) -> None:
        """Enter one operation that writes a storage."""

    def digital(self, x: Signal) -> Signal:
        """A signal as a number."""

    def part(self, layer: str | None = None, purpose: str | None = None) -> Any:
        """What the operations of a block serve."""

    def place_storage(self, storage: Any) -> Any:
        """The port that moves values in and out of a storage."""

    def place_matrix(self, matrix: Any) -> Any:
        """The unit that holds a matrix."""

    def place_coefficients(self, coefficients: Any) -> Any:
        """The unit that holds coefficients."""

    def place_loop(self, loop: Any) -> Any:
        """The unit that solves with a matrix in a feedback loop; None where the operation `solve` does it."""

    def received(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs as they arrive from outside."""

    def begin_step(self, clock: int) -> None:
        """Take operations from now on."""

    def records_of_step(self) -> tuple[list[Entry], np.ndarray | None]:
        """What was done in the step, and the measured activities."""

    def end_step(self, settled: list[Any]) -> None:
        """Take no more operations; registers have settled."""

    def waiting_operands(self, traces: dict[int, Trace], steps: int) -> int:
        """Values that wait for those of other steps in a pass."""

    def held_as(self, kind: str) -> tuple[int, str]:
        """Bits of one number of a class of memory, and the technology that holds it."""
