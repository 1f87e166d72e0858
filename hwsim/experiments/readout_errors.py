"""What a chip makes of the gradient of a readout: means and variances of its signals, carried through its blocks.

A readout has no memory, so noise of its circuits neither adds up nor is forgotten, and no form in eigenvalues is
needed. Along real signals each value has a mean and a variance over draws of the noise, and each block carries both on.
Values of different wires count as independent, and as normal before they are rectified.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np
from scipy.special import ndtr

from hwsim.experiments.alignment import Sums
from hwsim.machine import Trainable
from hwsim.networks.readout import Block, Dense, Norm, Readout, Relu, Visible
from hwsim.operations import kernels


class Spread(NamedTuple):
    """Values `(steps, sequences, n)` over draws of the noise: their means and variances."""

    mean: np.ndarray
    variance: np.ndarray

    @classmethod
    def exact(cls, values: np.ndarray, variance: float = 0.0) -> Spread:
        return cls(values, np.full_like(values, variance))

    @property
    def square(self) -> np.ndarray:
        """The mean square."""
        square: np.ndarray = np.square(self.mean) + self.variance
        return square

    def times(self, factor: np.ndarray) -> Spread:
        """Wire by wire."""
        return Spread(factor * self.mean, np.square(factor) * self.variance)

    def through(self, matrix: np.ndarray) -> Spread:
        """Of `matrix` times each vector."""
        return Spread(self.mean @ matrix.T, self.variance @ np.square(matrix).T)


class Added(NamedTuple):
    """The variance of noise that is added to a signal: a number, and a share of the signal's mean square."""

    fixed: float = 0.0
    relative: float = 0.0

    def to(self, x: Spread) -> Spread:
        variance = self.fixed + self.relative * float(np.square(x.mean).mean())
        return Spread(x.mean, x.variance + variance)


class Circuits(NamedTuple):
    """The noise of what carries out a readout.

    Attributes:
        product: of W x + b.
        back: of Wᵀ e.
        compare: of a signal whose sign is asked for.
        summand, error_summand: of a signal, and of an error, that become numbers for a sum.
    """

    product: Added = Added()
    back: Added = Added()
    compare: Added = Added()
    summand: Added = Added()
    error_summand: Added = Added()


class Term(NamedTuple):
    """One step's part of the gradient of an array of parameters: an error and a factor; their outer product, if so."""

    error: Spread
    factor: Spread
    outer: bool = True


class Errors(NamedTuple):
    """What is expected of a readout.

    Attributes:
        sums: of the gradient of its parameters.
        shown: power of the errors of its output, relative to the output.
        sent: power of the errors of what it sends to the state, relative to the part of it that is right.
    """

    sums: Sums = Sums(1.0, 1.0, 1.0)
    shown: float = 0.0
    sent: float = 0.0


class Along:
    """A readout along signals of an exact machine.

    Args:
        readout: on that machine.
        state: `(steps, sequences, n)`, of all steps in which an error arrives.
        error: that arrives at the output.
    """

    def __init__(self, readout: Readout, state: np.ndarray, error: np.ndarray) -> None:
        self.readout, self.state, self.error = readout, state, error
        self._exact = self._pass(0.0, Circuits())
        self._known: dict[tuple[float, Circuits, bool], Errors] = {}

    def errors(self, variance: float, circuits: Circuits, hosted: bool) -> Errors:
        """What is expected of the readout.

        Args:
            variance: of the noise of each wire of the state.
            circuits: that carry out the readout.
            hosted: whether errors go back through an exact copy of it.
        """
        case = variance, circuits, hosted
        if case not in self._known:
            self._known[case] = self._errors(*case)
        return self._known[case]

    def _errors(self, variance: float, circuits: Circuits, hosted: bool) -> Errors:
        exact, on_chip = self._exact, self._pass(variance, circuits)
        noisy = self._pass(variance, Circuits()) if hosted else on_chip
        sums = sum((_sums(*each) for each in zip(noisy.terms, exact.terms, strict=True)), Sums())
        shown = np.square(on_chip.output.mean - exact.output.mean) + on_chip.output.variance
        right = _total(exact.sent.mean * noisy.sent.mean) ** 2
        sent = _total(np.square(exact.sent.mean)) * _total(noisy.sent.square) / right - 1 if right else 0.0
        return Errors(sums, _total(shown) / (_total(np.square(exact.output.mean)) or 1.0), sent)

    def _pass(self, variance: float, circuits: Circuits) -> _Pass:
        return _Pass(self.readout, Spread.exact(self.state, variance), Spread.exact(self.error), circuits)


def _total(values: np.ndarray) -> float:
    return float(values.sum())


class _Pass:
    """The way through a readout, and back.

    Attributes:
        output: of the readout.
        terms: of the gradient of all its parameters.
        sent: the error at the state, without the noise of the product that it comes from: that is noise of the state's
            error.
    """

    def __init__(self, readout: Readout, state: Spread, error: Spread, circuits: Circuits) -> None:
        seen, self.terms = list[Any](), list[Term]()
        self.output = state
        for block in readout.blocks:
            self.output, kept = forward(block, self.output, circuits)
            seen.append(kept)
        self.sent = error
        for block, kept in reversed(list(zip(readout.blocks, seen, strict=True))):
            self.sent, terms = back(block, kept, self.sent, circuits)
            self.terms += terms


