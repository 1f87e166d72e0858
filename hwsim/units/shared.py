"""Weights on several devices in parallel, as pairs or beside a common offset: what such devices are and how they read.

A tile of shifted weights has one more line of either kind, with devices in the middle of their range. What flows in
the additional output line is subtracted from all others, forward from its lines of outputs, transposed from its lines
of inputs; so a matrix of R by C weights on B by D tiles takes (R + B) (C + D) places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from hwsim.errors import CapabilityError
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import Expectations, blank
from hwsim.operations.noise import Moment, normals
from hwsim.physics import DataSheet
from hwsim.streams import key
from hwsim.units.devices import BlankDevices, Cut, Devices
from hwsim.units.mapping import Mapping, headroom, levels

MappingName = Literal["pair", "offset_column"]


@dataclass(frozen=True)
class Shared(Mapping):
    """How weights are conductances of N devices in parallel, each of which has the same target.

    As pairs: w = s/N Σ_n (g⁺_n - g⁻_n), with s = w_max / window, and targets as for one pair. Shifted:
    w = s/N Σ_n (g_n - g_ref,n), with s = 2 w_max / window, and the target g_0 + w/s, where g_0 is the middle of the
    window; it is that of reference devices, too. Independent errors of devices then fall by √N in weights.

    Attributes:
        shifted: whether weights share an offset; otherwise they are pairs.
        parallel: N.
        lines: of a tile, outputs and inputs.
    """

    shifted: bool = field(kw_only=True)
    parallel: int = field(kw_only=True)
    lines: tuple[int, int] = field(kw_only=True)

    @property
    def levels(self) -> int:
        return levels(self.sheet, self.shifted)

    @property
    def middle(self) -> float:
        """The conductance of shifted weights of zero, and of references, in siemens."""
        return self.sheet.conductance.min.value + self.reach * self.sheet.window / 2

    @property
    def signs(self) -> np.ndarray:
        """What each device of a weight counts, `(devices,)`."""
        return np.repeat([1.0] if self.shifted else [1.0, -1.0], self.parallel)

    @property
    def scale(self) -> float:
        return self.w_max / self.sheet.window * (2 if self.shifted else 1) / self.parallel

    def goals(self, steps: np.ndarray) -> np.ndarray:
        """The target conductances of devices of weights at so many steps from zero, `(devices, …)`."""
        if self.shifted:
            goal = self.middle + steps * (self.sheet.window / 2 / self.levels)
            return np.repeat(np.asarray(goal)[None], self.parallel, 0)
        return np.stack([self.goal(np.maximum(sign * steps, 0)) for sign in self.signs])


class Places(NamedTuple):
    """Where weights and references are along one side of a matrix whose tiles follow one another.

    Attributes:
        weights: the line of each weight.
        references: the line of the references of each tile; none for pairs.
        tile: of each weight.
    """

    weights: np.ndarray
    references: np.ndarray
    tile: np.ndarray


def places(size: int, tile: int, shifted: bool) -> Places:
    """For so many weights on tiles of so many lines."""
    which = np.arange(size)
    block = which // tile
    if not shifted:
        return Places(which, np.zeros(0, np.intp), block)
    ends = np.minimum((np.arange(block[-1] + 1) + 1) * tile, size) + np.arange(block[-1] + 1)
    return Places(which + block, ends, block)


def places_of(mapping: Shared, shape: tuple[int, int]) -> tuple[Places, Places]:
    """Of the rows and of the columns of a matrix."""
    rows, columns = (places(size, lines, mapping.shifted) for size, lines in zip(shape, mapping.lines, strict=True))
    return rows, columns


class SharedCut(NamedTuple):
    """A `Cut` whose outputs have noise in common, that of the references.

    Attributes:
        behind: the same with one more input for each line of references, which counts -1 for the outputs of its tile.
        common: variance of references, `(chips, inputs, tiles)`.
        keys: of the streams of their noise.
    """

    lines: slice
    weights: np.ndarray
    spread: np.ndarray
    conductance: np.ndarray
    behind: Cut
    common: np.ndarray
    keys: np.ndarray


class SharedDevices(Devices):
    """The devices of one matrix on every chip, `(chips, devices, lines, lines)`; see `Shared`.

    Args:
        mapping, conductance, sheets: as for `Devices`.
        shape: of the matrix.
        keys: of the streams of noise of references.
    """

    mapping: Shared

    def __init__(
        self,
        mapping: Shared,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        shape: tuple[int, int],
        keys: np.ndarray,
    ) -> None:
        self.rows, self.columns = places_of(mapping, shape)
        self.keys = keys
        super().__init__(mapping, conductance, sheets)

    def _look(self) -> None:
        """There are no two devices that all of a weight is."""

    def program(
        self, wanted: np.ndarray, before: np.ndarray, moved: np.ndarray, draws: list[np.random.Generator]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Write the devices whose target moved, the first time all of them, and references; see `Devices.program`."""
        mapping, shape = self.mapping, (len(wanted), len(self.rows.weights), len(self.columns.weights))
        steps, old = (words.reshape(shape) / mapping.unit for words in (wanted, before))
        first = np.isnan(old)
        goals, were = mapping.goals(steps), mapping.goals(np.where(first, 0, old))
        changed = (first | (goals != were)) & (moved.reshape(shape) != 0)
        written, conductance = np.zeros(shape[0]), np.zeros(shape[0])
        counts = np.zeros(self.conductance.shape, bool)
        for chip in range(shape[0]):
            all_goals = np.full(self.conductance.shape[1:], mapping.middle)
            where = np.full(all_goals.shape, bool(first[chip].all()))
            at = np.ix_(np.arange(len(goals)), self.rows.weights, self.columns.weights)
            all_goals[at], where[at] = goals[:, chip], changed[:, chip]
            goal = self._reached(all_goals[where], (chip, where))
            error = self._sheets[chip].programming_error(goal) * draws[chip].standard_normal(goal.size)
            self.conductance[chip][where] = np.maximum(goal + error, 0)
            self._rewritten((chip, where))
            counts[chip] = where
            written[chip], conductance[chip] = goal.size, goal.sum()
        self._count_writes(counts)
        self.refresh()
        return written, conductance

    def refresh(self) -> None:
        """Work out what a read needs, from the conductances, once those of stuck devices are what they stay at."""
        if self.stuck is not None:
            self.stuck.hold(self.conductance, self.writes)
        scale = self.mapping.scale
        errors = self._errors()
        if self.coloured is not None:
            self._error = errors.astype(np.float32)
        self._variance = (errors**2).sum(1) * (scale**2 * (1.0 if self.coloured is None else self.coloured.white))
        self.noisy = bool(self._variance.any())
        self._solved: np.ndarray | None = None
        rows, columns = self.rows.weights, self.columns.weights
        self.weights = self._composed(self._summed(self.conductance), False)
        self.spread = self._variance[:, rows][:, :, columns].astype(np.float32)
        total = self.conductance.sum(1)
        self._lines = {
            False: total[:, :, columns].sum(1).astype(np.float32),
            True: total[:, rows].sum(2).astype(np.float32),
        }

    def _errors(self) -> np.ndarray:
        """σ of each device from one read to the next, in siemens, shaped as conductances."""
        found = np.empty(self.conductance.shape)
        for chip, sheet in enumerate(self._sheets):
            for side in range(len(self.mapping.signs)):
                found[chip : chip + 1, side] = self._read_error(sheet, slice(chip, chip + 1), side)
        return found

    def _summed(self, each: np.ndarray) -> np.ndarray:
        """Numbers of all devices, in units of weights, `(chips, lines, lines)`."""
        return np.asarray(np.einsum("k,ckij->cij", self.mapping.signs, each) * self.mapping.scale)

    def _composed(self, whole: np.ndarray, transposed: bool) -> np.ndarray:
        """Weights, from sums over the devices of each place: less the references of its tile, if there are any."""
        rows, columns = self.rows, self.columns
        found = whole[:, rows.weights][:, :, columns.weights]
        if self.mapping.shifted:
            reference = (
                whole[:, rows.weights][:, :, columns.references[columns.tile]]
                if transposed
                else whole[:, rows.references[rows.tile]][:, :, columns.weights]
            )
            found = found - reference
        return found.astype(np.float32)

    def current(self, draws: Sequence[np.random.Generator]) -> np.ndarray:
        """For each chip, what all devices conduct together in one read of them; see `Devices.current`."""
        noise = np.sqrt(self._variance.sum((1, 2), dtype=float)) / self.mapping.scale
        total = self.conductance.sum((1, 2, 3), dtype=float)
        if self.coloured is not None:
            total += (self._error * self.coloured.normal).sum((1, 2, 3), dtype=float)
        return np.asarray(total + noise * [draw.standard_normal() for draw in draws])

    @property
    def behind_wires(self) -> np.ndarray:
        """Numbers of all places in units of weights, behind the wires; devices of one sign lie at one crossing."""
        if self.through is None:
            return self._summed(self.conductance)
        if self._solved is None:
            wires, (lines, crossing) = self.through[0], self.mapping.lines
            more, count = int(self.mapping.shifted), self.mapping.parallel
            chips, devices, *size = self.conductance.shape
            at = self.conductance.reshape(chips, devices // count, count, *size).sum(2)
            found = wires.seen(at, lines + more, crossing + more)
            signs = self.mapping.signs[::count]
            self._solved = np.asarray(np.einsum("k,ckij->cij", signs, found) * self.mapping.scale)
        return self._solved

    @property
    def seen(self) -> np.ndarray:
        """What a forward read multiplies with behind the wires."""
        return self.weights if self.through is None else self._composed(self.behind_wires, False)

    def cut(self, transposed: bool, lines: slice) -> Any:
        """What the tiles on some input lines of the matrix read with, forward or transposed."""
        whole = self.behind_wires
        if self.coloured is not None:
            whole = whole + self._summed(self._error * self.coloured.normal)
        weights, spread = self._composed(whole, transposed), self.spread
        rows, columns = self.rows, self.columns
        outputs, common = columns, self._variance[:, rows.weights][:, :, columns.references]
        if not transposed:
            weights, spread = weights.swapaxes(1, 2), spread.swapaxes(1, 2)
            outputs = rows
            common = self._variance[:, rows.references][:, :, columns.weights].swapaxes(1, 2)
        parts = weights, spread, self._lines[transposed]
        cut = Cut(lines, *(np.ascontiguousarray(part[:, lines]) for part in parts))
        return _behind(cut, common[:, lines], outputs.tile, self.keys) if common.any() else cut


def _behind(cut: Cut, common: np.ndarray, tile: np.ndarray, keys: np.ndarray) -> SharedCut:
    """With noise of references, each of which the outputs of its tile have in common."""
    chips, count = len(common), common.shape[2]
    rows = np.broadcast_to(-(np.arange(count)[:, None] == tile).astype(np.float32), (chips, count, tile.size))
    nothing = np.zeros((chips, count, tile.size), np.float32)
    weights, spread = np.concatenate([cut.weights, rows], 1), np.concatenate([cut.spread, nothing], 1)
    conductance = np.concatenate([cut.conductance, nothing[:, :, 0]], 1)
    common = np.ascontiguousarray(common, np.float32)
    return SharedCut(*cut[:4], Cut(cut.lines, weights, spread, conductance), common, keys)


def _with_common(cut: Any, v: np.ndarray, moment: Moment) -> tuple[Cut, np.ndarray]:
    """The inputs of a read, with one more for each line of references: the noise of what flows in it."""
    if not isinstance(cut, SharedCut):
        return cut, v
    noise = np.sqrt(np.matmul(v**2, cut.common))
    for chip in range(len(noise)):
        fresh = np.empty(noise[chip].size, np.float32)
        normals(fresh, cut.keys[chip % len(cut.keys)], moment)
        noise[chip] *= fresh.reshape(noise[chip].shape)
    return cut.behind, np.concatenate([v, noise], 2)


class BlankSharedDevices(BlankDevices):
    """Such devices, of which only the number is known, and what is expected of their conductance."""

    def __init__(
        self,
        expected: Expectations,
        mapping: Shared,
        conductance: np.ndarray,
        sheets: Sequence[DataSheet],
        shape: tuple[int, int],
        keys: np.ndarray,
    ) -> None:
        super().__init__(expected, mapping, conductance, sheets)
        self.shape = len(conductance), *shape
        self.weights = self.plus = self.minus = blank(self.shape)
        self._shifted = mapping.shifted
        if mapping.shifted:
            self._typical = mapping.middle

    def program(self, *words: Any) -> tuple[np.ndarray, np.ndarray]:
        """As for real devices; the first time all of them are written, later no references."""
        chips, rows, columns = self.shape
        share = self.expected.written * (2 if self._shifted else 1)  # either device of a pair, or the only one
        written = np.full(chips, share * self.conductance.shape[1] * rows * columns)
        if not self._programmed:
            written[:] = self.count
        self._programmed = True
        return written, written * self._typical

    def cut(self, transposed: bool, lines: slice) -> Cut:
        """As for real devices."""
        cut = super().cut(transposed, lines)
        size = self.conductance.shape
        each = size[1] * size[3 if transposed else 2] * self._typical
        return cut._replace(conductance=np.full((self.shape[0], 1), each))


def no_pulses(matrix: str) -> CapabilityError:
    """Which of several devices a pulse goes to is not modelled, nor pulses beside a common offset."""
    return CapabilityError(
        f"{matrix}: pulses that train devices in place are modelled for single pairs of devices, and weights here have "
        "tiles.parallel devices, or tiles.mapping: offset_column; take `training.update: accumulate`, which programs "
        "them, or a machine with `mapping: pair` and `parallel: 1`"
    )


def shared(
    sheet: DataSheet,
    largest: float,
    weight_range: float,
    reach: float,
    how: tuple[MappingName, int],
    lines: tuple[int, int],
) -> Shared:
    """How devices hold weights up to `weight_range` times the largest, or a little more; that one lies on a step."""
    shifted = how[0] == "offset_column"
    w_max = headroom(sheet, weight_range, shifted) * largest or 1.0
    return Shared(sheet, w_max, reach, shifted=shifted, parallel=how[1], lines=lines)


def size_of(rows: int, columns: int, lines: tuple[int, int], shifted: bool) -> tuple[int, int]:
    """Places of devices that a matrix takes, with those of references."""
    if not shifted:
        return rows, columns
    return rows - -rows // lines[0], columns - -columns // lines[1]


def keys_of(seed: int, numbers: Sequence[int], name: str) -> np.ndarray:
    """Of the streams of noise of references, one for each chip."""
    keys = [key(seed, f"chip {number}", f"{name} references", "fresh") for number in numbers]
    return np.array([[each & 0xFFFFFFFF, each >> 32] for each in keys], np.uint32)


_PROGRAMMED = 60
"""Bytes that programming takes for a while, for each device: goals and errors of a chip, and what reads need."""

MAKE = Primitive(SharedDevices, BlankSharedDevices)
PROGRAM = Primitive(
    SharedDevices.program,
    lambda expected, devices, *words: devices.program(*words),
    lambda written, devices, *words: _PROGRAMMED * devices.count,
)
CUT = Primitive(SharedDevices.cut, lambda expected, devices, *which: devices.cut(*which), lasting=True)
COMMON = Primitive(_with_common, lambda expected, cut, v, *_: (cut, v))
