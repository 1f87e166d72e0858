"""The analog inverse solver: amplifiers in feedback around the devices of a matrix, which settle at a solution.

Amplifier j drives line j, and a multiplier before the devices puts the slope φ_j on it. On the input of amplifier i
meet the currents of the devices, Wᵀ diag(φ) V, one through a fixed resistor that passes V_i itself on, k_i V_i, and the
right side v_i. An amplifier of infinite gain moves its output until its input is at zero: then A V = -v with
A = diag(k) + Wᵀ diag(φ). Inverters give the lines of negative weights their sign, and the result its own (Sun,
Pedretti, Ambrosi, Bricalli, Wang and Ielmini, PNAS 116:4123, 2019).

What follows is derived from Kirchhoff's law at the inputs. Let S_i be the sum of all conductances there, in units of
weights: of the devices of both signs, k_i, and 1 for the right side. With an open-loop gain L and a gain-bandwidth
product f, an amplifier obeys V̇/(2πf) = -u - V/L with S u = A V + v. So the circuit settles at

    (A + S/L) V = -v,

and moves there with the eigenvalues of S⁻¹A + 1/L, in units of 2πf: the smallest real part sets the time, not N. That
it is the least eigenvalue of a matrix associated with A in this way is the result of Sun, Pedretti, Mannocci, Ambrosi,
Bricalli and Ielmini, IEEE Trans. Electron Devices 67:2945, 2020. If a real part is not positive, the circuit runs away.

An offset o_i of an amplifier's input adds S_i o_i to the right side, and so does its noise.
"""

from __future__ import annotations

from math import log, prod
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from hwsim.accounts.energy import Charge, charge
from hwsim.errors import CapabilityError, UnstableLoopError
from hwsim.imperfection import Imperfection
from hwsim.machine.loop import Copy, FeedbackLoop
from hwsim.machine.machine import vectors
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.machine.signal import Signal
from hwsim.operations.feedback import solve_in_loop, system
from hwsim.operations.noise import NO_GAIN, Moment, PerChip, Source, perturb
from hwsim.quantities import Constant, Power, Time
from hwsim.records import Record
from hwsim.units.devices import Cut
from hwsim.units.function import Circuits, Functions
from hwsim.units.tile import TileArray
from hwsim.units.tiles import Tiles
from hwsim.units.unit import AnalogStage, Fraction, tally

# ---- options, and what a solution costs --------------------------------------------------------------------------

LATE = "late"
"""Among what is counted as clipped: solutions that were not settled when they were read."""


class InverseSolver(BaseModel, extra="forbid", title="Inverse solver"):
    """Amplifiers in feedback around the devices of W, which solve with the transposed Jacobian in one step."""

    array: Annotated[
        Literal["own", "shared"],
        Field(
            description="`own`: a second copy of W on a tile of its own, with its own errors, programmed with each "
            "update; `shared`: switches put the amplifiers around the tile of W, which does not read meanwhile"
        ),
    ] = "own"
    response: Annotated[
        Constant[Time], Field(description="of an amplifier: 1/(2πf), with its gain-bandwidth product f")
    ]
    power: Annotated[Constant[Power], Field(description="of an amplifier, for as long as the circuit settles")]
    gain: Annotated[
        float | None,
        Imperfection("finite gain", lambda _: None, lambda gain: gain / 2, "off: infinite; doubled: half the gain"),
        Field(gt=1, allow_inf_nan=False, description="of an amplifier without feedback; by default infinite"),
    ] = None
    slowest: Annotated[
        float,
        Field(
            gt=0,
            le=1,
            description="smallest real part of an eigenvalue of S⁻¹A + 1/gain that is waited for: all solutions take "
            "the time that this one takes",
        ),
    ]
    settled: Annotated[
        float, Field(gt=0, lt=1, description="what is left of the slowest part of the way when the result is read")
    ]
    offset: Annotated[Fraction, Field(description="frozen: at the input of an amplifier, as a share of full scale")] = (
        0.0
    )
    noise: Annotated[Fraction, Field(description="fresh: at the input of an amplifier, as a share of full scale")] = 0.0
    mismatch: Annotated[Fraction, Field(description="frozen: of the resistors that pass a share of a line on")] = 0.0

    @property
    def responses(self) -> float:
        """How many times `response` a solution takes."""
        return log(1 / self.settled) / self.slowest


