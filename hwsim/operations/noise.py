"""Fresh noise: normal numbers from a counter-based generator, applied where values leave an analog unit.

Philox4x32-7 turns a counter and a key into four random words without any state (Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC 2011; seven rounds are the fewest that pass BigCrush). The key names
the chip and the unit, the counter the batch, the sweep, the step, and which use of the unit in the step it is; so a
draw depends on nothing else, and a run can go on from any step. Box and Muller's transform makes normal numbers of the
words, with polynomials that compile to vector instructions; both loops are split so that each fits the registers.

Sweeps and uses share one word of the counter, 16 bits each. What does not fit goes into the key, by exclusive or: if it
were added, a multiple of a round constant would make the words of one key those of another, a round later.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from math import pi

import numpy as np
from numpy import float32, int32, uint32, uint64

from hwsim import streams
from hwsim.operations.kernels import compiled, inlined

Moment = tuple[int, int, int]
"""A point in a stream: three words of a counter. The second has up to 63 bits; those above 32 go into the key."""

NO_GAIN = np.empty((0, 0), np.float32)
"""For values whose gain is one."""
NONE = np.zeros(1, np.float32)
"""No noise of one kind, on any chip."""

_BLOCK = 1024
_TURN = np.float32(2 * pi / 2**32)


@inlined
def philox(c0, c1, c2, c3, k0, k1):  # type: ignore[no-untyped-def]
    """Seven rounds of Philox4x32."""
    for _ in range(7):
        p, q = uint64(c0) * uint64(0xD2511F53), uint64(c2) * uint64(0xCD9E8D57)
        c0, c1 = uint32(uint32(q >> uint64(32)) ^ c1 ^ k0), uint32(q)
        c2, c3 = uint32(uint32(p >> uint64(32)) ^ c3 ^ k1), uint32(p)
        k0, k1 = uint32(k0 + uint32(0x9E3779B9)), uint32(k1 + uint32(0xBB67AE85))
    return c0, c1, c2, c3


@inlined
def _radius(word):  # type: ignore[no-untyped-def]
    """√(-2 ln u) for u = (word + ½) / 2³²; the logarithm by Cephes's polynomial for logf."""
    bits = np.float32((float32(word) + float32(0.5)) * float32(2.0**-32)).view(np.int32)
    exponent = int32(int32(bits >> int32(23)) - int32(126))
    m = np.int32(int32(bits & int32(0x007FFFFF)) | int32(0x3F000000)).view(np.float32)
    small = m < float32(0.70710678)
    exponent = int32(exponent - int32(small))
    m = m + (m if small else float32(0)) - float32(1)
    z = m * m
    p = float32(7.0376836292e-2)
    p = p * m + float32(-1.1514610310e-1)
    p = p * m + float32(1.1676998740e-1)
    p = p * m + float32(-1.2420140846e-1)
    p = p * m + float32(1.4249322787e-1)
    p = p * m + float32(-1.6668057665e-1)
    p = p * m + float32(2.0000714765e-1)
    p = p * m + float32(-2.4999993993e-1)
    p = p * m + float32(3.3333331174e-1)
    e = float32(exponent)
    y = p * m * z + e * float32(-2.12194440e-4) - float32(0.5) * z
    return np.sqrt(float32(-2) * (m + y + e * float32(0.693359375)))


@inlined
def _circle(word):  # type: ignore[no-untyped-def]
    """Cosine and sine of 2π word / 2³², by Cephes's polynomials for sinf and cosf on an eighth of the circle."""
    quadrant = uint32(uint32(word + uint32(0x20000000)) >> uint32(30))
    f = float32(int32(uint32(word - uint32(quadrant << uint32(30))))) * _TURN
    z = f * f
    s = ((float32(-1.9515295891e-4) * z + float32(8.3321608736e-3)) * z + float32(-1.6666654611e-1)) * z * f + f
    c = (
        ((float32(2.443315711809948e-5) * z + float32(-1.388731625493765e-3)) * z + float32(4.166664568298827e-2))
        * z
        * z
    )
    c = c - float32(0.5) * z + float32(1)
    swap = (quadrant & uint32(1)) != 0
    x, y = s if swap else c, c if swap else s
    x = -x if quadrant == uint32(1) or quadrant == uint32(2) else x
    return x, -y if quadrant >= uint32(2) else y


