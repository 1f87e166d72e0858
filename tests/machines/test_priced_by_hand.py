"""A whole training step, priced by hand: counts from the equations, prices from the files, nothing from accounts.

The networks have one layer on tiles of 2 rows and 3 columns. One has five leaky tanh units, so that W takes three rows
and two columns of tiles; the other has two complex modes. There are 2 inputs and 3 classes; a batch is two sequences of
two steps.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from conftest import built, close, machine_options, random_episode, rule

from hwsim.accounts.energy import Tariff
from hwsim.accounts.schedule import Scheduler
from hwsim.learning import optimizers
from hwsim.learning.update import Options, Update
from hwsim.networks import Network
from hwsim.quantities import parse

DISTINCT = Path(__file__).parents[1] / "hardware" / "distinct.yaml"
SMALL = {"rows": 2, "columns": 3}
PJ, UW, NS = 1e-12, 1e-6, 1e-9
STEPS, SEQUENCES = 2, 2
EACH = STEPS * SEQUENCES


@dataclass(frozen=True)
class Sheet:
    """What the files of a machine say, in SI units; energies of memories per bit, in CACTI's table per 64 bits."""

    on: Any
    # tiles: power of control, of an input line, of an output line; time of a phase
    control: float
    driver: float
    output: float
    phase: float
    phases: int
    volts: float
    # converters and analog circuits: energy, time
    dac: tuple[float, float]
    adc: tuple[float, float]
    dac_shared: int
    adc_shared: int
    add: tuple[float, float]
    multiply: tuple[float, float]
    tanh: tuple[float, float]
    forward: tuple[float, float]
    transposed: tuple[float, float]
    inverse: tuple[float, float]
    register: tuple[float, float]
    # devices: energy of a write, and per siemens of its target; of its verifying reads; time of a write with them
    write: float
    write_per_siemens: float
    verify: float
    row: float
    g_min: float
    window: float
    levels: int
    largest: float  # largest weight that devices hold, over the largest initial one
    # bits of numbers, and of what is kept in other ones
    word: int
    sums: int
    coefficient: int
    step: int
    analog: int
    input: int
    # digital arithmetic: of words, of sums (and of updates, which have the same format)
    usual: tuple[float, float]
    wide: tuple[float, float]
    compare: float
    bit: float
    accesses: float
    exp: float
    cos: float
    digital_tanh: float
    divide: tuple[int, int]
    clock: float
    macs: int
    lanes: int
    # memories of one bank of 2 KiB: read, write, seconds of 64 bits, watts; the local buffer with its wires
    bank: tuple[float, float, float, float]
    buffer: tuple[float, float]
    leak: float


def _shipped(name: str, volts: float, phase: float, largest: float, **written: Any) -> Sheet:
    """A shipped crossbar, with the digital unit of `digital_45nm`; the periphery is at 14 nm, 1.09 times that here."""
    wires = 240e-15 * 3.1 * sqrt(16 * 0.0263) / 2  # per bit and mm, times mm: 16 banks of 8 KiB, 0.0263 mm² each
    multiplier = 0.33 * PJ, 10 * NS
    return Sheet(
        on={"like": name, "parts": {"tiles": SMALL}},
        control=1.09 * 9.08e-3,
        driver=1.09 * 35.4 * UW,
        output=1.09 * 40.4 * UW,
        phase=phase,
        phases=1,
        volts=volts,
        dac=(0.291 * PJ, 10 * NS),
        adc=(31.5 * PJ, 10 * NS),
        dac_shared=1,
        adc_shared=8,
        add=(0.0368 * PJ, 10 * NS),
        multiply=multiplier,
        tanh=multiplier,
        forward=multiplier,
        transposed=multiplier,
        inverse=multiplier,
        register=(1.2 * PJ, 10 * NS),
        largest=largest,
        word=32,
        sums=32,
        coefficient=16,
        step=7,  # up to ±50, or ±39 steps
        analog=10,  # log2(2 / (0.0005 √12)) = 10.2
        input=8,
        usual=(0.9 * PJ, 3.7 * PJ),
        wide=(0.9 * PJ, 3.7 * PJ),
        compare=0.1 * PJ,
        bit=0.009 * PJ,
        accesses=3,
        exp=1 * PJ,
        cos=1 * PJ,
        digital_tanh=1 * PJ,
        divide=(7, 3),
        clock=1 * NS,
        macs=256,
        lanes=16,
        bank=(2.756 * PJ / 64, 4.239 * PJ / 64, 0.83 * NS, 0.07417 * UW),
        buffer=(6.137 * PJ / 64 + wires, 7.878 * PJ / 64 + wires),
        leak=16 * 0.25678 * UW,
        **written,
    )


_WIRES = 229e-15 * 2.33 * sqrt(8 * 0.0548 * 1.37) / 2  # 8 banks of 8 KiB

