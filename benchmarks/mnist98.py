"""The network that is measured: MNIST in 98 steps, each the mean of 8 pixels, 4 layers of 32 complex modes."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from hwsim import documents, learning, machines
from hwsim.config import hardware
from hwsim.episode import Episode
from hwsim.learning import optimizers
from hwsim.learning.update import Options, Update
from hwsim.networks import Network
from hwsim.networks import Options as Layers

MODES, WIDTH, HIDDEN, LAYERS, STEPS, INPUTS, CLASSES = 32, 32, 128, 4, 98, 1, 10
LAYER = {
    "cell": {"name": "lru", "modes": MODES, "r_min": 0.99},
    "readout": {"project": WIDTH, "norm": True, "hidden": [HIDDEN], "width": WIDTH},
}
NETWORK = Layers.model_validate({"layers": [LAYER] * LAYERS, "pooling": "cumulative_mean"})
UPDATE = Options.model_validate({"optimizer": {"name": "adamw", "rate": 1e-3, "decay": 0.01}, "clip": 1.0})
_RULE: TypeAdapter[Any] = TypeAdapter(learning.AnyOptions)


def made_up(batch: int, steps: int = STEPS) -> Episode:
    """Sequences of the right shape: what a step costs does not depend on what it shows."""
    draw = np.random.default_rng(0)
    return Episode(draw.uniform(size=(batch, steps, INPUTS)), draw.integers(CLASSES, size=batch), classes=CLASSES)


class Learner:
    """The network on a machine, ready to learn by one rule; two with the same seed start alike."""

    def __init__(
        self, rule: str | dict[str, Any], on: str | dict[str, Any] = "ideal", seed: int = 1, chips: int = 1
    ) -> None:
        self.rule = learning.build(_RULE.validate_python({"name": rule} if isinstance(rule, str) else rule))
        stage = machines.build(hardware.machine(documents.Document("benchmark", on)), seed=seed, chips=chips)
        self.network = Network(stage, NETWORK, INPUTS, CLASSES, self.rule.uses)
        self.network.begin_training()
        self.rule.prepare(self.network)
        self.network.program()
        self.optimizer = optimizers.build(UPDATE.optimizer, self.network)

    def gradient(self, episode: Episode) -> None:
        """Add the gradient of one batch to the sums."""
        with self.network.machine.showing(episode, self.rule.routine):
            self.rule.gradients(self.network)

    def infer(self, episode: Episode) -> None:
        """One forward pass."""
        with self.network.machine.showing(episode, "inference"):
            self.network.infer()

    def learn(self, episode: Episode) -> None:
        """One training step."""
        with self.network.machine.showing(episode, self.rule.routine):
            self.rule.gradients(self.network)
            Update(self.network, self.optimizer, UPDATE, 0.0)(episode.batch * episode.loss_steps)

    def gradients(self) -> dict[str, np.ndarray]:
        """The sums, by parameter."""
        return {trainable.name: trainable.gradient.value.copy() for trainable in self.network.trainables}

    def clear(self) -> None:
        """Set the sums to zero."""
        for _ in self.network.machine.phase("clear"):
            self.network.clear_gradients()
        self.network.machine.journal.close_batch(1)

    def weights(self) -> np.ndarray:
        """All master values in one vector."""
        return np.concatenate([trainable.master.value.ravel() for trainable in self.network.trainables])

    def records(self) -> int:
        """How many records the last batch left."""
        journal = self.network.machine.journal
        assert journal.latest is not None
        runs = (run for sweep in journal.latest.sweeps for run in sweep.runs)
        return sum(len(journal.traces[trace]) * steps for trace, steps in runs)
