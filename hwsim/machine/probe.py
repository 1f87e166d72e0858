"""Probes: values shown to those who watch from outside."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hwsim.machine.signal import Signal


class Probe:
    """Shows signals to whoever watches a name: `machine.probe("answer", y)`.

    It costs nothing, and the rule learns nothing from it.

    Attributes:
        watchers: by name, called with arrays.
    """

    def __init__(self, see: Callable[[Signal], np.ndarray]) -> None:
        self._see = see
        self.watchers: dict[str, Callable[..., None]] = {}

    def __call__(self, name: str, *signals: Signal) -> None:
        if name in self.watchers:
            self.watchers[name](*(self._see(signal) for signal in signals))
