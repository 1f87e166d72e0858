"""An episode: a batch of input sequences with their targets."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Episode:
    """A batch of sequences of equal length, and their targets.

    Attributes:
        inputs: `(batch, steps, width)`.
        labels: classes, `(batch,)` for one per sequence or `(batch, steps)` for one per step; None for regression.
        values: regression targets, `(batch, outputs)` for one per sequence or `(batch, steps, outputs)` for one per
            step; None for classification.
        classes: number of classes; 0 for regression.
        loss_from: the first step that carries a loss; all later steps carry one as well, but for sequences that `mask`
            leaves out.
        mask: `(batch, steps)`: whether a sequence has a loss in a step; None if all have the same. A sequence that is
            shorter than the others is filled up at its end, and has no loss there.
        lanes: where its sequences are windows of longer ones, the number of those: that many windows stand in front,
            and behind them those that go on from each of them. 0 where sequences are independent.
        continues: whether the network goes on from the state that was kept, instead of from rest.
        free_from: the first step whose input is the output of the step before, for tests in closed loop; None if all
            inputs are shown.
    """

    inputs: np.ndarray
    labels: np.ndarray | None = None
    values: np.ndarray | None = None
    classes: int = 0
    loss_from: int = 0
    mask: np.ndarray | None = None
    lanes: int = 0
    continues: bool = False
    free_from: int | None = None

    def __post_init__(self) -> None:
        if (self.labels is None) == (self.values is None):
            raise ValueError("an episode has either labels or values")
        if self.inputs.ndim != 3 or 0 in self.inputs.shape:
            raise ValueError(f"inputs must be (batch, steps, width), all at least 1; got {self.inputs.shape}")
        if not 0 <= self.loss_from < self.steps:
            raise ValueError(f"loss_from must be a step of the episode, 0 to {self.steps - 1}; got {self.loss_from}")
        if self.mask is not None and self.mask.shape != self.inputs.shape[:2]:
            raise ValueError(f"mask must be (batch, steps), {self.inputs.shape[:2]}; got {self.mask.shape}")
        if self.mask is not None and not self.mask[:, self.loss_from :].any(1).all():
            raise ValueError("mask must leave each sequence a step that carries a loss")
        if self.free_from is not None:
            if not 0 < self.free_from < self.steps:
                raise ValueError(f"free_from must be a later step than the first, up to {self.steps - 1}")
            if self.values is None or self.values.ndim != 3 or self.outputs != self.width:
                raise ValueError("in closed loop outputs are values of each step, as many as there are inputs")

    @property
    def batch(self) -> int:
        return int(self.inputs.shape[0])

    @property
    def steps(self) -> int:
        return int(self.inputs.shape[1])

    @property
    def width(self) -> int:
        return int(self.inputs.shape[2])

    @property
    def outputs(self) -> int:
        """Width of the target: the number of classes, or of regression values."""
        return self.classes if self.values is None else int(self.values.shape[-1])

    @property
    def loss_steps(self) -> int:
        """The number of steps that carry a loss."""
        return self.steps - self.loss_from

    @property
    def carries(self) -> bool:
        """Whether the state of the network at its end is kept for the next episode."""
        return self.lanes > 0

    @property
    def masked(self) -> bool:
        """Whether steps have a mask."""
        return self.mask is not None

    @property
    def losses(self) -> int:
        """The number of losses, of all sequences and steps."""
        return self.batch * self.loss_steps if self.mask is None else int(self.mask[:, self.loss_from :].sum())

    def losses_in(self, part: range) -> int:
        """The number of losses in some of the steps."""
        first = max(self.loss_from, part.start)
        return (
            self.batch * max(part.stop - first, 0) if self.mask is None else int(self.mask[:, first : part.stop].sum())
        )

    @property
    def ends(self) -> np.ndarray:
        """The last step that carries a loss, in each sequence."""
        if self.mask is None:
            return np.full(self.batch, self.steps - 1)
        return self.steps - 1 - self.mask[:, ::-1].argmax(1)

    def at_ends(self) -> "Episode":
        """The episode with a loss in the last step of each sequence alone."""
        if self.mask is None:
            return replace(self, loss_from=self.steps - 1)
        return replace(self, mask=np.arange(self.steps) == self.ends[:, None])

    @property
    def target_per_step(self) -> bool:
        """Whether each step has a target of its own, rather than one for the sequence."""
        return self.labels.ndim == 2 if self.labels is not None else self.values is not None and self.values.ndim == 3

    @cached_property
    def targets(self) -> np.ndarray:
        """Targets as the loss unit sees them, `(batch, steps or 1, outputs)`: one-hot for classes."""
        if self.values is not None:
            return self.values if self.values.ndim == 3 else self.values[:, None]
        assert self.labels is not None
        labels = self.labels if self.labels.ndim == 2 else self.labels[:, None]
        return (labels[:, :, None] == np.arange(self.classes)).astype(self.inputs.dtype)

    def select(self, rows: np.ndarray | slice) -> "Episode":
        """The episode with only the sequences `rows`."""
        return replace(
            self,
            inputs=self.inputs[rows],
            labels=None if self.labels is None else self.labels[rows],
            values=None if self.values is None else self.values[rows],
            mask=None if self.mask is None else self.mask[rows],
        )

    def outline(self, *, batch: int | None = None, steps: int | None = None, loss_from: int | None = None) -> "Outline":
        """Its outline, perhaps with another number of sequences or steps."""
        shape = outline(
            batch or self.batch,
            steps or self.steps,
            self.width,
            classes=self.classes,
            values=0 if self.values is None else self.outputs,
            each=self.target_per_step,
            loss_from=self.loss_from if loss_from is None else loss_from,
            masked=self.masked,
        )
        free_from = None if self.free_from is None else min(self.free_from, shape.steps - 1)
        return replace(shape, lanes=self.lanes, continues=self.continues, free_from=free_from)


class Outline(Episode):
    """An episode with a shape and no data: its arrays are views of a single zero, and take no memory.

    >>> outline(256, 10**6, 3, classes=5).targets.shape
    (256, 1, 5)
    """

    @property
    def targets(self) -> np.ndarray:
        return np.broadcast_to(0.0, (self.batch, self.steps if self.target_per_step else 1, self.outputs))


def outline(
    batch: int,
    steps: int,
    width: int,
    *,
    classes: int = 0,
    values: int = 0,
    each: bool | None = None,
    loss_from: int = 0,
    masked: bool = False,
) -> Outline:
    """The outline of an episode.

    Args:
        classes, values: the number of classes, or of values to predict; one of the two is zero.
        each: whether each step has a target of its own, rather than the whole sequence; by default values are per step.
        masked: whether sequences differ in the steps that carry a loss.
    """
    rows = (batch, steps) if (not classes if each is None else each) else (batch,)
    return Outline(
        np.broadcast_to(0.0, (batch, steps, width)),
        np.broadcast_to(0, rows) if classes else None,
        None if classes else np.broadcast_to(0.0, (*rows, values)),
        classes,
        loss_from,
        np.broadcast_to(True, (batch, steps)) if masked else None,
    )