class SolverPrices:
    """What a solution costs: what devices, amplifiers, inverters and multipliers draw until the slowest has settled."""

    def __init__(self, solver: InverseSolver, tiles: Tiles, functions: Functions) -> None:
        self._solver, self._tiles, self._multiply = solver, tiles, functions.multiply

    def charges(self, record: Record) -> list[Charge]:
        solver, multiply, volts, n = self._solver, self._multiply, self._tiles.voltage, record.size[-1]
        steps = prod(record.size[:-2]) * n * self.seconds(record) / multiply.time.value
        return [
            charge("devices", solver.responses, volts, volts, solver.response, activity=0),
            charge("amplifiers", 2 * n * solver.responses, solver.power, solver.response),  # and as many inverters
            charge("analog multiply", steps, multiply.energy),  # drawn for as long as so many multiplications take
        ]

    def seconds(self, record: Record) -> float:
        return self._solver.responses * self._solver.response.value


# ---- what the circuit does to values -----------------------------------------------------------------------------


class Amplifiers(NamedTuple):
    """What is around the devices of W, but for them.

    Attributes:
        multipliers: frozen gains of those that put the slope on the lines, `(chips, n)`.
        kept: conductance of the resistors, in units of weights, `(chips, n)`.
        offset: at inputs, as a share of full scale, `(chips, n)`.
        noise: the same, fresh: its standard deviation.
        multiplied: fresh noise of multipliers, as shares of full scale and of the product.
        gain: without feedback; infinite if it is None.
        slowest, responses: the smallest real part that is waited for, and how many responses that takes.
        scale: weight per siemens.
    """

    multipliers: np.ndarray
    kept: np.ndarray
    offset: np.ndarray
    noise: PerChip
    multiplied: tuple[PerChip, PerChip]
    gain: float | None
    slowest: float
    responses: float
    scale: float


class Frozen(NamedTuple):
    """How far frozen gains are off."""

    mismatch: Any
    gain_noise: float = 0.0
    noise: float = 0.0


class Found(NamedTuple):
    """What the circuit gives.

    Attributes:
        values: solutions `(chips, vectors, n)`.
        drawn: on each chip Σ (V / full scale)² G over all conductances.
        late: solutions that were read before they had settled.
        beyond: values that saturate.
        unstable: the chip, the vector and the eigenvalue of the worst circuit that runs away; None if none does.
    """

    values: np.ndarray
    drawn: np.ndarray
    late: int
    beyond: int
    unstable: tuple[int, int, complex] | None = None


_MOST = float(np.finfo(np.float32).max)


def _each(number: PerChip, chips: int) -> np.ndarray:
    """A number of each chip, as one for all values `(chips, vectors, n)`."""
    return np.broadcast_to(np.asarray(number, float), (chips,)).reshape(chips, 1, 1)


def found(
    around: Amplifiers,
    cut: Cut,
    inputs: np.ndarray,
    slope: np.ndarray,
    v: np.ndarray,
    limit: PerChip,
    end: PerChip,
    source: Source,
    moment: Moment,
) -> Found:
    """What the circuit settles at, or where it is when it is read if it is late.

    A circuit starts from zero. One that meets a value which is not finite gives what is not a number.

    Args:
        cut: of all devices of W, read transposed.
        inputs: conductance of all devices at the input of each amplifier, in siemens, `(chips, n)`.
        slope: φ, `(chips, vectors, n)`.
        v: the right side, `(chips, vectors, n)`.
        limit, end: full scale, and where values saturate.
    """
    chips, _, n = v.shape
    full, w = _each(limit, chips), cut.weights.astype(float)
    phi, right = slope * around.multipliers[:, None].astype(float), v.astype(float)
    total = inputs * around.scale + around.kept + 1
    a = system(w, phi, around.kept.astype(float))
    if around.gain is not None:
        place = np.arange(n)
        a[:, :, place, place] += total[:, None] / around.gain
    held = np.isfinite(total).all(1)
    known = np.isfinite(a).all((2, 3)) & np.isfinite(right).all(2) & held[:, None]
    a[~known], right[~known], phi[~known], total[~held] = np.eye(n), 0, 0, 1
    slow, unstable = _settling(a, total, around.slowest)
    if unstable is not None:
        return Found(v, np.zeros(chips), 0, 0, unstable)
    y = _solutions(a, right + total[:, None] * (around.offset[:, None] * full))
    y += _solutions(a, _noise(around, cut, phi * y, full, total, source, moment))
    for chip, vector in slow:
        y[chip, vector] = _so_far(a[chip, vector] / total[chip][:, None], y[chip, vector], around.responses)
    driven = ((phi * y / full) ** 2 * cut.conductance[:, None]).sum((1, 2))
    passed = ((y / full) ** 2 * around.kept[:, None] + (right / full) ** 2).sum((1, 2)) / around.scale
    values = np.clip(y, -_MOST, _MOST).astype(np.float32)
    beyond = perturb(values, NO_GAIN, 0.0, 0.0, 1.0, end, source.keys, moment)
    values[~known] = np.nan
    return Found(values, np.where(known.all(1), driven + passed, np.nan), len(slow), beyond)


