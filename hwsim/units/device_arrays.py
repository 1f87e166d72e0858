"""The tiles of a chip: how many are in use, and what happens to the devices of all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod

import numpy as np

from hwsim.errors import CapabilityError
from hwsim.machine.parameters import Matrix
from hwsim.physics.colour import Colour
from hwsim.units.devices import Devices
from hwsim.units.mapping import tiles
from hwsim.units.tile import TileArray
from hwsim.units.tiles import Tiles

LARGEST = 1e15
"""The largest weight of a matrix on tiles: variances go by squares of weights, summed in numbers of 32 bits."""


class DeviceArrays(dict[str, TileArray]):
    """The tiles of a chip, by the matrix that they hold.

    Attributes:
        options: of the tiles.
        written: devices written on each chip.
        used: tiles in use.
    """

    def __init__(self, chips: int, options: Tiles) -> None:
        super().__init__()
        self.options, self.written, self.used = options, np.zeros(chips), 0

    def require(self, matrix: Matrix, chip: str) -> None:
        """Take the tiles that a matrix needs.

        Raises:
            CapabilityError: there are not as many, or a weight is too large for what reads are computed in.
        """
        if matrix.largest > LARGEST:
            raise CapabilityError(
                f"{matrix.name}: its largest initial weight is {matrix.largest:.3g}, and tiles take weights up to "
                f"{LARGEST:g}, since the variance of a read goes by their squares in 32 bits; is one of the key "
                "`weights`, or a `gain`, wrong?"
            )
        options, (rows, columns) = self.options, matrix.shape
        self.used += tiles(rows, columns, options.rows, options.columns)
        if self.used > options.count:
            raise CapabilityError(
                f"{matrix.name} ({rows} by {columns}) is one too many: with it, the network needs {self.used} tiles "
                f"of {options.rows} by {options.columns}, and {chip} has {options.count}"
            )

    @property
    def arrays(self) -> dict[str, Devices]:
        """The devices of each matrix."""
        return {name: tiles.devices for name, tiles in self.items()}

    @contextmanager
    def aged(self, seconds: float, compensated: bool = False) -> Iterator[None]:
        """All devices have drifted for so long in here; see `TileArray.wait`."""
        for name, array in self.items():
            if compensated and array.reads.compensation is None:
                array.begin_compensation()
            array.wait(name, seconds, compensated)
        try:
            yield
        finally:
            for array in self.values():
                array.unwait()

    @property
    def words(self) -> int:
        """Bits that the compensation of drift keeps on one chip."""
        return sum(0 if each.reads.compensation is None else each.reads.compensation.bits for each in self.values())

    @property
    def leaks(self) -> bool:
        """Whether any devices leak."""
        return any(array.leaks for array in self.values())

    def leak(self, seconds: float) -> None:
        """So long has passed: devices that leak do so."""
        for array in self.values():
            array.leak(seconds)

    @property
    def colour(self) -> Colour | None:
        """The memory of their read noise, if any has one."""
        return next((array.mapping.sheet.colour for array in self.values()), None)

    @property
    def coloured(self) -> bool:
        """Whether the read noise of any devices has a memory."""
        return any(array.devices.coloured is not None for array in self.values())

    def fluctuate(self, seconds: float) -> None:
        """So long has passed: read noise that has a memory goes on."""
        for array in self.values():
            array.fluctuate(seconds)

    @property
    def count(self) -> int:
        """Devices on one chip that hold weights."""
        return sum(array.devices.count for array in self.values())

    @property
    def fill(self) -> float | None:
        """Weights on tiles, as a share of those that the tiles in use could hold; None if none is in use."""
        room = self.used * self.options.rows * self.options.columns
        return sum(prod(array.shape) for array in self.values()) / room if room else None
