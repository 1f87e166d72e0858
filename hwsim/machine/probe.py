"""Probes: values shown to those who watch from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hwsim.machine.signal import Signal
from hwsim.machine.stage import Stage


class Probe:
    """Shows signals to whoever watches a name: `machine.probe("answer", y)`.

    It costs nothing, and the rule learns nothing from it.

    Attributes:
        watchers: by name, called with arrays.
    """

    def __init__(self, machine: Stage) -> None:
        self._machine = machine
        self.watchers: dict[str, Callable[..., None]] = {}

    @contextmanager
    def unwatched(self) -> Iterator[None]:
        """Nobody watches what is shown in here."""
        watching = dict(self.watchers)
        self.watchers.clear()
        try:
            yield
        finally:
            self.watchers.clear()
            self.watchers.update(watching)

    def __call__(self, name: str, *signals: Signal) -> None:
        machine = self._machine
        if machine.aside is not None:
            machine.aside.show(name, tuple(signal._slot for signal in signals))
        if name in self.watchers:
            self.watchers[name](*(machine.see(signal) for signal in signals))
