"""Crossbar tiles: where matrices are, how they are read forward and transposed, and how they are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from math import ceil, prod
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from hwsim.accounts.energy import Charge, charge
from hwsim.accounts.memory import MASTER, WEIGHTS
from hwsim.errors import CapabilityError, ConfigError
from hwsim.imperfection import Imperfection
from hwsim.machine.holder import Weights, summed
from hwsim.machine.machine import vectors
from hwsim.machine.numerics import Pulses, Rounding
from hwsim.machine.parameters import NOTHING, Matrix
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Register, Storage
from hwsim.operations import Held, Operation, add, held, moves, multiply, quantise, total, unequal
from hwsim.operations.noise import Source, of_chips
from hwsim.operations.reductions import peak
from hwsim.operations.wiring import chop
from hwsim.physics import DataSheet
from hwsim.physics.colour import Colour
from hwsim.quantities import Constant, Count, Energy, Time, Voltage
from hwsim.records import Record
from hwsim.streams import Draws, generator, numbered
from hwsim.units import coloured, one_way, own, pulsed, shared, slices, stuck, trains
from hwsim.units import devices as physical
from hwsim.units.compensation import Compensation
from hwsim.units.converter import Bits, Converters
from hwsim.units.devices import Cut, Devices
from hwsim.units.encoding import Coding, Encoding, coded
from hwsim.units.management import BOUNDED, Management, normalised
from hwsim.units.mapping import PERCENTILE, Mapping, OneWay, Referenced, headroom, levels, mapping, splits, tiles
from hwsim.units.periphery import Periphery
from hwsim.units.read import READ
from hwsim.units.slices import Slices
from hwsim.units.unit import AnalogStage, Fraction, Positive, tally
from hwsim.units.wires import IR_DROP, Wires

# ---- options, and what a read and a write cost -------------------------------------------------------------------


class Scale(BaseModel, extra="forbid"):
    """From the node of a periphery to that of the chip."""

    power: Annotated[Constant[Count], Field(description="of what it draws")]
    area: Annotated[Constant[Count], Field(description="of what it takes")]


FAR = 4.0
"""So many times the range of weights is as good as no saturation."""
SATURATION = f"off: weights saturate at {FAR:g} times their range; doubled: at half of it; steps and noise stay"


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
    inputs: Annotated[
        Coding | None,
        Field(
            description="how inputs reach the lines, with noise and rounding of each bit and phase: `parallel` as "
            "amplitudes, `pulse_width`, or `bit_serial`; without this key as amplitudes, and `phases` change energy "
            "and time alone"
        ),
    ] = None
    scale: Annotated[Scale | None, Field(description="of the periphery, where its node is not that of the chip")] = None
    output_noise: Annotated[Fraction, Field(description="fresh, on each output of a tile, as a share of full scale")]
    interface: Annotated[
        Literal["analog", "digital"],
        Field(
            description="whether outputs stay analog until they are needed in digital form, or are converted at once"
        ),
    ] = "analog"
    weight_range: Annotated[
        Positive, Field(description="largest weight a tile can hold, in multiples of the largest initial one")
    ] = 2.0
    percentile: Annotated[
        float | None,
        Field(
            gt=0,
            le=100,
            description="the largest weight is in multiples of that which so many percent of the initial ones do not "
            "exceed, instead of the largest of all; what lies beyond is clipped",
        ),
    ] = None
    reach: Annotated[
        Positive,
        Imperfection("weight saturation", lambda _: FAR, lambda reach: reach / 2, SATURATION),
        Field(description="where weights saturate, in multiples of `weight_range`; steps and noise stay as they are"),
    ] = 1.0
    slices: Annotated[
        Slices | None,
        Field(
            description="cells of one weight that hold some of its bits each; without this key it has a pair of devices"
        ),
    ] = None
    management: Annotated[
        Management | None,
        Field(description="numbers scaled to the converters of tiles, and products scaled back; without this key none"),
    ] = None
    mapping: Annotated[
        shared.MappingName,
        Field(
            description="`pair`: a weight is the difference of two devices; `offset_column`: it is one device, whose "
            "offset an additional line of each tile holds, and which is subtracted"
        ),
    ] = "pair"
    parallel: Annotated[
        int, Field(ge=1, description="devices in parallel in place of each one of a weight; they share its value")
    ] = 1
    wires: Annotated[
        Wires | None,
        Imperfection("IR drop", Wires.without, Wires.doubled, IR_DROP),
        Field(description="resistance of the lines of a tile; without this key they have none"),
    ] = None

    @model_serializer(mode="wrap")
    def _without_what_is_absent(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Tiles without such keys, and with pairs, are what they were before there were any."""
        data: dict[str, Any] = written(self)
        if not self.shares:
            data.pop("mapping", None)
            data.pop("parallel", None)
        for key in ("wires", "slices", "inputs", "management", "percentile"):
            if getattr(self, key) is None:
                data.pop(key, None)
        return data

    @model_validator(mode="after")
    def _slices_are_read_as_numbers(self) -> Self:
        if self.slices is not None and self.interface != "digital":
            raise ValueError("slices are shifted and added as numbers, so they need `interface: digital`")
        if self.slices is not None and self.wires is not None:
            raise ValueError("wires are modelled for pairs of devices, not for slices; leave out one of the two keys")
        if self.slices is not None and self.shares:
            raise ValueError("slices have an offset of their own, and one cell a digit; leave out mapping and parallel")
        return self

    @model_validator(mode="after")
    def _coded_inputs_are_read_as_numbers(self) -> Self:
        if self.inputs is None:
            return self
        if self.shares:
            raise ValueError(
                "coded inputs are modelled for single pairs of devices; leave out `inputs`, or `mapping` and `parallel`"
            )
        if self.phases not in (1, 2, 4):
            raise ValueError(f"coded inputs have 1, 2 or 4 phases, not {self.phases}")
        if self.interface != "digital" and (self.phases > 1 or self.inputs == "bit_serial"):
            raise ValueError("bits and phases are summed as numbers, so coded inputs need `interface: digital`")
        if self.slices is not None:
            raise ValueError(
                "slices have converters that resolve all sums, which are the same however inputs are coded; leave out "
                "one of the keys `slices` and `inputs`"
            )
        return self

    @model_validator(mode="after")
    def _managed_reads_are_numbers(self) -> Self:
        if self.management is not None and self.interface != "digital":
            raise ValueError("management scales products as numbers, so it needs `interface: digital`")
        if self.management is not None and self.management.bound and self.inputs == "bit_serial":
            raise ValueError(
                "bits have full amplitude whatever a number is, so halved inputs saturate as well; leave out "
                "`management.bound`, or take other `inputs`"
            )
        return self

    def encoding(self, bits: int) -> Encoding | None:
        """How inputs of so many bits are coded, if that is told."""
        return None if self.inputs is None else Encoding(self.inputs, self.phases, bits)

    @property
    def columns_per_output(self) -> int:
        """Lines of a tile for each of its outputs."""
        return 1 if self.slices is None else self.slices.cells

    @property
    def shares(self) -> bool:
        """Whether weights have other devices than a pair or slices."""
        return self.shifted or self.parallel > 1

    @property
    def shifted(self) -> bool:
        """Whether weights have a common offset, on one more line of each side of a tile."""
        return self.mapping == "offset_column"

    @property
    def lines(self) -> tuple[int, int]:
        """Of a tile: its outputs and inputs, those of references among them."""
        return self.rows * self.columns_per_output + self.shifted, self.columns + self.shifted

    @property
    def devices_per_weight(self) -> int:
        pair = (1 if self.shifted else 2) * self.parallel
        return pair if self.slices is None else self.slices.cells

    def phase(self, bits: int) -> Constant[Time]:
        """How long one phase of a read takes, with inputs of so many bits."""
        return self.time_per_bits[bits] if self.time is None else self.time


