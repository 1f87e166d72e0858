"""A factor: how one parameter enters the state in one step, for rules that carry sensitivities forward."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.machine import Accumulator, Signal
from hwsim.operations import Binary, Operation, disperse, disperse_modes, multiply, pair_dot, singles


class Factor(NamedTuple):
    """∂h/∂p at fixed h_{t-1}, of a parameter p whose row i reaches the wires of unit i mod N alone: r_i c_j.

    A parameter may have several rows per unit, such as one per gate, and a unit several wires, such as h and c of an
    LSTM: these wires are in blocks of N, and there is an r for each block.

    Attributes:
        name: of p in its cell, as in `Cell.traced`.
        rows: r for each block of the state, on the rows of p; None for a block that p does not reach.
        column: c, on the columns of p; None if p has no columns, or if r is the bundle r cᵀ already.
        sums: of the gradient.
        product: of an error at the state and a sensitivity, both on the rows of p.
    """

    name: str
    rows: tuple[Signal | None, ...]
    column: Signal | None
    sums: Accumulator
    product: Binary | Operation = multiply

    @property
    def is_bundle(self) -> bool:
        """Whether r is the bundle r cᵀ."""
        return self.column is None and len(self.sums.size) > 1

    def own(self, block: int) -> Signal:
        """r cᵀ for a block of the state that p reaches, one number per entry of p: a bundle of a vector per column."""
        r = self.rows[block]
        assert r is not None, f"{self.name} does not reach block {block} of the state"
        return r if self.column is None else r * singles(self.column)

    def dispersed(self, own: Signal, block: int = 0, blocks: int = 1, units: int | None = None) -> Signal:
        """Sensitivities of units to their own entries of p, as a bundle of whole states: a vector for each entry."""
        if self.product is not multiply:
            return disperse_modes(own, self.product is pair_dot)
        units = units or own.width
        return disperse(own, block * units, units, blocks * units)
