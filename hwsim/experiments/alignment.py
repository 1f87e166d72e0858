"""The cosine that a rule's gradient is expected to have with the exact one: closed forms in eigenvalues and in noise.

Each direction of a layer's state is a mode h_t = λ h_{t-1} + u_t with white u of power `drive`, and its losses send
white errors g of power `loss`, independent of u. Then all terms of the gradient are uncorrelated that come from
different lags, and sums of powers are geometric series in q = |λ|².
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, exp, inf, pi, sqrt
from typing import NamedTuple

import numpy as np

from hwsim.learning.keeps import Keeps, Lags

_EXACT, _GROWTH = 64, 1.05
"""So many lags are summed one by one; further ones in bins that grow by such a factor."""
_CUTS = 12
"""Lags at which a rule cuts that differs by step are stood for by so many."""


class Coherence(NamedTuple):
    """How many times larger the power of each group's gradient is than the powers of its terms, step by step, in sum.

    1 for terms that are uncorrelated. Noise is fresh in each step, so that terms that agree stand out of it.
    """

    recurrent: float = 1.0
    input: float = 1.0


@dataclass
class Sums:
    """⟨G̃, G⟩, |G̃|² and |G|² of a group of parameters, G̃ being the rule's gradient."""

    common: float = 0.0
    mine: float = 0.0
    exact: float = 0.0

    def scaled(self, power: float) -> Sums:
        """The same, if the exact gradient has this power."""
        if not self.exact:
            return Sums()
        factor = power / self.exact
        return Sums(factor * self.common, factor * self.mine, power)

    def with_errors(self, of_machine: Sums, without: Sums) -> Sums:
        """The same with errors of a machine, by the factors that closed forms with and without them have for these."""
        common = of_machine.common / without.common if without.common else 0.0
        return Sums(
            common * self.common, self.mine * (of_machine.mine / without.mine if without.mine else 1.0), self.exact
        )

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.common + other.common, self.mine + other.mine, self.exact + other.exact)

    @property
    def cosine(self) -> float:
        size = self.mine * self.exact
        return self.common / sqrt(size) if 0 < size < inf else 0.0


class Modes(NamedTuple):
    """The directions of one layer, in arrays with a number for each.

    Attributes:
        rates: ln(1/|λ|) per step.
        drive: mean square of what is added to the state in a step.
        loss: mean square of the errors that losses send in a step, over all steps of a sequence.
        state_noise: mean square of the noise that is added to the state in a step.
        error_noise: mean square of the noise that is added to what learns in a step: errors, or sensitivities.
        error_limit: full scale of that; infinite without one.
        drive_noise: mean square of the noise of the error at the drive, relative to it.
        product_noise: mean square of the noise of each product of an error and a state, on its way to a sum.
        mismatch: frozen relative error of the factor by which errors shrink in a step.
        relative: fresh relative error of what errors are multiplied by in a step, rounding included.
        inverse_mismatch: frozen relative error of the factor by which they grow.
        coherence: of its gradient, along real sequences, relative to that of the closed forms.
        loss_noise: mean square of the noise of errors that losses send, relative to these.
        readout: of the gradient of its readout, with all lags.
        powers: of the exact recurrent and input gradient by direction, along real sequences; None if not known.
        input_gain, input_square: ⟨x, x̃⟩ and |x̃|² of inputs that saturate, relative to |x|²; see `clipped`.
    """

    rates: np.ndarray
    drive: np.ndarray
    loss: np.ndarray
    state_noise: np.ndarray
    error_noise: np.ndarray
    error_limit: float = inf
    drive_noise: float = 0.0
    product_noise: float = 0.0
    mismatch: float = 0.0
    relative: np.ndarray | float = 0.0
    inverse_mismatch: float = 0.0
    coherence: Coherence = Coherence()
    loss_noise: float = 0.0
    readout: Sums = Sums(1.0, 1.0, 1.0)
    powers: tuple[np.ndarray, np.ndarray] | None = None
    input_gain: float = 1.0
    input_square: float = 1.0

    @property
    def q(self) -> np.ndarray:
        return np.exp(-2 * self.rates)