SHEETS = {
    "pcm_crossbar": _shipped(
        "pcm_crossbar",
        volts=0.2,
        phase=250 * NS,
        largest=2.0,
        write=8 * 2 * 150e-6 * 150 * NS,  # eight pulses of 2 V and 150 uA for 150 ns
        write_per_siemens=0.0,
        verify=8 * 2 * PJ,  # a read behind each pulse
        row=8 * (150 * NS + 250 * NS),
        g_min=0.25e-6,
        window=24.75e-6,
        levels=50,
    ),
    "rram_crossbar": _shipped(
        "rram_crossbar",
        volts=0.5,
        phase=270 * NS,
        largest=39 / 19,
        write=0.0,
        write_per_siemens=1.75**2 * 8.52e-6,  # all pulses together
        verify=2 * PJ,  # one read behind them
        row=8.52e-6 + 270 * NS,
        g_min=1e-6,
        window=39e-6,
        levels=39,
    ),
    "distinct": Sheet(
        on=str(DISTINCT),
        control=1.07 * (73 * UW + 1.87e-3),
        driver=1.07 * 31 * UW,
        output=1.07 * 43 * UW,
        phase=257 * NS,
        phases=5,
        volts=0.23,
        dac=(0.311 * PJ, 11.3 * NS),
        adc=(37.3 * PJ, 13.9 * NS),
        dac_shared=4,
        adc_shared=1,
        add=(0.0379 * PJ, 9.7 * NS),
        multiply=(0.337 * PJ, 10.3 * NS),
        tanh=(0.347 * PJ, 10.7 * NS),
        forward=(0.353 * PJ, 12.7 * NS),
        transposed=(0.359 * PJ, 13.1 * NS),
        inverse=(0.367 * PJ, 13.7 * NS),
        register=(1.13 * PJ, 14.9 * NS),
        write=0.0,
        write_per_siemens=1.61**2 * 4.7e-6,
        verify=2.11 * PJ,
        row=4.7e-6 + 257 * NS,
        g_min=1.3e-6,
        window=20.4e-6,
        levels=20,
        largest=20 / 8,  # 20 / 2.27 = 8.8, so the largest initial weight is on step 8
        word=16,
        sums=32,
        coefficient=14,
        step=6,
        analog=9,  # log2(2 / (0.00097 √12)) = 9.2
        input=7,
        usual=(0.47 * PJ, 1.27 * PJ),
        wide=(0.83 * PJ, 3.49 * PJ),
        compare=0.131 * PJ,
        bit=0.0101 * PJ,
        accesses=2.9,
        exp=1.73 * PJ,
        cos=1.97 * PJ,
        digital_tanh=1.51 * PJ,
        divide=(6, 10),
        clock=1.09 * NS,
        macs=17,
        lanes=13,
        bank=(0.89 * 3.622 * PJ / 64, 0.89 * 10.517 * PJ / 64, 1.46 * NS, 1.17 * 0.47316 * UW),
        buffer=(0.89 * 11.125 * PJ / 64 + _WIRES, 0.89 * 14.693 * PJ / 64 + _WIRES),
        leak=8 * 1.17 * 1.77749 * UW,
    ),
}

Key = tuple[str, str, str]
"""Purpose, unit, component."""