def _solutions(a: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.solve(a, right[..., None])[..., 0])


def _settling(
    a: np.ndarray, total: np.ndarray, slowest: float
) -> tuple[list[tuple[int, int]], tuple[int, int, complex] | None]:
    """Which circuits are slower than what is waited for, and the worst of those that run away.

    S⁻¹A has the eigenvalues of S^-½ A S^-½. If the symmetric part of that less `slowest` is positive definite, no
    eigenvalue has a smaller real part, since all lie in the numerical range; where it is not, they are looked at.
    """
    root = np.sqrt(total)
    like = a / (root[:, None, :, None] * root[:, None, None, :])
    try:
        np.linalg.cholesky((like + like.swapaxes(2, 3)) / 2 - slowest * np.eye(a.shape[-1]))
    except np.linalg.LinAlgError:
        values = np.linalg.eigvals(like)
    else:
        return [], None
    least = values.real.min(-1)
    if least.min() <= 0:
        chip, vector = np.unravel_index(least.argmin(), least.shape)
        each = values[chip, vector]
        return [], (int(chip), int(vector), complex(each[each.real.argmin()]))
    return [(int(chip), int(vector)) for chip, vector in np.argwhere(least < slowest)], None


def _so_far(rates: np.ndarray, end: np.ndarray, time: float) -> np.ndarray:
    """Where a circuit is on its way from zero to its end, after a time in responses."""
    from scipy.linalg import expm

    return np.asarray(end - expm(-rates * time) @ end)


def _noise(
    around: Amplifiers,
    cut: Cut,
    driven: np.ndarray,
    full: np.ndarray,
    total: np.ndarray,
    source: Source,
    moment: Moment,
) -> np.ndarray:
    """What noise adds to the right side, to first order: of amplifiers, of multipliers, and of reading devices.

    Args:
        driven: what is on the lines of the devices, φV without noise.
    """
    chips, vectors_, n = driven.shape
    own, (product, relative) = around.noise, around.multiplied
    if not (np.any(own) or np.any(product) or np.any(relative) or cut.spread.any()):
        return np.zeros(driven.shape)
    drawn = source.draw(3 * vectors_ * n, moment).reshape(chips, 3, vectors_, n).astype(float)
    added = total[:, None] * (_each(own, chips) * full * drawn[:, 0])
    lines = np.hypot(_each(product, chips) * full, _each(relative, chips) * driven) * drawn[:, 1]
    reading = np.sqrt(np.matmul(driven**2, cut.spread.astype(float))) * drawn[:, 2]
    return np.asarray(added + np.matmul(lines, cut.weights.astype(float)) + reading)


def _expected(
    expected: Any,
    around: Amplifiers,
    cut: Cut,
    inputs: np.ndarray,
    slope: np.ndarray,
    v: np.ndarray,
    *_: Any,
) -> Found:
    _, vectors_, n = v.shape
    resistors = n / around.scale
    drawn = vectors_ * expected.signal * (n * cut.conductance[:, 0] + 2 * resistors)
    return Found(blank(v.shape), drawn, 0, 0)


SOLVE = Primitive(found, _expected, lambda made, around, cut, inputs, slope, v, *_: 4 * 8 * v.size * v.shape[-1])


# ---- the unit ----------------------------------------------------------------------------------------------------