PULSES = (moves.pulse.kind, moves.pulse_outer.kind)
_STREAMS = "row trains", "column trains", "noise of pulses", "noise of writing"
"""Of fresh draws while devices are pulsed."""


class TilePrices:
    """What reads and writes cost.

    A read costs Σ V² G t for the inputs and conductances that it really had, and what the whole periphery of each tile
    draws meanwhile, used or not, once for each phase. Programming costs the pulses of the devices that were really
    written; its time is that of writing and verifying all rows, one after another, since schedules do not depend on
    values. Each pulse costs what one of the data sheet costs; the time is that of the longest train, for each row if
    devices have trains of their own, once if the trains come from the lines of rows and columns.

    Args:
        bits: of the inputs.
        verify: to read a device once while it is programmed.
        dac: of one conversion of an input, which a repeated read takes again.

    Attributes:
        repeats: how often at most a forward read is repeated.
    """

    def __init__(
        self,
        tiles: Tiles,
        periphery: Periphery,
        sheet: DataSheet,
        bits: int,
        verify: Constant[Energy],
        dac: Constant[Energy] | None = None,
    ) -> None:
        self._dac = dac
        self.tiles, self.periphery, self.sheet, self._verify = tiles, periphery, sheet, verify
        self._phase = tiles.phase(bits)
        coded = tiles.encoding(bits)  # how often it is read to read it once, and how often all inputs are on in that
        self._phases = tiles.phases * (bits if periphery.bit_serial else 1) if coded is None else coded.reads
        self._on = self._phases if coded is None else 1
        self.repeats = 0 if tiles.management is None else tiles.management.bound

    def charges(self, record: Record) -> list[Charge]:
        if record.kind in PULSES:
            return self._pulses()
        if record.kind == moves.renew.kind:
            return self._renewal(record)
        return self._programming() if record.kind == moves.program.kind else self._reading(record)

    def seconds(self, record: Record) -> float:
        if record.kind in PULSES:
            longest, rows = record.size[-3:-1]
            return longest * (rows if record.kind == moves.pulse.kind else 1) * self.sheet.write.time.value
        if record.kind == moves.renew.kind:
            most, rows, columns = record.size[-3:]
            return rows * (most + 1) * self.sheet.write.time.value + 2 * columns * self._phase.value
        if record.kind == moves.program.kind:
            write = self.sheet.write
            tiles, rows = self.tiles, record.size[-2]
            lines = (rows + tiles.shifted * ceil(rows / tiles.rows)) * tiles.parallel
            return lines * (write.duration + write.reads * self._phase.value)
        times = self._phases * (1 + self.repeats * (record.kind == held.read.kind))
        return prod(record.size[:-2]) * times * self._phase.value

    def area(self, used: int) -> float | None:
        """Of so many tiles with their periphery, in square metres; None if no source gives it."""
        around = self.periphery.area
        if around is None:
            return None
        factor = 1.0 if self.tiles.scale is None else self.tiles.scale.area.value
        outputs, inputs = self.tiles.lines
        more = inputs * outputs * (self.tiles.parallel - 1) * around.cell.value  # in parallel
        return used * (around.of(inputs, outputs) + more) * factor

    def _reading(self, record: Record) -> list[Charge]:
        """A read, forward or transposed: the devices, and the periphery of all tiles that are read, used or not."""
        tiles, around, (rows, columns) = self.tiles, self.periphery, record.size[-2:]
        reads = prod(record.size[:-2]) * ceil(rows / tiles.rows) * ceil(columns / tiles.columns) * self._phases
        forward = record.kind == held.read.kind
        lines_out, lines_in = tiles.lines
        inputs, outputs = (lines_in, lines_out) if forward else (lines_out, lines_in)
        converted = outputs - tiles.shifted if tiles.interface == "digital" else 0
        drawn = (
            ("tile control", around.fixed, 1),
            ("tile control", around.unexplained, 1),
            ("tile drivers", around.driver, inputs),
            ("tile outputs", around.output, outputs),
            ("adc", around.converter, converted),
            ("devices", around.cell, inputs * outputs * tiles.parallel),
        )
        factors = [] if tiles.scale is None else [tiles.scale.power]
        charges = [
            charge(component, reads * lines, power, self._phase, *factors)
            for component, power, lines in drawn
            if power is not None and lines and power.value
        ]
        if around.cell is None:
            factors = [tiles.voltage, tiles.voltage, self._phase]
            charges.append(charge("devices", self._on, *factors, activity=0))
        if forward and self.repeats:
            charges += self._repeated(charges, columns, prod(record.size[:-2]))
        return charges

    def _repeated(self, charges: list[Charge], columns: int, vectors: int) -> list[Charge]:
        """What the reads beyond the first take of a periphery, and of converters of inputs; how many is measured."""
        again = [each._replace(amount=each.amount / vectors, activity=1) for each in charges if each.activity is None]
        return again if self._dac is None else [*again, charge("dac", columns, self._dac, activity=1)]

    def _pulses(self) -> list[Charge]:
        """Pulses that devices get in training, without verifying reads."""
        write = self.sheet.write
        return [charge("pulses", 1.0, *write.pulse, activity=int(write.by_conductance))]

    def _renewal(self, record: Record) -> list[Charge]:
        """Resets and pulses, whose number is measured, and a read of each device; a reset is priced as a pulse."""
        write, (rows, columns) = self.sheet.write, record.size[-2:]
        return [
            charge("renewal", 1.0, *write.pulse, activity=int(write.by_conductance)),
            charge("renewal", 2 * rows * columns, self._verify),
        ]

    def _programming(self) -> list[Charge]:
        """Pulses and verifying reads of the devices written, whose number and conductance are measured."""
        write = self.sheet.write
        return [
            charge("programming", 1.0, *write.pulse, *write.rounds, activity=int(write.by_conductance)),
            charge("programming", 1.0, self._verify, *write.rounds, activity=0),  # each pulse has a verifying read
        ]


