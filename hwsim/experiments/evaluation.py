"""Evaluation: loss and accuracy of a network, computed outside the machine."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from hwsim.episode import Episode
from hwsim.experiments.losses import numbers
from hwsim.networks import CrossEntropy, Network
from hwsim.tasks import Measure
from hwsim.tasks.dataset import chunks


class Score(NamedTuple):
    """Loss and accuracy of each chip; accuracy is None for regression.

    A chip is lost if one of its answers, or its loss, is not finite; both are NaN then.

    Attributes:
        right: `(chips, sequences)`: right answers per sequence, in units of the mean number of answers per sequence, so
            that their mean is the accuracy; None for regression.
        measured: by the name of a measure, its value of each chip; empty if the task has none.
    """

    loss: np.ndarray
    accuracy: np.ndarray | None
    right: np.ndarray | None = None
    measured: Mapping[str, np.ndarray] = MappingProxyType({})


class Meter:
    """Losses and right answers of one batch on each chip, from outputs or answers `(chips, batch, n)`.

    Each step of the sequences counts once, as it was shown first; passes may show the steps in any order. If an output
    of a chip, or its loss, is not finite, both its loss and its right answers are NaN.

    Args:
        network: the network that is evaluated; its machine knows the present step.
        answers: whether `see` gets answers, which the loss makes from outputs, rather than outputs.
        measure: what else is summed, from outputs.

    Attributes:
        measured: the sum of the measure over sequences and steps, on each chip.
    """

    def __init__(
        self, network: Network, episode: Episode, answers: bool = False, measure: Measure | None = None
    ) -> None:
        machine = network.machine
        self._machine, self._episode = machine, episode
        loss = network.loss_for(episode)
        self._weight, functions = loss.weight, numbers(loss)
        self._loss, self._scale = (functions.of_answers, 1.0) if answers else (functions.of_outputs, network.scale)
        self._losses = np.zeros((machine.chips, episode.loss_steps))
        self._seen = np.zeros(episode.loss_steps, bool)
        self._ends, self._right = episode.ends, np.zeros((machine.chips, episode.batch), np.int32)
        self._finite = np.ones(machine.chips, bool)
        self._measure, self.measured = measure, np.zeros(machine.chips)

    @property
    def loss(self) -> np.ndarray:
        """The loss, summed over sequences and steps; in the order of time, whatever the order of the steps shown."""
        total = np.add.accumulate(self._losses, 1)[:, -1]
        return np.where(self._finite & np.isfinite(total), total, np.nan)

    @property
    def right(self) -> np.ndarray:
        """The number of right answers to each sequence, `(chips, batch)`."""
        return np.where(np.isfinite(self.loss)[:, None], self._right, np.nan)

    def see(self, output: np.ndarray) -> None:
        """Take the output, or the answer, at the present step."""
        episode, step = self._episode, self._machine.sequencer.step_index
        place = step - episode.loss_from
        if self._seen[place]:  # shown again in another pass
            return
        self._seen[place] = True
        output, wanted, ends = output.astype(float) * self._scale, self._wanted(step), self._ends
        rows: Any = slice(None)
        if episode.mask is not None:
            rows = episode.mask[:, step]
            output, wanted, ends = output[:, rows], wanted[rows], ends[rows]
        self._finite &= np.isfinite(output).all((1, 2))
        self._losses[:, place] = self._loss(output, wanted)
        if self._weight is not None:
            self._losses[:, place] *= self._weight(step, episode.steps)
        if self._measure is not None:
            self.measured = self.measured + self._measure.of(output, wanted)
        judged = (ends == step) | episode.target_per_step
        if episode.classes and judged.any():
            self._right[:, rows] += (output.argmax(-1) == wanted) & judged

    def _wanted(self, step: int) -> np.ndarray:
        """The targets of a step: classes `(batch,)`, or values `(batch, n)`."""
        episode = self._episode
        if episode.values is not None:
            return episode.values[:, step] if episode.target_per_step else episode.values
        assert episode.labels is not None
        return episode.labels[:, step] if episode.labels.ndim == 2 else episode.labels


def evaluate(network: Network, episode: Episode, size: int, measure: Measure | None = None) -> Score:
    """Show all sequences once, `size` at a time; in closed loop from the step on that an episode says.

    The loss is the mean over sequences and over steps that carry a loss. An answer is right if the class with the
    largest output is the target; if each step has a class, each step counts, else only the last of the
    sequence.

    Args:
        measure: what else is found of the outputs; a measure of probabilities is left out unless the loss makes some.
    """
    machine = network.machine
    if measure is not None and measure.of_probabilities and not isinstance(network.loss_for(episode), CrossEntropy):
        measure = None
    loss, measured, right = np.zeros(machine.chips), np.zeros(machine.chips), list[np.ndarray]()
    for part in chunks(episode, size):
        meter = Meter(network, part, measure=measure)
        machine.watchers["output"] = meter.see
        with machine.showing(part, "inference"):
            network.infer()
        loss, measured = loss + meter.loss, measured + meter.measured
        right.append(meter.right)
    del machine.watchers["output"]
    score = Score(loss / episode.losses, None, measured=_means(measure, measured / episode.losses))
    if episode.values is not None:
        return score
    answers = episode.losses if episode.target_per_step else episode.batch
    by_sequence = np.concatenate(right, 1)
    return score._replace(accuracy=by_sequence.sum(1) / answers, right=by_sequence * (episode.batch / answers))


def _means(measure: Measure | None, means: np.ndarray) -> Mapping[str, np.ndarray]:
    """A measure of each chip, by its name, with what stands for a mean that is no number."""
    return {} if measure is None else {measure.key: np.where(np.isfinite(means), means, measure.undefined)}