class Task(NamedTuple):
    """What a sequence is: its length, and the first step that carries a loss."""

    steps: int
    loss_from: int

    def pairs(self, lag: np.ndarray) -> np.ndarray:
        """The number of losses that have a step so many steps before them in the sequence."""
        return np.maximum(self.steps - np.maximum(lag, self.loss_from), 0.0)


class Bins(NamedTuple):
    """Lags 0 to T - 1, in bins: the first lag of each, and the first behind it."""

    start: np.ndarray
    stop: np.ndarray

    @classmethod
    def up_to(cls, steps: int) -> Bins:
        edges = list(range(min(steps, _EXACT) + 1))
        while edges[-1] < steps:
            edges.append(min(steps, max(edges[-1] + 1, int(edges[-1] * _GROWTH))))
        found = np.array(edges, float)
        return cls(found[:-1], found[1:])

    @property
    def middle(self) -> np.ndarray:
        return (self.start + self.stop - 1) / 2

    def powers(self, q: np.ndarray) -> np.ndarray:
        """Σ q^s over the lags s of each bin, `(modes, bins)`."""
        width = self.stop - self.start
        q = np.asarray(q, float)[:, None]
        with np.errstate(divide="ignore", invalid="ignore"):
            sums = q**self.start * (1 - q**width) / (1 - q)
        return np.where(np.abs(1 - q) < 1e-9, width * q**self.start, sums)


class Layer(NamedTuple):
    """The sums of a layer's groups of parameters."""

    recurrent: Sums
    input: Sums
    readout: Sums


def expected(layers: Sequence[Modes], keeps: Sequence[Keeps], task: Task) -> list[Layer]:
    """The sums of each layer's recurrent, input and readout gradient, from the first layer on."""
    bins, found = Bins.up_to(task.steps), list[Layer]()
    for number, (modes, kept) in enumerate(zip(layers, keeps, strict=True)):
        way, sent = _way_down(layers[number + 1 :], keeps[number + 1 :], bins)
        recurrent, input_ = _sums(modes, kept, task, bins, way, sent)
        readout = _readout(modes, kept, task, bins, way, sent)
        for sums, learns in ((recurrent, kept.recurrent), (input_, True)):
            if not (learns and kept.aligned):
                sums.common = 0.0
            if not learns:
                sums.mine = 0.0
        if not kept.aligned and number < len(layers) - 1:
            readout.common = 0.0
        found.append(Layer(recurrent, input_, readout))
    return found


def _readout(modes: Modes, kept: Keeps, task: Task, bins: Bins, way: np.ndarray, sent: np.ndarray) -> Sums:
    """The sums of a readout: its errors come through the layers above, and meet the state of the same step."""
    pairs = task.pairs(bins.middle)
    exact = float(pairs @ way)
    cut = _cuts(kept.lags[0])[:, None] if kept.jointly else None
    passed = sent if cut is None else way * np.clip(cut - bins.middle, 0, 1).mean(0)
    mine = float(pairs @ passed)
    with_errors = modes.readout.scaled(mine)
    return Sums(with_errors.common, with_errors.mine, exact)


def _way_down(above: Sequence[Modes], keeps: Sequence[Keeps], bins: Bins) -> tuple[np.ndarray, np.ndarray]:
    """Power that errors bring down from the layers above, by the lag on that way; and the part that these send.

    Errors of different lags are uncorrelated, since modes have all phases.
    """
    count = len(bins.start)
    power, sent = np.eye(1, count)[0], np.eye(1, count)[0]
    for modes, kept in zip(above, keeps, strict=True):
        weight = modes.drive * modes.loss
        weight = weight / (weight.sum() or 1.0)
        own = bins.powers(modes.q)
        share = _shares(kept.sends or kept.lags, len(modes.rates), bins)
        power = _added(power, weight @ own, bins)
        sent = _added(sent, weight @ (own * (1.0 if kept.jointly else share)), bins)
    return power, sent


def _added(first: np.ndarray, second: np.ndarray, bins: Bins) -> np.ndarray:
    """Power by the sum of two lags."""
    lags = bins.middle[:, None] + bins.middle
    place = np.clip(np.searchsorted(bins.stop, lags.ravel(), "right"), 0, len(first) - 1)
    inside = (lags.ravel() < bins.stop[-1]) * np.outer(first, second).ravel()
    return np.bincount(place, inside, len(first))


