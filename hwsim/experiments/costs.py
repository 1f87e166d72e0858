"""Costs: energy, memory and time of a system, read from its journal and ledgers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from math import ceil, inf, isfinite
from typing import Any, NamedTuple

import numpy as np

from hwsim.accounts.energy import UNPRICED, Ledger, Spent, Tariff, grouped, total
from hwsim.accounts.journal import PASS, Batch, Sweep, Totals
from hwsim.accounts.schedule import Scheduler
from hwsim.accounts.work import accesses, total_work, work
from hwsim.experiments.gradient_check import beyond_range
from hwsim.experiments.saturation import Saturation, rate
from hwsim.experiments.system import Detail, System
from hwsim.machine import Machine
from hwsim.results.tables import EnergyRow
from hwsim.units.inverse import LATE

PRODUCTS = ("read", "read transposed", "sparse read", "sparse read transposed")
CONVERSIONS = ("dac", "adc", "tile adc")
WRITES = ("program", "pulse", "pulse outer")
"""Records that measure first how many devices they write."""
CONVERTERS = ("dac", "adc")
"""Converters, as components of the energy ledger."""
NO_PRICE = "this machine has no energy model; its operations are counted"


class SpentSoFar(NamedTuple):
    """What was spent from the start to the end of a test; None for what is unknown, or does not exist.

    Attributes:
        energy_j: with programming, training and tests.
        learning_energy_j, learning_time_s: without tests.
        writes_per_device: the mean number of writes per device on each chip.
    """

    energy_j: float | None
    learning_energy_j: float | None
    learning_time_s: float
    writes_per_device: list[float | None]


class Costs:
    """The energy, memory and time of a system.

    Attributes:
        scheduler: schedules the traces of the system.
        tariff: charges the traces of the system.
    """

    def __init__(self, system: System) -> None:
        self.system, self.machine = system, system.machine
        self.outcome = system.outcome
        prices, traces = self.machine.prices(), self.machine.journal.traces
        self.tariff = Tariff(traces, prices)
        self.scheduler = Scheduler(traces, prices.occupied, passes=self.tariff.passes)

    # ---- time ------------------------------------------------------------------------------------------------

    def seconds(self, batch: Batch) -> list[float]:
        """Duration of each sweep of a batch, for all sequences: one after another, or as many as run together."""
        rounds, timings = self._rounds(batch), self.scheduler.batch(batch)
        return [
            timing.makespan * 1e-12 * (rounds if sweep.kind == PASS else 1)
            for sweep, timing in zip(batch.sweeps, timings, strict=True)
        ]

    def time(self) -> dict[str, Any]:
        """Hardware time of the batch that was recorded in detail."""
        if self.outcome.detail is None:
            return {}
        batch = self.outcome.detail.batch
        timings = self.scheduler.batch(batch)
        passes = [timing for sweep, timing in zip(batch.sweeps, timings, strict=True) if sweep.kind == PASS]
        whole = sum(timing.makespan for timing in passes)
        busy: Counter[str] = Counter()
        for timing in passes:
            busy.update(timing.busy)
        return {
            "hardware_step_s": max((timing.period for timing in passes), default=0) * 1e-12,
            "sequence_s": whole * self._rounds(batch) / batch.sequences * 1e-12,
            "training_step_s": sum(self.seconds(batch)),
            "passes": self._shown(batch),
            "utilisation": {unit: time / whole for unit, time in sorted(busy.items()) if time} if whole else {},
        }

    def latency(self) -> float | None:
        """Seconds from the first step of a test sequence to its last; None without a test."""
        if self.outcome.inference is None:
            return None
        of = [batch for batch in self.outcome.inference.batches if any(sweep.kind == PASS for sweep in batch.sweeps)]
        sweeps = zip(of[0].sweeps, self.scheduler.batch(of[0]), strict=True)
        return sum(timing.makespan for sweep, timing in sweeps if sweep.kind == PASS) * 1e-12

    def _rounds(self, batch: Batch) -> int:
        """Number of times that a pass is carried out until all sequences have had it."""
        return ceil(batch.sequences / self.machine.parallel)

    def _shown(self, batch: Batch) -> float:
        """How often each step of the sequences was worked on; passes over a part of them count as that part.

        Steps beyond the end of the input take time and energy, and are no steps of the sequences.
        """
        passes = [sweep for sweep in batch.sweeps if sweep.kind == PASS]
        steps = sum(sweep.runs.steps.total() - sweep.beyond for sweep in passes)
        times = steps / self.system.dataset.train.steps
        return int(times) if times.is_integer() else times

    # ---- energy ----------------------------------------------------------------------------------------------

    def of_totals(self, totals: Totals) -> Ledger:
        """The ledger of totals."""
        return self.tariff.of_totals(totals, self._lasted(totals))

    def taken(self, totals: Totals) -> dict[str, float | None]:
        """Energy and hardware time of some work."""
        return {"energy_j": total(self.of_totals(totals)).energy, "time_s": self._lasted(totals)}

    def _lasted(self, totals: Totals) -> float:
        """The seconds that totals took."""
        return sum(sum(self.seconds(batch)) * times for batch, times in totals.batches.items())

    def steps(self, detail: Detail) -> Iterator[tuple[int, int, Ledger]]:
        """The ledger of each step of one batch: sweep, step, ledger."""
        return iter(self.tariff.of_steps(detail.batch, detail.steps, self.seconds(detail.batch)))

    def rows(self) -> Iterator[EnergyRow]:
        """The rows of `energy.csv`: the energy of one batch by step, then the energy of the whole run by epoch."""
        name, detail = self.system.name, self.outcome.detail
        if detail is not None:
            for sweep, step, ledger in self.steps(detail):
                where = detail.batch.sweeps[sweep].name
                yield from _rows(ledger, name, "step", None, where, None if step < 0 else step)
        for epoch, totals in enumerate(self.outcome.totals):
            yield from _rows(self.of_totals(totals), name, "epoch", epoch, None, None)

    @cached_property
    def at_tests(self) -> list[SpentSoFar]:
        """What was spent until each test."""
        return list(self._at_tests())

    def _at_tests(self) -> Iterator[SpentSoFar]:
        devices, so_far, learning = self.machine.devices, Spent(), Spent()
        seconds, written = 0.0, np.zeros(self.machine.chips)
        for _, totals, learned in zip(self.outcome.tests, self.outcome.totals, self.outcome.learned, strict=False):
            so_far.absorb(total(self.of_totals(totals)))
            learning.absorb(total(self.of_totals(learned)))
            seconds += self._lasted(learned)
            written += self._written(totals)
            worn: list[float | None] = [None] * len(written) if devices is None else (written / devices.count).tolist()
            yield SpentSoFar(so_far.energy, learning.energy, seconds, worn)

    def gradient(self) -> Spent:
        """The energy of the gradient of the batch that was recorded in detail, for all its sequences."""
        detail = self.outcome.detail
        return Spent() if detail is None else total(self.of_totals(detail.totals(_learns)))

    def training_step(self) -> Spent:
        """The energy of the training step that was recorded in detail: gradient, update and writes."""
        detail = self.outcome.detail
        return Spent() if detail is None else total(self.of_totals(detail.totals()))

    def energy(self) -> dict[str, Any]:
        """Energy of inference and of the gradient per sequence, of a training step, and of the whole run."""
        detail, inference = self.outcome.detail, self.outcome.inference
        ledger: Ledger = {} if detail is None else self.of_totals(detail.totals())
        learning, step, run = self.gradient(), total(ledger), Spent()
        for totals in self.outcome.totals:
            run.absorb(total(self.of_totals(totals)))
        tested = sum(batch.sequences * times for batch, times in inference.batches.items()) if inference else 0
        shown = total(self.of_totals(inference)) if inference else Spent()
        sequences = detail.batch.sequences if detail else 1
        result: dict[str, Any] = {
            "inference_j_per_sequence": _per(shown, tested),
            "gradient_j_per_sequence": _per(learning, sequences) if detail else None,
            "training_step_j": step.energy if detail else None,
            "sequences": sequences if detail else None,
            "run_j": run.energy,
            "inference_range_j_per_sequence": _range_per(shown, tested),
            "gradient_range_j_per_sequence": _range_per(learning, sequences) if detail else None,
            "training_step_range_j": step.range if detail else None,
            "run_range_j": run.range,
            "by_purpose": {key: spent.energy for key, spent in grouped(ledger, "purpose").items()},
            "by_unit": {key: spent.energy for key, spent in grouped(ledger, "component").items()},
            "by_constant": {
                name: {"energy_j": each.energy, "low_j": each.low, "high_j": each.high, "assumed": each.assumed}
                for name, each in sorted(step.by_constant.items(), key=lambda item: _largest_first(item[1].energy))
            },
            "constants": _origins(step, run),
            "assumed_fraction": step.assumed / step.energy if step.energy else None,
            "operations": dict(self._operations()),
        }
        if run.unknown:
            lacking = ", ".join(sorted(run.unknown))
            result["why_null"] = NO_PRICE if UNPRICED in run.unknown else f"these constants have no value: {lacking}"
        return result

    # ---- efficiency ------------------------------------------------------------------------------------------

    def efficiency(self) -> dict[str, Any]:
        """Efficiency of matrix products, mean power, and area.

        The energy of products is that of reading matrices; on analog machines it includes all conversions.
        Multiply-accumulates are those of the matrices: unused cells of a tile do not count.
        """
        detail = self.outcome.detail
        totals = self.outcome.inference if detail is None else detail.totals()
        ledger: Ledger = {} if totals is None else self.of_totals(totals)
        products = {
            account: balance for account, balance in ledger.items() if account.operation in PRODUCTS + CONVERSIONS
        }
        spent, macs = total(products), 0 if totals is None else self._products(totals)
        joules = spent.energy if macs else None
        converters = grouped(products, "component")
        converted = sum(converters[name].known for name in CONVERTERS if name in converters)
        batch, step = 0.0 if detail is None else sum(self.seconds(detail.batch)), total(ledger).energy
        area, devices = self.tariff.prices.area(), self.machine.devices
        fill = None if devices is None else devices.fill
        return {
            "energy_per_mac_j": joules / macs if joules is not None else None,
            "tops_per_w": 2e-12 * macs / joules if joules else None,
            "converter_share": converted / joules if joules and fill is not None else None,
            "tile_fill": fill,
            "mean_power_w": step / batch if step is not None and batch else None,
            "area_m2": area.whole,
            "area_by_part_m2": area.parts,
            "area_why_null": area.lacks or None,
        }

    def _products(self, totals: Totals) -> int:
        """Multiply-accumulates of products with matrices."""
        traces = self.machine.journal.traces
        return sum(
            times * sum(work(record)["mac"] for record in traces[trace] if record.kind in PRODUCTS)
            for trace, times in totals.steps().items()
        )

    def _operations(self) -> Counter[str]:
        """Elementary operations of one batch, over all its sequences."""
        count: Counter[str] = Counter()
        if self.outcome.detail is not None:
            for trace, times in self.outcome.detail.totals().steps().items():
                for name, each in total_work(self.machine.journal.traces[trace]).items():
                    count[name] += each * times
        return count

    def work(self) -> dict[str, float] | None:
        """Operations and accesses of the gradient of one sequence; None if no batch was recorded in detail."""
        detail = self.outcome.detail
        if detail is None:
            return None
        traces, steps = self.machine.journal.traces, detail.totals(_learns).steps()
        done = sum(times * total_work(traces[trace]).total() for trace, times in steps.items())
        moved = sum(times * accesses(traces[trace]) for trace, times in steps.items())
        return {"operations": done / detail.batch.sequences, "accesses": moved / detail.batch.sequences}

    # ---- wear ------------------------------------------------------------------------------------------------

    def written(self) -> np.ndarray:
        """Writes of devices on each chip, by programming and by pulses."""
        return sum(map(self._written, self.outcome.totals), np.zeros(self.machine.chips))

    def _written(self, totals: Totals) -> np.ndarray:
        prices, written = self.machine.prices(), np.zeros(self.machine.chips)
        for trace, activities in totals.activities.items():
            first = 0
            for record in self.machine.journal.traces[trace]:
                count = prices.activities(record)
                if count and record.kind in WRITES:
                    written += activities[first]
                first += count
        return written

    def writes_per_update(self) -> float:
        """Writes of devices in an update, the mean over all of them, or those of the one recorded; the median chip."""
        later, updates = self.outcome.learned[1:], self.system.updates
        if later and updates:
            return float(np.median(sum(map(self._written, later), np.zeros(self.machine.chips)) / updates))
        detail = self.outcome.detail
        return 0.0 if detail is None else float(np.median(self._written(detail.totals())))

    def writes(self) -> dict[str, Any] | None:
        """Writes of devices on the median chip; None for machines without devices."""
        devices = self.machine.devices
        if devices is None:
            return None
        median = float(np.median(self.written()))
        beyond = beyond_range(self.machine) if self.machine.numerics.exact else {}  # an estimate has no values
        return {"writes": median, "writes_per_device": median / devices.count, "beyond_range": beyond}

    # ---- memory ----------------------------------------------------------------------------------------------

    def memory(self) -> dict[str, Any]:
        """Peak memory, in total and by class."""
        ledger = self.machine.memory
        return {
            "peak_bytes": ceil(ledger.peak_bits / 8),
            "peak_by_class": {kind: ceil(bits / 8) for kind, bits in ledger.peak_by_class().items()},
            "most_by_class": {kind: ceil(bits / 8) for kind, bits in ledger.most_by_class.items()},
            "devices": sum(holding.devices for holding in ledger.peak_holdings() if not holding.volatile),
        }


def health(machine: Machine, saturation: Saturation) -> dict[str, Any] | None:
    """Clipping and saturation of analog signals; None for machines without such signals."""
    if machine.clipped is None:
        return None
    rates = {kind: rate(units.values()) for kind, units in machine.clipped.items()}
    return {
        "dac_clip_rate": rates["dac"],
        "adc_clip_rate": rates["adc"],
        "saturation_rate": rates["analog"],
        **({"late_rate": rates[LATE]} if LATE in rates else {}),
        "effective_bits": machine.effective_bits,
        "windows": saturation.windows,
    }


def _largest_first(energy: float) -> float:
    """A key to sort by; energies that are not finite come last."""
    return -energy if isfinite(energy) else inf


def _learns(sweep: Sweep) -> bool:
    """Whether a sweep is part of computing the gradient."""
    return sweep.kind == PASS or sweep.name == "finish gradient"


def _per(spent: Spent, count: int) -> float | None:
    return None if spent.energy is None or not count else spent.energy / count


def _range_per(spent: Spent, count: int) -> tuple[float, float] | None:
    return None if spent.range is None or not count else (spent.low / count, spent.high / count)


def _rows(
    ledger: Ledger, system: str, part: str, epoch: int | None, sweep: str | None, step: int | None
) -> Iterator[EnergyRow]:
    for account, balance in ledger.items():
        energy, price = balance.energy, balance.price
        known: tuple[float | None, ...] = (None,) * 4
        if energy is not None:
            known = (energy, energy * price.low, energy * price.high, energy if price.assumed else 0.0)
        yield EnergyRow(system, part, epoch, sweep, step, *account, price.value, balance.count, *known)


def _origins(*sums: Spent) -> dict[str, Any]:
    """Where the constants of prices stand, and what the documents say there, by their keys."""
    constants = (each for spent in sums for part in spent.by_constant.values() for each in part.constants)
    origins = {constant.key: constant.origin._asdict() for constant in constants}
    return {key: {name: text for name, text in origin.items() if name != "key"} for key, origin in origins.items()}
