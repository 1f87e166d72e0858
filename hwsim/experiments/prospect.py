"""What a plan knows of a network and a machine before anything runs: rates, sizes of signals, and noise of units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import hypot, inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.alignment import Coherence, Modes, Task, coherence_of_modes, mean_memory
from hwsim.experiments.readout_errors import Added, Along, Circuits
from hwsim.learning import RULES
from hwsim.learning.bptt import BPTT
from hwsim.learning.keeps import Keeps
from hwsim.machine import Machine, Signal, Step
from hwsim.networks import Layer, Level, Network
from hwsim.operations import add, held, moves, multiply, relu

AUTO = 9.0
"""Full scales that a chip chooses lie at so many times the root mean square of a signal: of normal values 0.1 % exceed
3.3, the margin doubles that, and powers of two add half an octave."""


class Signals(NamedTuple):
    """Mean squares in one layer, along a few sequences in exact arithmetic.

    Attributes:
        state, loss, error: of the state, of the errors g that losses send, and of errors δ, for each wire of the state.
        drive_error: of the error at the drive; a mean over wires.
        shown: of what the layer sees; a mean over wires.
        coherence: of its gradient, between all steps of all sequences.
        readout: along all states and all errors that arrive at its output.
        powers: of the recurrent and of the input gradient, by mode; None in a dense layer.
    """

    state: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    drive_error: float
    shown: float
    coherence: Coherence
    readout: Along
    powers: tuple[np.ndarray, np.ndarray] | None


class Sizes(NamedTuple):
    """What is as large as what.

    Attributes:
        signals: of each layer, by its name.
        gradient: |dL/dθ|² by layer and group of parameters.
    """

    signals: dict[str, Signals]
    gradient: dict[tuple[str, str], float]


def sizes(exact: Network, episode: Episode) -> Sizes:
    """Sizes of signals, in the mean over all steps, and of the exact gradient."""
    seen = _Seen()
    with exact.machine.sequencer.watching(lambda: seen.look(exact)), exact.machine.showing(episode):
        seen.gradients(exact)
    powers = defaultdict[tuple[str, str], float](float)
    for each in exact.trainables:
        powers[each.layer, each.group] += float(np.square(each.gradient.value.astype(float)).sum())
    return Sizes({layer.name: _signals(seen, layer) for layer in exact.layers}, dict(powers))


def _signals(seen: _Seen, layer: Layer) -> Signals:
    """What was seen of one layer."""

    def squares(values: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.square(values).reshape(-1, values.shape[-1]).mean(0)
        return mean

    state, *errors = (seen.of(layer, what) for what in ("state", "sent", "error", "drive", "x", "outer"))
    sent, error, drive, x, outer = (each[::-1] for each in errors)  # from the last step to the first
    before = np.concatenate([np.zeros_like(state[:1]), state[:-1]])
    recurrent = coherence(error, before) if layer.cell.dense else _of_modes(_complex(error) * _complex(before).conj())
    return Signals(
        state=squares(state),
        loss=squares(sent),
        error=squares(error),
        drive_error=float(squares(drive).mean()),
        shown=float(squares(x).mean()),
        coherence=Coherence(recurrent, coherence(drive, x)),
        readout=Along(layer.readout, state[-len(outer) :], outer),
        powers=None if layer.cell.dense else (_by_mode(layer, "recurrent"), _by_mode(layer, "input")),
    )


def _by_mode(layer: Layer, group: str) -> np.ndarray:
    """Power of the gradient of a group of parameters, each of which belongs to a mode."""
    gradients = [each.gradient.value[0].astype(float) for each in layer.cell.trainables if each.group == group]
    power: np.ndarray = sum(np.square(each).reshape(layer.cell.width // 2, -1).sum(1) for each in gradients)
    return power


def coherence(errors: np.ndarray, factors: np.ndarray) -> float:
    """|Σ e fᵀ|² / Σ |e fᵀ|² of errors `(steps, sequences, n)` and factors `(steps, sequences, m)`."""
    whole = np.tensordot(errors, factors, axes=([0, 1], [0, 1]))
    terms = np.square(errors).sum(-1) * np.square(factors).sum(-1)
    return _ratio(float(np.square(whole).sum()), float(terms.sum()))


def _of_modes(terms: np.ndarray) -> float:
    """The same of terms `(steps, sequences, modes)` that are products of a mode with itself."""
    return _ratio(float(np.square(np.abs(terms.sum((0, 1)))).sum()), float(np.square(np.abs(terms)).sum()))


def _ratio(whole: float, terms: float) -> float:
    return max(whole / terms, _LEAST) if terms else 1.0


def _complex(values: np.ndarray) -> np.ndarray:
    """Modes, from their real and imaginary parts in turn."""
    return values[..., ::2] + 1j * values[..., 1::2]


class _Seen(BPTT):
    """BPTT that keeps signals of each layer, step by step."""

    def __init__(self) -> None:
        super().__init__(RULES["bptt"].Options(name="bptt"))
        self._kept: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def of(self, layer: Layer, what: str) -> np.ndarray:
        """All values of a signal, `(steps, sequences, n)`, in the order of the pass."""
        return np.stack(self._kept[layer.name, what])

    def look(self, network: Network) -> None:
        machine = network.machine
        if not machine.sequencer.presenter.backward:
            for layer in network.layers:
                self._keep(layer, "state", machine.storages[f"{layer.name} h"].value)

    def delta(self, step: Step, level: Level, later: Signal) -> Signal:
        delta = super().delta(step, level, later)
        layer, see = level.layer, level.layer.machine.see
        drive = level.cell.drive_error(level.at, delta)  # circuits have none that is a signal
        if level.error is not None:
            self._keep(layer, "outer", see(level.error))
        self._keep(layer, "error", see(delta))
        self._keep(layer, "sent", see(delta) - see(later))
        self._keep(layer, "drive", see(drive if isinstance(drive, Signal) else delta))
        self._keep(layer, "x", see(level.seen.x))
        return delta

    def _keep(self, layer: Layer, what: str, values: np.ndarray) -> None:
        self._kept[layer.name, what].append(values[0].astype(float))  # of the one chip


def modes(
    machine: Machine, options: Any, exact: Network, rates: Rates, sizes: Sizes, keeps: list[Keeps], task: Task
) -> list[Modes]:
    """All layers as closed forms see them, from the first on.

    Args:
        machine: that the network is to learn on.
        options: of that machine.
        exact: the network on an exact machine.
        rates: ln(1/|λ|) of each mode, or direction, by layer.
        sizes: of signals of each layer; wires of a mode count together, those of a dense layer all.
        keeps: of each layer; they tell what learns: errors or sensitivities, forward or on a host.
        task: of the sequences that sizes are of.
    """
    found, sent, shown_noise, circuits = list[Modes](), list[float](), 0.0, Scales(options).circuits(machine)
    for layer, kept in zip(exact.layers, keeps, strict=True):
        size = sizes.signals[layer.name]
        each = _modes(machine, options, rates[layer.name], layer.cell.dense, size, kept, task)
        each = each._replace(
            state_noise=each.state_noise + shown_noise * each.drive, drive_noise=each.drive_noise + shown_noise
        )
        memory = np.array([mean_memory(q, task.steps) for q in each.q])
        state = float((each.state_noise * memory).sum() / (each.drive * memory).sum())
        readout = size.readout.errors(state * float(size.state.mean()), circuits, _hosted(options, kept))
        found.append(each._replace(readout=readout.sums))
        sent.append(readout.sent)
        shown_noise = readout.shown
    sent_noise = 0.0
    for number in reversed(range(len(found))):
        each = found[number]
        sent_noise += sent[number]
        found[number] = each._replace(loss_noise=sent_noise)
        sent_noise += float(np.mean(each.error_noise) / np.mean(each.loss)) if not keeps[number].sensitivities else 0.0
    return found


def _hosted(options: Any, kept: Keeps) -> bool:
    """Whether errors go back on a host."""
    return kept.backward and getattr(options, "attached", None) == "host"


Rates = Mapping[str, tuple[float, ...]]


def _modes(
    machine: Machine, options: Any, rates: tuple[float, ...], dense: bool, size: Signals, kept: Keeps, task: Task
) -> Modes:
    """One layer by itself."""
    found = np.array(rates, float)

    def wires(x: np.ndarray) -> np.ndarray:
        return np.full(len(found), x.mean()) if dense else x.reshape(len(found), -1).mean(1)

    state, loss, error = wires(size.state), wires(size.loss), wires(size.error)
    q = np.exp(-2 * found)
    memory = np.array([mean_memory(each, task.steps) for each in q])
    noise = Noise.of(machine, options, dense, size)
    hosted = _hosted(options, kept)
    rounding = noise.rounding**2
    own = 0.0 if hosted else 1.0
    recorded = noise.recorded**2 * size.error.mean() if kept.backward or dense else noise.product**2
    drive, loss = np.maximum(state / memory, _LEAST), np.maximum(loss, _LEAST)
    recurrent = size.coherence.recurrent / coherence_of_modes(q, drive * loss, task)
    return Modes(
        rates=found,
        drive=drive,
        loss=loss,
        state_noise=noise.state**2 + rounding * state,
        error_noise=rounding * error + own * noise.error**2,
        error_limit=inf if hosted else noise.limit,
        drive_noise=own * noise.drive**2 / max(size.drive_error, _LEAST),
        product_noise=recorded,
        mismatch=own * noise.mismatch,
        relative=np.sqrt(noise.error**2 / np.maximum(error, _LEAST) + noise.relative**2 + rounding),
        inverse_mismatch=noise.inverse_mismatch,
        coherence=size.coherence._replace(recurrent=recurrent),
        powers=size.powers,
    )


_LEAST = 1e-300
"""Powers of signals that are zero."""


class Noise(NamedTuple):
    """Errors of the units that carry states, and what learns, from step to step.

    Attributes:
        state, error: standard deviation of the noise of one step.
        drive: of the error at the drive, on its way to a sum.
        product: of a product of an error and a state, on its way to a sum.
        recorded: of a state on its way to a tape.
        limit: full scale of what learns.
        mismatch: frozen: of the way back to the way forward.
        inverse_mismatch: frozen: of the inverse to the way forward.
        relative: fresh, of the inverse, relative to what it makes.
        rounding: relative error of a number.
    """

    state: float
    error: float
    drive: float
    product: float
    recorded: float
    limit: float
    mismatch: float
    inverse_mismatch: float
    relative: float
    rounding: float

    @classmethod
    def of(cls, machine: Machine, options: Any, dense: bool, size: Signals) -> Noise:
        """Noise at full scales that the machine's file states, or that fit root mean squares of signals."""
        ask = machine.errors
        forward, back, inverse = ask(held.diagonal), ask(held.conjugate_diagonal), ask(held.inverse_diagonal)
        tile, store, product = ask(held.read_transposed), ask(moves.store), ask(multiply)
        way = tile, (tile if dense else back), ask(add), store, *([product] if dense else [])
        noise = sqrt(sum(unit.noise**2 for unit in way))
        apart = 0.0 if inverse.unit == forward.unit else sqrt(inverse.mismatch**2 + forward.mismatch**2)
        coupled = 0.0 if dense or back.unit == forward.unit else sqrt(back.mismatch**2 + forward.mismatch**2)
        scales = Scales(options)
        if scales.fixed is None:
            return cls(noise, noise, 0.0, 0.0, 0.0, inf, coupled, apart, inverse.relative, tile.rounding)
        state, error, drive = (sqrt(float(np.mean(each))) for each in (size.state, size.error, size.drive_error))
        of_state, of_error = scales.forward(state), scales.error(error)
        return cls(
            of_state * noise,
            of_error * noise,
            scales.error(drive) * scales.step,
            scales.error(error * state) * hypot(scales.step, product.noise),
            of_state * scales.step,
            inf if scales.own else scales.fixed.error,
            coupled,
            apart,
            inverse.relative,
            tile.rounding,
        )


