"""Reads of weights in slices whose columns are converted one by one: bits and phases of inputs, by cells of weights.

Without coded inputs (`tiles.inputs`) the converters of slices are taken to resolve every sum, and a read is one product
with the composed weight; see `SlicedDevices`. With them, each sum of a column of cells is a value of its own. For part
t of the inputs, what it counts p_t, and its inputs x_jt as shares of their full scale X (`Encoding`), the column of
digit k sums

    S_kt = Σ_j x_jt d_kj,   d_kj = (g_kj - g_min) / s,

in states of a cell, with fresh noise of cells and of the output, and is converted with a full scale F of its own. The
product is made of what converters give, as numbers:

    y = w X Σ_t p_t (Σ_k 2^(bk) S_kt - O Σ_j x_jt),

with w one step of the weights and O = 2^(nb - 1) the offset of n cells of b bits. So S is the sum of integers of A.
Shafiee et al., ISAAC, ISCA 2016, section V, where inputs come bit by bit, and y is the product of integers where F and
the bits of converters resolve it. The encoding that flips columns there is not modelled.

Forward, all columns of a tile are summed and converted at once. Transposed, the lines of one slice after another are
driven, and the input lines bring the sums of its cells.

Parts that are never negative, bits and the parts of either sign, are converted from 0 to F, others from -F to F. A
converter of B bits has 2^B - 2 steps in its range, as elsewhere: it resolves states where these are a multiple of F.
Noise of outputs of σ F in each part gives one of w X σ F √(Σ_t p_t² Σ_k 4^(bk)) in y.

What is idealised: what cells conduct at their least is taken off before conversion without errors, and so is half of F,
where a range begins at 0; bits of inputs are counted exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any

import numpy as np

from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.operations import moves
from hwsim.operations.noise import PerChip
from hwsim.units.devices import Cut
from hwsim.units.encoding import Coded, Encoding, parts
from hwsim.units.slices import BlankSlicedDevices, Sliced, SlicedDevices, Slices
from hwsim.units.unit import AnalogStage

# ---- what is read ------------------------------------------------------------------------------------------------


def states(devices: SlicedDevices) -> tuple[np.ndarray, np.ndarray]:
    """The states of cells, and their variances from one read to the next, `(chips, cells, rows, columns)`.

    With a `reach` the last cell has more states, of which as many lie below 0 here as above the last one without.
    """
    mapping = devices.mapping
    found = (devices.conductance - mapping.sheet.conductance.min.value) / mapping.per_digit
    found[:, -1] -= (ceil(max(1.0, mapping.reach)) - 1) * 2 ** (mapping.slices.bits - 1)
    return found.astype(np.float32), (devices.of_reads / mapping.per_digit**2).astype(np.float32)


def cut(devices: SlicedDevices, transposed: bool, lines: slice, middle: tuple[float, float]) -> Cut:
    """What tiles on some input lines read with: forward all columns, transposed one slice after another.

    Args:
        middle: of the range of converters, forward and transposed. Where it is not zero, one more input, which is
            always on and draws nothing, takes it off all sums.

    Returns:
        Forward, states of all columns, those of a weight side by side; transposed, `sides` with those of each slice.
    """
    g, spread = states(devices)
    chips, cells, rows, columns = g.shape
    if not transposed:
        weights, variances = (of.transpose(0, 3, 2, 1).reshape(chips, columns, rows * cells) for of in (g, spread))
        on_lines = devices.conductance.sum((1, 2))
        return _with_middle(Cut(lines, weights[:, lines], variances[:, lines], on_lines[:, lines]), middle[0])
    on_lines = devices.conductance.sum(3)
    kinds = g[:, :, lines], spread[:, :, lines], on_lines[:, :, lines]
    slices = [_with_middle(Cut(lines, *(of[:, cell] for of in kinds)), middle[1]) for cell in range(cells)]
    return slices[0]._replace(sides=tuple(slices))


def _with_middle(cut: Cut, middle: float) -> Cut:
    more = [np.full((len(cut.weights), 1, cut.weights.shape[2]), of) for of in (-middle, 0.0)] if middle else []
    weights, spread = ([of, *more[each : each + 1]] for each, of in enumerate((cut.weights, cut.spread)))
    conductance = [cut.conductance, *[of[:, :, 0] for of in more[1:]]]
    kinds = (np.concatenate(of, 1).astype(np.float32) for of in (weights, spread, conductance))
    return Cut(cut.lines, *map(np.ascontiguousarray, kinds))


def _expected_cut(expected: Any, devices: BlankSlicedDevices, transposed: bool, lines: slice) -> Cut:
    whole, cells = devices.cut(transposed, lines), devices.mapping.slices.cells
    if not transposed:
        shape = *whole.weights.shape[:2], whole.weights.shape[2] * cells
        return whole._replace(weights=blank(shape), spread=blank(shape))
    one = whole._replace(conductance=whole.conductance / cells)
    return one._replace(sides=(one,) * cells)


def shares(x: np.ndarray, full_scale: PerChip, encoding: Encoding, middle: float) -> tuple[np.ndarray, np.ndarray]:
    """The parts of inputs as shares of their full scale, and their sums for each part.

    Args:
        x: inputs `(chips, vectors, n)`.
        middle: of the range of converters. Where it is not zero, there is one more input, always on; see `cut`.

    Returns:
        `(chips, vectors * parts, n)`, and `(chips, vectors * parts)`, float64.
    """
    scale = np.asarray(full_scale, np.float32).reshape(-1, 1, 1)
    found = parts(x / scale, 1.0, encoding)
    on = [np.ones((*found.shape[:2], 1), found.dtype)] if middle else []
    return np.concatenate([found, *on], 2), found.sum(2, dtype=float)


def _expected_shares(
    _: Any, x: np.ndarray, full_scale: PerChip, encoding: Encoding, middle: float
) -> tuple[np.ndarray, np.ndarray]:
    shape = len(x), x.shape[1] * encoding.inputs
    return blank((*shape, x.shape[2])).view(type(x)), blank(shape, float)


def added(
    y: np.ndarray,
    sums: np.ndarray,
    scale: PerChip,
    middle: float,
    transposed: bool,
    mapping: Sliced,
    encoding: Encoding,
) -> np.ndarray:
    """Products, of what columns are converted to: shifted by bits and digits and added, less the offset.

    Args:
        y: forward `(chips, …, parts, outputs * cells)`, transposed `(chips, …, cells * parts, outputs)`.
        sums: of the parts of inputs, `(chips, vectors * parts)`.
        scale: full scale of inputs, of all chips or of each.
        middle: of the range of converters, which was taken off.

    Returns:
        `(chips, …, outputs)`.
    """
    cells, count = mapping.slices.cells, encoding.inputs
    lead = y.shape[:-2]
    if transposed:
        each = np.einsum("k,...kpn->...pn", mapping.places, y.reshape(*lead, cells, count, -1).astype(float) + middle)
    else:
        each = (y.reshape(*lead, count, -1, cells).astype(float) + middle) @ mapping.places
    each -= mapping.places[-1] * 2 ** (mapping.slices.bits - 1) * sums.reshape(*lead, count, 1)
    step = (mapping.step * np.asarray(scale, float)).reshape(-1, *[1] * len(lead))
    return np.asarray(step * np.einsum("p,...pn->...n", encoding.places, each), y.dtype)


SHARES = Primitive(shares, _expected_shares, lambda made, *_: made[0].nbytes)


def _expected_added(
    _: Any, y: np.ndarray, sums: Any, scale: Any, middle: float, transposed: bool, mapping: Sliced, encoding: Any
) -> np.ndarray:
    return blank((*y.shape[:-2], y.shape[-1] // (1 if transposed else mapping.slices.cells)), y.dtype)


ADDED = Primitive(added, _expected_added, lambda made, y, *_: 3 * 8 * y.size)


# ---- in a machine ------------------------------------------------------------------------------------------------


class CodedSlices(Coded):
    """How the tiles of a machine are read where weights are in slices and inputs are coded.

    Args:
        lines: of a tile, weights of an input line and of an output line: its rows and columns.

    Attributes:
        full_scale: F of the converters, read forward and transposed, in states of a cell.
        middle: of their range.
    """

    def __init__(self, machine: AnalogStage, encoding: Encoding, slices: Slices, lines: tuple[int, int]) -> None:
        super().__init__(machine, encoding)
        rows, columns = (slices.full_scale or float(each * (2**slices.bits - 1)) for each in lines)
        self.full_scale, from_zero = (columns, rows), encoding.serial or encoding.phases > 1
        self.middle = (columns / 2, rows / 2) if from_zero else (0.0, 0.0)
        self.split, self.cut = True, Primitive(partial(cut, middle=self.middle), _expected_cut, lasting=True)
        run = machine.numerics.run
        self._shares, self._added = map(run, (SHARES, ADDED))
        self._latest: tuple[Any, ...] = ()
        self._shifts = False

    def limit(self, transposed: bool) -> float:
        """How far the range of converters goes from its middle."""
        return self.full_scale[transposed] - self.middle[transposed]

    def arrives(self, x: Signal) -> None:
        super().arrives(x)
        self._shifts = x._full_scale is not None and not isinstance(x._full_scale, float)

    def read(
        self, plain: Callable[..., Any], noisy: bool, cut: Cut, v: np.ndarray, scale: Any, *rest: Any
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """All columns for all parts: forward `(chips, vectors * parts, outputs * cells)`; see `Coded.read`."""
        noise, end, source, moments = rest
        transposed, read = bool(cut.sides), self._widths or plain
        middle = self.middle[transposed]
        noise = noise * np.float32(self.full_scale[transposed] / self.limit(transposed))
        x, sums = self._shares(v, scale, self.encoding, middle)
        self._latest = sums, scale, middle, transposed
        found = [
            read(noisy, each, x, 1.0, noise, end, source, moment)
            for each, moment in zip(cut.sides or (cut,), moments, strict=True)
        ]
        y = self._beside([one[0] for one in found], v.shape[1]) if transposed else found[0][0]
        drawn, beyond = (sum(one[place] for one in found) for place in (1, 2))
        return y, self._as_expected(drawn, self.encoding, v), beyond

    def joined(self, y: Signal, unit: str, mapping: Any) -> Signal:
        """The product, as a number; with full scales that a chip chose, its exponent is that of the inputs too."""
        machine = self._machine
        value = machine.compute(lambda v: self._added(v, *self._latest, mapping, self.encoding), (y,))
        product = machine.emit(machine.heads[moves.tile_adc, unit], value, (y._slot,))
        return machine.one(moves.shift, product) if self._shifts else product


def coded(machine: AnalogStage, tiles: Any) -> Coded | None:
    """How tiles are read where their options say how inputs are coded."""
    assert machine.input_bits is not None
    encoding = tiles.encoding(machine.input_bits)
    if encoding is None or tiles.slices is None:
        return None if encoding is None else Coded(machine, encoding)
    return CodedSlices(machine, encoding, tiles.slices, (tiles.rows, tiles.columns))