def _shares(lags: tuple[Lags, ...], count: int, bins: Bins) -> np.ndarray:
    """The share of steps at which each lag is kept, by direction."""
    own = lags * count if len(lags) == 1 else lags
    return np.array([np.clip((each.most - bins.middle) / (each.most - each.least + 1), 0, 1) for each in own])


def _cuts(lags: Lags) -> np.ndarray:
    """Lags at which a rule cuts, that stand for all, equally often."""
    count = min(_CUTS, lags.most - lags.least + 1)
    return np.linspace(lags.least, lags.most, count)


def _sums(modes: Modes, kept: Keeps, task: Task, bins: Bins, way: np.ndarray, sent: np.ndarray) -> tuple[Sums, Sums]:
    """The sums of a layer's recurrent and input parameters.

    A loss reaches an input by the lag s through the layers above and r in the layer. Its error meets λʳ u in the input
    gradient. In the recurrent one, it meets the state, which goes on from the input by λ as well: n + 1 ways have the
    lag n in all, of which those are kept that go back by errors for few enough steps.
    """
    recurrent, input_ = Sums(), Sums()
    where = np.flatnonzero(way)
    lag, powers = bins.middle, bins.powers(modes.q)
    pairs = task.pairs(bins.middle[where][:, None] + lag)
    weights = modes.drive * modes.loss
    lags = kept.lags * len(weights) if len(kept.lags) == 1 else kept.lags
    inverted = kept.inverted * len(weights) if len(kept.inverted) == 1 else kept.inverted
    relative = np.broadcast_to(modes.relative, weights.shape)
    of_products = modes.product_noise * (task.steps - task.loss_from)
    of_input = modes.coherence.input, of_products if kept.sensitivities else 0.0
    of_state = modes.coherence.recurrent, of_products
    for number, (own, weight, q, cuts, steps, noises, fresh) in enumerate(
        zip(powers, weights, modes.q, lags, inverted, _noises(modes, kept, task), relative, strict=True)
    ):
        to_input, to_state, gain, spread = noises
        gain, spread = gain * modes.input_gain, spread * modes.input_square
        found = []
        for terms, noise, (coherence, products) in zip(
            _terms(pairs * own, q, cuts, kept, bins, way, sent), (to_state, to_input), (of_state, of_input), strict=True
        ):
            grown = _growth(fresh / sqrt(coherence), modes.inverse_mismatch, q, steps)
            common, mine, exact = (float(weight * each.sum()) for each in terms)
            mine = (spread + noise) * mine + (exact and exact * grown) + products / coherence
            found.append(Sums(gain * common, mine, exact))
        if modes.powers is not None:
            found = [each.scaled(float(power[number])) for each, power in zip(found, modes.powers, strict=True)]
        recurrent, input_ = recurrent + found[0], input_ + found[1]
    return recurrent, input_