class SolverCircuit:
    """The solver of one matrix.

    Args:
        loop: what it solves.
        tiles: options of the tiles that W has to fit on, one of them.

    Raises:
        CapabilityError: W is larger than a tile, or in slices.
    """

    def __init__(
        self,
        machine: AnalogStage,
        loop: FeedbackLoop,
        options: InverseSolver,
        tiles: Tiles,
        functions: Functions,
        circuits: Circuits,
    ) -> None:
        self._machine, self._loop, self._options = machine, loop, options
        self._functions, self._circuits = functions, circuits
        matrix, n = loop.matrix, loop.matrix.shape[0]
        if tiles.slices is not None or tiles.shares:
            raise CapabilityError(
                f"{matrix.name}: the inverse solver takes single pairs of devices; leave out tiles.slices, "
                "tiles.mapping and tiles.parallel"
            )
        if n > min(tiles.rows, tiles.columns):
            raise CapabilityError(
                f"{matrix.name} ({n} by {n}) is on several tiles of {tiles.rows} by {tiles.columns}, and the inverse "
                "solver closes its loop around one; take larger tiles, or learning.inverse: exact"
            )
        self._copy = Copy(matrix, f"{matrix.name} in the solver") if options.array == "own" else None
        self.array: TileArray = (self._copy or matrix).unit
        self.name = self.array.name
        self._source = Source(machine.seed, f"{matrix.name} solver", machine.numbers)
        self._solve = machine.numerics.run(SOLVE)

    def program(self) -> None:
        """Bring devices of its own to the master values of W."""
        if self._copy is not None:
            self._copy.program()

    def _bank(self, what: str, mismatch: PerChip) -> np.ndarray:
        """Frozen gains of circuits, one for each line, `(chips, n)`."""
        name = f"{self._loop.matrix.name} solver, {what}"
        width = (self._loop.matrix.shape[0],)
        gains: np.ndarray = self._circuits.bank(name, name, width, Frozen(mismatch), apply=False).gains
        return gains

    @property
    def _around(self) -> Amplifiers:
        options, multiply = self._options, self._functions.multiply
        resistors, offsets = self._bank("resistors", options.mismatch), self._bank("offsets", options.offset)
        return Amplifiers(
            self._bank("multipliers", multiply.mismatch),
            np.asarray(self._loop.kept) * resistors,
            offsets - 1.0,
            options.noise,
            (multiply.noise, multiply.gain_noise),
            options.gain,
            options.slowest,
            options.responses,
            self.array.mapping.scale,
        )

    def solve(self, slope: Signal, v: Signal) -> Signal:
        """The solution, as far as the circuit gets to it."""
        machine = self._machine
        slope, v = machine.analog(slope), machine.analog(v)
        head = machine.analog_heads[solve_in_loop, self.name]
        limit = machine.scales.of(head, (slope, v), self._loop.matrix.trainable.group)
        value = machine.compute(lambda *operands: self._values(limit, *operands), (slope, v))
        return machine.emit_analog(head, value, (slope._slot, v._slot), limit, self._loop.matrix.shape)

    def _values(self, limit: Any, slope: np.ndarray, v: np.ndarray) -> np.ndarray:
        machine, full = self._machine, +limit
        cut, inputs = self.array.cut(transposed=True), self.array.cut(transposed=False).conductance
        moment = machine.sequencer.moment(self._source)
        made = self._solve(
            self._around, cut, inputs, vectors(slope), vectors(v), full, machine.reach * full, self._source, moment
        )
        if made.unstable is not None:
            self._refuse(*made.unstable)
        machine.measure(made.drawn)
        tally(machine, "analog", self.name, made.values.size, made.beyond)
        tally(machine, LATE, self.name, v.shape[0] * v.shape[1], made.late)
        values: np.ndarray = made.values.reshape(v.shape)
        return values

    def _refuse(self, chip: int, vector: int, value: complex) -> None:
        sequencer = self._machine.sequencer
        raise UnstableLoopError(
            f"{self._machine.layer}: the inverse solver is unstable at step {sequencer.step_index} in "
            f"{sequencer.sweep_name!r}, for sequence {vector} on chip {self._machine.numbers[chip]}: "
            f"an eigenvalue of its feedback is {value.real:.3g}{value.imag:+.3g}i, and all real parts have to be "
            "positive; a smaller `leak`, a smaller `gain` of W, or learning.inverse: exact"
        )
