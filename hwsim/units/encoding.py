"""How inputs reach the lines of a tile: as amplitudes, as widths of pulses, or bit by bit, in one or more phases.

A read of coded inputs is a sum of K parts, y = Σ_k p_k y_k: one for each phase and bit. Each part is a read of the tile
with inputs of its own, with fresh noise, saturation and conversion of its own. The sum is one of numbers.

With x the inputs, X their full scale, b their bits, M = 2^(b-1) - 1 and x = X m / M, parts are:

- one phase: x itself, p = 1. Bit by bit: the digits of m in two's complement times X; p_k = 2^k / M, but for the sign,
  whose is -2^(b-1) / M (A. Shafiee et al., ISAAC, ISCA 2016, section V).
- two phases: max(x, 0) and max(-x, 0), p = ±1. Bit by bit: the b - 1 digits of their magnitudes, p_k = ±2^k / M.
- four phases: both of these on devices of positive weights, then on those of negative ones, whose p has the other sign
  (M. Le Gallo et al., Nat. Electron. 6:680, 2023).

Where noise of the outputs of one read has a deviation σ, that of the sum has σ √Σ p_k². In one phase, bit by bit, this
is σ √((4^b - 1) / 3) / M, which is near 2σ/√3; in P phases of amplitudes it is σ √P.

An amplitude x sees white noise of devices for the whole read, so its variance goes with x². A pulse of full amplitude
and of the width |x| / X of the read sees it for a part of the read, so the variance of what it adds up to goes with
X |x|, and so does the energy. (The integral of white noise over a time has a variance in proportion to that time.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Shown, blank, marked
from hwsim.machine.signal import Signal
from hwsim.operations import moves
from hwsim.operations.noise import NO_GAIN, Moment, PerChip, Source, perturb, perturb_each
from hwsim.units.devices import CUT, BlankDevices, Cut, Devices
from hwsim.units.expected_inputs import ones, size, square
from hwsim.units.mapping import Mapping
from hwsim.units.unit import AnalogStage

Coding = Literal["parallel", "bit_serial", "pulse_width"]


class Encoding(NamedTuple):
    """How inputs are coded.

    Attributes:
        coding: as amplitudes, side by side; bit by bit; or as widths of pulses.
        phases: 1, 2 or 4.
        bits: of an input, with its sign.
    """

    coding: Coding
    phases: int
    bits: int

    @property
    def serial(self) -> bool:
        """Whether there is more than one bit, and each is applied alone."""
        return self.coding == "bit_serial" and self.bits > 1

    @property
    def most(self) -> int:
        """The number of the last level of an input."""
        return int(max(1, 2 ** (self.bits - 1) - 1))

    @property
    def places(self) -> np.ndarray:
        """What each part counts in the sum, p_k; those of devices of negative weights come last."""
        powers = 2.0 ** np.arange(self.bits - 1) / self.most if self.serial else np.ones(1)
        if self.phases == 1:
            return np.append(powers, -(2.0 ** (self.bits - 1)) / self.most) if self.serial else powers
        signed = np.concatenate([powers, -powers])
        return signed if self.phases == 2 else np.concatenate([signed, -signed])

    @property
    def reads(self) -> int:
        """How often a tile is read to read it once."""
        return len(self.places)

    @property
    def inputs(self) -> int:
        """How many different inputs these reads have."""
        return self.reads // 2 if self.phases == 4 else self.reads


# ---- what is read ------------------------------------------------------------------------------------------------


def parts(x: np.ndarray, full_scale: PerChip, encoding: Encoding) -> np.ndarray:
    """The inputs of all parts of reads, `(chips, vectors * encoding.inputs, n)`; those of a vector side by side.

    Args:
        x: inputs `(chips, vectors, n)`. Bits are those of the nearest level; beyond full scale it is the last one.
        full_scale: of inputs.
    """
    if not encoding.serial:
        each = [x] if encoding.phases == 1 else [np.maximum(x, 0), np.maximum(-x, 0)]
    else:
        scale = np.asarray(full_scale, np.float32).reshape(-1, 1, 1)
        most, unknown = encoding.most, np.where(np.isnan(x), x, np.float32(0))
        word = np.nan_to_num(np.clip(np.rint(x / scale * most), -most, most)).astype(np.int32)
        words, count = ([word], encoding.bits) if encoding.phases == 1 else ([word.clip(0), (-word).clip(0)], 0)
        bits = range(count or encoding.bits - 1)
        each = [((word >> bit) & 1).astype(np.float32) * scale + unknown for word in words for bit in bits]
    return np.ascontiguousarray(np.stack(each, 2)).reshape(len(x), -1, x.shape[-1])


def joined(places: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The sum of the parts of reads, Σ_k p_k y_k: `(…, parts, n)` to `(…, n)`."""
    return np.einsum("k,...kn->...n", places.astype(y.dtype), y)