class Bill:
    """Joules by purpose, unit and component."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet, self.lines = sheet, defaultdict[Key, float](float)

    def enter(self, purpose: str, unit: str, component: str, joules: float) -> None:
        self.lines[purpose, unit, component] += joules

    def read(self, purpose: str, unit: str, times: int, tiles: int, transposed: bool = False) -> None:
        """The periphery of whole tiles; forward, the 3 columns are input lines and the 2 rows output lines."""
        s, (inputs, outputs) = self.sheet, (2, 3) if transposed else (3, 2)
        seconds = times * tiles * s.phases * s.phase
        self.enter(purpose, unit, "tile control", seconds * s.control)
        self.enter(purpose, unit, "tile drivers", seconds * inputs * s.driver)
        self.enter(purpose, unit, "tile outputs", seconds * outputs * s.output)

    def convert(self, purpose: str, dac: int = 0, adc: int = 0) -> None:
        if dac:
            self.enter(purpose, "layer 1 dac", "dac", dac * self.sheet.dac[0])
        if adc:
            self.enter(purpose, "layer 1 adc", "adc", adc * self.sheet.adc[0])

    def analog(self, purpose: str, unit: str, **counts: int) -> None:
        """Elementary operations of analog circuits; the three multipliers of a diagonal by their names."""
        for name, count in counts.items():
            component = "analog " + {"register": "registers", "add": "add", "tanh": "tanh"}.get(name, "multiply")
            self.enter(purpose, unit, component, count * getattr(self.sheet, name)[0])

    def digital(self, purpose: str, wide: bool = False, unit: str = "vector unit", **counts: int) -> None:
        """Elementary operations, with three accesses of registers each; a product that is summed is one operation.

        Args:
            wide: whether they are between passes, in the format of updates.
        """
        s, operations, bits = self.sheet, sum(counts.values()), 0.0
        add, multiply = s.wide if wide else s.usual
        price = {
            "add": add,
            "multiply": multiply,
            "compare": s.compare,
            "exp": s.exp,
            "cos": s.cos,
            "tanh": s.digital_tanh,
            "sum": s.wide[0],
            "mac": s.usual[1] + s.wide[0],
        }
        for name, count in counts.items():
            self.enter(purpose, unit, unit, count * price[name])
        bits = operations * s.accesses * (s.sums if wide else s.word)
        bits += (counts.get("sum", 0) + counts.get("mac", 0)) * (s.sums - s.word)  # the result is as wide as sums
        self.enter(purpose, unit, "registers", bits * s.bit)

    def memory(self, purpose: str, unit: str, memory: str, read: float = 0, write: float = 0) -> None:
        """Bits that move in and out of a memory."""
        prices = self.sheet.buffer if memory == "local buffer" else self.sheet.bank
        self.enter(purpose, unit, memory, read * prices[0] + write * prices[1])

    def summed(self, macs: int, factors: int, added: int) -> None:
        """Sums of a pass: operands wait for each other and cross once; sums stay in the buffer until the pass is over.

        Args:
            macs: entries of outer products in a step.
            factors: wires of their operands.
            added: numbers that are added to sums in a step.
        """
        s, of = self.sheet, "gradient"
        self.digital(of, unit="systolic array", mac=macs * EACH)
        self.digital(of, sum=added * EACH)
        for unit, sums in (("systolic array", macs), ("vector unit", added)):
            bits = sums * SEQUENCES * s.sums
            self.memory(of, unit, "gradient memory", read=bits, write=bits)
        self.memory(of, "systolic array", "sequence memory", read=factors * EACH * s.word)
        # into the buffer, and on to the multipliers: all operands once; sums once from memory, and once more from them
        moved = factors * EACH * s.word + 2 * macs * SEQUENCES * s.sums
        self.memory(of, "systolic array", "local buffer", read=moved, write=moved)

    def biased(self, numbers: int, passes: int) -> None:
        """A bias of the digital unit: fetched once per pass, and read from the buffer once for both steps."""
        bits = numbers * passes * SEQUENCES * self.sheet.word
        self.digital("inference", add=numbers * passes * EACH)
        self.memory("inference", "vector unit", "weight memory", read=bits)
        self.memory("inference", "vector unit", "local buffer", read=bits, write=bits)

    def classified(self, passes: int) -> None:
        """Softmax of three classes: maximum, differences, exponentials, their sum, its reciprocal, products."""
        multiplies, adds = self.sheet.divide
        self.digital(
            "error propagation",
            compare=2 * passes * EACH,
            add=(3 + 2 + adds) * passes * EACH,
            exp=3 * passes * EACH,
            multiply=(3 + multiplies) * passes * EACH,
        )

    def updated(self, parameters: int, cleared: int) -> None:
        """Plain gradient descent: gradient times 1 / losses, times the rate, subtracted; all sums set to zero."""
        s, of = self.sheet, "weight update"
        self.memory(of, "gradient memory", "gradient memory", read=parameters * s.sums, write=cleared * s.sums)
        self.memory(of, "weight memory", "weight memory", read=parameters * s.sums, write=parameters * s.sums)
        self.digital(of, wide=True, multiply=2 * parameters, add=parameters)

    def programmed(self, weights: int, parameters: int, coefficients: int, **counts: int) -> None:
        """Targets to steps, which are compared with the ones kept; the words of analog circuits."""
        s, of = self.sheet, "weight write"
        kept = weights * s.step
        self.memory(of, "weight memory", "weight memory", read=parameters * s.sums + kept, write=kept)
        multiplies = weights + counts.pop("multiply", 0)
        self.digital(of, wide=True, multiply=multiplies, compare=weights, **counts)
        self.enter(of, "coefficient registers", "registers", coefficients * s.coefficient * s.bit)

    def written(self, matrix: str, devices: float, siemens: float) -> None:
        s, unit = self.sheet, f"layer 1 {matrix} tiles"
        joules = devices * (s.write + s.verify) + siemens * s.write_per_siemens
        self.enter("weight write", unit, "programming", joules)

    def leaked(self, seconds: float) -> None:
        for memory in ("weight memory", "gradient memory", "sequence memory"):
            self.enter("leakage", memory, memory, seconds * self.sheet.bank[3])
        self.enter("leakage", "local buffer", "local buffer", seconds * self.sheet.leak)


def tanh_bill(sheet: Sheet) -> Bill:
    """h' = h/2 + tanh(W h + U x + b)/2 with 5 units, V h + c with 3 classes; one pass of `one_step`."""
    bill = Bill(sheet)
    for unit, tiles in (
        ("W tiles, column 1", 3),
        ("W tiles, column 2", 3),
        ("U tiles", 3),
        ("V1 tiles, column 1", 2),
        ("V1 tiles, column 2", 2),
    ):
        bill.read("inference", f"layer 1 {unit}", EACH, tiles)
    bill.convert("inference", dac=(2 + 5) * EACH, adc=(5 + 5 + 3 + 3) * EACH)  # x, W h; columns of W and of V
    bill.digital("inference", add=(5 + 3) * EACH)  # columns of tiles are summed as numbers
    bill.analog("inference", "layer 1 add 5", add=(5 + 5) * EACH)  # W h + U x; h/2 + s/2
    bill.analog("inference", "layer 1 b bias", add=5 * EACH)
    bill.analog("inference", "layer 1 tanh 5", tanh=5 * EACH)
    bill.analog("inference", "layer 1 multiply 5", multiply=(5 + 5) * EACH)  # h/2, s/2
    bill.analog("inference", "layer 1 h", register=5 * EACH)
    bill.biased(3, passes=1)
    bill.classified(passes=1)
    bill.digital("error propagation", add=3 * EACH)  # minus the target

    for row in (1, 2):
        bill.read("error propagation", f"layer 1 V1 tiles, row {row}", EACH, 2, transposed=True)
    bill.convert("error propagation", dac=(3 + 5) * EACH, adc=(5 + 5) * EACH)  # e, Vᵀe; rows of V
    bill.digital("error propagation", add=5 * EACH)
    bill.analog("error propagation", "layer 1 tanh 5", multiply=5 * EACH, add=5 * EACH)  # 1 - s²
    bill.analog("error propagation", "layer 1 multiply 5", multiply=(5 + 5) * EACH)  # half of it, times Vᵀe

    bill.convert("gradient", adc=(5 + 5 + 5) * EACH)  # h' for V; drive and h for W
    bill.summed(macs=15 + 25 + 10, factors=(3 + 5) + (5 + 5) + (5 + 2), added=3 + 5)
    # what outer products wait for is written down: the error, three converted signals, the input
    for purpose, unit, wires in (
        ("error propagation", "vector unit", 3),
        ("gradient", "layer 1 adc", 15),
        ("inference", "input", 2),
    ):
        bill.memory(purpose, unit, "sequence memory", write=wires * EACH * sheet.word)

    bill.updated(25 + 10 + 5 + 15 + 3, cleared=58)
    bill.programmed(weights=25 + 10 + 15, parameters=58, coefficients=5 + 3)
    bill.leaked(1.0)
    return bill


