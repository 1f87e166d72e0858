"""Gradients in a fast array whose zero is found while it learns: AGAD, analog gradients with a dynamic reference."""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from hwsim.learning.updates.fast_array import Chopped, Fast, Summed, Transfer
from hwsim.learning.updates.tiki_taka_v2 import give
from hwsim.machine import Register, Ring, Signal
from hwsim.operations import flips, larger, total


class Options(Summed, extra="forbid"):
    """As `tiki_taka_v2` with choppers, but count what is read from where the column was when its sign last changed."""

    name: Literal["agad"]
    chop: Annotated[
        float,
        Field(gt=0, le=1, description="probability that the sign of a column is turned over when it was read"),
    ] = 0.02
    tail: Annotated[
        float,
        Field(
            gt=0,
            allow_inf_nan=False,
            description="weight of late reads in the mean of a column: each counts by this times `chop`, at most 1",
        ),
    ] = 5.0


class Kept(NamedTuple):
    """What is kept of a matrix in digital memory, a number for each weight, and a bit for each column.

    Attributes:
        sums: h.
        mean: the running mean of what was read.
        past: that mean at the last change of sign.
        begun: 1 for columns whose sign has changed.
    """

    sums: Ring
    mean: Ring
    past: Ring
    begun: Register


class Agad(Transfer):
    """A ← A - fast_rate e (s ∘ x)ᵀ at each step; after a batch, for one column j after the other with v = A e_j,

        μ ← (1 - β) μ + β v,  β = min(tail chop, 1),
        h ← h + η s_j (v - μ_past),  n = ⌊|h| / ε⌋ with the sign of h, at most `longest`,  h ← h - n ε,

    and n pulses change column j of C. Then s_j is turned over with probability `chop`; if it is, μ_past ← μ. So the
    zero of A need not be known, and may wander: what counts is how far a column has gone since its sign last changed.
    Nothing is moved before that has happened once. Beside the weights there is one more array of devices, and three
    digital numbers for each weight, h, μ and μ_past. (Rasch, Carta, Fagbohungbe and Gokmen, "Fast and
    robust analog in-memory deep neural network training", Nat. Commun. 15:7133, 2024; see
    `hwsim.learning.updates.fast_array`.)
    """

    sink = Chopped
    spread = sqrt(2)  # of the difference of two of them

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self._kept: dict[str, Kept] = {}

    def keep(self, fast: Fast) -> None:
        sums, mean, past = (fast.buffer(what) for what in ("H", "mean", "past mean"))
        self._kept[fast.name] = Kept(sums, mean, past, fast.bits("begun", (0.0,)))

    def move(self, fast: Fast, place: Signal, rate: float) -> None:
        assert isinstance(fast, Chopped)
        machine, options, (sums, mean, past, begun) = fast.machine, self.options, self._kept[fast.name]
        late = min(options.tail * options.chop, 1.0)
        v, known, before = machine.digital(fast.read(place)), begun.load(), past.load()
        newer = (1 - late) * mean.load() + late * v
        counts = rate * (fast.sign(place) * total(known * place))
        flip = flips(machine, f"{fast.name} choppers", 1, options.chop)
        turned = 0.5 * (1.0 - flip)
        mean.store(newer)
        past.store(before + turned * (newer - before))
        begun.store(larger(known, turned * place))
        fast.chop(place, flip)
        give(fast, place, sums, sums.load() + counts * (v - before))
