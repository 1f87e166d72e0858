"""Full scales of analog signals: numbers that the machine's file states, or powers of two that a chip finds itself.

One full scale for all signals is a compromise: what is larger saturates, and what is much smaller drowns in noise and
in the steps of converters. With full scales of their own, each signal is a voltage times a power of two. Its exponent
is a word in a register beside the circuit, which sets the gain of the circuit's inputs. Between updates a chip
calibrates them: it runs passes of the rule on some sequences, reads each signal by a converter as it is made, counts
in which octave below full scale its values are, and chooses the next word from these counts.

What is idealised: gains of inputs are exact powers of two, and cost nothing besides their words; borders of octaves
are exact; passes of a calibration leak as those of training do, although their steps take longer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, frexp, log2
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.memories import REGISTERS
from hwsim.accounts.memory import LEARNING, STATE, WEIGHTS
from hwsim.imperfection import Imperfection
from hwsim.machine.numerics import Primitive
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Storage
from hwsim.operations import BY_KIND, Held, held, moves
from hwsim.operations.kernels import compiled
from hwsim.records import INFERENCE, REPLAY, Head
from hwsim.units.unit import AnalogStage, Positive

FORWARD = (INFERENCE, REPLAY)
"""Purposes of states and activations; all others are of errors and products of Jacobians."""

# ---- options -----------------------------------------------------------------------------------------------------


class Calibration(BaseModel, extra="forbid"):
    """How full scales are chosen from data, by passes without learning."""

    each: Annotated[
        Literal["signal", "kind"],
        Field(
            description="`signal`: a full scale for each layer, purpose, operation and source of its operands; `kind`: "
            "one for each layer and kind of signal (state, readout, their errors, input error, product); each register "
            "has its own in both"
        ),
    ] = "signal"
    every: Annotated[int, Field(ge=1, description="updates from one calibration to the next; the first is at 0")] = 10
    sequences: Annotated[int, Field(ge=1, description="of the training set that it runs on, the first ones")] = 16
    rounds: Annotated[
        int,
        Field(
            ge=1,
            description="how often the first one runs on them; full scales are set after each, so that they settle",
        ),
    ] = 6
    later: Annotated[
        int, Field(ge=1, description="how often each later one does, which starts near where they settle")
    ] = 1
    share: Annotated[
        float, Field(ge=0, lt=0.5, description="largest share of values that may exceed full scale, before the margin")
    ] = 0.001
    margin: Annotated[Literal[1, 2, 4, 8, 16], Field(description="factor on the full scale that is found so")] = 2


FAR = 16.0
"""So many times full scale is as good as no saturation."""
SATURATION = f"off: signals saturate at {FAR:g} times full scale; doubled: at half of it; noise and steps stay"


class Ranges(BaseModel, extra="forbid"):
    """Full scale of analog signals, in units of the network's numbers; what is larger saturates.

    `auto` gives each signal a full scale of its own, and `per_kind` each kind of signals in a layer; `own` says how
    they are chosen. The numbers then are where full scales start from, rounded up to powers of two.
    """

    input: Annotated[Positive, Field(description="of inputs behind their converter")] = 1.0
    forward: Annotated[Positive, Field(description="of states and activations")] = 4.0
    error: Annotated[Positive, Field(description="of errors and products of Jacobians")] = 4.0
    reach: Annotated[
        Positive,
        Imperfection("saturation of signals", lambda _: FAR, lambda reach: reach / 2, SATURATION, side_by_side=True),
        Field(description="where signals saturate, in multiples of full scale; noise and steps stay as they are"),
    ] = 1.0
    own: Annotated[
        Calibration | None, Field(description="full scales that are chosen from data; without it the numbers hold")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _in_a_word(cls, data: Any) -> Any:
        if isinstance(data, str):
            if data not in _WORDS:
                raise ValueError(f"{data!r} is neither auto, nor per_kind, nor a mapping of numbers")
            return {"own": {"each": _WORDS[data]}}
        return data

    def of(self, purpose: str) -> float:
        """The number for signals of a purpose."""
        return self.forward if purpose in FORWARD else self.error


_WORDS = {"auto": "signal", "per_kind": "kind"}

# ---- the words, and what is counted ------------------------------------------------------------------------------

WORD, COUNTERS = "full scale, ", ": octaves"
"""How the names of words begin, and how those of counters end."""
BITS = 6
"""Of the word of a full scale, an exponent in two's complement."""
BELOW, ABOVE = 6, 8
"""Octaves below and above full scale that are told apart; what is smaller does not show, what is larger is the last."""
OCTAVES = BELOW + ABOVE + 1
LEAP = 2
"""Octaves that a signal goes up by besides, where values were clipped, if another round follows."""
_COUNTER = 32