class Scales:
    """Full scales of a chip, in units of that of errors, at which units state their noise.

    Attributes:
        fixed: those that the machine's file states; None of a machine that has none.
        own: whether the chip chooses its own.
        step: standard deviation of what a converter of errors rounds off.
    """

    def __init__(self, options: Any) -> None:
        parts: Any = getattr(options, "parts", None)
        self.fixed = getattr(parts, "ranges", None)
        self.own = self.fixed is not None and self.fixed.own is not None
        self.step = 0.0
        if self.fixed is not None:
            self.step = 2 / (2**parts.adc.bits - 2) / sqrt(12) * self.fixed.error

    def forward(self, size: float) -> float:
        """Of a signal on the way forward with such a root mean square."""
        return self._of(size, "forward")

    def error(self, size: float) -> float:
        """Of an error with such a root mean square."""
        return self._of(size, "error")

    def _of(self, size: float, way: str) -> float:
        if self.fixed is None:
            return 1.0
        return float((AUTO * size if self.own else getattr(self.fixed, way)) / self.fixed.error)

    def circuits(self, machine: Machine) -> Circuits:
        """What carries out readouts."""
        ask, rounding = machine.errors, machine.errors(held.read).rounding ** 2

        def forward(noise: float) -> Added:
            return added((self.forward(1.0) * noise) ** 2)

        def error(noise: float) -> Added:
            return added((self.error(1.0) * noise) ** 2)

        def added(variance: float) -> Added:
            return Added(0.0, variance + rounding) if self.own else Added(variance, rounding)

        return Circuits(
            product=forward(hypot(ask(held.read).noise, ask(add).noise)),
            back=error(ask(held.read_transposed).noise),
            compare=forward(ask(relu).noise),
            summand=forward(self.step),
            error_summand=error(self.step),
        )
