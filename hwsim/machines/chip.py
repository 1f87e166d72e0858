"""A chip: crossbar tiles, converters, analog circuits and registers, wired around a digital unit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from hwsim import formats
from hwsim.accounts.memories import REGISTERS
from hwsim.accounts.memory import BUFFERS, MASTER, STATE
from hwsim.errors import CapabilityError
from hwsim.machine.machine import Heads, Machine, UnitErrors
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.parameters import Coefficients, Matrix
from hwsim.machine.port import Port
from hwsim.machine.signal import Signal
from hwsim.machine.storage import Storage
from hwsim.machines.chip_units import ChipPrices, errors, resolution
from hwsim.machines.digital import DigitalMachine
from hwsim.machines.stacked import stacked
from hwsim.operations import Operation, integrate, moves
from hwsim.operations.circuits import advance
from hwsim.records import ANALOG, Entry, Head, Shape
from hwsim.units.converter import Converters, better_digital
from hwsim.units.device_arrays import DeviceArrays
from hwsim.units.function import Circuits, FunctionCircuits, Wiring
from hwsim.units.integrator import IntegratorCircuits
from hwsim.units.inverse import LATE, SolverCircuit
from hwsim.units.multiplier import Multipliers
from hwsim.units.neurons import NeuronCircuits
from hwsim.units.ranges import scales
from hwsim.units.register import AnalogRegister, leak
from hwsim.units.spiking import CIRCUIT, SpikingNeurons
from hwsim.units.tile import TileArray
from hwsim.units.unit import Wire

_VALUE = attrgetter("_value")
TESTS = "inference"
"""The pass in which devices do not leak: tests take no time of training. `deploy` has waits."""


class Chip(DigitalMachine):
    """Matrices are read on tiles, and elementwise arithmetic happens in analog circuits where operands are analog.

    A converter stands, with its record, wherever a signal is needed in the other domain. What has no analog circuit,
    what has digital operands only, and all phases are the digital unit's. Analog signals saturate at full scale.

    Args:
        each: the options of each chip, where chips differ in them; `options` then are those that prices are of.

    Attributes:
        parts: options of the chip's units; a number that differs from chip to chip is an array.
        sheets: the data sheet of the devices of each chip.
        devices: the tiles of each matrix.
        clipped: values that each unit converted or made, and how many of them were beyond full scale, by what clips
            them: `dac`, `adc`, or saturation of `analog` circuits; with a solver, solutions that were read too early.
        holds: how long registers hold their values in each pass, where they leak.
    """

    uniform = False
    is_analog = True
    needs_copy = False
    sparse = False
    master_class = MASTER
    signal_type = Wire
    register_type = AnalogRegister
    on_host = False
    """Whether operations are the host's, which is digital."""

    def __init__(
        self,
        options: Any,
        *,
        chips: int | Sequence[int] = 1,
        seed: int = 0,
        strict: bool = False,
        numerics: Numerics = EXACT,
        each: Sequence[Any] = (),
    ) -> None:
        self.chip, self.parts, self.sheet = options, options.parts, options.device
        self.addressable = options.attached != "nothing"
        super().__init__(options.digital_unit, chips=chips, seed=seed, strict=strict, numerics=numerics)
        if each:
            self.parts = stacked([one.parts for one in each])
        self.sheets = [one.device for one in each] or [self.sheet] * self.chips
        parts = self.parts
        self.input_bits, self.input_full_scale = options.parts.dac.bits, parts.ranges.input
        self.scales, self.reach = scales(self, parts.ranges), parts.ranges.reach
        self.ranges = self.scales if parts.ranges.own else None
        self.devices = DeviceArrays(self.chips, parts.tiles)
        self.converters = Converters(self, parts.dac.bits, parts.adc.bits, parts.adc.circuit, parts.adc.shared_by)
        self.circuits, self.wiring = Circuits(self, seed), Wiring(self)
        self.function_circuits = FunctionCircuits(self, parts.functions, self.circuits)
        self.spiking = None if parts.spiking is None else SpikingNeurons(self, parts.spiking, self.circuits)
        made = parts.integrators
        self.integrators = None if made is None else IntegratorCircuits(self, made, self.circuits)
        kinds = "dac", "adc", "analog", *([] if parts.solver is None else [LATE])
        self.clipped = {kind: defaultdict[str, list[int]](lambda: [0, 0]) for kind in kinds}
        self.neurons: dict[str, NeuronCircuits] = {}
        self.effective_bits: dict[str, int] = resolution(options.parts, self.format.bits)
        self._measured: list[np.ndarray] = []

    # ---- where things go -------------------------------------------------------------------------------------

    def place(
        self, operation: Operation, operands: tuple[Signal, ...], holder: Any = None
    ) -> tuple[Any, tuple[Any, ...]]:
        if holder is not None:
            (x,) = operands
            if self.on_host or not holder.unit.wants(operation, x):
                return None, (self.digital(x),)
            return holder.unit, (x if holder.unit.takes_numbers else self.analog(x),)
        if operation is advance and self.layer in self.neurons and not self.on_host:
            return self.neurons[self.layer], tuple(map(self.analog, operands))
        for x in operands:
            if x._analog:
                break
        else:
            return None, operands
        if operation.wiring:
            return self.wiring, tuple(map(self.analog, operands))
        if operation.circuit == CIRCUIT:
            return self.spiking, tuple(map(self.digital if self.spiking is None else self.analog, operands))
        unit = self.integrators if operation is integrate else self.function_circuits
        if operation.circuit is not None and unit is not None and not better_digital(operands):
            return unit, tuple(map(self.analog, operands))
        return None, tuple(map(self.digital, operands))

    def analog(self, x: Signal) -> Signal:
        """The signal as a voltage, through a converter if it is digital."""
        return x if x._analog else self.converters.carry_out(moves.dac, x)

    def digital(self, x: Signal) -> Signal:
        return self.converters.carry_out(moves.adc, x) if x._analog else x

    def place_storage(self, storage: Storage) -> Port:
        if storage.technology == REGISTERS:
            return Port(self, REGISTERS)
        of_neurons = storage.kind == STATE and storage.name.removesuffix(" h") in self.neurons
        if of_neurons or (storage.kind in self.parts.registers.classes and not storage.shared):
            errors = self.parts.registers.noise, self.scales.of_register(storage)
            return self.register_type(self, storage, *errors, of_neurons)
        return super().place_storage(storage)

    def place_matrix(self, matrix: Matrix) -> Any:
        self.devices.require(matrix, self.chip.name)
        made = self.sheets, self.chip.periphery, self.converters, self._round
        array = self.devices[matrix.name] = TileArray(self, matrix, self.parts.tiles, *made)
        return array

    def place_coefficients(self, coefficients: Coefficients) -> Any:
        options, words = (self.parts.functions, self.parts.diagonals, self.chip.sharing), self.chip.coefficients
        return Multipliers(self, coefficients, self.circuits, options, formats.parse(words))

    def place_circuit(self, circuit: Any) -> None:
        if self.parts.neurons is not None:
            self.neurons[self.layer] = NeuronCircuits(self, circuit, self.parts.neurons)

    def place_loop(self, loop: Any) -> Any:
        parts = self.parts
        if parts.solver is None:
            raise CapabilityError(
                f"learning.inverse: analog needs an inverse solver, and {self.chip.name} has none; take a machine with "
                "parts.solver, such as solving_crossbar, or inverse: exact"
            )
        return SolverCircuit(self, loop, parts.solver, parts.tiles, parts.functions, self.circuits)

    def held_as(self, kind: str) -> tuple[int, str]:
        if kind in self.parts.registers.classes or kind == BUFFERS:
            return self.effective_bits["register"], "analog registers" if kind != BUFFERS else "wires"
        return super().held_as(kind)

    def received(self, inputs: np.ndarray) -> np.ndarray:
        return self.converters.received(inputs, self.parts.ranges.input)

    # ---- steps and records -----------------------------------------------------------------------------------

    def head(self, key: Any) -> Head:
        head = super().head(key)
        return head._replace(unit=f"{self.layer} {moves.adc.kind}") if key is moves.adc else head

    def analog_head(self, key: Any) -> Head:
        """The head of an analog operation, or of one by a named unit, in the present layer and purpose."""
        operation, unit = (key, f"{self.layer} {key.kind}") if isinstance(key, Operation) else key
        return Head(operation.kind, unit, self.layer, self.purpose, ANALOG)

    def serve(self, layer: str, purpose: str) -> None:
        super().serve(layer, purpose)
        heads = self.contexts.get((layer, purpose, ANALOG))
        if heads is None:
            heads = self.contexts[layer, purpose, ANALOG] = Heads(self.analog_head, self.operations)
        self.analog_heads, self.full_scale = heads, self.parts.ranges.of(purpose)

    def head_of(self, x: Signal) -> Head:
        return self._entries[x._slot][0]

    def taken_from(self, x: Signal) -> str:
        head, _, _, reads, _ = self._entries[x._slot]
        return str(reads[0]) if self.operations[id(head)] is moves.get else ""

    def compute(
        self, does: Callable[..., np.ndarray], operands: tuple[Signal, ...], constants: tuple[Any, ...] = ()
    ) -> np.ndarray:
        """What a unit makes of signals and constants; steps that are captured have it made in the same way."""
        if self.aside is not None:
            self.aside.give(constants, does)
        values = map(_VALUE, operands)
        if not constants:
            return does(*values)
        return does(*values, *[each if isinstance(each, tuple) else +each for each in constants])  # see `OfStep`

    def emit_analog(
        self, head: Head, value: np.ndarray, reads: tuple[int | str, ...], full_scale: Any, size: Shape | None = None
    ) -> Signal:
        if self.strict:
            value = Machine.finish(self, head, value)  # analog values are not rounded
        slot = len(self._entries)
        self._entries.append((head, value.shape, size, reads, slot))
        signal = Wire.__new__(Wire)  # it is filled in here
        signal._value, signal._step, signal._slot, signal._machine = value, self._now, slot, self
        signal._analog, signal._full_scale, signal._twin = True, full_scale, None
        if self.scales.measuring and head.kind != moves.dac.kind:
            self.scales.look(signal, full_scale)
        return signal

    def measure(self, *activities: np.ndarray) -> None:
        self._measured += activities

    def records_of_step(self) -> tuple[list[Entry], np.ndarray | None]:
        measured, self._measured = self._measured, []
        return self._entries, np.concatenate(measured).reshape(-1, self.chips) if measured else None

    def begin_step(self, clock: int) -> None:
        super().begin_step(clock)
        hold = self.holds.get(self.sequencer.sweep_name)
        if hold and self.sequencer.at_start and self.devices.coloured:  # the other sequences of the batch come first
            self.devices.fluctuate(hold.period * self.sequencer.length * (self.episode.batch - 1))

    def end_step(self, settled: list[Any]) -> None:
        super().end_step(settled)
        self.converters.end_step()
        hold, retention = self.holds.get(self.sequencer.sweep_name), self.parts.registers.retention
        if hold and retention is not None:
            leak(self.holdings.registers(), {register.name for register in settled}, hold, retention.value)
        if hold and self.devices.leaks and self.sequencer.in_pass and self.sequencer.sweep_name != TESTS:
            self.devices.leak(hold.period * self.episode.batch)  # sequences of a batch come one after another
        if hold and self.sequencer.in_pass and self.devices.coloured:
            self.devices.fluctuate(hold.period)

    def release(self) -> None:
        super().release()
        self.devices.clear()
        self.circuits.banks.clear()

    # ---- what it costs, and how exact it is ------------------------------------------------------------------

    def prices(self, options: Any = None) -> ChipPrices:
        options = options or self.chip
        analog = bool(self.circuits.banks) or bool(options.parts.registers.classes)
        return ChipPrices(options, self.digital_prices(options.digital_unit), self.devices.used, analog)

    def errors(self, operation: Operation) -> UnitErrors:
        return errors(self.chip, operation, self.format.epsilon, self.scales.error)
