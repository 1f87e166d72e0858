"""A value changes its domain in a converter, and nowhere else: each operation, with operands of either domain.

Machines are known here by their options, operations and records only.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from inspect import isfunction
from itertools import count, product
from typing import Any, Self

import numpy as np
import pytest
from conftest import machine_options

from hwsim import initial, machines
from hwsim import operations as words
from hwsim.accounts.memory import LEARNING, STATE
from hwsim.episode import Episode
from hwsim.machine import (
    Bias,
    Diagonal,
    Gain,
    InverseDiagonal,
    Matrix,
    ModeGain,
    Signal,
    Workspace,
    parameters,
    storage,
)
from hwsim.operations import (
    BY_KIND,
    SPARSE,
    Neuron,
    Places,
    at_least,
    at_most,
    collect,
    complex_product,
    conjugate_product,
    cos,
    disperse,
    disperse_modes,
    dithered,
    exp,
    fire,
    fire_slope,
    flat,
    flips,
    forget,
    forgotten,
    gate,
    gather,
    greater,
    hypot,
    identity,
    integrate,
    interleave,
    jittered,
    join,
    larger,
    largest,
    lookup,
    membrane,
    norm,
    ones,
    pad,
    pair_cross,
    pair_dot,
    patch,
    pick,
    place,
    place_each,
    plus,
    plus_identity,
    project,
    qr,
    quantise,
    quiet,
    reciprocal,
    relu,
    remember,
    round_to,
    sigmoid,
    sigmoid_slope,
    signs,
    sin,
    singles,
    softmax,
    solve,
    spike,
    spike_slope,
    sqrt,
    square,
    standardise,
    standardise_error,
    take,
    tanh,
    tanh_slope,
    total,
    unequal,
    where,
    whole,
    zeros,
)
from hwsim.records import Trace
from hwsim.units import converter as converters

RANGE, BITS = 2.0, {"dac": 5, "adc": 6}
CHIPS, WIRES = 2, 4
NEURON = Neuron(0.4, 0.9, slope="triangle", height=0.3)
TWICE, FIRST = Places([2, 0, 2, 1]), Places([0])
VECTOR, ONE, BUNDLE, SQUARE, ALL = (WIRES,), (1,), (3, WIRES), (WIRES, WIRES), (WIRES * WIRES,)


def chip(**changes: Any) -> dict[str, Any]:
    """Converters so coarse that everything that went through one is known by it; states are analog, errors digital."""
    parts = {
        "dac": {"bits": BITS["dac"]},
        "adc": {"bits": BITS["adc"]},
        "ranges": {"input": RANGE, "forward": RANGE, "error": RANGE},
        "registers": {"classes": ["state"]},
        **changes.pop("parts", {}),
    }
    return {"like": "ideal_crossbar", "attached": "memory", "parts": parts, **changes}


MACHINES = {
    "analog interface": chip(),
    "digital interface": chip(parts={"tiles": {"interface": "digital"}}),
    "small tiles": chip(parts={"tiles": {"rows": 2, "columns": 2, "count": 999}}),
    "shared multipliers": chip(sharing={"transposed": "forward", "inverse": "transposed"}),
    "host": chip(attached="host"),
}


class Stage:
    """A machine with one of everything that operations meet."""

    def __init__(self, on: str) -> None:
        self.machine = stage = machines.build(machine_options(MACHINES[on]), chips=CHIPS, seed=1)
        self.W = Matrix(stage, "W", "input", initial.glorot(1, "W", WIRES, WIRES))
        self.b = Bias.trained(stage, "b", "input", initial.ones(WIRES))
        self.g = Gain.trained(stage, "g", "input", initial.ones(WIRES))
        self.gamma = ModeGain(stage, "gamma", WIRES // 2)
        self.diagonal = Diagonal(stage, "lambda", WIRES, transposed=True)
        self.inverse = InverseDiagonal(self.diagonal.T)
        for trainable in (self.W.trainable, self.b.trainable):
            trainable.begin_training()
        inputs = np.random.default_rng(2).uniform(-1, 1, (1, 1, WIRES))
        self.episode = Episode(inputs, values=np.zeros((1, 1, WIRES)), mask=np.ones((1, 1), bool))

    @contextmanager
    def opened(self) -> Iterator[Self]:
        """Programmed, and with registers of both domains, a tape and a delay line."""
        with self.machine.showing(self.episode), self.machine.workspace(keep_inputs=True) as workspace:
            self.allocate(workspace)
            self.program()
            for step in self.machine.forward_pass("first"):
                assert (step.target.width, step.mask.width) == (WIRES, 1)
                self.queue.put(step.input)
            yield self

    def allocate(self, workspace: Workspace) -> None:
        shapes = {shape for case in CASES.values() for shape in case.operands}
        self.operands = {
            (position, domain, shape): workspace.register(
                f"operand {position} {domain} {shape}",
                shape[-1],
                STATE if domain == "analog" else LEARNING,
                bundle=shape[0] if len(shape) == 2 else 0,
            )
            for position in range(3)
            for domain in ("analog", "digital")
            for shape in shapes
        }
        self.analog = workspace.register("analog", WIRES, STATE)
        self.digital = workspace.register("digital", WIRES, LEARNING)
        self.line = workspace.delay_line("line", WIRES, 1)
        self.tape, self.queue = workspace.tape("tape", WIRES), workspace.queue("queue", WIRES)

    def program(self) -> None:
        for _ in self.machine.phase("programming"):
            self.W.program()
            self.b.program()
            self.g.program()
            factors = self.g.trainable.master.load()
            self.diagonal.program(factors)
            self.inverse.program(factors)
            self.gamma.program(pair_dot(factors, factors))


@dataclass(frozen=True)
class Case:
    """An operation on operands of these shapes; `act` gives its results, or what it wrote.

    Attributes:
        phase: whether it happens outside passes.
    """

    act: Callable[..., Any]
    operands: tuple[tuple[int, ...], ...] = ()
    phase: bool = False


def _on(act: Callable[..., Any], *shapes: tuple[int, ...]) -> Case:
    """An operation that needs nothing but its operands."""
    return Case(lambda stage, step, *signals: act(*signals), shapes)


def _at(act: Callable[..., Any], *shapes: tuple[int, ...], phase: bool = False) -> Case:
    """An operation of something that the stage has."""
    return Case(lambda stage, step, *signals: act(stage, *signals), shapes, phase)


def _pushed_and_popped(stage: Stage, x: Signal) -> Signal:
    stage.tape.push(x)
    return stage.tape.pop()


def _put(stage: Stage, x: Signal) -> None:
    stage.queue.put(x)
    stage.queue.get()  # one value always waits


def _taken_and_put(stage: Stage) -> Signal:
    taken = stage.queue.get()
    stage.queue.put(taken)
    return taken


def _standardised_error(stage: Stage, error: Signal, x: Signal) -> Signal:
    return standardise_error(error, *standardise(x, 1e-6))


CASES = {
    "Signal.__add__": _on(lambda x, y: x + y, VECTOR, VECTOR),
    "Signal.__add__ one wire": _on(lambda x, y: x + y, VECTOR, ONE),
    "Signal.__add__ bundle": _on(lambda x, y: x + y, BUNDLE, VECTOR),
    "Signal.__sub__": _on(lambda x, y: x - y, VECTOR, VECTOR),
    "Signal.__sub__ bundles": _on(lambda x, y: x - y, BUNDLE, BUNDLE),
    "Signal.__mul__": _on(lambda x, y: x * y, VECTOR, VECTOR),
    "Signal.__mul__ one wire": _on(lambda x, y: x * y, ONE, VECTOR),
    "Signal.__mul__ bundle": _on(lambda x, y: x * y, VECTOR, BUNDLE),
    "Signal.__truediv__": _on(lambda x, y: x / y, VECTOR, VECTOR),
    "Signal.__rmul__": _on(lambda x: 0.7 * x, VECTOR),
    "Signal.__rmul__ bundle": _on(lambda x: 0.7 * x, BUNDLE),
    "Signal.__add__ number": _on(lambda x: x + 0.3, VECTOR),
    "Signal.__radd__": _on(lambda x: 0.3 + x, VECTOR),
    "Signal.__sub__ number": _on(lambda x: x - 0.3, VECTOR),
    "Signal.__rsub__": _on(lambda x: 1 - x, VECTOR),
    "Signal.__mul__ number": _on(lambda x: x * 0.7, VECTOR),
    "Signal.__truediv__ number": _on(lambda x: x / 0.7, VECTOR),
    "Signal.__rtruediv__": _on(lambda x: 0.7 / x, VECTOR),
    "Signal.__pow__": _on(lambda x: x**2, VECTOR),
    "Signal.__neg__": _on(lambda x: -x, VECTOR),
    "Signal.__neg__ bundle": _on(lambda x: -x, BUNDLE),
    "greater": _on(greater, VECTOR, VECTOR),
    "greater number": _on(lambda x: greater(x, 0.9), VECTOR),
    "greater one wire": _on(greater, VECTOR, ONE),
    "unequal": _on(unequal, VECTOR, VECTOR),
    "quantise": _on(lambda x: quantise(x, 2.0, 20, 2.0**-5), VECTOR),
    "where": _on(lambda x, y, z: where(greater(x, 0.9), y, z), VECTOR, VECTOR, VECTOR),
    "join": _on(join, VECTOR, ONE, VECTOR),
    "take": _on(lambda x: take(x, 1, 3), VECTOR),
    "take bundle": _on(lambda x: take(x, 1, 3), BUNDLE),
    "pad": _on(lambda x: pad(x, 1, 2), VECTOR),
    "singles": _on(singles, VECTOR),
    "gather": _on(gather, BUNDLE),
    "place": _on(lambda bundle, r, c: place(bundle, r, c, 1, 3), SQUARE, VECTOR, ONE),
    "place_each": _on(lambda bundle, own: place_each(bundle, own, 1, 3), SQUARE, VECTOR),
    "collect": _on(lambda x: collect(x, TWICE, 3), VECTOR),
    "collect bundle": _on(lambda x: collect(x, TWICE, 3), BUNDLE),
    "disperse": _on(lambda x: disperse(x, 1, 2, 3), VECTOR),
    "disperse bundle": _on(lambda x: disperse(x, 1, 2, 3), BUNDLE),
    "disperse_modes": _on(lambda x: disperse_modes(x, False), VECTOR),
    "disperse_modes real bundle": _on(lambda x: disperse_modes(x, True), BUNDLE),
    "pick": _on(lambda x: pick(x, TWICE), VECTOR),
    "patch": _on(lambda x, y: patch(x, y, FIRST), VECTOR, ONE),
    "lookup": _on(lookup, VECTOR, VECTOR),
    "integrate": _on(lambda x, dx: integrate(x, dx, 0.25), VECTOR, VECTOR),
    "integrate bundle": _on(lambda x, dx: integrate(x, dx, -0.25), BUNDLE, BUNDLE),
    "whole": _on(lambda x: whole(x, 0.25, 3), VECTOR),
    "round_to": _on(lambda x: round_to(x, 5), VECTOR),
    "forget": _on(lambda h, z: forget(h, z, 2, 10), VECTOR, VECTOR),
    "forgotten": _on(lambda h, z, kept: forgotten(h, z, kept, 2, 10), VECTOR, VECTOR, VECTOR),
    "remember": _on(lambda kept, z, lost: remember(kept, z, lost, 2, 10), VECTOR, VECTOR, VECTOR),
    "flat": _on(flat, BUNDLE),
    "qr": _on(qr, SQUARE),
    "ones": _at(lambda stage: ones(stage.machine, WIRES)),
    "zeros": _at(lambda stage: zeros(stage.machine, WIRES)),
    "identity": _at(lambda stage: identity(stage.machine, WIRES)),
    "signs": _at(lambda stage: signs(stage.machine, "a name", WIRES)),
    "flips": _at(lambda stage: flips(stage.machine, "a name", WIRES, 0.5)),
    "dithered": _on(lambda x: dithered(x, "a name", 4.0), VECTOR),
    "jittered": _on(lambda x, y: jittered(x, y, "a name", 0.0), VECTOR, ONE),  # without noise: the same each time
    "sigmoid": _on(sigmoid, VECTOR),
    "sigmoid_slope": _on(sigmoid_slope, VECTOR),
    "spike": _on(spike, VECTOR),
    "spike_slope": _on(lambda x: spike_slope(x, 0.3), VECTOR),
    "fire": _on(lambda x: fire(x, NEURON), VECTOR),
    "fire_slope": _on(lambda x: fire_slope(x, NEURON), VECTOR),
    "membrane": _on(lambda h, z, x: membrane(h, z, x, NEURON), VECTOR, VECTOR, VECTOR),
    "quiet": _on(quiet, VECTOR),
    "square": _on(square, VECTOR),
    "sqrt": _on(sqrt, VECTOR),
    "reciprocal": _on(reciprocal, VECTOR),
    "exp": _on(exp, VECTOR),
    "cos": _on(cos, VECTOR),
    "sin": _on(sin, BUNDLE),
    "tanh": _on(tanh, VECTOR),
    "tanh bundle": _on(tanh, BUNDLE),
    "tanh_slope": _on(tanh_slope, VECTOR),
    "relu": _on(relu, VECTOR),
    "gate": _on(gate, VECTOR, VECTOR),
    "gate bundle": _on(gate, BUNDLE, VECTOR),
    "softmax": _on(softmax, VECTOR),
    "standardise": _on(lambda x: standardise(x, 1e-6), VECTOR),
    "standardise_error": _at(_standardised_error, VECTOR, VECTOR),
    "standardise_error bundle": _at(_standardised_error, BUNDLE, VECTOR),
    "plus": _on(lambda x: plus(x, 0.3), VECTOR),
    "at_most": _on(lambda x: at_most(x, 0.9), VECTOR),
    "at_least": _on(lambda x: at_least(x, 0.9), VECTOR),
    "larger": _on(larger, VECTOR, VECTOR),
    "larger one wire": _on(larger, ONE, VECTOR),
    "hypot": _on(hypot, VECTOR, VECTOR),
    "largest": _on(largest, VECTOR),
    "largest bundle": _on(largest, BUNDLE),
    "norm": _on(lambda x: norm(x, 0.6), VECTOR),
    "norm bundle": _on(lambda x: norm(x, 0.6), BUNDLE),
    "total": _on(total, VECTOR),
    "total bundle": _on(total, BUNDLE),
    "complex_product": _on(complex_product, VECTOR, VECTOR),
    "complex_product bundle": _on(complex_product, BUNDLE, VECTOR),
    "conjugate_product": _on(conjugate_product, VECTOR, BUNDLE),
    "pair_dot": _on(pair_dot, VECTOR, VECTOR),
    "pair_cross": _on(pair_cross, VECTOR, VECTOR),
    "interleave": _on(interleave, VECTOR, VECTOR),
    "interleave bundles": _on(interleave, BUNDLE, BUNDLE),
    "project": _on(project, BUNDLE, VECTOR),
    "plus_identity": _on(lambda x: plus_identity(x, 0.5), SQUARE),
    "solve": _on(solve, SQUARE, VECTOR),
    "Matrix.__matmul__": _at(lambda stage, x: stage.W @ x, VECTOR),
    "Matrix.__matmul__ bundle": _at(lambda stage, x: stage.W @ x, BUNDLE),
    "Transposed.__matmul__": _at(lambda stage, x: stage.W.T @ x, VECTOR),
    "Transposed.__matmul__ bundle": _at(lambda stage, x: stage.W.T @ x, BUNDLE),
    "Matrix.diagonal": _at(lambda stage: stage.W.diagonal()),
    "Matrix.columns": _at(lambda stage: stage.W.columns()),
    "Matrix.program": _at(lambda stage: stage.W.program(), phase=True),
    "Bias.__radd__": _at(lambda stage, x: x + stage.b, VECTOR),
    "Bias.__radd__ bundle": _at(lambda stage, x: x + stage.b, BUNDLE),
    "Gain.__mul__": _at(lambda stage, x: stage.g * x, VECTOR),
    "ModeGain.__mul__": _at(lambda stage, x: stage.gamma * x, VECTOR),
    "ModeGain.__mul__ bundle": _at(lambda stage, x: stage.gamma * x, BUNDLE),
    "ModeGain.constant": _at(lambda stage: stage.gamma.constant()),
    "ModeGain.spread": _at(lambda stage, x: stage.gamma.spread(x), VECTOR),
    "Diagonal.__mul__": _at(lambda stage, x: stage.diagonal * x, VECTOR),
    "Diagonal.__mul__ bundle": _at(lambda stage, x: stage.diagonal * x, BUNDLE),
    "Diagonal.program": _at(lambda stage, x: stage.diagonal.program(x), VECTOR, phase=True),
    "Conjugate.__mul__": _at(lambda stage, x: stage.diagonal.T * x, VECTOR),
    "InverseDiagonal.__mul__": _at(lambda stage, x: stage.inverse * x, VECTOR),
    "InverseDiagonal.__mul__ bundle": _at(lambda stage, x: stage.inverse * x, BUNDLE),
    "Coefficients.program": _at(lambda stage: stage.b.program(), phase=True),
    "Register.load": _on(lambda x: x, VECTOR),
    "Register.store": _at(lambda stage, x: stage.digital.store(x), VECTOR),
    "Register.store analog": _at(lambda stage, x: stage.analog.store(x), VECTOR),
    "Register.store master": _at(lambda stage, x: stage.g.trainable.master.store(x), VECTOR, phase=True),
    "DelayLine.store": _at(lambda stage, x: stage.line.store(x), VECTOR),
    "DelayLine.load": _at(lambda stage: stage.line.load()),
    "Accumulator.add": _at(lambda stage, x: stage.b.gradient.add(x), VECTOR),
    "Accumulator.add bundle": _at(lambda stage, x: stage.W.gradient.add(x), SQUARE),
    "Accumulator.add all": _at(lambda stage, x: stage.W.gradient.add(x), ALL),
    "Accumulator.add_outer": _at(lambda stage, x, y: stage.W.gradient.add_outer(x, y), VECTOR, VECTOR),
    "Accumulator.load": _at(lambda stage: stage.W.gradient.load(), phase=True),
    "Accumulator.store": _at(lambda stage, x: stage.b.gradient.store(x), VECTOR, phase=True),
    "Accumulator.clear": _at(lambda stage: stage.W.gradient.clear(), phase=True),
    "DelayLine.tap": _at(lambda stage: stage.line.tap(1)),
    "Register.clear": _at(lambda stage: stage.digital.clear()),
    "Register.clear analog": _at(lambda stage: stage.analog.clear()),
    "Queue.put": _at(_put, VECTOR),
    "Queue.get": _at(_taken_and_put),
    "Tape.push": _at(_pushed_and_popped, VECTOR),
    "Tape.pop": _at(_pushed_and_popped, VECTOR),
    "Step.input": Case(lambda stage, step: step.input),
    "Step.input read": Case(lambda stage, step: stage.W @ step.input),
    "Step.target": Case(lambda stage, step: step.target),
    "Step.mask": Case(lambda stage, step: step.mask),
}

NOT_OPERATIONS = {
    "Matrix.take", "Coefficients.take", "Entries.fill", "Entries.leap",  # from outside
    "Coefficients.trained", "Trainable.begin_training", "Trainable.slot",  # made
    "Storage.release", "Register.release", "Entries.release", "Matrix.release", "Coefficients.release",  # given back
    "Matrix.holds", "Coefficients.holds",  # part of applying
    "Workspace.register", "Workspace.delay_line", "Workspace.tape", "Workspace.queue", "Workspace.keep",
    "Register.after", "DelayLine.after", "DelayLine.at", "Ring.after",  # part of storing
    "Master.load", "Master.store", "Trainable.require_kept", "Trainable.require_master", "Trainable.sums",  # refuse
    "Matrix.pulse", "Matrix.pulse_outer", "Coefficients.pulse",  # in tests/learning/test_update_schemes.py
    "Matrix.pulse_column", "Matrix.chopped",  # in tests/learning/test_fast_arrays.py
    "Matrix.renew",  # in tests/units/test_one_way.py
    "Matrix.disturb",  # in tests/learning/test_noise_aware.py
}  # fmt: skip
OPERATORS = (
    "__add__", "__radd__", "__sub__", "__rsub__", "__mul__", "__rmul__", "__truediv__", "__rtruediv__", "__neg__",
    "__pow__", "__matmul__",
)  # fmt: skip
WRITTEN_AS_OPERATORS = {"add", "subtract", "multiply", "divide", "negate", "scale"}
MADE_BY_OTHERS = {"wire"}
"""What stands for a second result."""


def operations() -> Iterator[str]:
    """All words, operators and methods in which rules write operations."""
    named = {name for name in words.__all__ if isinstance(getattr(words, name), words.Operation)}
    yield from named - WRITTEN_AS_OPERATORS - MADE_BY_OTHERS
    modules = [sys.modules[Signal.__module__], parameters, storage]
    for each in [each for module in modules for each in vars(module).values() if isinstance(each, type)]:
        own = each.__module__ in {module.__name__ for module in modules} and not getattr(each, "_is_protocol", False)
        if own and not each.__name__.startswith("_"):
            for name, method in vars(each).items():
                if isfunction(getattr(method, "__func__", method)) and (name in OPERATORS or not name.startswith("_")):
                    yield f"{each.__name__}.{name}"


def test_every_operation_that_has_a_name_is_tried() -> None:
    assert set(operations()) - set(CASES) == NOT_OPERATIONS


# ---- trying them ---------------------------------------------------------------------------------------------


@dataclass
class Outcome:
    """What one operation did.

    Attributes:
        records: of its step.
        values: its results, and what it wrote.
        converted: by which kind of converter each operand was, if by any.
    """

    records: Trace
    values: list[np.ndarray]
    converted: list[str | None]


def carried_out(stage: Stage, case: Case, domains: Sequence[str], values: Sequence[np.ndarray], back: bool) -> Outcome:
    """One operation in a step of its own, on operands with these values."""
    machine, found = stage.machine, []
    machine.watchers["result"] = lambda *arrays: found.extend(array.copy() for array in arrays)
    for _ in machine.phase("clear"):
        stage.W.gradient.clear()
        stage.b.gradient.clear()
    operands = [stage.operands[place] for place in zip(count(), domains, case.operands)]
    for operand, value in zip(operands, values, strict=True):
        operand.value = value
    stage.line.value = np.full_like(stage.line.value, 0.3)  # it shifts from step to step
    sweep = machine.backward_pass if back else machine.forward_pass
    for step in machine.phase("alone") if case.phase else sweep("alone"):
        result = case.act(stage, step, *(operand.load() for operand in operands))
        signals = result if isinstance(result, tuple) else () if result is None else (result,)
        machine.probe("result", *signals)
    trace = machine.journal.traces[machine.journal.last]
    lines = {line.name for line in machine.holdings.lines}  # that shift when the step is over
    trace = tuple(record for record in trace if record.reads or record.writes not in lines)
    found += [machine.storages[record.writes].saved.copy() for record in trace if isinstance(record.writes, str)]
    kinds = {record.reads[0]: record.kind for record in trace if record.kind in BITS}
    loads = {record.reads[0]: slot for slot, record in enumerate(trace) if record.kind == "load"}
    return Outcome(trace, found, [kinds.get(loads[operand.name]) for operand in operands])


def on_grid(value: np.ndarray, kind: str) -> np.ndarray:
    """What a converter makes of a value."""
    return converters.convert(value, converters.step(BITS[kind], RANGE), RANGE)[0]


def assert_converted(trace: Trace) -> None:
    """Operands of a converter are of the other domain than its result, all others of the same."""
    for record in trace:
        analog = record.format == "analog"
        domains = {trace[slot].format == "analog" for slot in record.reads if isinstance(slot, int)}
        if record.kind in (*BITS, "tile adc"):
            assert analog == (record.kind == "dac")
            assert domains == {not analog}, record
        elif record.kind != "program":  # numbers that set devices
            assert domains <= {analog}, record


@pytest.fixture(scope="module", params=MACHINES)
def tried(request: pytest.FixtureRequest) -> Iterator[tuple[Stage, bool]]:
    """A machine on which operations can be tried, and whether that is to be in backward passes."""
    with Stage(request.param).opened() as stage:
        yield stage, request.param == "host"


def trials(back: bool) -> Iterator[tuple[str, Case, tuple[str, ...]]]:
    """Every operation, with operands in every combination of domains."""
    for name, case in CASES.items():
        if not (back and case.phase):
            for domains in product(("analog", "digital"), repeat=len(case.operands)):
                yield name, case, domains


def values(case: Case) -> list[np.ndarray]:
    """Operands, none of which is on the grid of a converter."""
    draw = np.random.default_rng(3)
    found = [draw.uniform(0.2, 1.7, (CHIPS, 1, *shape)).astype(np.float32) for shape in case.operands]
    return [value + np.eye(WIRES, dtype=np.float32) if value.shape[2:] == SQUARE else value for value in found]


DRAWN = {"signs": {-1, 1}, "flips": {-1, 1}, "dithered": {0, 4}}
"""What chance may give."""


def test_a_value_changes_its_domain_in_a_converter_only(tried: tuple[Stage, bool]) -> None:
    """Records say so, and so do values: where an operand was converted, its value on the grid gives the same result."""
    stage, back = tried
    for name, case, domains in trials(back):
        first = carried_out(stage, case, domains, values(case), back)
        assert_converted(first.records)
        rounded = [
            value if kind is None else on_grid(value, kind)
            for value, kind in zip(values(case), first.converted, strict=True)
        ]
        second = carried_out(stage, case, domains, rounded, back)
        assert first.records == second.records
        for one, other in zip(first.values, second.values, strict=True):
            if name in DRAWN:  # anew in each step
                assert set(np.unique([one, other])) <= DRAWN[name]
                continue
            assert one.tobytes() == other.tobytes(), (name, domains)


def test_no_kind_of_operation_is_left_out() -> None:
    found: set[str] = set()
    for name in ("small tiles", "digital interface"):
        with Stage(name).opened() as stage:
            for _, case, domains in trials(back=False):
                carried_out(stage, case, domains, values(case), back=False)
        found |= {record.kind for trace in stage.machine.journal.traces for record in trace}
    moves = words.moves
    own = {moves.shift.kind, moves.count.kind, moves.choose.kind}  # of full scales that are chosen
    own |= {moves.pulse.kind, moves.pulse_outer.kind, moves.renew.kind}  # of update schemes
    own |= {"peak", "chop"}  # of lines that are pulsed
    own |= {moves.part_adc.kind, moves.halvings.kind}  # of coded inputs, and of bounds that are managed
    own |= {"solve in a loop"}  # of the analog inverse solver
    own |= {"advance", "advance slopes", moves.hold.kind}  # of circuits that are told by equations
    kinds = {kind for kind, operation in BY_KIND.items() if operation.traffic not in SPARSE}  # no chip has them
    assert found == kinds - own


def test_each_way_to_write_an_operation_with_a_number_is_what_it_means(tried: tuple[Stage, bool]) -> None:
    stage, _ = tried
    x = np.random.default_rng(4).uniform(0.3, 1.5, (CHIPS, 1, WIRES)).astype(np.float32)
    exact = {
        "Signal.__add__ number": x + np.float32(0.3),
        "Signal.__radd__": x + np.float32(0.3),
        "Signal.__sub__ number": x - np.float32(0.3),
        "Signal.__rsub__": 1 - x,
        "Signal.__mul__ number": x * np.float32(0.7),
        "Signal.__truediv__ number": x / np.float32(0.7),
        "Signal.__rtruediv__": np.float32(0.7) / x,
        "Signal.__pow__": x**2,
    }
    for name, expected in exact.items():
        (value,) = carried_out(stage, CASES[name], ("digital",), [x], back=False).values
        np.testing.assert_allclose(value, expected, rtol=3e-7)


# ---- wiring --------------------------------------------------------------------------------------------------


def test_negation_and_interleaving_of_analog_values_are_wiring() -> None:
    """They are free, exact, and leave analog values analog, with the full scale that they had."""
    stage = machines.build(machine_options("pcm_crossbar"), chips=CHIPS)
    episode = Episode(np.zeros((1, 1, 1)), values=np.zeros((1, 1, 1)))
    first, other = np.float32([[[0.3, -1.2]], [[3.3, 2.5]]]), np.float32([[[0.7, -0.1]], [[0.2, -3.9]]])
    seen: list[np.ndarray] = []
    stage.watchers["seen"] = lambda *arrays: seen.extend(array.copy() for array in arrays)
    with stage.showing(episode), stage.workspace() as workspace:
        x, y = workspace.register("x", 2, LEARNING), workspace.register("y", 2, LEARNING)
        digital = workspace.delay_line("digital", 4, 1)
        x.value, y.value = first, other
        for _ in stage.forward_pass("once"):
            turned = -x.load()
            both = interleave(turned, y.load())
            stage.probe("seen", turned, both)
            digital.store(both)
        kept = digital.value.copy()
    np.testing.assert_array_equal(seen[0], -first)
    np.testing.assert_array_equal(seen[1], np.stack([-first, other], -1).reshape(CHIPS, 1, 4))
    limit = machine_options("pcm_crossbar").parts.ranges.error  # not that of the values that inference makes
    expected, _ = converters.convert(seen[1], converters.step(8, limit), limit)
    np.testing.assert_array_equal(kept[:, :, 0], expected)
    trace = stage.journal.traces[stage.journal.last]
    wiring = [record for record in trace if record.kind in ("negate", "wire")]
    assert [record.format for record in wiring] == ["analog", "analog"]
    assert [stage.prices().charges(record) for record in wiring] == [[], []]
    assert [stage.prices().occupied(record).duration for record in wiring] == [0, 0]
    assert [record.kind for record in trace if record.kind in BITS] == ["adc"]


def test_a_number_among_analog_wires_is_converted() -> None:
    """As of two operands of an operation: the digital one, where they are of one size."""
    with Stage("analog interface").opened() as stage:
        case = CASES["interleave"]
        for domains, kinds in (
            (("analog", "analog"), [None, None]),
            (("analog", "digital"), [None, "dac"]),
            (("digital", "analog"), ["dac", None]),
            (("digital", "digital"), [None, None]),
        ):
            outcome = carried_out(stage, case, domains, values(case), back=False)
            assert outcome.converted == kinds
            assert (outcome.records[-1].format == "analog") == ("analog" in domains)
