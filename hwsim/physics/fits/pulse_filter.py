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

from math import erf, exp, log, pi, sqrt
from typing import NamedTuple

import numpy as np

from hwsim.operations.kernels import compiled, inlined

LAWS = ("constant", "soft_bounds", "linear", "power", "exponential")
"""Laws, from simple to rich; their numbers in the kernels."""
NUMBERS = {"constant": 4, "soft_bounds": 4, "linear": 6, "power": 4, "exponential": 4}
"""Numbers of each device: ln of the pulses up and down, the two bounds, and the bends of `linear`."""
SHAPES = {"constant": 0, "soft_bounds": 0, "linear": 0, "power": 2, "exponential": 2}
"""Numbers that all devices share, but for σ_c and σ_r: ln of the exponents, or of the rates, up and down."""


class Series(NamedTuple):
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


@compiled
def _cut(y, variance, most):  # type: ignore[no-untyped-def]
    """Mean and variance of a normal number that is never above `most`."""
    s = sqrt(variance) + 1e-12
    a = (most - y) / s
    if a > 6:
        return y, variance
    if a < -6:
        return most, 0.0
    inside, density = (1 + erf(a / sqrt(2.0))) / 2, exp(-a * a / 2) / sqrt(2 * pi)
    first = a * (1 - inside) - density  # of min(ξ, a), with ξ standard normal
    second = inside - a * density + a * a * (1 - inside)
    return y + s * first, max(variance * (second - first * first), 0.0)


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
def path(law, own, shared, read, pulses, fresh, ends):  # type: ignore[no-untyped-def]
    """What each device reads without any errors, from its first read in each cycle on.

    Args:
        own, shared: as in `score`.
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
                if law == 0 or law == 2:
                    y = min(y, max(numbers[3] - x if upward else x - numbers[2], 0.0))
                x = x + y if upward else x - y
            out[k] = x
    return out


@compiled
def follow(law, own, shared, of_step, additive, read, pulses, fresh, used, e, v, m_out):  # type: ignore[no-untyped-def]
    """Filter the reads of one device.

    Args:
        law: its number in `LAWS`.
        own: numbers of the device.
        shared: ln σ_c, ln σ_r, and the shape.
        of_step, additive: whether noise of pulses goes with the step, and whether noise of reads has one size.
        read, pulses, fresh: as in `Series`.
        used: 1 for each read that counts; others are not looked at.
        e, v, m_out: to be filled with the errors of prediction, their variances, and the predictions, per read;
            v is 0 where nothing is predicted.
    """
    noise, reading = exp(shared[0]), exp(shared[1])
    shape, numbers = np.exp(shared[2:]), own.copy()
    numbers[:2] = np.exp(own[:2])
    m, p, known = 0.0, 0.0, False
    for k in range(read.size):
        e[k], v[k], m_out[k] = 0.0, 0.0, read[k]
        if not used[k]:
            known = False
            continue
        if fresh[k] or not known:
            m, known = read[k], True
            p = reading**2 * (1.0 if additive else m * m)
            continue
        n = pulses[k]
        upward = n > 0
        for _ in range(abs(n)):
            y, slope = _step(law, numbers, shape, m, upward)
            if of_step:
                typical, _none = _step(law, numbers, shape, (own[2] + own[3]) / 2, upward)
                fuzzy = noise**2 * typical * typical
            else:
                fuzzy = noise**2 * (y * y + slope * slope * p)
            if law == 0 or law == 2:
                y, fuzzy = _cut(y, fuzzy, max(own[3] - m if upward else m - own[2], 0.0))
            along = 1 + slope if upward else 1 - slope
            m = m + y if upward else m - y
            p = along * along * p + fuzzy
        r = reading**2 * (1.0 if additive else m * m + p)
        s = p + r + 1e-14
        e[k], v[k], m_out[k] = read[k] - m, s, m
        m += p * e[k] / s
        p *= r / s


@compiled
def score(law, own, shared, of_step, additive, read, pulses, fresh, ends, used, width):  # type: ignore[no-untyped-def]
    """Loss, its gradient and its information (Fisher's, expected) of each device.

    Errors and variances are differentiated by differences, and the information is made of these: never indefinite.

    Args:
        own: numbers of all devices, `(devices, p)`.
        shared: of all, `(q,)`.
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
        e, v, ignored = np.zeros(b - a), np.zeros(b - a), np.zeros(b - a)
        follow(law, own[d], shared, of_step, additive, r, c, f, u, e, v, ignored)
        errors, variances = np.zeros((n, b - a)), np.zeros((n, b - a))
        for i in range(n):
            one, other = own[d].copy(), shared.copy()
            if i < p:
                one[i] += width
            else:
                other[i - p] += width
            follow(law, one, other, of_step, additive, r, c, f, u, errors[i], variances[i], ignored)
            errors[i] = (errors[i] - e) / width
            variances[i] = (variances[i] - v) / width
        for k in range(b - a):
            s = v[k]
            if s <= 0:
                continue
            loss[d] += (log(s) + e[k] * e[k] / s) / 2
            for i in range(n):
                slope[d, i] += e[k] * errors[i, k] / s + (1 - e[k] * e[k] / s) * variances[i, k] / (2 * s)
                for j in range(i + 1):
                    information[d, i, j] += errors[i, k] * errors[j, k] / s + variances[i, k] * variances[j, k] / (
                        2 * s * s
                    )
        for i in range(n):
            for j in range(i):
                information[d, j, i] = information[d, i, j]
    return loss, slope, information
