"""How large the errors of a crossbar machine are: each against the one number in the machine's file that it has.

Errors are looked at one kind at a time, with values so different that none can stand for another. Standard deviations
are found from at least 20 000 draws; bounds are five standard errors, which chance misses once in 1.7 million times.
The seed is fixed, so a test that passes goes on passing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import close, machine_options

from hwsim import machines
from hwsim.accounts.memory import LEARNING, STATE
from hwsim.episode import Episode
from hwsim.initial import Initial
from hwsim.machine import Bias, Diagonal, Gain, InverseDiagonal, Matrix, ModeGain, Signal
from hwsim.operations import complex_product, gate, plus, relu, tanh, tanh_slope
from hwsim.records import ERROR, INFERENCE, WARM_UP

WIRES, CHIPS = 5_000, 4
RANGES = {"input": 1.5, "forward": 7.0, "error": 3.0}
WIDE = {"rows": 9_999, "columns": 9_999}
HELD = 0.75
"""What registers of both kinds hold, and weights are."""


def chip(**parts: Any) -> dict[str, Any]:
    """No errors but these; three ranges that differ."""
    return {"like": "ideal_crossbar", "parts": {"ranges": RANGES, "tiles": WIDE, **parts}}


class Bench:
    """A machine with one of everything that has errors, all factors 1, and registers that hold 0.75."""

    def __init__(self, on: dict[str, Any], rows: int = WIRES, columns: int = 1, wires: int = WIRES) -> None:
        self.machine = stage = machines.build(machine_options(on), chips=CHIPS, seed=5)
        self.wires = wires
        weights = np.full((rows, columns), HELD)
        self.W = Matrix(stage, "W", "input", Initial(weights.shape, lambda: weights))
        ones = Initial((wires,), lambda: np.ones(wires))
        zeros = Initial((wires,), lambda: np.zeros(wires))
        self.b, self.g = Bias.trained(stage, "b", "input", zeros), Gain.trained(stage, "g", "input", ones)
        self.gamma = ModeGain(stage, "gamma", wires // 2)
        self.diagonal = Diagonal(stage, "lambda", wires, transposed=True)
        self.inverse = InverseDiagonal(self.diagonal.T)
        half = Initial((wires // 2,), lambda: np.ones(wires // 2))
        self.modes = Gain.trained(stage, "modes", "input", half)
        real = Initial((wires,), lambda: np.tile([1.0, 0.0], wires // 2))
        self.real = Gain.trained(stage, "real", "input", real)

    def results(
        self, act: Callable[[Bench, Signal], Signal], purpose: str = INFERENCE, steps: int = 2, held: float = HELD
    ) -> np.ndarray:
        """What an operation gives in each of some steps, `(steps, chips, wires)`, of a vector that holds `held`."""
        found: list[np.ndarray] = []
        stage, episode = self.machine, Episode(np.zeros((1, steps, 1)), values=np.zeros((1, steps, 1)))
        stage.watchers["result"] = lambda array: found.append(array[:, 0].astype(np.float64))
        with stage.showing(episode), stage.workspace() as workspace:
            for _ in stage.phase("programming"):
                self.W.program()
                self.b.program()
                self.g.program()
                self.diagonal.program(self.real.trainable.master.load())
                self.inverse.program(self.real.trainable.master.load())
                self.gamma.program(self.modes.trainable.master.load())
            x = workspace.register("x", self.wires, STATE if purpose == INFERENCE else LEARNING, initial=(held,))
            self.state = workspace.register("state", self.wires, STATE)
            self.learning = workspace.register("learning", self.wires, LEARNING)
            self.one = workspace.register("one", self.wires, STATE, initial=(1.0,))
            self.mode = workspace.register("mode", self.wires, STATE, initial=(1.0, 0.0))
            self.line = workspace.register("line", self.W.shape[1], STATE, initial=(held,))
            self.error_line = workspace.register("error line", self.W.shape[0], LEARNING, initial=(held,))
            for _ in stage.forward_pass("pass"):
                stage.serve(stage.layer, purpose)
                stage.probe("result", act(self, x.load()))
        return np.array(found)


def deviates(found: np.ndarray, deviation: float, about: float = 0.0) -> None:
    """Independent draws have this mean and this standard deviation, within five standard errors."""
    errors = found.ravel() - about
    assert errors.size >= 20_000
    assert np.sqrt(np.mean(errors**2)) == close(deviation, rel=5 / np.sqrt(2 * errors.size))
    assert abs(errors.mean()) < 5 * deviation / np.sqrt(errors.size)


# ---- registers and converters --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["state", "learning"])
def test_noise_of_storing_is_a_share_of_the_full_scale_of_what_is_stored(kind: str) -> None:
    def stored(bench: Bench, x: Signal) -> Signal:
        register = getattr(bench, kind)
        before = register.load()
        register.store(x)
        return before

    full_scale = RANGES["forward" if kind == "state" else "error"]
    for purpose in (INFERENCE, ERROR):  # it goes by the register, not by what is going on
        found = Bench(chip(registers={"noise": 0.013})).results(stored, purpose, steps=3)[1:]
        deviates(found, 0.013 * full_scale, about=HELD)
        assert np.abs(np.corrcoef(found.reshape(2, -1))[0, 1]) < 5 / np.sqrt(found[0].size)  # fresh each time


@pytest.mark.parametrize(
    ("held", "purpose", "full_scale"),
    [(100.0, INFERENCE, 7.0), (-100.0, INFERENCE, 7.0), (100.0, ERROR, 3.0), (-100.0, WARM_UP, 3.0)],
)
def test_registers_saturate_at_the_full_scale_of_what_they_hold(held: float, purpose: str, full_scale: float) -> None:
    def stored(bench: Bench, x: Signal) -> Signal:
        register = bench.state if purpose == INFERENCE else bench.learning
        before = register.load()
        register.store(x)
        return before

    assert (Bench(chip(), wires=4).results(stored, purpose, held=held)[1] == np.sign(held) * full_scale).all()


# ---- circuits ------------------------------------------------------------------------------------------------

CIRCUITS: dict[str, tuple[tuple[str, str], Callable[[Bench, Signal], Signal], float]] = {
    "x + y": (("functions", "add"), lambda bench, x: x + bench.one.load(), 1 + HELD),
    "x - y": (("functions", "add"), lambda bench, x: x - bench.one.load(), HELD - 1),
    "x + b": (("functions", "add"), lambda bench, x: x + bench.b, HELD),
    "x y": (("functions", "multiply"), lambda bench, x: x * bench.one.load(), HELD),
    "0.5 x": (("functions", "multiply"), lambda bench, x: 0.5 * x, 0.5 * HELD),
    "g x": (("functions", "multiply"), lambda bench, x: bench.g * x, HELD),
    "γ x": (("functions", "multiply"), lambda bench, x: bench.gamma * x, HELD),
    "complex x y": (("functions", "multiply"), lambda bench, x: complex_product(x, bench.mode.load()), HELD),
    "tanh": (("functions", "tanh"), lambda bench, x: tanh(x), np.tanh(HELD)),
    "tanh slope": (("functions", "tanh"), lambda bench, x: tanh_slope(x), 1 - HELD**2),
    "relu": (("functions", "compare"), lambda bench, x: relu(x), HELD),
    "gate": (("functions", "compare"), lambda bench, x: gate(x, bench.one.load()), HELD),
    "λ x": (("diagonals", "forward"), lambda bench, x: bench.diagonal * x, HELD),
    "λ̄ x": (("diagonals", "transposed"), lambda bench, x: bench.diagonal.T * x, HELD),
    "x / λ̄": (("diagonals", "inverse"), lambda bench, x: bench.inverse * x, HELD),
}
"""Where a file tells of the circuit, what it is to do, and what comes out without errors; λ = 1."""

SHARES = {
    ("functions", "add"): 0.011,
    ("functions", "multiply"): 0.017,
    ("functions", "tanh"): 0.023,
    ("functions", "compare"): 0.029,
    ("diagonals", "forward"): 0.037,
    ("diagonals", "transposed"): 0.047,
    ("diagonals", "inverse"): 0.059,
}


def with_errors(kind: str) -> dict[str, Any]:
    """All circuits have errors of one kind, each of another size."""
    parts: dict[str, Any] = {"functions": {}, "diagonals": {}}
    for (section, name), share in SHARES.items():
        parts[section][name] = {kind: share}
    return chip(**parts)


@pytest.mark.parametrize("kind", ["mismatch", "gain_noise", "noise"])
@pytest.mark.parametrize("circuit", CIRCUITS)
def test_each_circuit_has_its_own_errors(circuit: str, kind: str) -> None:
    place, act, exact = CIRCUITS[circuit]
    for purpose in (INFERENCE, ERROR):
        found = Bench(with_errors(kind)).results(act, purpose)
        first, second = found
        share = SHARES[place]
        if kind == "noise":
            deviates(first, share * RANGES["forward" if purpose == INFERENCE else "error"], about=exact)
        else:
            deviates(first / exact, share, about=1.0)
        if kind == "mismatch":
            assert (first == second).all()
        else:
            assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 5 / np.sqrt(first.size)


# ---- tiles ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize("purpose", [INFERENCE, ERROR])
def test_output_noise_of_each_tile_is_a_share_of_the_range_of_what_is_read(columns: int, purpose: str) -> None:
    """Noises of tiles side by side add in quadrature."""
    tiles = {"rows": 1_999, "columns": 1, "output_noise": 0.019, "count": 99}
    bench = Bench(chip(tiles=tiles), columns=columns, wires=4)
    found = bench.results(lambda bench, x: bench.W @ bench.line.load(), purpose)
    scale = RANGES["forward" if purpose == INFERENCE else "error"]
    deviates(found[0], np.sqrt(columns) * 0.019 * scale, about=columns * HELD**2)
    assert abs(np.corrcoef(found.reshape(2, -1))[0, 1]) < 5 / np.sqrt(found[0].size)


def test_output_noise_of_a_transposed_read_is_that_of_each_tile_too() -> None:
    tiles = {"rows": 1, "columns": 9_999, "output_noise": 0.019, "count": 99}
    bench = Bench(chip(tiles=tiles), rows=2, columns=WIRES, wires=4)
    found = bench.results(lambda bench, x: bench.W.T @ bench.error_line.load(), ERROR)
    deviates(found[0], np.sqrt(2) * 0.019 * RANGES["error"], about=2 * HELD**2)


G_MIN, G_MAX = 2e-6, 20e-6
WEIGHT = G_MIN + (G_MAX - G_MIN) / 2  # conductance of a weight of half of what a device can hold
LAWS = {
    "relative": ({"law": "relative", "deviation_of_g": 0.031}, lambda g: 0.031 * g),
    "additive": ({"law": "additive", "deviation_of_g_max": 0.013}, lambda g: 0.013 * G_MAX),
    "flicker": (
        {
            "law": "flicker",
            "factor": 0.011,
            "exponent": 0.6,
            "cap": 0.03,  # reached at g_min, where it would be 0.044
            "read_time": "250 ns",
            "age": {"value": "2 us", "assumed": "for this test"},
        },
        lambda g: g * min(0.011 / (g / G_MAX) ** 0.6, 0.03) * np.sqrt(np.log((2e-6 + 250e-9) / (2 * 250e-9))),
    ),
}


def device(noise: dict[str, Any], error: str = "0 uS") -> dict[str, Any]:
    """A device that holds what it was programmed to, within `error`, and is read with noise."""
    told = {"source": "made up"}
    return {
        "name": "d", "what": "a device for this test", "sources": {"made up": "made up"},
        "conductance": {"min": {"value": "2 uS", **told}, "max": {"value": "20 uS", **told}},
        "programming": {"error": {"coefficients": [error], **told}, "step": {"value": "0.9 uS", **told}},
        "read_noise": {**noise, **told},
        "write": {"law": "voltage", "voltage": {"value": "1 V", **told}, "time": {"value": "1 us", **told}},
    }  # fmt: skip


@pytest.mark.parametrize("law", LAWS)
def test_read_noise_is_that_of_the_data_sheet(law: str) -> None:
    """Of both devices: one holds half of the range, for a weight of half of the largest, the other is off."""
    options, deviation = LAWS[law]
    bench = Bench(chip() | {"device": device(options)}, wires=4)
    found = bench.results(lambda bench, x: bench.W @ bench.line.load())
    per_siemens = 2 * HELD / (G_MAX - G_MIN)
    expected = HELD * per_siemens * np.hypot(deviation(WEIGHT), deviation(G_MIN))
    deviates(found[0], expected, about=HELD**2)
    assert abs(np.corrcoef(found.reshape(2, -1))[0, 1]) < 5 / np.sqrt(found[0].size)


def test_programming_errors_are_those_of_the_data_sheet_and_frozen() -> None:
    bench = Bench(chip() | {"device": device(LAWS["relative"][0] | {"deviation_of_g": 0}, "0.3 uS")}, wires=4)
    first, second = bench.results(lambda bench, x: bench.W @ bench.line.load())
    assert (first == second).all()
    per_siemens = 2 * HELD / (G_MAX - G_MIN)
    deviates(first, HELD * per_siemens * np.sqrt(2) * 0.3e-6, about=HELD**2)


# ---- converters ----------------------------------------------------------------------------------------------


CONVERTED = {
    "inputs": ("dac", INFERENCE, "input"),
    "numbers in the forward direction": ("dac", INFERENCE, "forward"),
    "errors": ("dac", ERROR, "error"),
    "errors of a warm-up": ("dac", WARM_UP, "error"),
    "states": ("adc", INFERENCE, "forward"),
    "states among errors": ("adc", ERROR, "forward"),
    "learning states": ("adc", ERROR, "error"),
}
BITS = {"dac": 5, "adc": 6}


@pytest.mark.parametrize("what", CONVERTED)
def test_converters_have_levels_up_to_the_range_of_their_signals(what: str) -> None:
    """2^bits - 1 levels from -full scale to full scale, and each value goes to the nearest of them."""
    converter, purpose, range_ = CONVERTED[what]
    classes = ["state"] if converter == "dac" else ["state", "learning state"]  # what is kept as a voltage
    stage = machines.build(
        machine_options(chip(**{converter: {"bits": BITS[converter]}}, registers={"classes": classes}))
    )
    values, found = np.linspace(-10, 10, 4001), []
    episode = Episode(values[None, None], values=np.zeros((1, 1, 1)))
    stage.watchers["result"] = lambda array: found.append(array.ravel().astype(np.float64))
    with stage.showing(episode), stage.workspace() as workspace:
        kind = STATE if converter == "adc" and range_ == "forward" else LEARNING
        given, zero = workspace.register("given", values.size, kind), workspace.register("zero", values.size, STATE)
        given.value = values.astype(np.float32)[None, None]
        for step in stage.forward_pass("pass"):
            stage.serve(stage.layer, purpose)
            if what == "inputs":
                stage.probe("result", step.input)
            elif converter == "dac":
                stage.probe("result", given.load() + zero.load())  # by an analog circuit
            else:
                stage.probe("result", plus(given.load(), 0.0))  # there is no analog circuit for it
    last = 2 ** (BITS[converter] - 1) - 1
    step = RANGES[range_] / last
    levels = np.arange(-last, last + 1) * step
    assert np.unique(found[0]) == close(levels, rel=1e-6, abs=1e-6)
    halves = np.abs(np.abs(values[:, None] / step % 1) - 0.5).ravel() < 1e-4
    nearest = np.clip(np.rint(values / step), -last, last) * step
    assert halves.mean() < 0.05
    np.testing.assert_allclose(found[0][~halves], nearest[~halves], atol=1e-5)
