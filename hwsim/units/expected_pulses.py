"""How many pulses an estimate expects, where no value is known: from the mean size of what changes weights.

With a step ε, n pulses at most, and changes of a mean size m or a standard deviation σ, in units of ε:

- Random trains give m, at most n.
- Changes that are rounded to whole pulses, with sizes c that are taken to be exponentially distributed, P(c > x) = q^x
  with q = e^(-1/m): E = Σ_{k=1..n} P(c > k - 1/2) = √q (1 - q^n) / (1 - q), which is m for large m and n.
- Changes that are summed until they are a pulse, and are as often up as down: the sum is a random walk between ±1. It
  takes 1 / σ² of small changes to leave, and of a large change all but a fraction goes at once, √(2/π) σ. Between both,
  σ² / (1 + √(π/2) σ) is within 5 % of a walk of normal steps. Changes of one sign alone give more, up to their mean.

The mean size of products of an error and a signal, and the size of weights of fast arrays, are `Expectations`. The
product of two independent normal numbers has a standard deviation of π/2 times its mean size.
"""

from __future__ import annotations

from math import exp, expm1, pi, sqrt

from hwsim.machine.numerics import Pulses
from hwsim.machine.shapes import Expectations


def sent(mean: float, most: int) -> float:
    """Pulses of random trains, for changes of this mean size."""
    return min(mean, most)


def rounded(mean: float, most: int) -> float:
    """Pulses of changes of this mean size that are rounded to whole ones."""
    if not mean:
        return 0.0
    return exp(-0.5 / mean) * expm1(-most / mean) / expm1(-1 / mean)


def waiting(deviation: float, most: int) -> float:
    """Pulses of changes of this standard deviation that are summed until they are a pulse."""
    return min(deviation**2 / (1 + sqrt(pi / 2) * deviation), most)


def expected(of: Expectations, pulses: Pulses | None, factor: float, group: str, outer: bool, batch: int) -> float:
    """Pulses that an estimate expects a device to get.

    Args:
        of: what is expected of values.
        pulses: those of the matrix; graded ones are one for each device.
        factor: what unit changes weights by.
        group: of the matrix.
        outer: whether it is given an outer product rather than a number for each weight.
        batch: sequences whose changes are summed, at random signs; those of trains come one after another.
    """
    if pulses is None:
        return 1.0
    by_number = pulses.waits or not outer
    scale, most = abs(factor) * (pulses.scaled if by_number else 1.0) / pulses.step, pulses.most
    if pulses.of_fast:
        return waiting(scale * of.fast, most) if pulses.waits else sent(scale * of.fast * sqrt(2 / pi), most)
    mean = scale * (of.outer_readout if group == "readout" else of.outer)
    if pulses.waits:
        return waiting(mean * pi / 2 / sqrt(batch), most)
    if pulses.random:
        return batch * sent(mean, most)
    return rounded(mean * sqrt(batch), most)
