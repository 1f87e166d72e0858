"""The mesh that carries packets between cores: hops, the route of each packet, and the load of each link.

Packets go along x first and along y then, so no two routes wait for each other in a circle (dimension order; Dally and
Seitz, IEEE Transactions on Computers C-36(5), 1987). Tiles are numbered along y first: tile i stands at
x = i // height, y = i % height.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse

from hwsim.accounts.placement import Placement

_DIRECTIONS = 4
"""Links that leave a tile: to larger x, smaller x, larger y, smaller y."""


@dataclass(frozen=True)
class Mesh:
    """Tiles in a rectangle, each with some cores and a router.

    Attributes:
        width, height: in tiles.
        cores_per_tile: cores that share a router.
    """

    width: int
    height: int
    cores_per_tile: int = 1

    @property
    def cores(self) -> int:
        """How many there are."""
        return self.width * self.height * self.cores_per_tile

    def position(self, core: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """x and y of the tiles of cores."""
        tile = core // self.cores_per_tile
        return tile // self.height, tile % self.height

    def hops(self, origin: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hops along x and along y from core to core."""
        (x, y), (to_x, to_y) = self.position(origin), self.position(target)
        return np.abs(to_x - x), np.abs(to_y - y)

    def route(self, origin: int, target: int) -> list[int]:
        """The links from core to core, in order; empty within a tile. A link's number is tile · 4 + direction."""
        (x, y), (to_x, to_y) = (map(int, self.position(np.array(core))) for core in (origin, target))
        links = []
        while (x, y) != (to_x, to_y):
            across = x != to_x
            step = np.sign(to_x - x) if across else np.sign(to_y - y)
            links.append((x * self.height + y) * _DIRECTIONS + 2 * (not across) + int(step < 0))
            x, y = (x + int(step), y) if across else (x, y + int(step))
        return links


def along_x(link: int) -> bool:
    """Whether a link leads along x rather than along y."""
    return link % _DIRECTIONS < 2


class Routes:
    """The routes of all packets of a placement.

    Attributes:
        links: numbers of the links that packets may take.
        hops_x, hops_y: of all packets of one spike, `(neurons,)` each.
        within: packets of one spike that stay in their tile, `(neurons,)`.
        pairs: `(origin, target)` cores between which packets may go.
    """

    def __init__(self, mesh: Mesh, placement: Placement) -> None:
        packets = placement.packets.tocoo()
        target, neuron = packets.coords
        origin = placement.core[neuron]
        size = placement.neurons
        x, y = mesh.hops(origin, target)
        self.mesh, self._cores = mesh, placement.cores
        self.hops_x, self.hops_y = np.bincount(neuron, x, size), np.bincount(neuron, y, size)
        self.within = np.bincount(neuron, x + y == 0, size)
        keys, self._pair = np.unique(origin * placement.cores + target, return_inverse=True)
        self.pairs = [(int(key) // placement.cores, int(key) % placement.cores) for key in keys]
        self._neuron, self._size = neuron, size

    @cached_property
    def of_pairs(self) -> list[list[int]]:
        """The links between each pair of cores."""
        return [self.mesh.route(*pair) for pair in self.pairs]

    @cached_property
    def links(self) -> list[int]:
        """Numbers of the links that packets may take."""
        return sorted({link for route in self.of_pairs for link in route})

    @cached_property
    def loads(self) -> Any:
        """Sparse `(links, neurons)`: packets that one spike of a neuron sends over a link."""
        at = {link: place for place, link in enumerate(self.links)}
        rows = [at[link] for route in self.of_pairs for link in route]
        columns = np.repeat(np.arange(len(self.pairs)), [len(route) for route in self.of_pairs])
        over = sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(self.links), len(self.pairs)))
        ones = np.ones(self._neuron.size)
        return over @ sparse.csr_array((ones, (self._pair, self._neuron)), shape=(len(self.pairs), self._size))