def beside(sides: Sequence[np.ndarray], vectors: int) -> np.ndarray:
    """Outputs of different devices of each weight, `(chips, vectors * parts, n)`; those of one vector together."""
    chips, _, n = sides[0].shape
    each = [side.reshape(chips, vectors, -1, n) for side in sides]
    return np.concatenate(each, 2).reshape(chips, -1, n)


def widths(x: np.ndarray, conductance: np.ndarray, full_scale: PerChip) -> tuple[np.ndarray, np.ndarray]:
    """What pulses of the widths |x| / X bring of the variance of devices, X |x|, and Σ |x| / X G on each chip.

    Args:
        x: inputs `(chips, vectors, n)`.
        conductance: of all devices on each input line together, `(chips, n)`.
    """
    scale = np.asarray(full_scale, np.float32).reshape(-1, 1, 1)
    size = np.abs(x)
    drawn = np.einsum("cvi,ci->c", size.astype(float), conductance) / scale.reshape(-1)
    return size * scale, drawn


def _read_widths(
    noisy: bool, cut: Cut, v: np.ndarray, scale: PerChip, noise: PerChip, limit: PerChip, source: Source, moment: Moment
) -> tuple[np.ndarray, np.ndarray, int]:
    """What tiles give for pulses of widths `(chips, vectors, n)`: as for amplitudes, but for noise and energy."""
    on, drawn = widths(v, cut.conductance, scale)
    y = np.matmul(v, cut.weights)
    if noisy:
        return y, drawn, perturb_each(y, np.matmul(on, cut.spread), noise, limit, source.keys, moment)
    return y, drawn, perturb(y, NO_GAIN, noise, 0.0, limit, 1.0, source.keys, moment)


def _expected_widths(
    expected: Any, noisy: bool, cut: Cut, v: np.ndarray, *_: Any
) -> tuple[np.ndarray, np.ndarray, int]:
    chips, vectors, inputs = v.shape
    drawn = vectors * inputs * size(expected, v) * cut.conductance[:, 0]
    return blank((chips, vectors, cut.weights.shape[-1])), drawn, 0


def _as_expected(expected: Any, drawn: np.ndarray, encoding: Encoding, v: np.ndarray) -> np.ndarray:
    """What is drawn for all parts, from what would be if each had inputs as large as those that are coded.

    Inputs of either sign come in turn, so each of the two has half of what all would draw. Bits that are 1 have full
    amplitude.
    """
    if not encoding.serial:
        return drawn if encoding.phases == 1 else drawn / 2
    whole, signed = encoding.inputs * square(expected, v), encoding.phases == 1
    return drawn * (ones(expected, isinstance(v, Shown), encoding.bits, signed) / whole) if whole else drawn