def lru_bill(sheet: Sheet) -> Bill:
    """h' = λ h + γ (B x + b) with 2 modes, V h + c with 3 classes; two passes of `fpe`."""
    bill, both = Bill(sheet), 2 * EACH
    for unit in ("B tiles", "V1 tiles, column 1", "V1 tiles, column 2"):
        bill.read("inference", f"layer 1 {unit}", both, 2)
    bill.convert("inference", dac=2 * both, adc=(3 + 3) * both)  # x; columns of V
    bill.digital("inference", add=3 * both)
    bill.analog("inference", "layer 1 b bias", add=4 * both)
    bill.analog("inference", "layer 1 gamma", multiply=4 * both)
    bill.analog("inference", "layer 1 lambda", forward=2 * 4 * both, add=2 * 2 * both)  # a complex product a mode
    bill.analog("inference", "layer 1 add 4", add=4 * both)
    bill.analog("inference", "layer 1 h", register=4 * both)
    bill.biased(3, passes=2)
    bill.classified(passes=2)
    bill.digital("error propagation", add=3 * both)
    # input and classes are kept in the first pass, and read again in the second; three classes take 2 bits
    bill.memory("inference", "sequence memory", "sequence memory", write=2 * sheet.input * EACH)
    bill.memory("error propagation", "sequence memory", "sequence memory", write=2 * EACH)
    bill.memory("input replay", "sequence memory", "sequence memory", read=(2 * sheet.input + 2) * EACH)

    for purpose in ("warm-up", "error propagation"):  # of the first pass, of the second
        for row in (1, 2):
            bill.read(purpose, f"layer 1 V1 tiles, row {row}", EACH, 2, transposed=True)
        bill.convert(purpose, dac=(3 + 4) * EACH, adc=(4 + 4) * EACH)  # e, Vᵀe; rows of V
        bill.digital(purpose, add=4 * EACH)
    bill.analog("warm-up", "layer 1 lambda transposed", transposed=8 * EACH, add=4 * EACH)  # P ← λ̄ P
    bill.analog("warm-up", "layer 1 multiply 4", multiply=8 * EACH, add=4 * EACH)  # P g
    bill.analog("warm-up", "layer 1 add 4", add=4 * EACH)  # δ₀ + P g
    bill.analog("warm-up", "layer 1 product", register=4 * EACH)
    bill.analog("warm-up", "layer 1 error before", register=4 * EACH)
    bill.analog("error propagation", "layer 1 lambda transposed inverse", inverse=8 * EACH, add=4 * EACH)
    bill.analog("error propagation", "layer 1 add 4", add=4 * SEQUENCES)  # δ - g, but in the first step
    bill.analog("error propagation", "layer 1 gamma", multiply=4 * EACH)
    bill.analog("error propagation", "layer 1 error", register=4 * EACH)
    bill.analog("error propagation", "layer 1 loss gradient", register=4 * EACH)

    bill.convert("gradient", adc=4 * EACH + 4 * 4 * EACH)  # h' for V; δ, h, γu, γδ
    bill.summed(macs=12 + 8, factors=(3 + 4) + (4 + 2), added=3 + (4 + 2 + 4))  # V, B; c; λ, log γ, b
    bill.digital("gradient", multiply=(8 + 4) * EACH, add=(4 + 2) * EACH)  # δ h̄, and the real part of δ̄ γu
    bill.memory("error propagation", "vector unit", "sequence memory", write=3 * EACH * sheet.word)
    bill.memory("gradient", "layer 1 adc", "sequence memory", write=(4 + 4) * EACH * sheet.word)

    # from the gradient of λ to those of ν and θ: exp ν, exp θ, exp(-exp ν), cos, sin, products, and two of modes
    bill.digital("gradient", wide=True, exp=6, cos=4, multiply=8 + 2 * 4, add=2 * 2)
    bill.memory("gradient", "gradient memory", "gradient memory", read=4 * sheet.sums, write=4 * sheet.sums)
    bill.memory("gradient", "weight memory", "weight memory", read=4 * sheet.sums)
    bill.updated(2 + 2 + 2 + 8 + 4 + 12 + 3, cleared=33 + 4)
    multiplies, adds = sheet.divide  # 1/|λ| of two modes
    bill.programmed(
        weights=8 + 12,
        parameters=33,
        coefficients=3 * 4 + 2 + 4 + 3,  # λ, λ̄, 1/λ̄; γ, b, c
        exp=8,
        cos=4,
        multiply=8 + 2 * multiplies,
        add=2 * adds,
    )
    bill.leaked(1.0)
    return bill