Terms = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Terms of ⟨G̃, G⟩, |G̃|² and |G|², without errors of the machine."""


def _terms(
    terms: np.ndarray, q: float, cuts: Lags, kept: Keeps, bins: Bins, way: np.ndarray, sent: np.ndarray
) -> tuple[Terms, Terms]:
    """Of one direction's recurrent and input parameters, by its lag.

    Args:
        terms: of all pairs of a loss and an input, by the lags on the way there, where there are some, and by its own.
        cuts: which lags are kept of its errors.
    """
    where = np.flatnonzero(way)
    lag, whole = bins.middle, way[where] @ terms
    kept_1, common_2, kept_2 = np.zeros_like(lag), np.zeros_like(lag), np.zeros_like(lag)
    reach = _cuts(cuts)
    for cut in reach:
        inner = np.clip(cut - bins.middle[where], 0, None)[:, None] if kept.jointly else cut
        share = np.clip(inner - bins.start, 0, bins.stop - bins.start) / (bins.stop - bins.start)
        ways = np.minimum(lag + 1, inner)
        passes = (way if kept.jointly else sent)[where]
        kept_1 = kept_1 + passes @ np.broadcast_to(share * terms, terms.shape) / len(reach)
        common_2 = common_2 + passes @ (ways * (lag + 1) * terms) * q / len(reach)
        kept_2 = kept_2 + passes @ (ways**2 * terms) * q / len(reach)
    return (common_2, kept_2, (way[where] @ (terms * (lag + 1) ** 2)) * q), (kept_1, kept_1, whole)


def _noises(modes: Modes, kept: Keeps, task: Task) -> list[tuple[float, float, float, float]]:
    """For each direction, noise of the input and of the recurrent gradient, as shares of its power; and of saturation
    the gain of what learns, and its mean square."""
    found = []
    length = task.steps
    for q, drive, loss, state, error in zip(
        modes.q, modes.drive, modes.loss, modes.state_noise, modes.error_noise, strict=True
    ):
        memory, longer, later = _memory(q, length)
        if kept.sensitivities:  # of the state to λ, which is driven by the state; to the input, by the input
            size = drive * longer
            to_input, to_state = error / drive, error / (drive * memory)
        else:
            size = loss * memory
            to_input = to_state = error / loss
        wrong = modes.mismatch**2 * later / memory
        gain, square = clipped(modes.error_limit / sqrt(size)) if size > 0 else (1.0, 1.0)
        to_input = (to_input + modes.drive_noise + modes.loss_noise) / modes.coherence.input
        to_state = (to_state + state / drive + modes.loss_noise) / modes.coherence.recurrent
        found.append((to_input + wrong, to_state + wrong, gain, square))
    return found


def coherence_of_modes(q: np.ndarray, weight: np.ndarray, task: Task) -> float:
    """Coherence of the recurrent gradient as the closed forms have it: what λ carries on is alike for some steps.

    Args:
        q: |λ|² of each mode.
        weight: `drive` times `loss` of each.
    """
    errors = [np.zeros_like(q)]
    for step in reversed(range(task.steps)):
        errors.append(q * errors[-1] + (step >= task.loss_from))
    terms, states = np.zeros_like(q), np.zeros_like(q)  # errors meet the state of the step before
    for error in reversed(errors[1:]):
        terms, states = terms + error * states, q * states + 1
    lag = np.arange(1, task.steps)
    whole = (task.pairs(lag) * lag**2 * q[:, None] ** (lag - 1)).sum(1)
    power = float((weight * terms).sum())
    return float((weight * whole).sum()) / power if power else 1.0


def mean_memory(q: float, steps: int) -> float:
    """Σ q^s over s < t, in the mean over the steps t of a sequence: how much larger than u the power of a state is."""
    return _memory(q, steps)[0]


def _memory(q: float, steps: int) -> tuple[float, float, float]:
    """The sums of q^s, (s + 1)² q^s and s² q^s over s < t, in the mean over the steps t of a sequence."""
    bins = Bins.up_to(steps)
    lag = bins.middle
    powers = bins.powers(np.array([q]))[0] * (1 - lag / steps)
    return float(powers.sum()), float(((lag + 1) ** 2 * powers).sum()), float((lag**2 * powers).sum())


def _growth(relative: float, mismatch: float, q: float, steps: int) -> float:
    """Relative power of errors' errors, in the mean over so many steps of the inverse: fresh ones add up and grow."""
    if steps < 1 or not (relative or mismatch):
        return 0.0
    if not q:
        return inf
    rate = -np.log(q) / 2
    time = np.arange(1, min(steps, 4096) + 1) * (steps / min(steps, 4096))
    with np.errstate(over="ignore"):
        grown = np.expm1(2 * rate * time) / (2 * rate) if rate else time
    frozen = (mismatch * time) ** 2
    mean = float(relative**2 * grown.mean() + frozen.mean())
    return mean if mean < inf else inf


def clipped(limit: float) -> tuple[float, float]:
    """The gain ⟨x, clip x⟩ / ⟨x, x⟩ of a normal x that saturates at so many standard deviations, and the mean square
    of clip x relative to that of x (Bussgang, "Crosscorrelation functions of amplitude-distorted Gaussian signals",
    MIT RLE report 216, 1952).
    """
    if limit > 8:
        return 1.0, 1.0
    inside = erf(limit / sqrt(2))
    density = exp(-(limit**2) / 2) / sqrt(2 * pi)
    return inside, inside - 2 * limit * density + limit**2 * (1 - inside)