def apart(devices: Devices, transposed: bool, lines: slice) -> Cut:
    """What tiles on some input lines read with, and the same of devices of positive and of negative weights alone."""
    seen, scale = devices.conductance, devices.mapping.scale
    if devices.through is not None:
        wires, rows, columns = devices.through
        seen = wires.seen(seen, rows, columns)
    if devices.coloured is not None:
        seen = seen + devices._error * devices.coloured.normal
    sides = []
    for side in range(2):
        weights, spread = (seen[:, side] * scale).astype(np.float32), devices.spread_of(side)
        total = devices.conductance[:, side].sum(2 if transposed else 1).astype(np.float32)
        if not transposed:
            weights, spread = weights.swapaxes(1, 2), spread.swapaxes(1, 2)
        sides.append(Cut(lines, *(np.ascontiguousarray(part[:, lines]) for part in (weights, spread, total))))
    return devices.cut(transposed, lines)._replace(sides=tuple(sides))


def _expected_apart(expected: Any, devices: BlankDevices, transposed: bool, lines: slice) -> Cut:
    cut = devices.cut(transposed, lines)
    shape, conductance = cut.weights.shape, cut.conductance / 2
    return cut._replace(sides=tuple(Cut(lines, blank(shape), blank(shape), conductance) for _ in range(2)))


WIDTHS = Primitive(_read_widths, _expected_widths, lambda made, noisy, cut, v, *_: v.nbytes + made[0].nbytes)
PARTS = Primitive(
    parts,
    lambda _, x, full_scale, encoding: marked(blank((len(x), x.shape[1] * encoding.inputs, x.shape[-1])), x),
    lambda made, *_: made.nbytes,
)
JOIN = Primitive(joined, lambda _, places, y: blank((*y.shape[:-2], y.shape[-1]), y.dtype))
BESIDE = Primitive(
    beside,
    lambda _, sides, vectors: blank((len(sides[0]), len(sides) * sides[0].shape[1], sides[0].shape[2]), sides[0].dtype),
)
APART = Primitive(apart, _expected_apart, lasting=True)
AS_EXPECTED = Primitive(lambda drawn, encoding, v: drawn, _as_expected)


# ---- in a machine ------------------------------------------------------------------------------------------------


class Coded:
    """How the tiles of a machine are read where inputs are coded.

    Attributes:
        encoding: of inputs.
        split: whether a read has several parts.
        cut: what makes a `Cut` of devices.
    """

    def __init__(self, machine: AnalogStage, encoding: Encoding) -> None:
        self._machine, self.encoding, self.split = machine, encoding, encoding.reads > 1
        self.cut = APART if encoding.phases == 4 else CUT
        run = machine.numerics.run
        self._parts, self._join, self._beside, self._as_expected = map(run, (PARTS, JOIN, BESIDE, AS_EXPECTED))
        self._widths = run(WIDTHS) if encoding.coding == "pulse_width" else None

    def read(
        self, plain: Callable[..., Any], noisy: bool, cut: Cut, v: np.ndarray, scale: Any, *rest: Any
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """All parts of a read, `(chips, vectors * parts, n)`; what amplitudes give is found by `plain`.

        The last argument is a moment of the source for each of the cut's sides, or one if it has none.

        Returns:
            Outputs, what devices drew on each chip in all parts, and how many outputs saturate.
        """
        *ends, source, moments = rest
        parts, read = self._parts(v, scale, self.encoding), self._widths or plain
        found = []
        for each, moment in zip(cut.sides or (cut,), moments, strict=True):
            found.append(read(noisy, each, parts, scale, *ends, source, moment))
        y = found[0][0] if len(found) == 1 else self._beside([one[0] for one in found], v.shape[1])
        drawn, beyond = (sum(one[place] for one in found) for place in (1, 2))
        return y, self._as_expected(drawn, self.encoding, v), beyond

    def arrives(self, x: Signal) -> None:
        """A voltage that no number stands behind is converted first where bits are applied."""
        if self.encoding.serial and x._twin is None:
            self._machine.digital(x)

    def limit(self, transposed: bool) -> float | None:
        """Full scale of what converters of a tile get, where it is not that of signals."""
        return None

    def joined(self, y: Signal, unit: str, mapping: Mapping) -> Signal:
        """The sum of the numbers of all parts."""
        machine = self._machine
        value = machine.compute(partial(self._join, self.encoding.places), (y,))
        return machine.emit(machine.heads[moves.tile_adc, unit], value, (y._slot,))