CASES = {
    "tanh": (
        {"layers": [{"cell": {"name": "leaky_tanh", "units": 5, "leak": 0.5}}]},
        "one_step",
        tanh_bill,
        ("W", "U", "V1"),
    ),
    "lru": ({"layers": [{"cell": {"name": "lru", "modes": 2}}]}, "fpe", lru_bill, ("B", "V1")),
}


@dataclass
class Trained:
    """A training step that was carried out: the network, and the master weights before and after it."""

    made: Network
    before: dict[str, np.ndarray]
    after: dict[str, np.ndarray]
    largest: dict[str, float]


def trained(network: dict[str, Any], learner: str, on: Any) -> Trained:
    learned, episode = rule(learner), random_episode(batch=SEQUENCES, steps=STEPS, width=2, classes=3)
    made = built(network, learned, episode, on=on)
    options = Options.model_validate({"optimizer": {"name": "sgd", "rate": 2.0}})
    slots = optimizers.build(options.optimizer, made)
    before = {each.name: each.values.copy() for each in made.trainables}
    made.machine.journal.collect()
    with made.machine.showing(episode):
        learned.gradients(made)
        Update(made, slots, options, 0.0)(EACH)
    made.machine.journal.close_batch(SEQUENCES)
    after = {each.name: each.values.copy() for each in made.trainables}
    return Trained(made, before, after, {each.name: each.largest for each in made.trainables})


def moved(sheet: Sheet, old: np.ndarray, new: np.ndarray, largest: float) -> tuple[int, float]:
    """Devices whose target is another step, and the sum of the targets' conductances: of g⁺ and of g⁻."""
    w_max, devices, siemens = sheet.largest * largest, 0, 0.0
    old, new = (np.rint(np.clip(w / w_max, -1, 1) * sheet.levels) for w in (old, new))
    for sign in (1, -1):
        was, is_ = np.maximum(sign * old, 0), np.maximum(sign * new, 0)
        devices += int((was != is_).sum())
        siemens += float((sheet.g_min + is_[was != is_] * sheet.window / sheet.levels).sum())
    return devices, siemens


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("case", CASES)
def test_the_energy_of_a_training_step(case: str, sheet: str) -> None:
    network, learner, priced, matrices = CASES[case]
    step = trained(network, learner, SHEETS[sheet].on)
    bill, stage = priced(SHEETS[sheet]), step.made.machine
    written = 0
    for matrix in matrices:
        name = f"layer 1 {matrix}"
        devices, siemens = moved(SHEETS[sheet], step.before[name], step.after[name], step.largest[name])
        bill.written(matrix, devices, siemens)
        written += devices
    assert written > 5
    found: Counter[Key] = Counter()
    drawn: Counter[Key] = Counter()
    for line, entry in Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 1.0).items():
        assert entry.energy is not None
        (drawn if line.component == "devices" else found)[line.purpose, line.unit, line.component] += entry.energy
    wanted = {key: joules for key, joules in bill.lines.items() if joules}
    rel = {"programming": 1e-6}  # targets of devices are single numbers
    expected = {key: close(each, rel=rel.get(key[2], 1e-9)) for key, each in wanted.items()}
    assert {key: joules for key, joules in found.items() if joules} == expected
    measured = activities(step.made)
    square = SHEETS[sheet].volts ** 2 * SHEETS[sheet].phase * SHEETS[sheet].phases
    assert drawn == {key: close(each * square) for key, each in measured.items()}


