"""What a plan knows of a network and a machine before anything runs: rates, sizes of signals, and noise of units."""

from __future__ import annotations

from collections.abc import Mapping
from math import hypot, inf, sqrt
from typing import Any, NamedTuple

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.alignment import Modes, mean_memory
from hwsim.learning import RULES
from hwsim.learning.bptt import BPTT
from hwsim.learning.keeps import Keeps
from hwsim.machine import Machine, Signal, Step
from hwsim.networks import Level, Network
from hwsim.operations import add, held, moves, multiply

AUTO = 9.0
"""Full scales that a chip chooses lie at so many times the root mean square of a signal: of normal values 0.1 % exceed
3.3, the margin doubles that, and powers of two add half an octave."""


class Signals(NamedTuple):
    """Mean squares in one layer, along a few sequences in exact arithmetic.

    Attributes:
        state, loss, error: of the state, of the errors g that losses send, and of errors δ, for each wire of the state.
        drive_error: of the error at the drive; a mean over wires, as all that follow.
        shown: of what the layer sees.
    """

    state: np.ndarray
    loss: np.ndarray
    error: np.ndarray
    drive_error: float
    shown: float


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
    seen = _Sizes()
    with exact.machine.sequencer.watching(lambda: seen.look(exact)), exact.machine.showing(episode):
        seen.gradients(exact)
    powers: dict[tuple[str, str], float] = {}
    for each in exact.trainables:
        power = float(np.square(each.gradient.value.astype(float)).sum())
        powers[each.layer, each.group] = powers.get((each.layer, each.group), 0.0) + power
    found = {}
    for layer in exact.layers:
        h, g, delta, drive, x = (seen.squares[layer.name, what] / seen.counts[layer.name, what] for what in _WHAT)
        found[layer.name] = Signals(h, g, delta, float(drive.mean()), float(x.mean()))
    return Sizes(found, powers)


_WHAT = "h", "g", "delta", "drive", "x"


class _Sizes(BPTT):
    """BPTT that adds up squares."""

    def __init__(self) -> None:
        super().__init__(RULES["bptt"].Options(name="bptt"))
        self.squares: dict[tuple[str, str], Any] = {}
        self.counts: dict[tuple[str, str], int] = {}

    def _add(self, layer: str, what: str, values: np.ndarray) -> None:
        square = np.square(values.astype(float)).reshape(-1, values.shape[-1]).mean(0)
        self.squares[layer, what] = self.squares.get((layer, what), 0.0) + square
        self.counts[layer, what] = self.counts.get((layer, what), 0) + 1

    def look(self, network: Network) -> None:
        machine = network.machine
        if not machine.sequencer.presenter.backward:
            for layer in network.layers:
                self._add(layer.name, "h", machine.storages[f"{layer.name} h"].value)

    def delta(self, step: Step, level: Level, later: Signal) -> Signal:
        delta = super().delta(step, level, later)
        machine, name = level.layer.machine, level.layer.name
        drive = level.cell.drive_error(level.at, delta)  # circuits have none that is a signal
        self._add(name, "delta", machine.see(delta))
        self._add(name, "g", machine.see(delta) - machine.see(later))
        self._add(name, "drive", machine.see(drive if isinstance(drive, Signal) else delta))
        self._add(name, "x", machine.see(level.seen.x))
        return delta


def modes(
    machine: Machine, options: Any, network: Network, rates: Rates, sizes: Sizes, keeps: list[Keeps], steps: int
) -> list[Modes]:
    """All layers as closed forms see them, from the first on.

    Args:
        machine: that the network is on.
        options: of that machine.
        rates: ln(1/|λ|) of each mode, or direction, by layer.
        sizes: of signals of each layer; wires of a mode count together, those of a dense layer all.
        keeps: of each layer; they tell what learns: errors or sensitivities, forward or on a host.
        steps: of the sequences that sizes are of.
    """
    found, shown_noise = list[Modes](), 0.0
    for layer, kept in zip(network.layers, keeps, strict=True):
        size = sizes.signals[layer.name]
        each = _modes(machine, options, rates[layer.name], layer.cell.dense, size, kept, steps)
        noise = Noise.of(machine, options, layer.cell.dense, size)
        each = each._replace(
            state_noise=each.state_noise + shown_noise * each.drive, drive_noise=each.drive_noise + shown_noise
        )
        found.append(each)
        memory = np.array([mean_memory(q, steps) for q in each.q])
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
    machine: Machine, options: Any, rates: tuple[float, ...], dense: bool, size: Signals, kept: Keeps, steps: int
) -> Modes:
    """One layer by itself."""
    found = np.array(rates, float)

    def wires(x: np.ndarray) -> np.ndarray:
        return np.full(len(found), x.mean()) if dense else x.reshape(len(found), -1).mean(1)

    state, loss, error = wires(size.state), wires(size.loss), wires(size.error)
    memory = np.array([mean_memory(q, steps) for q in np.exp(-2 * found)])
    noise = Noise.of(machine, options, dense, size)
    hosted = kept.backward and getattr(options, "attached", None) == "host"
    rounding = noise.rounding**2
    own = 0.0 if hosted else 1.0
    recorded = noise.recorded**2 * size.error.mean() if kept.backward or dense else noise.product**2
    return Modes(
        rates=found,
        drive=np.maximum(state / memory, _LEAST),
        loss=np.maximum(loss, _LEAST),
        state_noise=noise.state**2 + rounding * state,
        error_noise=rounding * error + own * noise.error**2,
        error_limit=inf if hosted else noise.limit,
        drive_noise=own * noise.drive**2 / max(size.drive_error, _LEAST),
        product_noise=recorded,
        mismatch=own * noise.mismatch,
        relative=np.sqrt(noise.error**2 / np.maximum(error, _LEAST) + noise.relative**2 + rounding),
        inverse_mismatch=noise.inverse_mismatch,
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
