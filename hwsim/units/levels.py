"""Levels of analog-to-digital converters that differ from one converter to the next: capacitors, ramps, gain, offset.

With x a signal, X its full scale, Δ the distance of ideal levels and b bits, a converter sees
u = (x (1 + g) + o X) / Δ + 2^(b-1) + ½ with its own gain error g and offset o, and gives the code

- `uniform`: ⌊u⌋.
- `sar`, successive approximation: from the largest capacitor to the smallest, each bit stays on if what the capacitors
  that are on stand for is at most u. The capacitor of bit k is C_k = 2^k + σ √(2^k) ξ_k units, as of 2^k units with
  a deviation σ each, and stands for 2^b C_k / (1 + Σ C) (the capacitors of M. Spear et al., IEEE JXCDC 2023). So at mid
  code the differential nonlinearity has the deviation σ √(2^b - 1) steps, and the integral one σ √(2^b) / 2.
- `ramp`: how many steps of a ramp are at most u; all converters of a bank see one ramp. A step is 1 + σ ξ, and the last
  one ends at full scale. So the nonlinearity after c of N = 2^b steps has the deviation σ √(c (N - c) / N), that of one
  step σ √(1 - 1/N).

Codes stand for the ideal levels, whatever a converter does. Without errors all three give the nearest level.
"""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import BaseModel, Field, model_validator

from hwsim.imperfection import scaled
from hwsim.machine.numerics import Primitive
from hwsim.machine.shapes import blank
from hwsim.operations.kernels import compiled
from hwsim.quantities import Constant, Time
from hwsim.streams import generator, numbered
from hwsim.units.unit import Fraction

Spread = Annotated[float, Field(ge=0, lt=1, allow_inf_nan=False)]


class Circuit(BaseModel, extra="forbid"):
    """What analog-to-digital converters are made of, and how they differ from each other; drawn once for each chip."""

    kind: Annotated[
        Literal["uniform", "sar", "ramp"],
        Field(
            description="`sar`: successive approximation with capacitors of each converter; `ramp`: a ramp for all "
            "converters of a bank, and a comparator for each wire; `uniform`: levels are even"
        ),
    ] = "uniform"
    mismatch: Annotated[
        Fraction,
        Field(description="standard deviation of a unit capacitor, or of a step of the ramp, as a share of it"),
    ] = 0.0
    gain: Annotated[
        Spread,
        scaled("gain error"),
        Field(description="standard deviation of the gain, from converter to converter"),
    ] = 0.0
    offset: Annotated[
        Fraction, Field(description="standard deviation of the offset, as a share of full scale, from one to the next")
    ] = 0.0
    clock: Annotated[
        Constant[Time] | None, Field(description="of a ramp, which takes 2^bits of them instead of `time`")
    ] = None

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Self:
        if self.kind == "uniform" and self.mismatch:
            raise ValueError("uniform converters have even levels, without a mismatch; take kind: sar or ramp")
        if (self.kind == "ramp") != (self.clock is not None):
            raise ValueError("a ramp has a `clock`, and other kinds of converters have a `time` instead")
        return self


# ---- what is drawn -----------------------------------------------------------------------------------------------

MOST_BITS = 24
_KNOTS = 12
"""A ramp of more bits than this has errors of as many steps together, and is straight between."""


def capacitors(bits: int, mismatch: float, normal: np.ndarray) -> np.ndarray:
    """What the capacitors of converters stand for, in steps, from the smallest to the largest, `(converters, bits)`.

    Args:
        normal: `(converters, ≥ bits)`, from the largest to the smallest.
    """
    units = 2.0 ** np.arange(bits)
    each = np.maximum(units + mismatch * np.sqrt(units) * normal[:, :bits][:, ::-1], 0)
    found: np.ndarray = 2.0**bits * each / (1 + each.sum(1, keepdims=True))
    return found


def ramp(bits: int, mismatch: float, normal: np.ndarray) -> np.ndarray:
    """The places of a ramp after 0, 1, 2, … steps, or after as many steps together each time; from 0 to 2^bits."""
    knots = 2 ** min(bits, _KNOTS)
    together = 2.0**bits / knots
    each = np.maximum(together + mismatch * np.sqrt(together) * normal[:knots], 0)
    found: np.ndarray = 2.0**bits * np.concatenate([[0.0], each.cumsum() / each.sum()])
    return found


class Drawn(NamedTuple):
    """Errors of a bank of converters on each chip.

    Attributes:
        table: of capacitors `(chips, converters, bits)`, or of a ramp `(chips, 1, knots + 1)`.
        gain, offset: `(chips, converters)`.
    """

    table: np.ndarray
    gain: np.ndarray
    offset: np.ndarray


Streams = Callable[[int, str], np.random.Generator]


def drawn(circuit: Circuit, bits: np.ndarray, converters: int, streams: Streams) -> Drawn:
    """The errors of so many converters; those of a converter do not depend on how many there are.

    Args:
        bits: of each chip, `(chips,)`.
        streams: of a chip and a purpose.
    """
    chips, kind = len(bits), circuit.kind
    mismatch, gain, offset = (np.broadcast_to(each, chips) for each in (circuit.mismatch, circuit.gain, circuit.offset))
    normal = [streams(chip, "comparator").standard_normal((converters, 2)) for chip in range(chips)]
    length = int(bits.max()) if kind == "sar" else 2 ** int(bits.clip(max=_KNOTS).max()) + 1
    table = np.zeros((chips, *{"sar": (converters, length), "ramp": (1, length), "uniform": (1, 0)}[kind]))
    for chip, of in enumerate(map(int, bits)):
        if kind == "sar":
            each = streams(chip, "capacitors").standard_normal((converters, MOST_BITS))
            table[chip, :, :of] = capacitors(of, mismatch[chip], each)
        elif kind == "ramp":
            made = ramp(of, mismatch[chip], streams(chip, "ramp").standard_normal(2**_KNOTS))
            table[chip, 0, : len(made)] = made
    both = np.stack(normal)
    return Drawn(table, both[..., 0] * gain[:, None], both[..., 1] * offset[:, None])