@compiled
def _words(w0, w1, w2, w3, first, key, moment):  # type: ignore[no-untyped-def]
    k0, k1 = uint32(key[0] ^ uint32(moment[1] >> 32)), key[1]
    c1, c2, c3 = uint32(moment[0]), uint32(moment[1]), uint32(moment[2])
    for i in range(w0.size):
        a, b, c, d = philox(uint32(first + i), c1, c2, c3, k0, k1)
        w0[i], w1[i], w2[i], w3[i] = a, b, c, d


@compiled
def _box_muller(radii, turns, x, y):  # type: ignore[no-untyped-def]
    for i in range(radii.size):
        r = _radius(radii[i])
        c, s = _circle(turns[i])
        x[i], y[i] = r * c, r * s


@compiled
def _block(n, first, count, key, moment):  # type: ignore[no-untyped-def]
    """At least `count` normal numbers from the counter `first` on, in the scratch `n`; returns the next counter."""
    m = (count + 3) // 4
    w = np.empty((4, m), np.uint32)
    _words(w[0], w[1], w[2], w[3], first, key, moment)
    _box_muller(w[0], w[1], n[:m], n[m : 2 * m])
    _box_muller(w[2], w[3], n[2 * m : 3 * m], n[3 * m : 4 * m])
    return first + m


@compiled
def normals(out, key, moment):  # type: ignore[no-untyped-def]
    """Fill a vector with standard normal numbers of the stream `key` at `moment`.

    Args:
        out: float32.
        key: two uint32 that name the stream.
        moment: the point in it.
    """
    n, first = np.empty(_BLOCK, np.float32), 0
    for start in range(0, out.size, _BLOCK):
        count = min(_BLOCK, out.size - start)
        first = _block(n, first, count, key, moment)
        out[start : start + count] = n[:count]


@compiled
def _in_place(values):  # type: ignore[no-untyped-def]
    """Refuse an array that `ravel` would copy: noise added to the copy would be lost."""
    if not values.flags.c_contiguous:
        raise ValueError("values are changed in place, so they must be contiguous")


@compiled
def _clip(values, limit):  # type: ignore[no-untyped-def]
    """Clip a vector at ±limit, in place; returns how many of its values that changed."""
    beyond = 0
    for i in range(values.size):
        beyond += (values[i] > limit) | (values[i] < -limit)
        values[i] = min(max(values[i], -limit), limit)
    return beyond


PerChip = float | np.ndarray
"""One number for all chips, or one for each."""


def of_chips(number: PerChip, kind: type = np.float32) -> np.ndarray:
    """The number of each chip, or one for all of them, as a vector that nobody changes."""
    if number.__class__ is float:
        return _of_all(number, kind)
    each = np.asarray(number, kind)
    return each if each.ndim == 1 else each.reshape(-1)


@lru_cache(512)
def _of_all(number: float, kind: type) -> np.ndarray:
    """One for all; standard deviations and full scales are the same in step after step."""
    return np.array([number], kind)


def perturb(
    values: np.ndarray,
    gain: np.ndarray,
    additive: PerChip,
    multiplicative: PerChip,
    reach: PerChip,
    full_scale: PerChip,
    keys: np.ndarray,
    moment: Moment,
) -> int:
    """In place: times a frozen gain, plus noise of √((additive X)² + (multiplicative value)²), clipped at ±reach X.

    Returns how many values were clipped.

    Args:
        values: `(chips, vectors, n)`, float32.
        gain: `(chips, n)`, or empty for one.
        additive, multiplicative: standard deviations; nothing is drawn if both are zero.
        reach: largest absolute value, in multiples of full scale.
        full_scale: X.
        keys: of the streams, `(streams, 2)`, uint32; chips take them in turn, so that some have the same draws where
            there are fewer streams than chips.
        moment: the point in these streams.
    """
    noise = of_chips(additive, float), of_chips(multiplicative)
    beyond: int = _perturb(values, gain, *noise, of_chips(reach, float), of_chips(full_scale, float), keys, moment)
    return beyond


def perturb_each(
    values: np.ndarray, variances: np.ndarray, additive: PerChip, limit: PerChip, keys: np.ndarray, moment: Moment
) -> int:
    """In place: plus fresh noise of √(additive² + variance) with a variance for each value, clipped at ±limit.

    Returns how many values were clipped.
    """
    beyond: int = add_each(values, variances, of_chips(additive), of_chips(limit), keys, moment)
    return beyond