@pytest.mark.parametrize("phases", [1, 4])
def test_devices_draw_what_voltages_and_conductances_do(phases: int) -> None:
    """Σ V² G t, with V as the equations give it over the range of each signal, on a chip without errors."""
    ranges, volts, seconds = {"input": 1.3, "forward": 11.0, "error": 3.0}, 0.2, 250 * NS
    tiles = {**SMALL, "phases": phases, "weight_range": 4.0}
    network, learner, _, _ = CASES["tanh"]
    step = trained(network, learner, {"like": "ideal_crossbar", "parts": {"tiles": tiles, "ranges": ranges}})
    stage = step.made.machine
    W, U, b, V, c = (step.before[f"layer 1 {name}"][0] for name in ("W", "U", "b", "V1", "V1 b"))

    def lines(w: np.ndarray, name: str, axis: int) -> np.ndarray:
        """Conductance of each line: a weight that is 4 times the largest initial one would take 25 uS."""
        return np.abs(w).sum(axis) * 25e-6 / (4 * step.largest[f"layer 1 {name}"])

    episode, drawn = random_episode(batch=SEQUENCES, steps=STEPS, width=2, classes=3), Counter[Key]()
    for inputs, classes in zip(episode.inputs, episode.labels, strict=True):
        h = np.zeros(5)
        for x, label in zip(inputs, classes, strict=True):
            new = h / 2 + np.tanh(W @ h + U @ x + b) / 2
            scores = np.exp(V @ new + c)
            e = scores / scores.sum() - np.eye(3)[label]
            for unit, v, g, range_ in (
                ("W tiles", h, lines(W, "W", 0), "forward"),
                ("U tiles", x, lines(U, "U", 0), "input"),
                ("V1 tiles", new, lines(V, "V1", 0), "forward"),
                ("V1 tiles, row", e, lines(V, "V1", 1), "error"),
            ):
                power, cut = (volts * v / ranges[range_]) ** 2 * g, 2 if "row" in unit else 3
                purpose = "error propagation" if "row" in unit else "inference"
                name = unit if "row" in unit or len(v) <= cut else f"{unit}, column"
                for share, start in enumerate(range(0, len(v), cut), 1):
                    place = f"layer 1 {name} {share}" if "," in name else f"layer 1 {name}"
                    drawn[purpose, place, "devices"] += power[start : start + cut].sum() * phases * seconds
            h = new
    found: Counter[Key] = Counter()
    for line, entry in Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0).items():
        if line.component == "devices":
            assert entry.energy is not None
            found[line.purpose, line.unit, line.component] += entry.energy
    assert found == {key: close(joules, rel=1e-4) for key, joules in drawn.items()}  # single precision, 24 bits


@pytest.mark.parametrize(
    ("sharing", "circuits", "words"),
    [
        ({}, {"lambda": 2 * 0.353, "lambda transposed": 0.359, "lambda transposed inverse": 0.367}, 12),
        ({"transposed": "forward"}, {"lambda": 3 * 0.353, "lambda transposed inverse": 0.367}, 8),
        ({"inverse": "transposed"}, {"lambda": 2 * 0.353, "lambda transposed": 2 * 0.359}, 8),
        ({"transposed": "forward", "inverse": "transposed"}, {"lambda": 4 * 0.353}, 4),
    ],
)
def test_multipliers_that_are_shared_are_charged_as_the_ones_that_they_are(
    sharing: dict[str, str], circuits: dict[str, float], words: int
) -> None:
    """λ is applied in both passes, λ̄ in the first and 1/λ̄ in the second: 8 products each time; words are kept once."""
    network, learner, _, _ = CASES["lru"]
    stage = trained(network, learner, {"like": str(DISTINCT), "sharing": sharing}).made.machine
    found: Counter[str] = Counter()
    for line, entry in Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0).items():
        if line.unit.startswith("layer 1 lambda") and line.component == "analog multiply":
            found[line.unit.removeprefix("layer 1 ")] += entry.energy or 0.0
        if line.unit == "coefficient registers":
            found["words"] += entry.energy or 0.0
    expected = {unit: close(8 * EACH * each * PJ) for unit, each in circuits.items()}
    assert found == expected | {"words": close((words + 2 + 4 + 3) * 14 * 0.0101 * PJ)}  # and those of γ, b, c


SERIAL = {
    "like": str(DISTINCT),
    "periphery": {"cell": {"value": "17 nW", "source": "test"}, "bit_serial": True},
    "parts": {"tiles": {"interface": "digital"}},
}