def counted(x: np.ndarray, exponents: np.ndarray, counts: np.ndarray) -> None:
    """Add to the counters `(chips, octaves, …)` of values `(chips, …)`, by octaves beside full scales 2^exponent."""
    _counted(np.ascontiguousarray(x).reshape(x.shape[0], -1), exponents, counts)


@compiled
def _counted(flat, exponents, counts):  # type: ignore[no-untyped-def]
    for c in range(flat.shape[0]):
        for i in range(flat.shape[1]):
            value = flat[c, i]
            place = ABOVE
            if value == 0:
                place = -BELOW
            elif np.isfinite(value):
                place = min(max(frexp(value)[1] - int(exponents[c]), -BELOW), ABOVE)
            counts[c, place + BELOW] += 1


def chosen(
    counts: np.ndarray, exponents: np.ndarray, start: np.ndarray, last: bool, options: Calibration
) -> np.ndarray:
    """The next exponents of each chip, from its counters and present ones.

    It is the smallest full scale that at most `share` exceed, times the margin. A clipped value counts as one beyond
    full scale, by one octave; how far it really was beyond is not known, so the full scale goes up by more, and down
    again in the next round. A signal that does not show goes down to where it may.

    Args:
        start: exponents at the start of the calibration.
        last: whether this is its last round: signals that do not show go back to where they started.
    """
    beyond = np.cumsum(counts[:, ::-1], 1)[:, ::-1]  # in this octave and all above
    total = beyond[:, :1]
    exceed = np.concatenate([beyond[:, 1:], np.zeros_like(total)], 1)  # 2^k times full scale
    octave = (exceed <= options.share * total).argmax(1) - BELOW
    found = exponents + octave + int(log2(options.margin)) + LEAP * ((octave == 1) & (not last))
    lowest = -(1 << BITS - 1)
    found = np.clip(found, lowest, -lowest - 1)
    return np.where((beyond[:, 1] == 0) & last, start, found)


COUNT = Primitive(counted, lambda expected, *_: None)
CHOOSE = Primitive(chosen, lambda expected, counts, exponents, *_: exponents)


class FullScale:
    """A full scale that is chosen, of its own on each chip; `+scale` is its present value `(chips,)`.

    Attributes:
        kind: of its signals.
        word: its exponent, `(chips, 1)`.
        counters: of octaves, while it is calibrated, and the exponents at the start of that; `(chips, octaves + 1)`.
    """

    def __init__(self, machine: AnalogStage, name: str, kind: str, start: float) -> None:
        self.name, self.kind, self._machine = name, kind, machine
        first = np.full((machine.chips, 1), ceil(log2(start)), np.int64)
        self.word = Storage(machine, name, WEIGHTS, (1,), first, shared=True, bits=BITS, technology=REGISTERS)
        self.counters: Storage | None = None
        self._follow()

    def __pos__(self) -> np.ndarray:
        return self._value

    @property
    def exponents(self) -> np.ndarray:
        """Of each chip, `(chips,)`."""
        exponents: np.ndarray = self.word.value[:, 0]
        return exponents

    def open(self) -> None:
        """Make counters, all zero."""
        chips, name = self._machine.chips, f"{self.name}{COUNTERS}"
        zeros = np.concatenate([np.zeros((chips, OCTAVES), np.int64), self.word.value], 1)
        size = (OCTAVES + 1,)
        self.counters = Storage(
            self._machine, name, LEARNING, size, zeros, shared=True, bits=_COUNTER, technology=REGISTERS
        )

    def close(self) -> None:
        """Give the counters back."""
        assert self.counters is not None
        self.counters.release()
        self.counters = None

    def set(self, exponents: np.ndarray) -> None:
        """Have these exponents from now on, and count anew."""
        assert self.counters is not None
        self.word.value, self.counters.value[:, :OCTAVES] = exponents[:, None], 0
        self._follow()

    def _follow(self) -> None:
        self._value = np.exp2(self.word.value[:, 0].astype(float))


