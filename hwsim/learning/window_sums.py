"""Sums over windows of many blocks, from the sums of single blocks, by doubling: in a stream, first in first out."""

from __future__ import annotations

from typing import NamedTuple

from hwsim.cells.cell import Cell
from hwsim.machine import Queue, Signal, Step, Workspace


class Window(NamedTuple):
    """A sum of errors over some steps, carried back to the first of them, and the product of their Jacobians.

    Attributes:
        A: the sum; A of two windows in a row is A + P A', with A' of the later one.
        P: the product; that of two windows in a row is P P'. None if nothing is carried over this window.
    """

    A: Signal
    P: Signal | None


class Level(NamedTuple):
    """Windows of one length that wait for the one that follows on them."""

    sums: Queue
    products: Queue

    def put(self, window: Window) -> None:
        assert window.P is not None
        self.sums.put(window.A)
        self.products.put(window.P)

    def get(self) -> Window:
        return Window(self.sums.get(), self.products.get())


class WindowSums:
    """A window of 2^L blocks of S steps for each block that begins one, by L joins of two windows in a row per block.

    Level j gets the window of 2^j blocks that begins with each block, one after the other, and joins each with the one
    that came 2^j blocks later. So a window of D steps takes log2(D/S) joins, and the error of a product grows with
    their number rather than with D. Windows that the end of the sequence cuts off are shorter.

    It is the doubling of Hillis and Steele, "Data parallel algorithms", Communications of the ACM 29:1170, 1986, as a
    stream.
    """

    def __init__(self, workspace: Workspace, cell: Cell, name: str, width: int, every: int, levels: int) -> None:
        self.cell, self.every = cell, every
        self.levels = [
            Level(
                workspace.queue(f"{name} sums ×{2**level}", width),
                workspace.queue(f"{name} products ×{2**level}", width),
            )
            for level in range(levels)
        ]

    def push(self, window: Window, step: Step) -> Signal | None:
        """The sum of the window that is whole once a block has ended, if there is one; called at the next block."""
        for number, level in enumerate(self.levels):
            earlier = level.get() if step.past((2 << number) * self.every) else None
            level.put(window)
            if earlier is None:
                return None
            window = self._joined(earlier, window, product=number + 1 < len(self.levels))
        return window.A

    def finish(self, arriving: list[Window], before: int) -> list[Signal]:
        """The sums of all windows that are not whole at the end of the sequence, the earliest first.

        Args:
            arriving: the blocks that end in this step, or in the one before it.
            before: the number of blocks that were pushed in steps before this one.
        """
        for number, level in enumerate(self.levels):
            apart = 1 << number
            waiting = min(apart, max(0, before - apart + 1))
            windows = [level.get() for _ in range(waiting)] + arriving
            last = len(windows) - apart
            arriving = [
                self._joined(window, windows[place + apart], product=place + 2 * apart < len(windows))
                if place < last
                else window
                for place, window in enumerate(windows)
            ]
        return [window.A for window in arriving]

    def _joined(self, earlier: Window, later: Window, product: bool) -> Window:
        assert earlier.P is not None
        A = earlier.A + self.cell.through(earlier.P, later.A)
        if not product:
            return Window(A, None)
        assert later.P is not None
        return Window(A, self.cell.through(earlier.P, later.P))