def test_the_energy_of_inference_on_tiles_that_convert_their_outputs() -> None:
    """Bit by bit, 7 bits in 5 phases each; devices draw a fixed power. Only the state is analog, and what meets it."""
    network, learner, _, _ = CASES["tanh"]
    episode = random_episode(batch=SEQUENCES, steps=STEPS, width=2, classes=3)
    made = built(network, rule(learner), episode, on=SERIAL)
    made.machine.journal.collect()
    with made.machine.showing(episode):
        made.infer()
    made.machine.journal.close_batch(SEQUENCES)
    bill, of = Bill(SHEETS["distinct"]), "inference"
    seconds = EACH * 5 * 7 * 257 * NS
    for matrix, column, tiles in (("W", 1, 3), ("W", 2, 3), ("U", 0, 3), ("V1", 1, 2), ("V1", 2, 2)):
        unit = f"layer 1 {matrix} tiles" + (f", column {column}" if column else "")
        for component, watts in (
            ("tile control", 73 * UW + 1.87e-3),
            ("tile drivers", 3 * 31 * UW),
            ("tile outputs", 2 * 43 * UW),
            ("adc", 2 * 197 * UW),
            ("devices", 6 * 17e-9),
        ):
            bill.enter(of, unit, component, 1.07 * seconds * tiles * watts)
    bill.convert(of, dac=(2 + 5) * EACH)  # x, s/2; outputs of tiles are charged with the tiles
    # columns of W, W h + U x, b, columns of V, c; s/2; s
    bill.digital(of, add=(5 + 5 + 5 + 3 + 3) * EACH, multiply=5 * EACH, tanh=5 * EACH)
    bill.analog(of, "layer 1 multiply 5", multiply=5 * EACH)  # h/2
    bill.analog(of, "layer 1 add 5", add=5 * EACH)
    bill.analog(of, "layer 1 h", register=5 * EACH)
    # biases are fetched once per pass; b, in the recurrence, is taken from the buffer at each step, c once for both
    fetched, used = (5 + 3) * SEQUENCES * 16, (5 * STEPS + 3) * SEQUENCES * 16
    bill.memory(of, "vector unit", "weight memory", read=fetched)
    bill.memory(of, "vector unit", "local buffer", read=used, write=fetched)
    stage = made.machine
    found: Counter[Key] = Counter()
    for line, entry in Tariff(stage.journal.traces, stage.prices()).of_totals(stage.journal.totals, 0.0).items():
        assert entry.energy is not None
        found[line.purpose, line.unit, line.component] += entry.energy
    assert {key: joules for key, joules in found.items() if joules} == {
        key: close(joules) for key, joules in bill.lines.items()
    }


