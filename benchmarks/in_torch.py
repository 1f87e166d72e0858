"""The measured network in PyTorch, eager: a forward pass step by step, and automatic differentiation back through it.

The sequence is taken apart along time once (`unbind`); indexing it in each step would make PyTorch's backward pass
quadratic in its length. `at_once` carries the readouts out for all steps together, which only a simulation without time
can do, and leaves the recurrences to the loop.
"""

from __future__ import annotations

import torch
from mnist98 import CLASSES, HIDDEN, INPUTS, LAYERS, MODES, WIDTH
from torch import nn

from hwsim.episode import Episode


class Layer(nn.Module):
    """A linear recurrent unit with its readout."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.nu, self.theta = nn.Parameter(torch.full((MODES,), -5.0)), nn.Parameter(torch.zeros(MODES))
        self.log_gamma = nn.Parameter(torch.full((MODES,), -2.0))
        self.drive = nn.Linear(inputs, 2 * MODES)
        self.readout = nn.Sequential(
            nn.Linear(2 * MODES, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, HIDDEN),
            nn.ReLU(),
            nn.Linear(HIDDEN, outputs),
        )

    def coefficients(self) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.exp(torch.complex(-torch.exp(self.nu), torch.exp(self.theta))), torch.exp(self.log_gamma)

    def driven(self, x: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
        u = self.drive(x)
        return gamma * torch.view_as_complex(u.reshape(*u.shape[:-1], MODES, 2))


def wires(h: torch.Tensor) -> torch.Tensor:
    return torch.view_as_real(h).flatten(-2)


class Stack(nn.Module):
    """The layers, and the mean of their output so far."""

    def __init__(self) -> None:
        super().__init__()
        widths = [INPUTS, *[WIDTH] * (LAYERS - 1)]
        outputs = [*[WIDTH] * (LAYERS - 1), CLASSES]
        self.layers = nn.ModuleList(Layer(n, m) for n, m in zip(widths, outputs, strict=True))

    def step_by_step(self, inputs: torch.Tensor) -> torch.Tensor:
        """Logits of every step, `(steps, batch, classes)`."""
        coefficients = [layer.coefficients() for layer in self.layers]
        states = [torch.zeros(inputs.shape[0], MODES, dtype=torch.complex64) for _ in self.layers]
        mean, outputs = torch.zeros(inputs.shape[0], CLASSES), []
        for t, x in enumerate(inputs.unbind(1)):
            for number, layer in enumerate(self.layers):
                eigenvalues, gamma = coefficients[number]
                states[number] = eigenvalues * states[number] + layer.driven(x, gamma)
                x = layer.readout(wires(states[number]))
            mean = mean + (x - mean) / (t + 1)
            outputs.append(mean)
        return torch.stack(outputs)

    def at_once(self, inputs: torch.Tensor) -> torch.Tensor:
        """The same, with all steps of a layer before the next layer."""
        x = inputs.transpose(0, 1)
        for layer in self.layers:
            eigenvalues, gamma = layer.coefficients()
            h, states = torch.zeros(inputs.shape[0], MODES, dtype=torch.complex64), []
            for driven in layer.driven(x, gamma).unbind(0):
                h = eigenvalues * h + driven
                states.append(h)
            x = layer.readout(wires(torch.stack(states)))
        return x.cumsum(0) / torch.arange(1, len(x) + 1)[:, None, None]


class Learner:
    """One gradient at a time."""

    def __init__(self, episode: Episode) -> None:
        torch.set_num_threads(1)
        self.stack = Stack()
        self.inputs = torch.tensor(episode.inputs, dtype=torch.float32)
        self.labels = torch.tensor(episode.targets.argmax(-1)[:, 0]).repeat(episode.steps)

    def gradient(self, forward: str) -> None:
        self.stack.zero_grad()
        logits = getattr(self.stack, forward)(self.inputs)
        nn.functional.cross_entropy(logits.flatten(0, 1), self.labels, reduction="sum").backward()
