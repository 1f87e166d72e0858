"""A digital processor: arithmetic and memories together, as a machine of its own or the digital unit of a chip."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from hwsim.accounts.blocking import Blocking, Dataflow, blocking
from hwsim.accounts.energy import Area, Charge, Leak, Occupied
from hwsim.accounts.passes import ONCE, Occurrence
from hwsim.accounts.scaling import Factor, Node, Target, factor
from hwsim.quantities import Constant
from hwsim.records import Record
from hwsim.units.arithmetic import Arithmetic, ArithmeticParts, ArithmeticPrices, Functions, PricedFormat
from hwsim.units.memory import DynamicMemory, LocalBuffer, MemoryPrices
from hwsim.units.sram import StaticMemory


class DigitalParts(ArithmeticParts):
    """Arithmetic, memories and dataflow of a digital machine, or of the digital part of another one."""

    sram: StaticMemory
    buffer: LocalBuffer
    dram: DynamicMemory
    dataflow: Dataflow = Dataflow()

    def blocking(self, word: int, sums: int) -> Blocking:
        """How products are cut whose numbers, and the sums of them, have so many bits."""
        return blocking(int(self.buffer.capacity.value) // word, self.timing.macs.value, self.dataflow, sums / word)


def at_node(parts: DigitalParts, measured: Node, target: Target) -> DigitalParts:
    """The same parts at another node: arithmetic, registers and the clock; memories stay what the file says.

    Raises:
        ValueError: the equations do not reach one of the nodes or voltages.
    """
    energy, delay = factor("energy", measured, target), factor("delay", measured, target)
    assumed = measured.voltage.assumed or target.voltage.assumed
    arithmetic = {
        format: Arithmetic(add=_times(each.add, energy, assumed), multiply=_times(each.multiply, energy, assumed))
        for format, each in parts.arithmetic.items()  # noqa: A001
    }
    timing = parts.timing.model_copy(update={"clock": _times(parts.timing.clock, delay, assumed)})
    return parts.model_copy(
        update={
            "arithmetic": arithmetic,
            "compare": _times(parts.compare, energy, assumed),
            "functions": Functions(**{name: _times(each, energy, assumed) for name, each in parts.functions}),
            "register_bit": _times(parts.register_bit, energy, assumed),
            "timing": timing,
        }
    )


def _times(constant: Constant[float], by: Factor, assumed: str | None) -> Constant[float]:
    """A constant times a factor, and its range times that of the factor; assumed if one of them is."""
    low, high = constant.bounds
    span = (constant.value * low * by.low, constant.value * high * by.high)
    changed: dict[str, object] = {
        "value": constant.value * by.value,
        "range": list(span) if constant.value else None,
    }
    if assumed and not constant.assumed:
        changed |= {"source": None, "assumed": f"a supply voltage: {assumed}"}
    return constant.model_copy(update=changed)


class DigitalPrices:
    """Energy and time of a digital processor's operations.

    What is not modelled: instruction fetch, the network between units, and the background power of off-chip memory.

    Args:
        parts: what the processor is made of.
        most: bits that each memory held at most, by its name; it is sized for them.
        usual: the number format of results.
        sums: the format in which products are summed.
        widths: bits of a value of storages, by name, where they are not words.
        update: the name of a format that some records are in, and what it counts as; the others count as `usual`.
    """

    def __init__(
        self,
        parts: DigitalParts,
        most: Mapping[str, int],
        usual: PricedFormat,
        sums: PricedFormat,
        widths: Mapping[str, int] = MappingProxyType({}),
        update: tuple[str, PricedFormat] | None = None,
    ) -> None:
        self.parts, self._usual, self._sequences = parts, usual, parts.dataflow.batch_parallel
        self.arithmetic = ArithmeticPrices(parts, usual, sums, update)
        registers = parts.register_bit, parts.timing.clock.value
        blocks = parts.blocking(usual.bits, sums.bits)
        self.memory = MemoryPrices(
            parts.sram, parts.buffer, parts.dram, most, blocks, usual.bits, widths, registers, self._sequences
        )

    def charges(self, record: Record, where: Occurrence = ONCE) -> list[Charge]:
        return self.arithmetic.charges(record) + self.memory.charges(self.memory.moves(record, where))

    def occupied(self, record: Record, where: Occurrence = ONCE) -> Occupied:
        """Arithmetic and the memories that feed it work side by side; the slowest of them counts."""
        seconds = self.arithmetic.seconds(record, self._sequences)
        return Occupied.of(seconds, self.memory.seconds(self.memory.moves(record, where)))

    def activities(self, record: Record) -> int:
        return 0

    def leakage(self) -> list[Leak]:
        return self.memory.leakage()

    def area(self) -> Area:
        """Of arithmetic and of memories."""
        memories, arithmetic = self.memory.area(), self.arithmetic.area()
        if arithmetic is None:
            return Area(memories, f"no source gives the area of arithmetic in {self._usual.arithmetic}")
        return Area({**arithmetic, **memories})