# ---- the tiles of a matrix, and of a chip ---------------------------------------------------------------------------


class TileArray(Weights):
    """The tiles of one matrix; what a host multiplies with is the master values.

    Attributes:
        devices: of the matrix.
        name: of the unit in records.
        leaks: whether devices leak.
        layer: that it is part of.
        renews: whether pairs of devices are renewed.
    """

    def __init__(
        self,
        machine: AnalogStage,
        matrix: Matrix,
        options: Tiles,
        sheets: Sequence[DataSheet],
        periphery: Periphery,
        converters: Converters,
        rounding: Rounding | None,
    ) -> None:
        super().__init__(matrix, rounding)
        self._machine, self._options, self._converters = machine, options, converters
        self._own_converters = periphery.converter is not None
        self.name, self.layer = f"{matrix.name} tiles", matrix.trainable.layer
        self._streams = [Source(machine.seed, f"{matrix.name} {what}", machine.numbers) for what in _STREAMS]
        self._source = Source(machine.seed, f"{matrix.name} read", machine.numbers)
        run, sheet = machine.numerics.run, sheets[0]  # chips differ in errors alone
        self._coded = coded(machine, options)
        self._managed = options.management or Management()
        self.takes_numbers = self._managed.noise or self._managed.bound > 0
        self._bounded, self._powers = run(BOUNDED), np.ones(0)
        self.whole = sheet.update is not None
        self._matrix, self.leaks = matrix, any(each.leak is not None for each in sheets)
        cut = options.slices
        self.renews = sheet.update is not None and sheet.update.one_way
        does: Any = one_way if self.renews else pulsed if self.whole else physical
        self._read, self._cut, self._program = (
            run(READ),
            run((shared if options.shares else physical).CUT if self._coded is None else self._coded.cut),
            run((shared if options.shares else does if cut is None else slices).PROGRAM),
        )
        self._count, self._apply = run(does.COUNT), run(does.PULSE)
        self._common = run(shared.COMMON)
        bits = (2 * (levels(sheet, options.shifted) if cut is None else cut.most)).bit_length()
        chips, (rows, columns) = machine.chips, matrix.shape
        held_at = shared.size_of(rows, columns, (options.rows, options.columns), options.shifted)
        self._conductance = Storage(
            machine,
            f"{matrix.name} devices",
            WEIGHTS,
            held_at,
            machine.numerics.zeros((chips, options.devices_per_weight, *held_at), np.dtype(float)),
            shared=True,
            bits=bits,
            technology=sheet.name,
            devices=options.devices_per_weight,
            volatile=False,
        )
        unknown = machine.numerics.unknown((chips, 1, rows * columns), machine.dtype)
        size = None if matrix.trainable.kept else NOTHING
        self._steps = Register(machine, f"{matrix.name} steps", MASTER, unknown, shared=True, bits=bits, size=size)
        self.mapping = self._mapped(matrix, sheet)
        self.devices: Devices = self._made(matrix, sheets)
        if options.wires is not None and options.wires.solution != "off" and options.wires.ohms:
            self.devices.through = options.wires, options.rows, options.columns
        drawn = self._drawn(matrix.name, "devices")
        run(stuck.BESET)(self.devices, sheets, drawn)
        run(own.GIVE)(self.devices, sheets, options.reach, drawn)
        self._kept = run(physical.KEPT)(self.devices)
        self._cuts: dict[bool, list[Cut]] = {}
        self._known: dict[float, tuple[np.ndarray, np.ndarray]] = {}
        self._colour(sheet)
        self._compensation: Compensation | None = None

    def _mapped(self, matrix: Matrix, sheet: DataSheet) -> Mapping:
        """How devices hold the weights."""
        options, largest = self._options, matrix.largest
        if options.percentile is not None:
            numerics = self._machine.numerics
            start = numerics.drawn(matrix.trainable.initial)
            largest = numerics.run(PERCENTILE)(start, options.percentile)
        if options.slices is not None:
            return slices.sliced(sheet, largest, options.weight_range, options.reach, options.slices)
        if options.shares:
            how, lines = (options.mapping, options.parallel), (options.rows, options.columns)
            return shared.shared(sheet, largest, options.weight_range, options.reach, how, lines)
        w_max = headroom(sheet, options.weight_range) * largest or 1.0
        return mapping(sheet, w_max, options.reach)

    def wait(self, name: str, seconds: float, compensated: bool = False) -> None:
        """Let the devices drift for so long, and read on with them, until `unwait`.

        Args:
            name: of the matrix.
            seconds: since devices were written. Noise that has a memory goes on from where it is, for as long.
            compensated: whether outputs are multiplied by what all devices conducted together before the wait, over
                what they conduct after it: one factor for the matrix, from one read before and one after. There must
                be words for it, see `begin_compensation`.
        """
        machine = self._machine
        draws = partial(machine.numerics.generators, machine.seed, machine.numbers, name)
        self._young()
        before = self.devices.current(draws("current before a wait")) if compensated else np.zeros(0)
        self.devices.wait(seconds, draws("drift"))
        if self.devices.coloured is not None:
            self.devices.coloured.wait(
                seconds,
                machine.numerics.generators(machine.seed, machine.numbers, name, "noise after a wait", repr(seconds)),
            )
        if compensated:
            after = self.devices.current(draws("current after a wait"))
            assert self._compensation is not None
            factor = before / np.maximum(after, np.finfo(float).tiny)
            self._compensation.factor.value = factor.astype(machine.dtype)[:, None, None]
        self._cuts.clear()

    def begin_compensation(self) -> None:
        """Have words for what all devices conduct together before a wait, and for the factor, until `unwait`."""
        self._compensation = Compensation.made(self._machine, self._matrix.name)

    def read_all(self, waited: bool) -> None:
        """Enter one read of all devices with all inputs at full scale, and what is made of it in numbers.

        Outputs are converted and summed. Before the wait the sum is kept; after it, the factor is made and kept. Values
        are those of `wait`.
        """
        machine, devices, words = self._machine, self.devices, self._compensation
        assert words is not None
        rows, columns = self._matrix.shape
        machine.measure(devices.conductance.sum((1, 2, 3), dtype=float), *self._once)
        head, made = machine.analog_heads[held.read, self.name], np.ones((machine.chips, 1, rows), machine.dtype)
        current = total(machine.digital(machine.emit_analog(head, made, (), machine.full_scale, (rows, columns))))
        if waited:
            words.factor.store(words.before.load() / current)
        else:
            words.before.store(current)

    def unwait(self) -> None:
        """Have the devices as they were before the wait, and forget its compensation."""
        self._young()
        if self._compensation is not None:
            self._compensation.release()
            self._compensation = None

    def _young(self) -> None:
        self.devices.unwait()
        if self.devices.coloured is not None:
            self.devices.coloured.unwait()
        self._cuts.clear()

    def _made(self, matrix: Matrix, sheets: Sequence[DataSheet]) -> Any:
        """The devices; those with a law of updates have their states apart from what conducts."""
        machine, name = self._machine, matrix.name
        run = machine.numerics.run
        if self._options.slices is not None:
            return run(slices.MAKE)(self.mapping, self._conductance.value, sheets)
        if isinstance(self.mapping, shared.Shared):
            keys = shared.keys_of(machine.seed, numbered(machine.numbers), name)
            return run(shared.MAKE)(self.mapping, self._conductance.value, sheets, matrix.shape, keys)
        if not isinstance(self.mapping, Referenced):
            return run(physical.MAKE)(self.mapping, self._conductance.value, sheets)
        each = (2, *matrix.shape) if self.renews else matrix.shape
        drawn = self._drawn(name, "answer to pulses")
        zeros = machine.numerics.zeros((machine.chips, *each), np.dtype(float))
        self._states = Storage(machine, f"{name} states", WEIGHTS, NOTHING, zeros, shared=True)  # of the same devices
        make: Any = one_way.MAKE if self.renews else pulsed.MAKE
        return run(make)(self.mapping, self._conductance.value, sheets, self._states.value, drawn)

    def _colour(self, sheet: DataSheet) -> None:
        """Have the read noise of devices the memory that their data sheet says."""
        if sheet.colour is None:
            return
        machine, run, what = self._machine, self._machine.numerics.run, f"{self._matrix.name} noise with memory"
        chips, *each = self._conductance.value.shape
        shape = chips, sheet.colour.count, *each
        start = run(coloured.START)(sheet.colour, shape, self._drawn(self._matrix.name, "noise with memory"))
        self._signals = Storage(machine, what, WEIGHTS, NOTHING, start, shared=True)
        self._fluctuation = Source(machine.seed, what, machine.numbers)
        run(coloured.GIVE)(self.devices, sheet.colour, self._signals.value)

    def _drawn(self, name: str, of: str) -> Draws:
        """Streams of the numbers of each device."""
        seed, numbers = self._machine.seed, numbered(self._machine.numbers)
        return lambda chip, purpose: generator(seed, f"chip {numbers[chip]}", name, of, purpose)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""
        return self._matrix.shape

    def programmed(self, matrix: Matrix) -> np.ndarray:
        """The weights that the devices really hold."""
        return self.devices.weights

    def program(self, matrix: Matrix) -> None:
        """Write the devices whose target has moved; how many is measured.

        The digital unit finds the step of each target, compares it with the one that was programmed, and keeps it.
        """
        machine, mapping = self._machine, self.mapping
        target = matrix.trainable.master.load()
        wanted = machine.carry_out(quantise, target, mapping.clipped_at, mapping.furthest, mapping.unit)
        before = self._steps.load()
        moved = machine.two(unequal, wanted, before)
        self._steps.store(wanted)
        place = f"{machine.sequencer.batch_number}", f"{machine.sequencer.sweep_number}"
        draws = machine.numerics.generators(machine.seed, machine.numbers, matrix.name, "programming", *place)
        words = machine.see(wanted), machine.see(before), machine.see(moved)
        written, conductance = self._program(self.devices, *words, draws)
        self._cuts.clear()
        machine.devices.written += written
        machine.measure(written, conductance)
        head = machine.analog_heads[moves.program, self.name]
        machine.note(head, (0, 0, *matrix.shape), (wanted._slot, before._slot, moved._slot), self._conductance.name)
        self.take(matrix)

    def pulse(self, matrix: Matrix, change: Signal, factor: float) -> None:
        """Give each device a train of its own, row after row; the numbers of pulses come from the digital unit."""
        machine = self._machine
        x = machine.digital(change)
        self._pulse_devices(matrix, moves.pulse, (x,), factor)
        if matrix.trainable.kept:
            super().pulse(matrix, x, factor)

    def pulse_outer(self, matrix: Matrix, error: Signal, x: Signal, factor: float) -> None:
        """Give all devices their trains at once, from the voltages on the lines of rows and columns."""
        machine = self._machine
        self._pulse_devices(matrix, moves.pulse_outer, (machine.analog(error), machine.analog(x)), factor)
        if matrix.trainable.kept:
            super().pulse_outer(matrix, error, x, factor)

    def chopped(self, x: Signal, signs: Register) -> Signal:
        """A signal behind the choppers of the drivers, which swap the two lines of a pair where a bit says so."""
        machine = self._machine
        x, bits = machine.analog(x), signs.load()
        value = machine.compute(machine.functions[chop], (x, bits))
        head = machine.analog_heads[chop, f"{self.name}, choppers"]
        return machine.emit_analog(head, value, (x._slot, bits._slot), x._full_scale)

    def pulse_column(self, matrix: Matrix, change: Signal, place: Signal, factor: float) -> None:
        """Give the devices of one column their trains at once.

        Random trains come from the voltages on the lines; whole numbers of pulses come from the digital unit.
        """
        machine, pulses = self._machine, matrix.trainable.pulses
        on_lines = machine.analog if pulses is not None and pulses.random else machine.digital
        operands = on_lines(change), on_lines(place)
        self._pulse_devices(matrix, moves.pulse_outer, operands, factor, 1 / matrix.shape[1])

    def _pulse_devices(
        self, matrix: Matrix, operation: Operation, operands: tuple[Signal, ...], factor: float, share: float = 1.0
    ) -> None:
        """Pulse devices at the end of the step.

        Args:
            share: of them that can get a pulse at all, which an estimate cannot see.
        """
        if self._options.slices is not None:
            raise slices.no_pulses(matrix.name)
        if self._options.shares:
            raise shared.no_pulses(matrix.name)
        machine, pulses, known = self._machine, matrix.trainable.pulses, operands
        if pulses is not None and pulses.random and operation is moves.pulse_outer:
            change, known = self._met(operands, factor, pulses)
        else:
            change = machine.numerics.change(summed(machine, matrix.shape, *operands), factor, pulses)
        machine.holdings.watch(matrix.trainable.master, change)
        counted, conductance = self._count(self.devices, change, pulses)
        if not machine.numerics.exact:
            counted, conductance = share * counted, share * conductance
        machine.devices.written += counted
        machine.measure(counted, conductance)
        size = (1 if pulses is None else pulses.most, *matrix.shape)
        head, reads = machine.analog_heads[operation, self.name], tuple(each._slot for each in known)
        machine.note(head, (0, 0, *size), reads, self._conductance.name)
        noise: tuple[Any, ...] = ()
        if isinstance(self.mapping, Referenced):
            streams = self._streams[2:]
            noise = tuple(map(machine.sequencer.moment, streams)), tuple(each.keys for each in streams)
        machine.holdings.change_later(partial(self._change_devices, matrix, change, noise))

    def _met(
        self, operands: tuple[Signal, ...], factor: float, pulses: Pulses
    ) -> tuple[np.ndarray, tuple[Signal, ...]]:
        """What an outer product changes the weights by where its signals are trains of pulses on the lines.

        Trains are chosen by the largest size of each signal, which comparators on its lines find.

        Returns:
            Changes, and the signals with their largest sizes.
        """
        machine, streams = self._machine, self._streams[:2]
        moments = [machine.sequencer.moment(each) for each in streams]
        peaks = [self._peak(x, side) for x, side in zip(operands, ("rows", "columns"), strict=True)]
        values, largest = map(machine.see, operands), tuple(machine.see(each)[..., 0] for each in peaks)
        keys = tuple(each.keys for each in streams)
        met: np.ndarray = machine.numerics.run(trains.MEET)(*values, factor, pulses, largest, keys, moments[0])
        return met, (*operands, *peaks)

    def _peak(self, x: Signal, side: str) -> Signal:
        """The largest size of a signal on the lines of one side."""
        machine = self._machine
        value = machine.compute(machine.functions[peak], (x,))
        head = machine.analog_heads[peak, f"{self.name}, {side}"]
        return machine.emit_analog(head, value, (x._slot,), 0.0, x._value.shape[2:])  # no converter ever meets it

    def _change_devices(self, matrix: Matrix, change: np.ndarray, noise: tuple[Any, ...]) -> None:
        """Let pulses reach the devices."""
        self._follow(matrix, self._apply(self.devices, change, matrix.trainable.pulses, *noise))

    def leak(self, seconds: float) -> None:
        """Let devices that leak do so for so long."""
        if self.leaks:
            self._follow(self._matrix, self._machine.numerics.run(pulsed.LEAK)(self.devices, seconds))

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        noise, machine = self.devices.coloured, self._machine
        if noise is not None:
            moments = [machine.sequencer.moment(self._fluctuation) for _ in range(noise.colour.count)]
            noise.advance(seconds, coloured.counted(self._fluctuation.keys, moments))
            self._cuts.clear()

    def _follow(self, matrix: Matrix, weights: np.ndarray) -> None:
        """Read on with other weights; where nothing else holds them, they are the master values."""
        machine, trainable = self._machine, matrix.trainable
        self._cuts.clear()
        if not trainable.kept:
            trainable.master.value = weights.reshape(trainable.master.value.shape).astype(machine.dtype)
            machine.holdings.watch(trainable.master, trainable.master.value)
            self.take(matrix)

    def renew(self, matrix: Matrix) -> None:
        """In a phase: reset the pairs that are worn, and write their differences anew."""
        machine, mapping = self._machine, self.mapping
        assert isinstance(mapping, OneWay)
        place = f"{machine.sequencer.batch_number}", f"{machine.sequencer.sweep_number}"
        draws = machine.numerics.generators(machine.seed, machine.numbers, matrix.name, "renewal", *place)
        weights, counted, conductance = machine.numerics.run(one_way.RENEW)(self.devices, draws)
        machine.devices.written += counted
        machine.measure(counted, conductance)
        head = machine.analog_heads[moves.renew, self.name]
        machine.note(head, (0, 0, mapping.most_pulses, *matrix.shape), (), self._conductance.name)
        self._follow(matrix, weights)

    def pulse_of(self, levels: int | None, matrix: Matrix) -> float:
        """What one of so many pulses from zero to the largest weight changes a weight by; by default one step.

        Raises:
            ConfigError: `levels` is given, and the data sheet says how large a pulse is.
            CapabilityError: devices answer to pulses by a law, and a host keeps the weights as numbers; or weights are
                in slices, where no pulse of one device is a step of a weight; or they have other devices than pairs.
        """
        if self._options.slices is not None:
            raise slices.no_pulses(matrix.name)
        if self._options.shares:
            raise shared.no_pulses(matrix.name)
        if not isinstance(self.mapping, Referenced):
            return self.mapping.w_max / (levels or self.mapping.levels)
        sheet = self.mapping.sheet
        if levels is not None:
            raise ConfigError(
                f"training.update: `update.step` of {sheet.name} says how large a pulse is; leave out `levels`"
            )
        if matrix.trainable.kept:
            raise CapabilityError(
                f"{matrix.name}: devices of {sheet.name} answer to pulses by a law, and the host would keep weights "
                "that answer linearly; take `attached: nothing`, or training.update: {name: accumulate}"
            )
        return self.mapping.pulse

    def wants(self, operation: Held, x: Signal) -> bool:
        """Whether it carries out the product: always, whatever the signal's domain."""
        return True

    def apply(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """A product, forward or transposed; tiles side by side are summed as numbers.

        Where drift is compensated, what comes out is multiplied by the factor: a voltage by a circuit of each output,
        whose own errors are left out, and a number by the digital unit.
        """
        machine, transposed = self._machine, operation is held.read_transposed
        if transposed and self._options.slices is not None:
            raise slices.not_transposed(matrix.name)
        if self._managed.noise and not x._analog:
            scaled, size = normalised(machine, x)
            return machine.two(multiply, self._product(operation, matrix, scaled), size)
        return self._product(operation, matrix, x)

    def _product(self, operation: Held, matrix: Matrix, x: Signal) -> Signal:
        """The sum of the reads of all tiles on the lines of an operand."""
        machine, transposed = self._machine, operation is held.read_transposed
        number, x = (None if x._analog else x), machine.analog(x)
        if self._coded is not None:
            self._coded.arrives(x)
        cuts, group, signal = self._cut_to(transposed), matrix.trainable.group, None
        if len(cuts) == 1:
            return self._compensated(self._part(operation, self.name, 0, True, x, group, number))
        for place in range(len(cuts)):
            name = f"{self.name}, {'row' if transposed else 'column'} {place + 1}"
            part = machine.digital(self._part(operation, name, place, False, x, group, number))
            signal = part if signal is None else machine.two(add, signal, part)
        assert signal is not None
        return self._compensated(signal)

    def _part(
        self, operation: Held, name: str, place: int, alone: bool, x: Signal, group: str, number: Signal | None
    ) -> Signal:
        """What comes out of the tiles on some lines: as it is, or as numbers."""
        signal = self._read_one(operation, name, place, alone, x, group, number)
        if number is None or not self._managed.bound or operation is held.read_transposed:
            return self._converted(signal, name)
        factor = self._halved(signal, name)
        return self._machine.two(multiply, self._converted(signal, name), factor)

    def _compensated(self, signal: Signal) -> Signal:
        return signal if self._compensation is None else self._compensation.applied(signal, self.name)

    def _converted(self, signal: Signal, name: str) -> Signal:
        """What comes out of a read: as it is, or as numbers, by the converters of the tile or of the chip."""
        if self._coded is not None and self._coded.split:
            return self._coded.joined(self._converters.carry_out(moves.part_adc, signal, name), name)
        if self._options.interface == "analog":
            return signal
        if self._own_converters:
            return self._converters.carry_out(moves.tile_adc, signal, name)
        return self._machine.digital(signal)

    @property
    def _once(self) -> tuple[np.ndarray, ...]:
        """How many reads there are beyond the first, on each chip, of a read that is not repeated where others are."""
        return (np.zeros(self._machine.chips),) if self._managed.bound else ()

    def _moment(self) -> Any:
        """That of the noise of a read; several where inputs are coded."""
        moment = partial(self._machine.sequencer.moment, self._source)
        return moment() if self._coded is None else [moment() for _ in range(self._coded.sides)]

    def _halved(self, signal: Signal, name: str) -> Signal:
        """What the latest read of some tiles is to be multiplied by, a power of two that counters beside them hold."""
        machine = self._machine
        value = machine.compute(lambda _: self._powers, (signal,))
        return machine.emit(machine.heads[moves.halvings, name], value, (signal._slot,))

    def _read_one(
        self, operation: Held, name: str, place: int, alone: bool, x: Signal, group: str, number: Signal | None
    ) -> Signal:
        """A read of the tiles on some lines of the matrix, or on all of them; of a voltage that stands for a number."""
        machine, transposed = self._machine, operation is held.read_transposed
        head = machine.analog_heads[operation, name]
        limit = machine.scales.of(head, (x,), group)
        operands = (x, number) if number is not None and self._managed.bound and not transposed else (x,)
        y = machine.compute(partial(self._values, transposed, place, alone, x._full_scale or 1.0, limit), operands)
        inputs, outputs = self._cuts[transposed][place].weights.shape[1:]
        size = (inputs, outputs) if transposed else (outputs, inputs)
        reads = tuple(each._slot for each in operands)
        return machine.emit_analog(head, y, reads, limit, (*x._value.shape[2:-1], *size))

    def _values(
        self,
        transposed: bool,
        place: int,
        alone: bool,
        scale: Any,
        limit: Any,
        x: np.ndarray,
        number: np.ndarray | None = None,
    ) -> np.ndarray:
        """What tiles give for inputs of full scale `scale`; their inputs are all of the wires if they are alone.

        Args:
            transposed, place: the way of the read, and the place of the tiles. A captured step asks for what these now
                read with, since devices change between steps where they leak, or where noise has a memory.
            number: what stands behind x, if the read is repeated with halved inputs where outputs saturate.
        """
        machine, v, limit = self._machine, vectors(x), +limit
        cut = self._cut_to(transposed)[place]
        if not alone:
            v = machine.numerics.contiguous(v[..., cut.lines])
        noise, end = self._errors(limit)
        plain = self._read if self._coded is None else partial(self._coded.read, self._read)

        def read(v: np.ndarray, moment: Any) -> tuple[np.ndarray, np.ndarray, int]:
            found: tuple[np.ndarray, np.ndarray, int]
            at, v = self._common(cut, v, moment) if self._options.shares else (cut, v)
            found = plain(self.devices.noisy, at, v, +scale, noise, end, self._source, moment)
            return found

        if number is None:
            y, drawn, beyond = read(v, self._moment())
            machine.measure(drawn, *(() if transposed else self._once))
        else:
            numbers = vectors(number)
            numbers = numbers if alone else numbers[..., cut.lines]
            convert = partial(self._converters.voltages, full_scale=+scale)
            moments = [self._moment() for _ in range(1 + self._managed.bound)]
            y, drawn, beyond, powers, more = self._bounded(read, convert, moments, v, numbers, machine.reach * limit)
            machine.measure(drawn, more)
            self._powers = powers.reshape(*x.shape[:-1], 1)
        tally(machine, "analog", self.name, y.size, beyond)
        if self._coded is not None and self._coded.split:
            return y.reshape(*x.shape[:-1], self._coded.encoding.reads, y.shape[-1])
        return y if x.ndim == 3 else y.reshape(*x.shape[:-1], -1)

    def _errors(self, limit: Any) -> tuple[np.ndarray, np.ndarray]:
        """σ of the noise of outputs, and where they saturate, at this full scale: of each chip, or one for all."""
        known = self._known.get(limit) if limit.__class__ is float else None
        if known is None:
            known = of_chips(self._options.output_noise * limit), of_chips(self._machine.reach * limit)
            if limit.__class__ is float:
                self._known[limit] = known
        return known

    def cut(self, transposed: bool) -> Cut:
        """What all devices read with, of a matrix that is on one tile."""
        (whole,) = self._cut_to(transposed)
        return whole

    def _cut_to(self, transposed: bool) -> list[Cut]:
        """The matrix, cut into tiles by its input lines."""
        cuts = self._cuts.get(transposed)
        if cuts is None:
            lines = self._options.rows if transposed else self._options.columns
            inputs = self._matrix.shape[0] if transposed else self._matrix.shape[1]
            cuts = self._cuts[transposed] = [
                self._cut(self.devices, transposed, part) for part in splits(inputs, lines)
            ]
        return cuts


class DeviceArrays(dict[str, TileArray]):
    """The tiles of a chip, by the matrix that they hold.

    Attributes:
        options: of the tiles.
        written: devices written on each chip.
        used: tiles in use.
    """

    def __init__(self, chips: int, options: Tiles) -> None:
        super().__init__()
        self.options, self.written, self.used = options, np.zeros(chips), 0

    def require(self, matrix: Matrix, chip: str) -> None:
        """Take the tiles that a matrix needs.

        Raises:
            CapabilityError: there are not as many.
        """
        options, (rows, columns) = self.options, matrix.shape
        self.used += tiles(rows, columns, options.rows, options.columns)
        if self.used > options.count:
            raise CapabilityError(
                f"{matrix.name} ({rows} by {columns}) is one too many: with it, the network needs {self.used} tiles "
                f"of {options.rows} by {options.columns}, and {chip} has {options.count}"
            )

    @property
    def arrays(self) -> dict[str, Devices]:
        """The devices of each matrix."""
        return {name: tiles.devices for name, tiles in self.items()}

    @contextmanager
    def aged(self, seconds: float, compensated: bool = False) -> Iterator[None]:
        """All devices have drifted for so long in here; see `TileArray.wait`."""
        for name, array in self.items():
            if compensated and array._compensation is None:
                array.begin_compensation()
            array.wait(name, seconds, compensated)
        try:
            yield
        finally:
            for array in self.values():
                array.unwait()

    @property
    def words(self) -> int:
        """Bits that the compensation of drift keeps on one chip."""
        return sum(0 if each._compensation is None else each._compensation.bits for each in self.values())

    @property
    def leaks(self) -> bool:
        """Whether any devices leak."""
        return any(array.leaks for array in self.values())

    def leak(self, seconds: float) -> None:
        """So long has passed: devices that leak do so."""
        for array in self.values():
            array.leak(seconds)

    @property
    def colour(self) -> Colour | None:
        """The memory of their read noise, if any has one."""
        return next((array.mapping.sheet.colour for array in self.values()), None)

    @property
    def coloured(self) -> bool:
        """Whether the read noise of any devices has a memory."""
        return any(array.devices.coloured is not None for array in self.values())

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        for array in self.values():
            array.fluctuate(seconds)

    @property
    def count(self) -> int:
        """Devices on one chip that hold weights."""
        return sum(array.devices.count for array in self.values())

    @property
    def fill(self) -> float | None:
        """Weights on tiles, as a share of those that the tiles in use could hold; None if none is in use."""
        room = self.used * self.options.rows * self.options.columns
        return sum(prod(array.shape) for array in self.values()) / room if room else None
