"""The crossbar machine: matrices on tiles of conductance devices, states in analog registers, digital accumulators."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from math import exp, hypot, log2, sqrt
from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.crossbar import DIAGONAL_OF, FUNCTION_OF, AnalogUnit, CrossbarParts, CrossbarPrices
from hwsim.accounts.memories import MEMORIES, REGISTERS, memory_of
from hwsim.accounts.memory import BUFFERS, MASTER, STATE, WEIGHTS
from hwsim.accounts.periphery import Periphery
from hwsim.circuits import converters, formats
from hwsim.circuits.bank import Bank
from hwsim.circuits.crossbar import Crossbar, Share, headroom, levels, tiles
from hwsim.circuits.formats import FormatName
from hwsim.circuits.noise import Moment, Source
from hwsim.documents import ByName
from hwsim.errors import CapabilityError
from hwsim.machine import digital
from hwsim.machine.digital import DigitalMachine
from hwsim.machine.machine import Precision, vectors
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.parameters import Coefficients, Matrix, ModeGain
from hwsim.machine.sequencer import Heads
from hwsim.machine.signal import Signal
from hwsim.machine.step import Step
from hwsim.machine.storage import Accumulator, Register, Storage, Tape
from hwsim.physics import DataSheet
from hwsim.records import ANALOG, GRADIENT, INFERENCE, REPLAY, Head, Shape


class Sharing(BaseModel, extra="forbid"):
    """Which multipliers of a diagonal recurrence are the same circuits, with the same frozen errors."""

    transposed: Annotated[Literal["own", "forward"], Field(description="λ̄: own, or those of λ read from behind")] = (
        "own"
    )
    inverse: Annotated[
        Literal["own", "transposed"], Field(description="1/λ̄: own, or those of λ̄ in a feedback loop")
    ] = "own"


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
        digital.Options, ByName(), Field(description="a digital machine, by name: the chip's digital unit")
    ]
    parts: Annotated[CrossbarParts, Field(description="what it is made of")]
    sharing: Annotated[Sharing, Field(description="which multipliers are the same circuits")] = Sharing()
    coefficients: Annotated[FormatName, Field(description="of factors and biases in analog circuits")] = "fixed<16,12>"
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
        unit = self.digital
        for name in (unit.format, unit.accumulator, unit.update or unit.format, self.coefficients):
            if formats.parse(name).dtype != "float32":
                raise ValueError(f"a crossbar machine needs formats of at most 24 significant bits, not {name}")
        return self


def _digital_unit(options: Options) -> digital.Options:
    """The digital unit of a chip, which takes its products step by step if it has no addressable memory."""
    unit, flow = options.digital, options.digital.parts.dataflow
    if options.attached != "nothing" or flow.together is not None:
        return unit
    parts = unit.parts.model_copy(update={"dataflow": flow.model_copy(update={"together": 1})})
    return unit.model_copy(update={"parts": parts})


class Hold(NamedTuple):
    """How long values are held in a pass, in seconds: from step to step, and for each register from store to load."""

    period: float
    registers: Mapping[str, float]


def _none_yet() -> list[int]:
    return [0, 0]


class Wire(Signal):
    """A signal of a machine that has analog circuits; digital until it is said to be analog."""

    __slots__ = ()

    def __init__(self) -> None:
        self._analog, self._full_scale, self._twin = False, None, None


class CrossbarMachine(DigitalMachine):
    """Matrices are read on tiles, and elementwise arithmetic happens in analog circuits where operands are analog.

    A converter stands, with its record, wherever a signal is needed in the other domain; the result is kept for the
    rest of the step. What has no analog circuit, what has digital operands only, and all phases are the digital unit's.
    Analog signals saturate at the full scale of what they are for. With a host attached, backward passes are
    digital: states are recorded through converters, weights are the host's own.

    Attributes:
        arrays: the devices of each matrix.
        circuits: for all coefficients, by name, the ones in whose multipliers they are applied.
        clipped: values that each unit converted or made, and how many of them were beyond full scale, by what clips
            them: `dac`, `adc`, or saturation of `analog` circuits.
        written: devices written on each chip.
    """

    master_class = MASTER
    signal_type = Wire

    def __init__(
        self, options: Options, *, chips: int = 1, seed: int = 0, strict: bool = False, numerics: Numerics = EXACT
    ) -> None:
        self._analog_contexts: dict[tuple[str, str], Heads] = {}
        self.crossbar, self.parts, self.sheet = options, options.parts, options.device
        self.addressable = options.attached != "nothing"
        super().__init__(_digital_unit(options), chips=chips, seed=seed, strict=strict, numerics=numerics)
        self.coefficient_format = formats.parse(options.coefficients)
        self._round_coefficients = numerics.rounding(self.coefficient_format, self.dtype)
        self.arrays: dict[str, Crossbar] = {}
        self.circuits: dict[str, Coefficients] = {}
        self.devices: dict[str, Storage] = {}
        self.sources: dict[str, Source] = {}
        self.banks: dict[str | tuple[str, str, int], Bank] = {}
        self.clipped = {kind: defaultdict[str, list[int]](_none_yet) for kind in ("dac", "adc", "analog")}
        self.written = np.zeros(chips)
        self.tiles_used = 0
        self.holds: Mapping[str, Hold] = {}
        self._modes: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        self._measured: list[np.ndarray] = []
        self._converted: list[Signal] = []
        self._host = False

    # ---- domains ---------------------------------------------------------------------------------------------

    def analog(self, x: Signal) -> Signal:
        """The signal as a voltage, through a converter if it is digital."""
        if x._analog:
            return x
        if x._twin is not None:
            return x._twin
        return self._convert("dac", x, self.parts.dac.bits, x._full_scale or self._full_scale)

    def digital(self, x: Signal) -> Signal:
        """The signal as a number, through a converter if it is analog."""
        if not x._analog:
            return x
        if x._twin is not None:
            return x._twin
        return self._convert("adc", x, self.parts.adc.bits, x._full_scale or self._full_scale)

    def _convert(self, kind: str, x: Signal, bits: int, full_scale: float, unit: str = "") -> Signal:
        """A signal in the other domain, by a converter of the layer, or by those of a unit."""
        v = self.see(x)
        value, beyond = self.numerics.convert(v, converters.step(bits, full_scale), full_scale)
        head = (self._analog_heads if kind == "dac" else self._heads)[(kind, unit) if unit else kind]
        self._tally("dac" if kind == "dac" else "adc", head.unit, v.size, beyond)
        if kind == "dac":
            twin = self.emit_analog(head, value, v.shape, (x._slot,), full_scale)
        else:
            twin = self.emit(head, value, v.shape, (x._slot,))
        x._twin, twin._twin = twin, x
        self._converted.append(x)
        return twin

    def emit_analog(
        self,
        head: Head,
        value: np.ndarray,
        shape: Shape,
        reads: tuple[int | str, ...],
        full_scale: float,
        work: Shape | None = None,
    ) -> Signal:
        """Enter one operation that makes an analog signal."""
        if self.strict:
            self.check(head, value, shape)
        slot = len(self._entries)
        self._entries.append((head, shape, work, reads, slot))
        signal = Wire()
        signal._value, signal._step, signal._slot, signal._machine = value, self._now, slot, self
        signal._analog, signal._full_scale = True, full_scale
        return signal

    # ---- arithmetic ------------------------------------------------------------------------------------------

    def one(self, kind: str, x: Signal, constant: float | None = None) -> Signal:
        if not x._analog:
            return super().one(kind, x, constant)
        if kind == "negate":
            return self._wired(kind, self._unary[kind](self.see(x)), x)
        if kind not in FUNCTION_OF:
            return super().one(kind, self.digital(x), constant)
        v, function = self.see(x), self._unary[kind]
        return self._spoilt(kind, function(v) if constant is None else function(v, constant), (x._slot,))

    def two(self, kind: str, x: Signal, y: Signal) -> Signal:
        if not (x._analog or y._analog) or kind not in FUNCTION_OF or _better_digital(x, y):
            return super().two(kind, self.digital(x), self.digital(y))
        x, y = self.analog(x), self.analog(y)
        v, w = self.see(x), self.see(y)
        if v.shape != w.shape:
            v, w, _ = self.meet(kind, v, w)
        return self._spoilt(kind, self._binary[kind](v, w), (x._slot, y._slot))

    def interleave(self, real: Signal, imaginary: Signal) -> Signal:
        if not (real._analog or imaginary._analog):
            return super().interleave(real, imaginary)
        x, y = self.analog(real), self.analog(imaginary)  # of one size: as for two operands, the digital one changes
        v, w = self.see(x), self.see(y)
        return self._wired("wire", self.numerics.interleave(v, w, (*v.shape[:-1], 2 * v.shape[-1])), x, y)

    def _wired(self, kind: str, value: np.ndarray, *of: Signal) -> Signal:
        """Wires of analog signals in another order, or the two of each differential pair swapped: exact, and free."""
        reads, full_scale = tuple(x._slot for x in of), max(x._full_scale or 0.0 for x in of)
        return self.emit_analog(self._analog_heads[kind], value, value.shape, reads, full_scale)

    def _spoilt(self, kind: str, value: np.ndarray, reads: tuple[int, ...]) -> Signal:
        """What this layer's circuits for an operation make of its exact result."""
        circuit, width = FUNCTION_OF[kind], value.shape[-1]
        bank = self.banks.get((self._layer, circuit, width))
        if bank is None:
            unit = getattr(self.parts.functions, circuit)
            bank = self.banks[self._layer, circuit, width] = self._bank(
                f"{self.layer} {circuit} {width}", (width,), unit
            )
        self._spoil(bank, vectors(value))
        return self.emit_analog(self._analog_heads[kind, bank.name], value, value.shape, reads, self._full_scale)

    def _spoil(self, bank: Bank, values: np.ndarray) -> None:
        """Make outputs of a bank imperfect."""
        beyond = self.numerics.spoil(bank, values, self._full_scale, self.moment(bank.source))
        self._tally("analog", bank.name, values.size, beyond)

    def _tally(self, kind: str, unit: str, values: int, beyond: int) -> None:
        counts = self.clipped[kind][unit]
        counts[0] += values
        counts[1] += beyond

    def _bank(self, name: str, instances: tuple[int, ...], unit: AnalogUnit, apply: bool = True) -> Bank:
        errors = unit.mismatch, unit.gain_noise, unit.noise
        return self.numerics.bank(self.seed, name, self.chips, instances, errors, apply)

    def moment(self, source: Source) -> Moment:
        """The point at which a unit's stream of fresh noise stands."""
        return source.moment(self._now, self.batch_number, self.sweep_number, self.step_index)

    # ---- what only the digital unit does ---------------------------------------------------------------------

    def paired(self, kind: str, x: Signal, y: Signal) -> Signal:
        return super().paired(kind, self.digital(x), self.digital(y))

    def reduced(self, kind: str, x: Signal, constant: float | None = None) -> Signal:
        return super().reduced(kind, self.digital(x), constant)

    def standardise(self, x: Signal, epsilon: float) -> tuple[Signal, Signal]:
        return super().standardise(self.digital(x), epsilon)

    def standardise_error(self, error: Signal, standard: Signal, scale: Signal) -> Signal:
        return super().standardise_error(self.digital(error), self.digital(standard), self.digital(scale))

    def project(self, bundle: Signal, vector: Signal) -> Signal:
        return super().project(self.digital(bundle), self.digital(vector))

    def plus_identity(self, bundle: Signal, factor: float) -> Signal:
        return super().plus_identity(self.digital(bundle), factor)

    def solve(self, transposed_jacobian: Signal, x: Signal) -> Signal:
        return super().solve(self.digital(transposed_jacobian), self.digital(x))

    def accumulate(self, sums: Accumulator, x: Signal) -> None:
        if x._analog:
            with self.part(purpose=GRADIENT):
                x = self.digital(x)
        super().accumulate(sums, x)

    def accumulate_outer(self, sums: Accumulator, error: Signal, x: Signal) -> None:
        if error._analog or x._analog:
            with self.part(purpose=GRADIENT):
                error, x = self.digital(error), self.digital(x)
        super().accumulate_outer(sums, error, x)

    def store_sums(self, sums: Accumulator, x: Signal) -> None:
        super().store_sums(sums, self.digital(x))

    def push(self, tape: Tape, x: Signal) -> None:
        super().push(tape, self.digital(x))

    # ---- parameters ------------------------------------------------------------------------------------------

    def attach(self, matrix: Matrix) -> None:
        """Make the devices of a matrix, and the record of what they were programmed to."""
        tile, (rows, columns) = self.parts.tiles, matrix.shape
        self.tiles_used += tiles(rows, columns, tile.rows, tile.columns)
        if self.tiles_used > tile.count:
            raise CapabilityError(
                f"{matrix.name} ({rows} by {columns}) is one too many: the network needs {self.tiles_used} tiles "
                f"of {tile.rows} by {tile.columns}, and {self.crossbar.name} has {tile.count}"
            )
        bits = (2 * levels(self.sheet)).bit_length()
        blank = self.numerics.zeros((self.chips, 2, rows, columns), np.dtype(float))
        self.devices[matrix.name] = devices = Storage(
            self,
            f"{matrix.name} devices",
            WEIGHTS,
            (rows, columns),
            blank,
            shared=True,
            bits=bits,
            technology=self.sheet.name,
            devices=2,
            volatile=False,
        )
        unknown = self.numerics.unknown((self.chips, rows, columns))
        step = Storage(self, f"{matrix.name} steps", MASTER, (rows, columns), unknown, shared=True, bits=bits)
        w_max = headroom(self.sheet, tile.weight_range) * matrix.largest or 1.0
        self.arrays[matrix.name] = self.numerics.crossbar(self.sheet, w_max, step.value, devices.value)
        self.sources[matrix.name] = Source(self.seed, f"{matrix.name} read", self.chips)

    def program(self, matrix: Matrix) -> None:
        """Write the devices whose target has moved; how many is measured.

        The digital unit scales each target to steps, compares them with the ones that are programmed, and keeps them.
        That is entered here for its cost; which devices it finds, the array says.
        """
        target, array = matrix.trainable.master.load(), self.arrays[matrix.name]
        steps, shape = self.storages[f"{matrix.name} steps"], self.see(target).shape
        wanted = super().one("scale", target, levels(self.sheet) / array.w_max)
        held = self.emit(self._heads["load", steps.port], self.see(target), shape, (steps.name,))
        self.emit(self._heads["gate"], self.see(target), shape, (wanted._slot, held._slot))
        self.note(self._heads["store", steps.port], shape, (wanted._slot,), steps.name)
        place = f"{self.batch_number}", f"{self.sweep_number}"
        draws = self.numerics.generators(self.seed, self.chips, matrix.name, "programming", *place)
        written, conductance = array.program(matrix.trainable.values, draws)
        self.written += written
        self._measured += [written, conductance]
        head = self._analog_heads["program", f"{matrix.name} tiles"]
        self.note(head, (0, 0, *matrix.shape), (wanted._slot,), f"{matrix.name} devices")
        super().program(matrix)

    def read(self, matrix: Matrix, x: Signal, transposed: bool) -> Signal:
        if self._host:
            return super().read(matrix, self.digital(x), transposed)
        x, array, tile = self.analog(x), self.arrays[matrix.name], self.parts.tiles
        v, outer, result = vectors(self.see(x)), x._value.shape[:-1], None
        kind = "read transposed" if transposed else "read"
        shares = array.shares(transposed, tile.rows if transposed else tile.columns)
        alone, unit = len(shares) == 1, f"{matrix.name} tiles"
        for number, share in enumerate(shares, 1):
            part = v if alone else self.numerics.contiguous(v[..., share.lines])
            y = self._read_tiles(matrix.name, part, share, x._full_scale or 1.0).reshape(*outer, -1)
            size = (part.shape[-1], y.shape[-1]) if transposed else (y.shape[-1], part.shape[-1])
            side = "row" if transposed else "column"
            head = self._analog_heads[kind, unit if alone else f"{unit}, {side} {number}"]
            signal = self.emit_analog(head, y, y.shape, (x._slot,), self._full_scale, (*outer[2:], *size))
            if tile.interface == "digital" and self.crossbar.periphery.converter is not None:
                signal = self._convert("tile adc", signal, self.parts.adc.bits, self._full_scale, head.unit)
            elif tile.interface == "digital" or not alone:  # tiles side by side are summed as numbers
                signal = self.digital(signal)
            result = signal if result is None else super().two("add", result, signal)
        assert result is not None
        return result

    def _read_tiles(self, name: str, v: np.ndarray, share: Share, input_scale: float) -> np.ndarray:
        """What the tiles on some lines of a matrix give for inputs `(chips, vectors, n)`, and the energy it takes."""
        source, limit = self.sources[name], self._full_scale
        noise, moment = self.parts.tiles.output_noise * limit, self.moment(source)
        y, drawn, beyond = self.numerics.tiles(self.arrays[name], share, v, input_scale, noise, limit, source, moment)
        self._measured.append(drawn)
        self._tally("analog", f"{name} tiles", y.size, beyond)
        return y

    def attach_coefficients(self, coefficients: Coefficients) -> Storage:
        circuit = self.circuits[coefficients.name] = self._circuit(coefficients)
        if circuit is not coefficients:
            return circuit.storage
        blank = self.numerics.zeros((self.chips, 1, coefficients.width), self.dtype)
        name, width, bits = coefficients.name, (coefficients.width,), self.coefficient_format.bits
        return Storage(self, name, WEIGHTS, width, blank, shared=True, bits=bits, technology=REGISTERS)

    def _circuit(self, coefficients: Coefficients) -> Coefficients:
        """The coefficients in whose multipliers these are applied: their own, unless `sharing` says otherwise."""
        partner, sharing = coefficients.partner, self.crossbar.sharing
        if coefficients.role == "conjugate diagonal" and sharing.transposed == "forward" and partner:
            return partner
        if coefficients.role == "inverse diagonal" and sharing.inverse == "transposed" and partner:
            return self.circuits[partner.name]
        return coefficients

    def program_coefficients(self, coefficients: Coefficients, values: Signal | None) -> None:
        """Set the words that circuits multiply by, or add, in their own format."""
        if self.circuits[coefficients.name] is not coefficients:
            return
        if values is None:
            assert coefficients.trainable is not None
            values = coefficients.trainable.master.load()
        values = self.digital(values)
        v, round_ = self.see(values), self._round_coefficients
        coefficients.storage.value = self.numerics.copy(v) if round_ is None else round_(v).astype(v.dtype)
        self.note(self._heads["store", coefficients.storage.port], v.shape, (values._slot,), coefficients.name)

    def programmed(self, unit: Matrix | Coefficients) -> np.ndarray:
        return self.arrays[unit.name].weights if isinstance(unit, Matrix) else unit.storage.value

    def apply(self, coefficients: Coefficients, x: Signal) -> Signal:
        circuit = self.circuits[coefficients.name]
        if self._host or not (x._analog or circuit is not coefficients):
            return super().apply(coefficients, self.digital(x))
        x = self.analog(x)
        v, kind, bank = self.see(x), coefficients.role, self._coefficient_bank(circuit)
        if kind in DIAGONAL_OF:
            value = self.numerics.rotated(lambda: self._mode_matrices(coefficients), vectors(v))
        else:
            value = self._applied[kind](coefficients.storage.value, vectors(v))
        self._spoil(bank, value)
        if v.ndim > 3:
            value = value.reshape(v.shape)
        return self.emit_analog(self._analog_heads[kind, circuit.name], value, v.shape, (x._slot,), self._full_scale)

    def spread(self, gain: ModeGain, x: Signal) -> Signal:
        if self._host:
            return super().spread(gain, self.digital(x))
        x = self.analog(x)
        v, bank = self.see(x), self._coefficient_bank(gain)
        value = self.numerics.spread(gain.storage.value, v)
        self._spoil(bank, vectors(value))
        head = self._analog_heads["spread", gain.name]
        return self.emit_analog(head, value, value.shape, (x._slot,), self._full_scale, (*v.shape[2:], gain.width))

    def _coefficient_bank(self, coefficients: Coefficients) -> Bank:
        """The circuits that apply coefficients; the frozen errors of a diagonal are inside its multipliers."""
        name, kind = coefficients.name, coefficients.role
        if name not in self.banks:
            if kind in DIAGONAL_OF:
                unit = getattr(self.parts.diagonals, DIAGONAL_OF[kind])
                instances: tuple[int, ...] = (4, coefficients.width // 2)
            else:
                unit = getattr(self.parts.functions, FUNCTION_OF[kind])
                instances = (coefficients.width * (2 if kind == "mode gain" else 1),)
            self.banks[name] = self._bank(name, instances, unit, apply=kind not in DIAGONAL_OF)
        return self.banks[name]

    def _mode_matrices(self, coefficients: Coefficients) -> np.ndarray:
        """The 2 by 2 matrix that each mode's multipliers really apply, `(chips, 4, N)`."""
        words = coefficients.storage.value
        known = self._modes.get(coefficients.name)
        if known is not None and known[0] is words:
            return known[1]
        shared, of = self.circuits[coefficients.name] is not coefficients, coefficients.partner or coefficients
        if shared and coefficients.role == "conjugate diagonal":
            m = self._mode_matrices(of)[:, [0, 2, 1, 3]]
        elif shared:
            a, b, c, d = self._mode_matrices(of).swapaxes(0, 1)
            m = np.stack([d, -b, -c, a], 1) / (a * d - b * c)[:, None]
        else:
            x, y = words[:, 0, ::2], words[:, 0, 1::2]
            y = -y if coefficients.role == "conjugate diagonal" else y
            m = np.stack([x, -y, y, x], 1) * self._coefficient_bank(coefficients).gains
        m = np.ascontiguousarray(m, np.float32)
        self._modes[coefficients.name] = words, m
        return m

    # ---- storage ---------------------------------------------------------------------------------------------

    def load(self, register: Register) -> Signal:
        if self._host and register.value is register.initial:
            self._move_to_host(register)
        if not self._is_analog(register):
            return super().load(register)
        value = self.numerics.copy(register.value) if self.strict else register.value
        head = self._analog_heads["load", register.name]
        signal = self.emit_analog(head, value, value.shape, (register.name,), self._scale_of(register))
        return self.digital(signal) if self._host else signal

    def store(self, register: Register, x: Signal) -> None:
        if self._host:
            self._move_to_host(register)
        super().store(register, self.analog(x) if self._is_analog(register) else self.digital(x))

    def keep(self, register: Register, value: np.ndarray) -> None:
        if self._is_analog(register):
            full_scale, source = self._scale_of(register), self._register_source(register)
            value, noise = self.numerics.copy(value), self.parts.registers.noise * full_scale
            beyond = self.numerics.perturb(vectors(value), noise, full_scale, source, self.moment(source))
            self._tally("analog", register.name, value.size, beyond)
        super().keep(register, value)

    def _register_source(self, register: Register) -> Source:
        if register.name not in self.sources:
            self.sources[register.name] = Source(self.seed, f"{register.name} store", self.chips)
        return self.sources[register.name]

    def _is_analog(self, storage: Storage) -> bool:
        return storage.port == storage.name

    def _move_to_host(self, register: Register) -> None:
        """From now on the host keeps this register; states of the dynamics until the backward pass is over."""
        if self._is_analog(register):
            register.port = memory_of(register.kind)

    def _scale_of(self, register: Register) -> float:
        ranges = self.parts.ranges
        return ranges.forward if register.kind == STATE else ranges.error

    def _end_step(self) -> None:
        hold = self.holds.get(self.sweep_name)
        stored = {register.name for register, _ in self._pending} if hold else set()
        super()._end_step()
        for signal in self._converted:  # two that refer to each other would stay until garbage is collected
            signal._twin = None
        self._converted.clear()
        if hold:
            assert self.parts.registers.retention is not None
            for register in self.storages.values():
                if isinstance(register, Register) and self._is_analog(register):
                    held = hold.registers.get(register.name, hold.period) if register.name in stored else hold.period
                    register.value = register.value * np.float32(exp(-held / self.parts.registers.retention.value))

    def backward_pass(self, name: str, part: range | None = None) -> Iterator[Step]:
        """With a host, on the host: digital, from recorded states."""
        self._host = self.crossbar.attached == "host"
        registers = [storage for storage in self.storages.values() if isinstance(storage, Register)]
        if self._host and self._snapshot is not None and self._snapshot.sweep > self.sweep_number:
            for register in registers:  # goes on within this pass or behind it; its first step moved them all
                self._move_to_host(register)
        yield from super().backward_pass(name, part)
        self._host = False
        for register in registers:
            if register.resets:
                register.port = self.port_of(register)

    def release(self) -> None:
        super().release()
        for held in (self.arrays, self.circuits, self.devices, self.banks):
            held.clear()

    # ---- what kinds of machines decide -----------------------------------------------------------------------

    def prices(self) -> CrossbarPrices:  # type: ignore[override]
        multipliers = {
            unit.role: DIAGONAL_OF[self.circuits[unit.name].role]
            for unit in self.units
            if isinstance(unit, Coefficients) and unit.role in DIAGONAL_OF
        }
        analog = bool(self.banks) or bool(self.parts.registers.classes)
        return CrossbarPrices(
            self.parts, self.crossbar.periphery, self.sheet, super().prices(), multipliers, self.tiles_used, analog
        )

    def with_options(self, options: Options) -> Self:  # type: ignore[override]
        other = super().with_options(_digital_unit(options))
        other.crossbar, other.parts, other.sheet = options, options.parts, options.device
        return other

    @property
    def fill(self) -> float | None:  # type: ignore[override]
        """Weights on tiles, as a share of those that the tiles in use could hold."""
        tiles = self.parts.tiles
        held = sum(array.plus[0].size for array in self.arrays.values())
        return held / (self.tiles_used * tiles.rows * tiles.columns) if self.tiles_used else None

    def precision(self, size: Callable[[], float]) -> Precision:
        """Fresh: noise of the tile that sends an error back, of subtraction, of the inverse multipliers and of storing.

        Frozen: mismatch of the inverse multipliers to the forward ones, unless they are the same circuits.
        """
        parts, diagonals, sharing = self.parts, self.parts.diagonals, self.crossbar.sharing
        noises = parts.tiles.output_noise, parts.functions.add.noise, diagonals.inverse.noise, parts.registers.noise
        total, signal = sqrt(sum(part**2 for part in noises)), size()
        noise = parts.ranges.error * total / signal if signal else 0.0
        fresh = hypot(noise, diagonals.inverse.gain_noise)
        mismatch = diagonals.inverse.mismatch if sharing.inverse == "own" else diagonals.transposed.mismatch
        shared = sharing.inverse == "transposed" and sharing.transposed == "forward"
        frozen = 0.0 if shared else sqrt(mismatch**2 + diagonals.forward.mismatch**2)
        return Precision(max(fresh, self.format.epsilon), frozen)

    def activities(self) -> np.ndarray | None:
        measured, self._measured = self._measured, []
        return np.concatenate(measured).reshape(-1, self.chips) if measured else None

    def present_input(self, index: int) -> Signal:
        signal = super().present_input(index)
        signal._full_scale = self.parts.ranges.input
        return signal

    def received(self, inputs: np.ndarray) -> np.ndarray:
        """Inputs arrive on the levels of their converter."""
        bits, full_scale = self.parts.dac.bits, self.parts.ranges.input
        return self.numerics.convert(inputs, converters.step(bits, full_scale), full_scale)[0]

    @property
    def input_bits(self) -> int:
        return self.parts.dac.bits

    def held_as(self, kind: str) -> tuple[int, str]:
        if kind in self.parts.registers.classes or kind == BUFFERS:
            return self.effective_bits(self.parts.registers.noise), "analog registers" if kind != BUFFERS else "wires"
        return super().held_as(kind)

    def effective_bits(self, noise: float) -> int:
        """The bits of an ideal quantiser that is as noisy: log2(2 / (σ √12)) for σ as a share of full scale."""
        return round(log2(2 / (noise * sqrt(12)))) if noise else self.format.bits

    def port_of(self, storage: Storage) -> str:
        if storage.technology == REGISTERS:
            return REGISTERS
        analog = storage.kind in self.parts.registers.classes and not storage.shared
        return storage.name if analog else super().port_of(storage)

    def analog_head(self, key: str | tuple[str, str]) -> Head:
        kind, unit = (key, f"{self.layer} {key}") if isinstance(key, str) else key
        return Head(kind, unit, self.layer, self.purpose, ANALOG)

    def head(self, key: str | tuple[str, str]) -> Head:
        head = super().head(key)
        if key == "adc":
            return head._replace(unit=f"{self.layer} adc")
        if key[0] == "store" and key[1] not in (*MEMORIES, REGISTERS):
            return head._replace(format=ANALOG)
        return head

    def _enter_context(self) -> None:
        super()._enter_context()
        context = self._layer, self._purpose
        heads = self._analog_contexts.get(context)
        if heads is None:
            heads = self._analog_contexts[context] = Heads(self.analog_head)
        self._analog_heads = heads
        forward = self._purpose in (INFERENCE, REPLAY)
        self._full_scale = self.parts.ranges.forward if forward else self.parts.ranges.error


def _better_digital(x: Signal, y: Signal) -> bool:
    """Of two operands in different domains the one with fewer values is converted, the digital one if they are even."""
    sizes = x._value.size, y._value.size
    return x._analog != y._analog and (sizes[0] < sizes[1] if x._analog else sizes[1] < sizes[0])