class Widest:
    """The largest of several full scales, that of wires side by side."""

    def __init__(self, scales: tuple[Any, ...]) -> None:
        self._scales = scales
        self.kind = next((scale.kind for scale in scales if not isinstance(scale, float)), "")

    def __pos__(self) -> Any:
        value = +self._scales[0]
        for scale in self._scales[1:]:
            value = np.maximum(value, +scale)
        return value


def widest(scales: list[Any]) -> Any:
    """The full scale of wires side by side."""
    known = tuple({id(scale): scale for scale in scales if scale}.values())
    if all(isinstance(scale, float) for scale in known):
        return max(known, default=0.0)
    return known[0] if len(known) == 1 else Widest(known)


# ---- which signal has which ----------------------------------------------------------------------------------------


class Scales:
    """The full scales of a chip: the numbers in its file.

    Attributes:
        measuring: whether it is calibrated now.
    """

    measuring = False

    def __init__(self, machine: AnalogStage, ranges: Ranges) -> None:
        self._machine, self._ranges = machine, ranges

    def of(self, head: Head, operands: tuple[Signal, ...], group: str = "") -> Any:
        """The full scale of what an operation makes of these operands.

        Args:
            group: that of the parameters, if the operation is with some.
        """
        return self._machine.full_scale

    def of_register(self, register: Any) -> Any:
        """The full scale of a register."""
        return self._ranges.forward if register.kind == STATE else self._ranges.error

    def look(self, x: Signal, scale: Any) -> None:
        """Count where the values of a signal lie, while it is calibrated."""

    @property
    def error(self) -> float:
        """The full scale of signals of learning, one that stands for all."""
        return self._ranges.error


