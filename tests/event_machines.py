"""Event-driven machines and placements that tests share."""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.accounts import placement as places
from hwsim.accounts.placement import Placement
from hwsim.config import hardware
from hwsim.documents import Document
from hwsim.units.event_cores import EventMachine


def machine(name: str, **changes: Any) -> EventMachine:
    """A shipped machine, with changes to its keys."""
    return hardware.event_driven(Document("test", {"like": name, **changes}))


def random_placement(
    neurons: int, cores: int, density: float = 0.3, seed: int = 1, kind: str = "synapse", sources: int = 0
) -> tuple[Placement, np.ndarray]:
    """Neurons on random cores with random connections, and the connections one by one `(pre, post)`."""
    draw = np.random.default_rng(seed)
    core = draw.integers(0, cores, neurons)
    pre, post = np.nonzero(draw.random((neurons, neurons)) < density)
    source = np.arange(neurons) < sources
    return Placement(core, source, (places.reach(kind, pre, post, core, cores),), cores), np.stack([pre, post])