@singledispatch
def forward(block: Block, x: Spread, circuits: Circuits) -> tuple[Spread, Any]:
    """The output of a block, and what `back` needs."""
    raise TypeError(f"means and variances are not known of {type(block).__name__}")


@singledispatch
def back(block: Block, seen: Any, error: Spread, circuits: Circuits) -> tuple[Spread, list[Term]]:
    """The error at the input of a block, and the terms of its gradient."""
    raise TypeError(f"means and variances are not known of {type(block).__name__}")


@forward.register
def _(block: Dense, x: Spread, circuits: Circuits) -> tuple[Spread, Spread]:
    out = x.through(_values(block.W.trainable))
    out = Spread(out.mean + _values(block.b.trainable), out.variance)
    return circuits.product.to(out), x


@back.register
def _(block: Dense, x: Spread, error: Spread, circuits: Circuits) -> tuple[Spread, list[Term]]:
    number = circuits.error_summand.to(error)
    terms = [Term(number, circuits.summand.to(x)), Term(number, _one(error))]
    return error.through(_values(block.W.trainable).T), terms


@forward.register
def _(block: Relu, x: Spread, circuits: Circuits) -> tuple[Spread, np.ndarray]:
    """Of a normal x with variance σ²: E max(x, 0) = μ Φ + σ φ, and E max(x, 0)² = (μ² + σ²) Φ + μ σ φ, at μ / σ."""
    seen = circuits.compare.to(x)
    spread, positive = np.sqrt(seen.variance), _positive(seen)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(spread > 0, np.exp(-np.square(seen.mean / spread) / 2) / np.sqrt(2 * np.pi), 0.0)
    mean = seen.mean * positive + spread * density
    square = seen.square * positive + seen.mean * spread * density
    return Spread(mean, np.maximum(square - np.square(mean), 0.0)), positive


@back.register
def _(block: Relu, positive: np.ndarray, error: Spread, circuits: Circuits) -> tuple[Spread, list[Term]]:
    error = circuits.back.to(error)
    mean = error.mean * positive
    return Spread(mean, error.square * positive - np.square(mean)), []


def _positive(x: Spread) -> np.ndarray:
    """The probability that a normal x is positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = ndtr(x.mean / np.sqrt(x.variance))
    return np.where(x.variance > 0, found, x.mean > 0)


@forward.register
def _(block: Norm, x: Spread, circuits: Circuits) -> tuple[Spread, tuple[Spread, np.ndarray]]:
    mean, scale = kernels.standardise(x.mean, block.epsilon)
    standard = Spread(mean, _standardised(x.variance, mean, scale))
    out = standard.times(_values(block.g.trainable))
    return Spread(out.mean + _values(block.b.trainable), out.variance), (standard, scale)


@back.register
def _(block: Norm, seen: tuple[Spread, np.ndarray], error: Spread, circuits: Circuits) -> tuple[Spread, list[Term]]:
    standard, scale = seen
    error = circuits.back.to(error)
    terms = [Term(error, standard, outer=False), Term(error, _one(error))]
    scaled = error.times(_values(block.g.trainable))
    passed = kernels.standardise_error(scaled.mean, standard.mean, scale)
    return Spread(passed, _standardised(scaled.variance, standard.mean, scale)), terms


def _standardised(variance: np.ndarray, y: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """What the Jacobian s (1 - 1 1ᵀ / n - y yᵀ / n) of y leaves of a variance that is about the same on all n wires."""
    n = y.shape[-1]
    kept = 1 - 1 / n - np.square(y) * (2 - np.square(y).mean(-1, keepdims=True)) / n
    return np.square(scale) * variance * kept


@forward.register
def _(block: Visible, x: Spread, circuits: Circuits) -> tuple[Spread, int]:
    seen = slice(0, block.visible)
    return Spread(x.mean[..., seen], x.variance[..., seen]), x.mean.shape[-1] - block.visible


@back.register
def _(block: Visible, hidden: int, error: Spread, circuits: Circuits) -> tuple[Spread, list[Term]]:
    return Spread(*(np.pad(each, ((0, 0), (0, 0), (0, hidden))) for each in error)), []


def _values(trainable: Trainable) -> np.ndarray:
    return trainable.master.value[0].reshape(trainable.shape).astype(float)  # of the one chip


def _one(like: Spread) -> Spread:
    return Spread.exact(np.ones_like(like.mean[..., :1]))


def _sums(noisy: Term, exact: Term) -> Sums:
    """Of one array of parameters.

    Noise is fresh, so that the power of a sum over steps is that of the means' sum, and all variances of the terms.
    """
    mine, whole = _gradient(noisy), _gradient(exact)
    powers = [(each.square, np.square(each.mean)) for each in noisy[:2]]
    both, of_means = (_products(error, factor, noisy.outer) for error, factor in zip(*powers, strict=True))
    return Sums(_total(mine * whole), _total(np.square(mine)) + both - of_means, _total(np.square(whole)))


def _gradient(term: Term) -> np.ndarray:
    """Of all steps and sequences, from means."""
    error, factor = term.error.mean, term.factor.mean
    if term.outer:
        return np.tensordot(error, factor, axes=([0, 1], [0, 1]))
    gradient: np.ndarray = (error * factor).sum((0, 1))
    return gradient


def _products(error: np.ndarray, factor: np.ndarray, outer: bool) -> float:
    """The sum of all products of powers of an error and a factor."""
    return _total(error.sum(-1) * factor.sum(-1)) if outer else _total(error * factor)