# ---- conversion --------------------------------------------------------------------------------------------------

_KINDS = {"uniform": 0, "sar": 1, "ramp": 2}


def convert_each(
    x: np.ndarray, bits: np.ndarray, full_scale: Any, reach: Any, kind: str, errors: Drawn, shared_by: int
) -> tuple[np.ndarray, int]:
    """The levels that converters give, and how many values lay beyond their ends.

    Args:
        x: `(chips, …, wires)`, float32. Wires that share a converter are neighbours.
        bits: `(chips,)`.
        full_scale: the last level.
        reach: where values saturate, in multiples of it; beyond full scale, levels are even.
    """
    chips = len(x)
    full, end = (np.broadcast_to(np.asarray(each, float).reshape(-1), chips) for each in (full_scale, reach))
    v = np.ascontiguousarray(x).reshape(chips, -1, x.shape[-1])
    out, beyond = _convert_each(
        v, np.ascontiguousarray(bits), full.copy(), (full * end).copy(), _KINDS[kind], *errors, shared_by
    )
    return out.reshape(x.shape), beyond


@compiled
def _sar(u, weights, bits):  # type: ignore[no-untyped-def]
    code, held = 0, 0.0
    for k in range(bits - 1, -1, -1):
        if held + weights[k] <= u:
            held += weights[k]
            code += 1 << k
    return code


@compiled
def _ramp(u, places, knots, together):  # type: ignore[no-untyped-def]
    """The number of steps that end at u or before, by halving."""
    low, high = 0, knots
    while high - low > 1:
        middle = (low + high) // 2
        if places[middle] <= u:
            low = middle
        else:
            high = middle
    if u >= places[knots]:
        return int(knots * together)
    if together == 1 or places[high] == places[low]:
        return int(low * together)
    return int(together * (low + max(u - places[low], 0.0) / (places[high] - places[low])))


@compiled
def _convert_each(x, bits, full, last, kind, table, gain, offset, shared_by):  # type: ignore[no-untyped-def]
    chips, vectors, wires = x.shape
    out, beyond = np.empty_like(x), 0
    for c in range(chips):
        middle, most = 2 ** (bits[c] - 1), 2 ** (bits[c] - 1) - 1
        step = full[c] / max(most, 1)
        knots = min(2 ** bits[c], 4096)
        for v in range(vectors):
            for i in range(wires):
                given = x[c, v, i]
                if np.isnan(given):
                    out[c, v, i] = given
                    continue
                beyond += abs(given) > last[c]
                k = i // shared_by
                if most == 0:
                    above = given * (1 + gain[c, k]) + offset[c, k] * full[c] >= 0
                    out[c, v, i] = full[c] if above else -full[c]
                    continue
                inside = min(max(float(given), -last[c]), last[c])
                u = (inside * (1 + gain[c, k]) + offset[c, k] * full[c]) / step + middle + 0.5
                if kind == 0 or abs(inside) > full[c]:
                    code = floor(u) - middle
                elif kind == 1:
                    code = min(max(_sar(u, table[c, k], bits[c]) - middle, -most), most)
                else:
                    code = min(max(_ramp(u, table[c, 0], knots, 2 ** bits[c] / knots) - middle, -most), most)
                out[c, v, i] = min(max(code * step, -last[c]), last[c])
    return out, beyond


CONVERT_EACH = Primitive(convert_each, lambda _, x, *__: (blank(x.shape, x.dtype), 0))
DRAW = Primitive(drawn, lambda *_: None)


class Banks:
    """The banks of converters of a chip that differ from each other, by unit; drawn when a bank is first used.

    Args:
        circuit: options; a spread that differs from chip to chip is an array.
        bits: of all chips, or of each.
        shared_by: wires that one converter serves.
    """

    def __init__(self, machine: Any, circuit: Circuit, bits: Any, shared_by: int) -> None:
        self._machine, self._circuit, self._shared_by = machine, circuit, shared_by
        self._bits = np.broadcast_to(np.asarray(bits, np.int64), machine.chips).copy()
        self._draw, self._convert = machine.numerics.run(DRAW), machine.numerics.run(CONVERT_EACH)
        self._banks: dict[tuple[str, int], Drawn] = {}

    def convert(self, bank: str, x: np.ndarray, full_scale: Any, reach: Any) -> tuple[np.ndarray, int]:
        """The levels that the converters of a bank give, and how many values lay beyond their ends."""
        wires = x.shape[-1]
        converters = -(-wires // self._shared_by)
        errors = self._banks.get((bank, converters))
        if errors is None:
            seed, numbers = self._machine.seed, numbered(self._machine.numbers)

            def streams(chip: int, purpose: str) -> np.random.Generator:
                return generator(seed, f"chip {numbers[chip]}", bank, "converters", purpose)

            errors = self._banks[bank, converters] = self._draw(self._circuit, self._bits, converters, streams)
        found: tuple[np.ndarray, int] = self._convert(
            x, self._bits, full_scale, reach, self._circuit.kind, errors, self._shared_by
        )
        return found
