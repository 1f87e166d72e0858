"""Propagation of an error down through the layers, within one step."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hwsim.cells import Cell
from hwsim.machine import Signal
from hwsim.records import ERROR

if TYPE_CHECKING:
    from hwsim.networks.network import Layer, Seen


class Level:
    """One layer in one step, while an error is propagated from the loss down to the input.

    Records of operations that a rule carries out here name the layer. An error is that of the loss of this step, plus
    what the rule adds to it before it calls `learn` or `send`.

    Attributes:
        layer: the layer.
        seen: what `Network.step` or `recall` kept of it.
        error: what arrives at the layer's output; None if nothing does.
        sent: what the layer below gets (∂f/∂x)ᵀ of; None if it gets nothing.
        drive: the error at the sum of the cell's inputs, from `sent`, once it was needed.
    """

    def __init__(self, layer: Layer, seen: Seen, error: Signal | None) -> None:
        self.layer, self.seen, self.error = layer, seen, error
        self.sent: Signal | None = None
        self.drive: Any = None

    @property
    def cell(self) -> Cell:
        """The layer's cell, for products with its Jacobian."""
        return self.layer.cell

    @property
    def at(self) -> Any:
        """The operating point of the cell."""
        return self.seen.at

    @property
    def emitted(self) -> Signal | None:
        """What the readout saw of a cell that emits, such as spikes; None where it sees wires of the state."""
        emitted: Signal | None = self.seen.readout[0].result if self.cell.emits else None
        return emitted

    def g(self, learn: bool = True) -> Signal | None:
        """g_t, the error at the state that comes back through the readout in this step; None if there is none.

        Args:
            learn: also add to the gradient of the readout.
        """
        if self.error is None:
            return None
        return self.layer.readout.back(self.seen.readout, self.error, learn=learn)

    def plus_g(self, delta: Signal, learn: bool = True) -> Signal:
        """δ + g_t; δ if there is no error in this step."""
        g = self.g(learn)
        return delta if g is None else delta + g

    def send(self, delta: Signal) -> None:
        """Have the layer below get (∂f/∂x)ᵀ δ when this one is done with; below the lowest layer nothing is needed."""
        self.sent, self.drive = delta, None

    def learn(self, delta: Signal, recurrent: bool = True) -> Any:
        """Add Fᵀ δ to the gradient of the cell, and `send` δ; gives the error at the drive.

        Args:
            recurrent: also add to the gradient of the recurrent factor.
        """
        self.send(delta)
        self.drive = self.cell.drive_error(self.at, delta)
        self.cell.accumulate(self.at, delta, self.drive, recurrent)
        return self.drive

    def send_gained(self, drive: Any) -> None:
        """As `send`, where the error at the drive is known: γδ, in cells that are `gained`."""
        self.sent = self.drive = drive

    def learn_gained(self, drive: Any) -> None:
        """As `learn`, from γδ; the rule divides γ out of the sums behind the passes, by `Cell.divide_by_gain`."""
        self.send_gained(drive)
        self.cell.accumulate_gained(self.at, drive)


def downward(layers: list[Layer], error: Signal | None, seen: list[Seen]) -> Iterator[Level]:
    """The layers of a step from the last to the first; each gets the error that the layer above sent."""
    for layer, points in reversed(list(zip(layers, seen, strict=True))):
        level = Level(layer, points, error)
        with layer.machine.part(layer.name, ERROR):
            yield level
            error = None
            if level.sent is not None and layer is not layers[0]:
                drive = level.cell.drive_error(level.at, level.sent) if level.drive is None else level.drive
                error = layer.cell.input_error(drive)
