"""The likelihood of a pulse response: a Kalman filter of each device, from read to read.

A device has a conductance x that no read shows exactly. A pulse moves it by f±(x), as a law says, with an error of its
own that stays; a read adds an error that does not. Differences of two reads in a row share a read, so that both errors
can be told apart: the filter carries the mean m and the variance P of x given all reads so far,

    a pulse:  m ← m ± f(m),  P ← (1 ± f′)² P + σ_c² (f² + f′² P), or with σ_c² s² last, for noise in steps;
    a read:   e = read − m,  S = P + R,  m ← m + P e / S,  P ← P R / S,  with R = σ_r² (m² + P), or R = σ_r²;

and minus the logarithm of the likelihood is Σ (ln S + e² / S) / 2. The moments are exact for soft bounds, whose f is
linear in x. What is nonlinear is taken by its tangent, as in an extended filter; where pulses of `constant` or
`linear` meet a bound, theirs are the moments of a normal number that is cut off there. (R. E. Kalman, "A new approach
to linear filtering and prediction problems", J. Basic Eng. 82:35, 1960.)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import erf, exp, log, pi, sqrt

import numpy as np

from hwsim.operations.kernels import compiled, inlined

LAWS = ("constant", "soft_bounds", "linear", "power", "exponential")
"""Laws, from simple to rich; their numbers in the kernels."""
NUMBERS = {"constant": 4, "soft_bounds": 4, "linear": 6, "power": 4, "exponential": 4}
"""Numbers of each device: ln of the pulses up and down, the two bounds, and the bends of `linear`."""
SHAPES = {"constant": 0, "soft_bounds": 0, "linear": 0, "power": 2, "exponential": 2}
"""Numbers that all devices share, but for σ_c and σ_r: ln of the exponents, or of the rates, up and down."""


_NONE, _SURE = 1e-12, 6.0
"""A chance that is none, and the standard deviations within which there is none to meet a bound."""


@dataclass(frozen=True)
class Series:
    """Reads of all devices, one device after another; conductances in a unit of the file.

    Attributes:
        read: of the conductance.
        pulses: that came since the read before, negative where they went down.
        fresh: 1 where what came before is not known, as in a new cycle.
        ends: where the reads of each device begin, and where the last ones end, `(devices + 1,)`.
        cycle: number of the cycle.
    """

    read: np.ndarray
    pulses: np.ndarray
    fresh: np.ndarray
    ends: np.ndarray
    cycle: np.ndarray

    @property
    def parts(self) -> list[slice]:
        """The reads of each device."""
        return [slice(a, b) for a, b in pairwise(self.ends.tolist())]

    @cached_property
    def span(self) -> tuple[np.ndarray, np.ndarray]:
        """How low and how high each device reads, but for its furthest 2 %."""
        low, high = np.array([np.percentile(self.read[part], (2, 98)) for part in self.parts]).T
        return low, high

    @cached_property
    def shares(self) -> np.ndarray:
        """One over the number of pulses that most of the way takes, up and down, `(devices, 2)`."""
        return np.array(
            [[_share(self.read[part], self.pulses[part], up) for up in (True, False)] for part in self.parts]
        )


def _share(read: np.ndarray, pulses: np.ndarray, up: bool) -> float:
    """One over the number of pulses that most of the way of a run takes, the median over runs."""
    here = (pulses > 0) == up
    edges = np.flatnonzero(np.diff(np.concatenate([[0], here.astype(int), [0]])))
    found = []
    for a, b in edges.reshape(-1, 2):
        before = read[max(a - 1, 0)]
        last = np.median(read[max(b - 5, a) : b])
        way = (read[a:b] - before) / (last - before + 1e-30)
        count = np.cumsum(np.abs(pulses[a:b]))
        if np.abs(last - before) > 0.05:
            found.append(count[np.argmax(way >= 0.63)])
    return float(np.clip(1 / max(np.median(found), 1) if found else 0.05, 1e-3, 0.9))


@inlined
def _step(law, own, shape, x, upward):  # type: ignore[no-untyped-def]
    """How far one pulse moves x without its error, and how that changes with x; numbers are no logarithms here."""
    s, low, high = own[0] if upward else own[1], own[2], own[3]
    if law == 0:
        y, slope = s, 0.0
    elif law == 1:
        y, slope = (s * (high - x), -s) if upward else (s * (x - low), s)
    elif law == 2:
        bend = own[4] if upward else own[5]
        y, slope = s * (1 - bend * (x - (low + high) / 2)), -s * bend
        if y < 0:
            y, slope = 0.0, 0.0
    else:
        width = max(high - low, 1e-3)
        left = (high - x) / width if upward else (x - low) / width
        along = -1.0 if upward else 1.0
        bend = shape[0] if upward else shape[1]
        if law == 3:
            near = max(abs(left), 1e-3) ** (bend - 1)  # beyond a bound as before it, so that soft bounds are among them
            y, slope = s * left * near, along * s * bend * near / width
        else:
            whole = 1 - exp(-bend)
            left = max(left, -1.0)
            y = s * (1 - exp(-bend * left)) / whole
            slope = along * s * bend * exp(-bend * left) / whole / width
    return y, slope


@inlined
def _within(m, p, bound, upward):  # type: ignore[no-untyped-def]
    """Of a normal number: the share that is within a bound, and mean and variance of what is."""
    s = sqrt(p) + 1e-12
    a = (bound - m) / s if upward else (m - bound) / s
    if a > _SURE:
        share, mean, variance = 1.0, m, p
    elif a < -_SURE:
        share, mean, variance = 0.0, bound, 0.0
    else:
        share = (1 + erf(a / sqrt(2.0))) / 2
        ratio = exp(-a * a / 2) / sqrt(2 * pi) / share
        mean = m - s * ratio if upward else m + s * ratio
        variance = max(s * s * (1 - a * ratio - ratio * ratio), 0.0)
    return share, mean, variance


@compiled
def _moves(law, own, shape, x, upward):  # type: ignore[no-untyped-def]
    out = np.empty_like(x)
    for i in range(x.size):
        out[i], _slope = _step(law, own, shape, x[i], upward)
    return out


def moves(law: str, own: np.ndarray, shared: np.ndarray, x: np.ndarray, upward: bool) -> np.ndarray:
    """How far one pulse moves a device from each x, without its error.

    Args:
        own, shared: as in `follow`.
    """
    numbers = np.concatenate([np.exp(own[:2]), own[2:]])
    return np.asarray(_moves(LAWS.index(law), numbers, np.exp(shared[2:]), np.asarray(x, float), upward))


@compiled
def path(law, own, shared, bounds, read, pulses, fresh, ends):  # type: ignore[no-untyped-def]
    """What each device reads without any errors, from its first read in each cycle on.

    Args:
        own, shared, bounds: as in `score`.
    """
    out = read.copy()
    shape = np.exp(shared[2:])
    for d in range(own.shape[0]):
        numbers = own[d].copy()
        numbers[:2] = np.exp(own[d, :2])
        for k in range(ends[d], ends[d + 1]):
            if fresh[k]:
                continue
            x, upward = out[k - 1], pulses[k] > 0
            for _ in range(abs(pulses[k])):
                y, _slope = _step(law, numbers, shape, x, upward)
                if (law == 0 or law == 2) and bounds[d, 1 if upward else 0] != 0:
                    y = min(y, max(numbers[3] - x if upward else x - numbers[2], 0.0))
                x = x + y if upward else x - y
            out[k] = x
    return out


@inlined
def _pulse(law, numbers, shape, noise, of_step, x, p, upward):  # type: ignore[no-untyped-def]
    """Mean and variance of a normal state after a pulse that meets no bound, and how far it moves."""
    y, slope = _step(law, numbers, shape, x, upward)
    if of_step:
        typical, _none = _step(law, numbers, shape, (numbers[2] + numbers[3]) / 2, upward)
        fuzzy = noise**2 * typical * typical
    else:
        fuzzy = noise**2 * (y * y + slope * slope * p)
    along = 1 + slope if upward else 1 - slope
    return x + y if upward else x - y, along * along * p + fuzzy, y


@compiled
def follow(law, own, shared, of_step, additive, bounds, read, pulses, fresh, used, e, v, m_out, loss):  # type: ignore[no-untyped-def]
    """Filter the reads of one device.

    Args:
        law: its number in `LAWS`.
        own: numbers of the device.
        shared: ln σ_c, ln σ_r, and the shape.
        of_step, additive: whether noise of pulses goes with the step, and whether noise of reads has one size.
        bounds: whether pulses of `constant` and `linear` stop at the lower bound, and at the upper one, `(2,)`.
        read, pulses, fresh: as in `Series`.
        used: 1 for each read that counts; others are not looked at.
        e, v, m_out, loss: to be filled with the errors of prediction, their variances, the predictions, and minus the
            logarithms of the likelihood, per read; v is 0 where nothing is predicted.
    """
    noise, reading = exp(shared[0]), exp(shared[1])
    shape, numbers = np.exp(shared[2:]), own.copy()
    numbers[:2] = np.exp(own[:2])
    bounded = law == 0 or law == 2
    known = False
    x, p, w = np.zeros(3), np.zeros(3), np.zeros(3)  # at the lower bound, between, and at the upper one
    x[0], x[2] = own[2], own[3]
    density, around = np.zeros(3), np.zeros(3)
    for k in range(read.size):
        e[k], v[k], m_out[k], loss[k] = 0.0, 0.0, read[k], 0.0
        if not used[k]:
            known = False
            continue
        if fresh[k] or not known:
            x[1], known = read[k], True
            p[1] = reading**2 * (1.0 if additive else read[k] * read[k])
            w[:] = 0.0
            w[1] = 1.0
            continue
        n = pulses[k]
        upward = n > 0
        stops, bound = bounded and bounds[1 if upward else 0] != 0, own[3] if upward else own[2]
        for _ in range(abs(n)):
            if w[0] == 0 and w[2] == 0:
                m, q, y = _pulse(law, numbers, shape, noise, of_step, x[1], p[1], upward)
                if not stops or (bound - m if upward else m - bound) > _SURE * sqrt(q):
                    x[1], p[1] = m, q
                    continue
            stays, beyond, inside, first, second = 0.0, 0.0, 0.0, 0.0, 0.0
            for i in range(3):
                if w[i] < _NONE:
                    continue
                m, q, y = _pulse(law, numbers, shape, noise, of_step, x[i], p[i], upward)
                if y <= 0 and i != 1:
                    if (i == 2) == upward:
                        beyond += w[i]
                    else:
                        stays = w[i]
                    continue
                share, mean, variance = _within(m, q, bound, upward) if stops else (1.0, m, q)
                beyond += w[i] * (1 - share)
                inside += w[i] * share
                first += w[i] * share * mean
                second += w[i] * share * (variance + mean * mean)
            w[0], w[1], w[2] = (stays, inside, beyond) if upward else (beyond, inside, stays)
            x[1], p[1] = bound, 0.0
            if inside >= _NONE:
                x[1] = first / inside
                p[1] = max(second / inside - x[1] * x[1], 0.0)
        if w[0] == 0 and w[2] == 0:
            around[1] = p[1] + reading**2 * (1.0 if additive else x[1] * x[1] + p[1]) + 1e-14
            off = read[k] - x[1]
            e[k], v[k], m_out[k], loss[k] = off, around[1], x[1], (log(around[1]) + off * off / around[1]) / 2
            x[1] += p[1] / around[1] * off
            p[1] *= 1 - p[1] / around[1]
            continue
        m, s = 0.0, 0.0
        for i in range(3):
            m += w[i] * x[i]
        most = 0.0
        for i in range(3):
            around[i] = p[i] + reading**2 * (1.0 if additive else x[i] * x[i] + p[i]) + 1e-14
            s += w[i] * (around[i] + (x[i] - m) ** 2)
            off = read[k] - x[i]
            density[i] = log(max(w[i], 1e-300)) - (log(around[i]) + off * off / around[i]) / 2
            most = density[i] if i == 0 else max(most, density[i])
        total = 0.0
        for i in range(3):
            density[i] = exp(density[i] - most)
            total += density[i]
        e[k], v[k], m_out[k], loss[k] = read[k] - m, s, m, -most - log(total)
        for i in range(3):
            w[i] = density[i] / total
        gain = p[1] / around[1]
        x[1] += gain * (read[k] - x[1])
        p[1] *= 1 - gain


@compiled
def score(law, own, shared, of_step, additive, bounds, read, pulses, fresh, ends, used, width):  # type: ignore[no-untyped-def]
    """Loss, its gradient and its information (Fisher's, expected) of each device.

    Errors and variances are differentiated by differences, and the information is made of these: never indefinite.

    Args:
        own: numbers of all devices, `(devices, p)`.
        shared: of all, `(q,)`.
        bounds: as in `follow`, of all devices, `(devices, 2)`.
        width: of a difference.

    Returns:
        `(devices,)`, `(devices, p + q)`, `(devices, p + q, p + q)`.
    """
    devices, p = own.shape
    n = p + shared.size
    loss, slope, information = np.zeros(devices), np.zeros((devices, n)), np.zeros((devices, n, n))
    for d in range(devices):
        a, b = ends[d], ends[d + 1]
        r, c, f, u = read[a:b], pulses[a:b], fresh[a:b], used[a:b]
        e, v, ignored, lost = np.zeros(b - a), np.zeros(b - a), np.zeros(b - a), np.zeros(b - a)
        follow(law, own[d], shared, of_step, additive, bounds[d], r, c, f, u, e, v, ignored, lost)
        errors, variances, more = np.zeros((n, b - a)), np.zeros((n, b - a)), np.zeros(b - a)
        for i in range(n):
            one, other = own[d].copy(), shared.copy()
            if i < p:
                one[i] += width
            else:
                other[i - p] += width
            follow(law, one, other, of_step, additive, bounds[d], r, c, f, u, errors[i], variances[i], ignored, more)
            slope[d, i] = (more.sum() - lost.sum()) / width
            errors[i] = (errors[i] - e) / width
            variances[i] = (variances[i] - v) / width
        for k in range(b - a):
            s = v[k]
            if s <= 0:
                continue
            loss[d] += lost[k]
            for i in range(n):
                for j in range(i + 1):
                    information[d, i, j] += errors[i, k] * errors[j, k] / s + variances[i, k] * variances[j, k] / (
                        2 * s * s
                    )
        for i in range(n):
            for j in range(i):
                information[d, j, i] = information[d, i, j]
    return loss, slope, information
