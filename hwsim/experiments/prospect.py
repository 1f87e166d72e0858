"""What a plan knows of a network and a machine before anything runs: rates, sizes of signals, and noise of units."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from math import hypot, inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.alignment import Coherence, Modes, Task, coherence_of_modes, mean_memory
from hwsim.learning import RULES
from hwsim.learning.bptt import BPTT
from hwsim.learning.keeps import Keeps
from hwsim.machine import Bias, Machine, Signal, Step
from hwsim.networks import Layer, Level, Network
from hwsim.operations import add, held, moves, multiply

AUTO = 9.0
"""Full scales that a chip chooses lie at so many times the root mean square of a signal: of normal values 0.1 % exceed
3.3, the margin doubles that, and powers of two add half an octave."""


class Signals(NamedTuple):
    """Mean squares in one layer, along a few sequences in exact arithmetic.

    Attributes:
        state, loss, error: of the state, of the errors g that losses send, and of errors δ, for each wire of the state.
        drive_error: of the error at the drive; a mean over wires.
        shown: of what the layer sees; a mean over wires.
        coherence: of its gradient, between the steps of each sequence.
        state_share: of the power of the readout's gradient, all that is not of biases.
    """

    state: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    drive_error: float
    shown: float
    coherence: Coherence
    state_share: float


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
    powers, of_biases = defaultdict[tuple[str, str], float](float), defaultdict[tuple[str, str], float](float)
    for each in exact.trainables:
        power = float(np.square(each.gradient.value.astype(float)).sum())
        powers[each.layer, each.group] += power
        if isinstance(each.holder, Bias):
            of_biases[each.layer, each.group] += power
    found = {}
    for layer in exact.layers:
        whole, biases = (each[layer.name, "readout"] for each in (powers, of_biases))
        found[layer.name] = _signals(seen, layer, state_share=1 - biases / whole if whole else 1.0)
    return Sizes(found, dict(powers))


def _signals(seen: _Seen, layer: Layer, state_share: float) -> Signals:
    """What was seen of one layer."""

    def squares(values: np.ndarray) -> np.ndarray:
        mean: np.ndarray = np.square(values).reshape(-1, values.shape[-1]).mean(0)
        return mean

    state, *errors = (seen.of(layer, what) for what in ("state", "sent", "error", "drive", "x"))
    sent, error, drive, x = (each[::-1] for each in errors)  # from the last step to the first
    before = np.concatenate([np.zeros_like(state[:1]), state[:-1]])
    recurrent = coherence(error, before) if layer.cell.dense else _of_modes(_complex(error) * _complex(before).conj())
    return Signals(
        state=squares(state),
        loss=squares(sent),
        error=squares(error),
        drive_error=float(squares(drive).mean()),
        shown=float(squares(x).mean()),
        coherence=Coherence(recurrent, coherence(drive, x), coherence(sent, state)),
        state_share=state_share,
    )


def coherence(errors: np.ndarray, factors: np.ndarray) -> float:
    """Σ_b |Σ_t e fᵀ|² / Σ_b Σ_t |e fᵀ|² of errors `(steps, sequences, n)` and factors `(steps, sequences, m)`.

    The square of a sum of outer products is Σ_tu (e_t · e_u) (f_t · f_u), without any of the products.
    """

    def products(x: np.ndarray) -> np.ndarray:
        by_sequence = x.swapaxes(0, 1)
        return by_sequence @ by_sequence.swapaxes(1, 2)

    both = products(errors) * products(factors)
    return _ratio(float(both.sum()), float(np.trace(both, axis1=1, axis2=2).sum()))


def _of_modes(terms: np.ndarray) -> float:
    """The same of terms `(steps, sequences, modes)` that are products of a mode with itself."""
    return _ratio(float(np.square(np.abs(terms.sum(0))).sum()), float(np.square(np.abs(terms)).sum()))


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
        self._keep(layer, "error", see(delta))
        self._keep(layer, "sent", see(delta) - see(later))
        self._keep(layer, "drive", see(drive if isinstance(drive, Signal) else delta))
        self._keep(layer, "x", see(level.seen.x))
        return delta

    def _keep(self, layer: Layer, what: str, values: np.ndarray) -> None:
        self._kept[layer.name, what].append(values[0].astype(float))  # of the one chip


def modes(
    machine: Machine, options: Any, network: Network, rates: Rates, sizes: Sizes, keeps: list[Keeps], task: Task
) -> list[Modes]:
    """All layers as closed forms see them, from the first on.

    Args:
        machine: that the network is on.
        options: of that machine.
        rates: ln(1/|λ|) of each mode, or direction, by layer.
        sizes: of signals of each layer; wires of a mode count together, those of a dense layer all.
        keeps: of each layer; they tell what learns: errors or sensitivities, forward or on a host.
        task: of the sequences that sizes are of.
    """
    found, shown_noise = list[Modes](), 0.0
    for layer, kept in zip(network.layers, keeps, strict=True):
        size = sizes.signals[layer.name]
        each = _modes(machine, options, rates[layer.name], layer.cell.dense, size, kept, task)
        noise = Noise.of(machine, options, layer.cell.dense, size)
        each = each._replace(
            state_noise=each.state_noise + shown_noise * each.drive, drive_noise=each.drive_noise + shown_noise
        )
        found.append(each)
        memory = np.array([mean_memory(q, task.steps) for q in each.q])
        state = float((each.state_noise * memory).sum() / (each.drive * memory).sum())
        above = [sizes.signals[other.name].shown for other in network.layers[len(found) : len(found) + 1]]
        shown_noise = state + noise.read**2 / above[0] if above and above[0] else 0.0
    sent_noise = 0.0
    for number in reversed(range(len(found))):
        each = found[number]
        found[number] = each._replace(error_noise=each.error_noise + sent_noise * each.loss)
        sent_noise += float(np.mean(each.error_noise) / np.mean(each.loss)) if not keeps[number].sensitivities else 0.0
    return found


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
    hosted = kept.backward and getattr(options, "attached", None) == "host"
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
        state_share=size.state_share,
    )


_LEAST = 1e-300
"""Powers of signals that are zero."""


class Noise(NamedTuple):
    """Errors of the units that carry states, and what learns, from step to step.

    Attributes:
        state, error: standard deviation of the noise of one step.
        read: of what a layer shows to the next one.
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
    read: float
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
        parts = getattr(options, "parts", None)
        ranges = getattr(parts, "ranges", None)
        if parts is None or ranges is None:
            return cls(noise, noise, tile.noise, 0.0, 0.0, 0.0, inf, coupled, apart, inverse.relative, tile.rounding)
        state, error, drive = (sqrt(float(np.mean(each))) for each in (size.state, size.error, size.drive_error))
        if ranges.own is None:
            scales, limit = (ranges.forward, ranges.error, ranges.error, ranges.error), ranges.error
        else:
            scales, limit = (AUTO * state, AUTO * error, AUTO * drive, AUTO * error * state), inf
        of_state, of_error, of_drive, of_product = (scale / ranges.error for scale in scales)
        step = 2 / (2**parts.adc.bits - 2) / sqrt(12) * ranges.error
        return cls(
            of_state * noise,
            of_error * noise,
            of_state * tile.noise,
            of_drive * step,
            of_product * hypot(step, product.noise),
            of_state * step,
            limit,
            coupled,
            apart,
            inverse.relative,
            tile.rounding,
        )
