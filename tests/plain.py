"""A stack of leaky tanh layers with linear readouts, in NumPy: its steps, and what the loss of one step reaches."""

from __future__ import annotations

import numpy as np

Arrays = dict[str, np.ndarray]


class Plain:
    """One sequence at a time.

    Attributes:
        weights: by the name of the parameter.
        y: outputs of the last steps that were shown.
    """

    def __init__(self, weights: Arrays, leak: float) -> None:
        self.weights, self.leak = weights, leak
        self.layers = sum(name.endswith(" W") for name in weights)
        self.y = np.empty((0, 0))
        self._inputs: list[np.ndarray] = []
        self._states: list[np.ndarray] = []
        self._slopes: list[np.ndarray] = []

    def of(self, layer: int, *names: str) -> list[np.ndarray]:
        return [self.weights[f"layer {layer} {name}"] for name in names]

    def zeros(self) -> Arrays:
        return {name: np.zeros_like(values) for name, values in self.weights.items()}

    def rest(self) -> list[np.ndarray]:
        return [np.zeros(len(self.of(layer, "b")[0])) for layer in range(1, self.layers + 1)]

    def forward(self, x: np.ndarray, start: list[np.ndarray]) -> list[np.ndarray]:
        """The states behind some steps, from those before them; `x` is (steps, width)."""
        self._inputs, self._states, self._slopes, self.y = [], [], [], x
        for layer, h in enumerate(start, 1):
            W, U, b, V, c = self.of(layer, "W", "U", "b", "V1", "V1 b")
            states, slopes = [h], []
            for now in self.y:
                s = np.tanh(W @ states[-1] + U @ now + b)
                states.append((1 - self.leak) * states[-1] + self.leak * s)
                slopes.append(self.leak * (1 - s**2))
            self._inputs.append(self.y)
            self._states.append(np.array(states))
            self._slopes.append(np.array(slopes))
            self.y = np.array(states[1:]) @ V.T + c
        return [states[-1] for states in self._states]

    def reached(self, t: int, error: np.ndarray, since: int) -> Arrays:
        """What the loss of step t, with this error at the output, adds to the gradient from steps `since` to t."""
        found, carried = self.zeros(), [np.zeros_like(h) for h in self.rest()]
        for s in range(t, since - 1, -1):
            below = error if s == t else None
            for layer in range(self.layers, 0, -1):
                W, U, V = self.of(layer, "W", "U", "V1")
                name, at = f"layer {layer}", layer - 1
                delta = carried[at]
                if below is not None:
                    found[f"{name} V1"] += np.outer(below, self._states[at][s + 1])
                    found[f"{name} V1 b"] += below
                    delta = delta + V.T @ below
                drive = self._slopes[at][s] * delta
                found[f"{name} W"] += np.outer(drive, self._states[at][s])
                found[f"{name} U"] += np.outer(drive, self._inputs[at][s])
                found[f"{name} b"] += drive
                carried[at] = (1 - self.leak) * delta + W.T @ drive
                below = U.T @ drive
        return found