TIMES = {
    # of a step of one sequence: wires of each vector that is converted, operations in analog circuits by their circuit
    "tanh": {
        "forward": {
            "tiles": {"W tiles, column": 2, "U tiles": 1, "V1 tiles, column": 2, "V1 tiles, row": 2},
            "dac": [2, 5, 3, 5],
            "adc": [5, 5, 3, 3, 5, 5, 5, 5, 5],
            "analog": {
                "add 5": ["add"] * 2,
                "b bias": ["add"],
                "tanh 5": ["tanh"] * 2,
                "multiply 5": ["multiply"] * 4,
                "h": ["register"],
            },
            "vector": [5, 3, 3, "softmax", 3, 3, 5, 5],
            "outer": [15, 25, 10],
        },
    },
    "lru": {
        "pass 1": {
            "tiles": {"B tiles": 1, "V1 tiles, column": 2, "V1 tiles, row": 2},
            "dac": [2, 3, 4],
            "adc": [3, 3, 4, 4, 4],
            "analog": {
                "b bias": ["add"],
                "gamma": ["multiply"],
                "lambda": ["forward"],
                "add 4": ["add"] * 2,
                "h": ["register"],
                "lambda transposed": ["transposed"],
                "multiply 4": ["multiply"],
                "product": ["register"],
                "error before": ["register"],
            },
            "vector": [3, 3, "softmax", 3, 3, 4],
            "outer": [12],
        },
    },
}


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("case", CASES)
def test_how_long_each_unit_works_in_a_training_step(case: str, sheet: str) -> None:
    network, learner, _, matrices = CASES[case]
    s, stage = SHEETS[sheet], trained(network, learner, SHEETS[sheet].on).made.machine
    scheduler, batch = Scheduler(stage.journal.traces, stage.prices().occupied), stage.journal.latest
    assert batch is not None
    busy = {sweep.name: scheduler.sweep(sweep).busy for sweep in batch.sweeps}
    for name, told in TIMES[case].items():
        expected: dict[str, float] = {}
        for unit, shares in told["tiles"].items():
            for share in range(1, shares + 1):
                expected[f"{unit} {share}" if "," in unit else unit] = s.phases * s.phase
        expected["dac"] = sum(min(wires, s.dac_shared) for wires in told["dac"]) * s.dac[1]
        expected["adc"] = sum(min(wires, s.adc_shared) for wires in told["adc"]) * s.adc[1]
        for unit, circuits in told["analog"].items():
            expected[unit] = sum(getattr(s, circuit)[1] for circuit in circuits)
        softmax = 2 + (3 + 2 + s.divide[1]) + 3 + (3 + s.divide[0])  # compare, add, exp, multiply
        cycles = sum(ceil((softmax if each == "softmax" else each) / s.lanes) for each in told["vector"])
        found = {unit.removeprefix("layer 1 "): ps for unit, ps in busy[name].items()}
        expected |= {
            "vector unit": cycles * s.clock,
            "systolic array": sum(ceil(macs / s.macs) for macs in told["outer"]) * s.clock,
        }
        assert {unit: found[unit] for unit in expected} == {
            unit: close(STEPS * seconds * 1e12, rel=1e-6) for unit, seconds in expected.items()
        }
        memories = {"weight memory", "gradient memory", "sequence memory", "local buffer", "input", "target"}
        assert found.keys() - expected.keys() <= memories
    rows = {"W": 5, "U": 5, "V1": 3, "B": 4}  # written one after another, and read to verify them
    assert {unit: ps for unit, ps in busy["programming"].items() if unit.endswith("tiles")} == {
        f"layer 1 {matrix} tiles": close(rows[matrix] * s.row * 1e12) for matrix in matrices
    }
    weights, parameters = (50, 58) if case == "tanh" else (20, 33)
    kept = 2 * weights * s.step + parameters * s.sums
    per_bit = s.bank[2] / 64 * 1e12  # each record is rounded to a picosecond
    assert busy["programming"]["weight memory"] == close(kept * per_bit, abs=20)
    assert busy["update"]["weight memory"] == close(2 * parameters * s.sums * per_bit, abs=20)


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("case", CASES)
def test_the_memory_of_a_training_step(case: str, sheet: str) -> None:
    network, learner, _, _ = CASES[case]
    s, stage = SHEETS[sheet], trained(network, learner, SHEETS[sheet].on).made.machine
    found = dict(stage.memory.most)
    devices = machine_options(s.on).device.name
    if case == "tanh":
        weights, parameters, coefficients, sums, state = 50, 58, 5 + 3, 58, 5
        waiting = (3 + 15 + 2) * STEPS * s.word  # for both steps: the error, what is converted, the input
    else:
        weights, parameters, coefficients, sums = 20, 33, 3 * 4 + 2 + 4 + 3, 33 + 4
        state = 4 * 4  # h, P, δ₀; in the second pass δ, and g of the step before
        waiting = STEPS * (2 * s.input + 2) + (3 + 4) * STEPS * s.word  # with the inputs and classes that are kept
    assert {name: bits for name, bits in found.items() if name != "wires"} == {
        "weight memory": parameters * s.sums + weights * s.step,
        devices: weights * s.step,
        "coefficient registers": coefficients * s.coefficient,
        "gradient memory": sums * s.sums,
        "analog registers": state * s.analog,
        "sequence memory": waiting,
    }
    held = {each.name: each for each in stage.memory.live.values()}
    for holding in held.values():
        if holding.name.endswith("devices"):
            assert (holding.devices, holding.volatile) == (2 * holding.values, False)  # a pair of them for each weight
        else:
            assert (holding.devices, holding.volatile) == (holding.values, True)


def numbers(data: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """All constants of a document in SI units, with where they stand; polynomials' coefficients one by one."""
    units = {"S": "siemens", "V": "volt", "s": "second", "W": "watt", "J": "joule", "B": "bit"}
    if isinstance(data, dict):
        for key, value in data.items():
            yield from numbers(value, f"{place}.{key}")
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from numbers(value, f"{place}[{index}]")
    elif isinstance(data, int | float):
        yield place, float(data)
    elif match := re.fullmatch(r"-?[0-9.]+ (\S+)", data):
        unit = {"pJ/bit": "joule / bit", "fJ/bit/mm": "joule / bit / meter"}.get(match[1]) or units[match[1][-1]]
        yield place, parse(data, unit, data)
    elif match := re.fullmatch(r"fixed<(\d+),(\d+)>", data):
        yield f"{place}, bits", float(match[1])
        yield f"{place}, fraction", float(match[2])


def test_no_two_constants_of_the_distinct_machine_are_equal() -> None:
    found = list(numbers(yaml.safe_load(DISTINCT.read_text())))
    places: dict[float, list[str]] = {}
    for place, value in found:
        places.setdefault(value, []).append(place)
    assert [alike for alike in places.values() if len(alike) > 1] == []
    assert len(found) > 100
    machine_options(str(DISTINCT))


def activities(made: Network) -> dict[Key, float]:
    """Σ (x / full scale)² G of each unit that was read, as the machine measured it."""
    found: Counter[Key] = Counter()
    journal = made.machine.journal
    for number, values in journal.totals.activities.items():
        measured = iter(values.mean(1))
        for record in journal.traces[number]:
            if record.kind == "program":
                next(measured), next(measured)
            elif record.kind.startswith("read") and record.format == "analog":
                found[record.purpose, record.unit, "devices"] += next(measured)
        assert not list(measured)
    return dict(found)