class OwnScales(Scales):
    """The full scales of a chip that chooses them, made as signals are met.

    Args:
        ranges: options.

    Attributes:
        scales: by name.
        measuring: whether a calibration is under way.
    """

    def __init__(self, machine: AnalogStage, ranges: Ranges) -> None:
        assert ranges.own is not None
        super().__init__(machine, ranges)
        self.options = ranges.own
        self.scales: dict[str, FullScale] = {}
        self.measuring = False
        self._known: dict[tuple[Any, ...], FullScale] = {}
        self._count, self._choose = machine.numerics.run(COUNT), machine.numerics.run(CHOOSE)

    def of(self, head: Head, operands: tuple[Signal, ...], group: str = "") -> FullScale:
        makers = [self._machine.head_of(x) for x in operands]
        kinds = [getattr(x._full_scale, "kind", "") for x in operands]
        held = [_plain(self._machine.taken_from(x)) for x in operands]
        own = (*map(id, makers), *held) if self.options.each == "signal" else tuple(kinds)
        key = id(head), *own
        scale = self._known.get(key)
        if scale is None:
            kind = kind_of(head, group, kinds)
            if self.options.each == "signal":
                name = f"{head.layer}, {head.purpose}: {head.kind} by {head.unit} of {_sources(makers, held)}"
            else:
                name = f"{head.layer}, {kind}"
            scale = self._known[key] = self._scale(name, kind, self._ranges.of(head.purpose))
        return scale

    def of_register(self, register: Any) -> FullScale:
        """The full scale of a register; those that differ by a number only have one."""
        state = register.kind == STATE
        kind = "state" if state else "product" if register.unit else "state error"
        return self._scale(_plain(register.name), kind, self._ranges.forward if state else self._ranges.error)

    def _scale(self, name: str, kind: str, start: float) -> FullScale:
        scale = self.scales.get(name)
        if scale is None:
            scale = self.scales[name] = FullScale(self._machine, f"{WORD}{name}", kind, start)
            if self.measuring:
                scale.open()
        scale.kind = scale.kind or kind
        return scale

    def _take_restored(self) -> None:
        """Make those that were there when a snapshot was taken, and that no signal has met since."""
        for name in list(self._machine.holdings.values):
            if name.startswith(WORD) and not name.endswith(COUNTERS):
                self._scale(name.removeprefix(WORD), "", 1.0)

    @property
    def error(self) -> float:
        """The median over state errors of all layers, and chips."""
        found = [+scale for scale in self.scales.values() if scale.kind == "state error"]
        return float(np.median(found)) if found else self._ranges.error

    # ---- calibration -----------------------------------------------------------------------------------------

    @contextmanager
    def calibrating(self) -> Iterator[None]:
        """Count the octaves of all signals that are made."""
        self.measuring = True
        for scale in self.scales.values():
            scale.open()
        try:
            yield
        finally:
            self.measuring = False
            for scale in self.scales.values():
                scale.close()

    def look(self, x: Signal, scale: Any) -> None:
        """Count the octaves of a signal that was made, read by a converter if it is analog."""
        if isinstance(scale, FullScale) and scale.counters is not None:
            machine = self._machine
            number, value = machine.digital(x), machine.see(x)
            self._count(value, scale.exponents, scale.counters.value)
            machine.note(machine.heads[moves.count], value.shape, (number._slot,), scale.counters.name)

    def choose(self, last: bool) -> None:
        """In a phase: set the words of all full scales by what was counted in this round, and count anew."""
        machine = self._machine
        self._take_restored()
        for scale in self.scales.values():
            counters = scale.counters
            assert counters is not None, "full scales are chosen while they are calibrated"
            counts, start = counters.value[:, :OCTAVES], counters.value[:, OCTAVES]
            scale.set(self._choose(counts, scale.exponents, start, last, self.options))
            machine.note(machine.heads[moves.choose], (0, 0, OCTAVES), (counters.name,), scale.word.name)


def scales(machine: AnalogStage, ranges: Ranges) -> Scales:
    """The full scales that options describe."""
    return Scales(machine, ranges) if ranges.own is None else OwnScales(machine, ranges)


_NUMBER = re.compile(r"(?<!layer) \d+")


def _plain(name: str) -> str:
    """The name of a storage without numbers, but for those of layers."""
    return _NUMBER.sub("", name)


def _sources(makers: list[Head], held: list[str]) -> str:
    """What made the operands, in words."""
    texts = (
        f"{head.kind} {where or (_plain(head.unit) if BY_KIND[head.kind] in _HELD else head.unit)}"
        for head, where in zip(makers, held, strict=True)
    )
    return " and ".join(texts) or "nothing"


_HELD = (moves.load, moves.get, moves.pop)


def kind_of(head: Head, group: str, kinds: list[str]) -> str:
    """The kind of what an operation makes.

    Args:
        group: of the parameters that it is with, or none.
        kinds: of its operands; empty for those from the digital unit.
    """
    forward, operation = head.purpose in FORWARD, BY_KIND[head.kind]
    if operation is moves.dac:
        return "converted" if forward else "converted error"
    if "product" in kinds and (group or all(kind == "product" for kind in kinds)):
        return "product"
    if group == "readout":
        return "readout" if forward else "readout error"
    if operation is held.read_transposed and group == "input":
        return "input error"
    if isinstance(operation, Held):
        return "state" if forward else "state error"
    order = ("state", "readout") if forward else ("state error", "input error", "readout error", "product")
    return next((kind for kind in order if kind in kinds), order[1] if forward else "readout error")
