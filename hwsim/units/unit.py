"""What analog units need of the machine that they are part of, and what prices need of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Annotated, Any, Protocol

import numpy as np
from pydantic import Field

from hwsim.accounts.energy import Charge
from hwsim.imperfection import scaled
from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage
from hwsim.records import Head, Record, Shape

Fraction = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False), scaled("")]
"""A standard deviation as a share of something: an imperfection with the name of its option."""
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Wire(Signal):
    """A signal of a machine that has analog circuits; digital until it is said to be analog."""

    __slots__ = ()

    def __init__(self) -> None:
        self._analog, self._full_scale, self._twin = False, None, None


class AnalogStage(Stage, Protocol):
    """A machine with analog circuits, as these see it.

    Attributes:
        purpose: what the operations that follow serve.
        full_scale: of the signals that are made now; larger ones saturate.
        scales: full scales of signals, by what makes them; each is a number, or what `+` makes one of.
        reach: where signals saturate, in multiples of their full scale.
        analog_heads: the heads of analog operations, by operation, or by operation and unit.
        clipped: values that each unit converted or made, and how many of them were beyond full scale, by what clips
            them: `dac`, `adc`, or saturation of `analog` circuits.
    """

    purpose: str
    full_scale: float
    scales: Any
    reach: Any
    analog_heads: Any
    clipped: dict[str, defaultdict[str, list[int]]]

    def head_of(self, x: Signal) -> Head:
        """What made a signal of this step."""

    def taken_from(self, x: Signal) -> str:
        """The name of the queue that a signal was taken out of; empty for other signals."""

    def analog(self, x: Signal) -> Signal:
        """A signal as a voltage."""

    def compute(
        self, does: Callable[..., np.ndarray], operands: tuple[Any, ...], constants: tuple[Any, ...] = ()
    ) -> np.ndarray:
        """What a unit makes of signals and constants."""

    def emit_analog(
        self, head: Head, value: np.ndarray, reads: tuple[int | str, ...], full_scale: Any, size: Shape | None = None
    ) -> Signal:
        """Enter one operation that makes an analog signal."""

    def measure(self, *activities: np.ndarray) -> None:
        """Enter activities of the latest record, one number per chip each."""


def tally(machine: AnalogStage, kind: str, unit: str, values: int, beyond: int) -> None:
    """Count values that a unit converted or made, and how many of them were beyond full scale, as `clipped`."""
    counts = machine.clipped[kind][unit]
    counts[0] += values
    counts[1] += beyond


class Free:
    """What costs neither energy nor time of its own: wires, loads, converters that a tile is charged for."""

    def charges(self, record: Record) -> list[Charge]:
        return []

    def seconds(self, record: Record) -> float:
        return 0.0


class Priced(Protocol):
    """What the records of a unit cost."""

    def charges(self, record: Record) -> list[Charge]:
        """The energy of one execution of a record."""

    def seconds(self, record: Record) -> float:
        """How long a record keeps the unit busy."""
