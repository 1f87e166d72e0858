"""The gradient of the measured network by BPTT in plain NumPy, with the same kernels and nothing around them.

It carries out the arithmetic of hwsim's `bptt` on its ideal machine, operation by operation, and finds the same bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hwsim.episode import Episode
from hwsim.operations import kernels as k

Values = dict[str, np.ndarray]


class Layer:
    """One layer's parameters, sums and state."""

    def __init__(self, name: str, weights: Values, batch: int) -> None:
        own = {key.removeprefix(f"{name} "): value for key, value in weights.items() if key.startswith(f"{name} ")}
        self.name, self.dtype = name, own["B"].dtype
        n = own["nu"].shape[-1]
        radius, angle = np.exp(-np.exp(own["nu"])), np.exp(own["theta"])
        self.eigenvalues = np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(1, 1, 2 * n)
        self.gamma = np.exp(own["log gamma"]).reshape(1, 1, n)
        self.matrices = {key: own[key] for key in ("B", "C", "V1", "V2")}
        self.transposed = {key: np.ascontiguousarray(value.swapaxes(1, 2)) for key, value in self.matrices.items()}
        self.vectors = {key: value.reshape(1, 1, -1) for key, value in own.items() if key[-1] == "b" or key == "norm"}
        self.sums: Values = {key: np.zeros_like(value) for key, value in {**self.matrices, **self.vectors}.items()}
        self.sums["lambda"] = np.zeros((1, 1, 2 * n), self.dtype)
        self.sums["log gamma"] = np.zeros((1, 1, n), self.dtype)
        self.h = np.zeros((1, batch, 2 * n), self.dtype)
        self.carried = np.zeros_like(self.h)
        self.tape: list[np.ndarray] = []

    def dense(self, key: str, x: np.ndarray) -> np.ndarray:
        return k.bias(self.vectors[f"{key} b"], np.matmul(x, self.transposed[key]))

    def readout(self, h: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        standard, scale = k.standardise(self.dense("C", h), 1e-6)
        x = k.bias(self.vectors["norm b"], k.gain(self.vectors["norm"], standard))
        hidden = self.dense("V1", x)
        active = k.relu(hidden)
        return self.dense("V2", active), (h, standard, scale, x, hidden, active)

    def step(self, x: np.ndarray) -> np.ndarray:
        self.tape.append(self.h)
        u = k.bias(self.vectors["b"], np.matmul(x, self.transposed["B"]))
        self.h = k.diagonal(self.eigenvalues, self.h) + k.mode_gain(self.gamma, u)
        return self.readout(self.h)[0]

    def recall(self, x: np.ndarray) -> np.ndarray:
        h, before = self.h, self.tape.pop()
        self.h, self.before, self.x = before, before, x
        self.driven = h - k.diagonal(self.eigenvalues, before)
        output, self.seen = self.readout(h)
        return output

    def learn(self, key: str, error: np.ndarray, x: np.ndarray) -> np.ndarray:
        self.sums[key] += np.matmul(error.swapaxes(1, 2), x)
        k.add_rows(self.sums[f"{key} b"][:, 0], error)
        return np.matmul(error, self.matrices[key])

    def back(self, error: np.ndarray, onward: bool) -> np.ndarray | None:
        h, standard, scale, x, hidden, active = self.seen
        error = k.gate(self.learn("V2", error, active), hidden)
        error = self.learn("V1", error, x)
        k.add_rows(self.sums["norm"][:, 0], error * standard)
        k.add_rows(self.sums["norm b"][:, 0], error)
        error = k.standardise_error(k.gain(self.vectors["norm"], error), standard, scale)
        delta = self.carried + self.learn("C", error, h)
        drive = k.mode_gain(self.gamma, delta)
        k.add_rows(self.sums["lambda"][:, 0], k.conjugate_multiply(delta, self.before))
        k.add_rows(self.sums["log gamma"][:, 0], k.pair_dot(delta, self.driven))
        self.sums["B"] += np.matmul(drive.swapaxes(1, 2), self.x)
        k.add_rows(self.sums["b"][:, 0], drive)
        self.carried = k.conjugate_diagonal(self.eigenvalues, delta)
        return np.matmul(drive, self.matrices["B"]) if onward else None


def gradient(weights: Values, episode: Episode, dtype: Any) -> Values:
    """The gradient, summed over sequences and steps, of all but ν and θ; instead of these that of λ."""
    batch, steps = episode.batch, episode.steps
    count = len({name.split()[1] for name in weights})
    layers = [Layer(f"layer {number}", weights, batch) for number in range(1, count + 1)]
    inputs = np.ascontiguousarray(episode.inputs.swapaxes(0, 1), dtype)[:, None]
    target = episode.targets.swapaxes(0, 1).astype(dtype)
    mean, means = np.zeros((1, batch, episode.outputs), dtype), []
    for t in range(steps):
        x = inputs[t]
        for layer in layers:
            x = layer.step(x)
        means.append(mean)
        mean = mean + (1 / (t + 1)) * (x - mean)
    for t in reversed(range(steps)):
        x = inputs[t]
        for layer in layers:
            x = layer.recall(x)
        error: np.ndarray | None = k.softmax(mean) - target
        mean = means.pop()
        for layer in reversed(layers):
            assert error is not None
            error = layer.back(error, layer is not layers[0])
    return {f"{layer.name} {key}": value for layer in layers for key, value in layer.sums.items()}
