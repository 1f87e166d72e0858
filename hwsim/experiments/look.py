"""A look at a network from outside the machine, for the diagnostics of its rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from math import inf, nan

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.forgetting import fastest, rates, size_of_errors
from hwsim.experiments.vanishing import change_of_errors
from hwsim.learning import Rule
from hwsim.learning.diagnostics import Look
from hwsim.machine import UnitErrors
from hwsim.networks import Network
from hwsim.operations import Operation


class Differences:
    """Relative differences of pairs of signals that a rule shows because they should be equal.

    Attributes:
        latest: |x - y| / |y| of the pair that was shown last, by name and layer: the median over chips.
    """

    def __init__(self) -> None:
        self.latest: dict[str, dict[str, float]] = {}

    def watch(self, network: Network, rule: Rule) -> None:
        """Record what the rule shows on this network from now on."""
        for name in rule.compares:
            for layer in network.layers:
                network.machine.watchers[f"{layer.name} {name}"] = partial(self._note, name, layer.name)

    def _note(self, name: str, layer: str, x: np.ndarray, y: np.ndarray) -> None:
        """Record a difference; it is infinite on chips where it is not finite."""
        size = np.sqrt(np.square(y).sum((1, 2)))
        missing = np.sqrt(np.square(x - y).sum((1, 2)))
        relative = missing / np.where(size > 0, size, 1)
        median = float(np.median(np.nan_to_num(relative, nan=inf, posinf=inf)))
        self.latest.setdefault(name, {})[layer] = median


class Outside(Look):
    """A look at a network at its present weights, on the first chip whose weights are all finite.

    Args:
        exact: makes the same network on an ideal machine, which gets the master weights.
        episode: a few sequences, along which Jacobians are taken.
    """

    def __init__(
        self, network: Network, exact: Callable[[], Network], episode: Episode, shown: Differences | None = None
    ) -> None:
        self.steps, self._network, self._make, self._episode = episode.steps, network, exact, episode
        self._shown = shown or Differences()
        euler = {layer.name: layer.cell.euler for layer in network.layers}
        self.euler = {name: each for name, each in euler.items() if each is not None}
        self.discrete = len(self.euler) < len(euler)
        self.with_modes = frozenset(layer.name for layer in network.layers if not layer.cell.dense)

    def forgetting(self) -> float:
        return fastest(self._rates)

    def rates(self) -> dict[str, tuple[float, ...]]:
        return {name: tuple(each.tolist()) for name, each in self._rates.items()}

    def directions(self) -> dict[str, tuple[float, ...]]:
        widths = {layer.name: layer.cell.width for layer in self._network.layers}
        return {name: tuple(np.repeat(each, widths[name] // len(each)).tolist()) for name, each in self._rates.items()}

    def errors(self, operation: Operation) -> UnitErrors:
        return self._network.machine.errors(operation)

    def size(self) -> float:
        return self._size

    def differences(self, name: str) -> dict[str, float]:
        return dict(self._shown.latest.get(name, {}))

    def changes_of_errors(self) -> dict[str, float]:
        """What is left of the exact errors of the last loss at the start of sequences, by layer; see `vanishing`."""
        return {} if self._exact is None else change_of_errors(self._exact, self._episode)

    def close(self) -> None:
        """Release the ideal machine, if one was made."""
        if "_exact" in vars(self) and self._exact is not None:
            self._exact.machine.release()

    @cached_property
    def _rates(self) -> dict[str, np.ndarray]:
        return {} if self._exact is None else rates(self._exact, self._episode)

    @cached_property
    def _size(self) -> float:
        return nan if self._exact is None else size_of_errors(self._exact, self._episode)

    @cached_property
    def _exact(self) -> Network | None:
        """The network on an ideal machine, with the weights of the first chip whose weights are all finite, if any."""
        masters = [trainable.master.value for trainable in self._network.trainables]
        whole = np.logical_and.reduce([np.isfinite(master).reshape(len(master), -1).all(1) for master in masters])
        if not whole.any():
            return None
        chip, exact = int(whole.argmax()), self._make()
        for mine, master in zip(exact.trainables, masters, strict=True):
            mine.master.value = master[chip : chip + 1].astype(float)
        exact.program()
        return exact