@compiled
def add_scaled(values, gain, additive, multiplicative, limit, keys, moment):  # type: ignore[no-untyped-def]
    _in_place(values)
    chips, vectors, width = values.shape
    n, beyond, draws = np.empty(_BLOCK, np.float32), 0, keys.shape[0]
    if gain.size:
        for c in range(chips):
            for v in range(vectors):
                for i in range(width):
                    values[c, v, i] *= gain[c, i]
    for k in range(draws):
        noisy = False
        for c in range(k, chips, draws):
            noisy |= additive[c % additive.size] > 0 or multiplicative[c % multiplicative.size] > 0
        first, size = 0, vectors * width if noisy else 0
        for start in range(0, size, _BLOCK):
            count = min(_BLOCK, size - start)
            first = _block(n, first, count, keys[k], moment)
            for c in range(k, chips, draws):
                alone, relative = additive[c % additive.size], multiplicative[c % multiplicative.size]
                part = values[c].ravel()[start : start + count]
                if relative > 0:
                    for i in range(count):
                        scaled = relative * part[i]
                        part[i] += np.sqrt(alone * alone + scaled * scaled) * n[i]
                elif alone > 0:
                    for i in range(count):
                        part[i] += alone * n[i]
    for c in range(chips):
        beyond += _clip(values[c].ravel(), limit[c % limit.size])
    return beyond


@compiled
def _perturb(values, gain, additive, multiplicative, reach, full_scale, keys, moment):  # type: ignore[no-untyped-def]
    """`add_scaled` with shares of full scale, which NumPy would take about as long to scale as this does in all."""
    deviations, limits = _scaled(additive, full_scale), _scaled(reach, full_scale)
    return add_scaled(values, gain, deviations, multiplicative, limits, keys, moment)


@compiled
def _scaled(shares, full_scale):  # type: ignore[no-untyped-def]
    out = np.empty(max(shares.size, full_scale.size), np.float32)
    for c in range(out.size):
        out[c] = shares[c % shares.size] * full_scale[c % full_scale.size]
    return out


@compiled
def add_each(values, variances, additive, limit, keys, moment):  # type: ignore[no-untyped-def]
    _in_place(values)
    chips, vectors, width = values.shape
    n, beyond, draws, size = np.empty(_BLOCK, np.float32), 0, keys.shape[0], vectors * width
    for k in range(draws):
        first = 0
        for start in range(0, size, _BLOCK):
            count = min(_BLOCK, size - start)
            first = _block(n, first, count, keys[k], moment)
            for c in range(k, chips, draws):
                alone = additive[c % additive.size]
                part = values[c].ravel()[start : start + count]
                each = variances[c].ravel()[start : start + count]
                for i in range(count):
                    part[i] += np.sqrt(alone * alone + each[i]) * n[i]
    for c in range(chips):
        beyond += _clip(values[c].ravel(), limit[c % limit.size])
    return beyond


class Source:
    """The streams of one unit, one for each chip.

    Chips whose numbers are the same have the same stream; all numbers then come in turn, as in 0, 1, 2, 0, 1, 2.

    >>> source = Source(seed=1, name="layer 1 tanh", chips=2)
    >>> source.draw(3, (0, 0, 0)).shape
    (2, 3)
    """

    def __init__(self, seed: int, name: str, chips: int | Sequence[int]) -> None:
        self._seed, self._name, self._numbers = seed, name, streams.numbered(chips)
        self._clock, self._use = -1, 0

    @cached_property
    def keys(self) -> np.ndarray:
        """Of the streams, `(numbers, 2)`, worked out when something is first drawn."""
        numbers = self._numbers[: len(set(self._numbers))]
        keys = [streams.key(self._seed, f"chip {number}", self._name, "fresh") for number in numbers]
        return np.array([[key & 0xFFFFFFFF, key >> 32] for key in keys], np.uint32)

    def moment(self, clock: int, batch: int, sweep: int, step: int) -> Moment:
        """The counter of this use: the batch, the sweep and the step that it is in, and which use in the step it is.

        No two uses share one. Of the use and of the sweep 16 bits each are in the lower half of the second word.

        Args:
            clock: a number that changes from step to step.
            batch, sweep, step: below 2³²; uses within one step are below 2³¹.
        """
        use = self._use = self._use + 1 if clock == self._clock else 0
        self._clock = clock
        place = sweep << 16 | use if use < 1 << 16 else (use >> 16) << 48 | sweep << 16 | use & 0xFFFF
        return step, place, batch

    def draw(self, count: int, moment: Moment) -> np.ndarray:
        """Standard normal numbers of every chip, `(chips, count)`."""
        out = np.empty((len(self._numbers), count), np.float32)
        for place in range(len(out)):
            normals(out[place], self.keys[place % len(self.keys)], moment)
        return out
