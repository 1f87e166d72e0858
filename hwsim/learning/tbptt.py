"""Truncated backpropagation through time: errors go back over k steps at most, in a window or in blocks."""

from __future__ import annotations

from math import ceil, log
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.errors import ConfigError
from hwsim.learning.bptt import carried_errors, tapes_of
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Instantaneous
from hwsim.learning.span import Recall, Span
from hwsim.machine.storage import require_addressable
from hwsim.networks import Network
from hwsim.records import ERROR

Steps = Annotated[int, Field(ge=1)]


class Growing(BaseModel, extra="forbid"):
    """A horizon that grows in training: k = start · factor^(updates // every), rounded up, and `most` at most."""

    start: Annotated[int, Field(ge=1, description="k at the start of training")] = 1
    factor: Annotated[float, Field(gt=1, allow_inf_nan=False, description="by which k grows")] = 1.5
    every: Annotated[int, Field(ge=1, description="updates after which k grows again")]
    most: Annotated[int, Field(ge=1, description="k at most")]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start > self.most:
            raise ValueError(f"start ({self.start}) must be at most most ({self.most})")
        return self

    def at(self, update: int) -> int:
        """k after a number of updates."""
        grown = update // self.every
        if grown * log(self.factor) >= log(self.most / self.start):  # and a power may be too large for a float
            return self.most
        return min(self.most, ceil(self.start * self.factor**grown))


class Options(BaseModel, extra="forbid"):
    """Truncated backpropagation through time. In blocks it needs a machine with a tape."""

    name: Literal["tbptt"]
    kind: Annotated[
        Literal["window", "block"],
        Field(
            description="`window`: each loss reaches the last k steps, strictly forward, without a tape; `block`: the "
            "sequence is cut into blocks of k steps, and a loss reaches back to the start of its block"
        ),
    ] = "window"
    k: Annotated[
        Steps | Growing,
        Field(description="steps that a loss reaches back, its own included: a number, or how it grows in training"),
    ]
    recall: Recall = "state"


class TBPTT(Instantaneous):
    """Errors are carried back over k steps at most; the state goes on over the whole sequence. Two rules are called so.

    In a *window*, each loss reaches the last k steps, its own included:

        dL/dθ ≈ Σ_t Σ_{s=t-k+1..t} F_sᵀ J_sᵀ … J_{t-1}ᵀ g_t

    (Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network trajectories",
    Neural Computation 2:490, 1990: BPTT(h)). The sum over t is taken first: step s learns when step s + k - 1 is shown,
    from δ ← Jᵀ δ + g over the k steps between, and the last step of the sequence lets all of the last k steps learn.
    That is one outer product per step, where one sum per loss would take k. So all runs strictly forward, along delay
    lines of k - 1 states and inputs, see `Span`. A window begins with the first step of the sequence at the earliest,
    in all layers of a stack. Per step: k products with Jᵀ.

    In *blocks*, the sequence is cut every k steps, and no error passes a cut: δ = g in the last step of a block,
    δ_t = J_tᵀ δ_{t+1} + g_t before it. That is what is mostly run, where automatic differentiation detaches the state.
    A loss reaches k / 2 steps back on average. Each block is gone through forward and then backward, with a tape of k
    states, and k inputs and targets that are kept. Per step: one product with Jᵀ.

    With k = 1 both are `one_step`, with k = T both are `bptt`. With a horizon that grows, learning starts on short
    histories, where gradients are cheap and do not explode.
    """

    recurrent = True

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        """A window of a few steps, and one of many; blocks of many."""
        few, many = (min(k, steps) for k in (4, 16))
        return [{"k": few}, {"k": many}, {"kind": "block", "k": many}]

    @property
    def in_place(self) -> bool:  # type: ignore[override]
        return not self.needs_tape

    @property
    def most(self) -> int:
        """The largest k of the training."""
        k = self.options.k
        return k if isinstance(k, int) else k.most

    @property
    def k(self) -> int:
        """The present one; before training, the one that it starts with."""
        k = self.options.k
        return k if isinstance(k, int) else k.start

    @property
    def needs_tape(self) -> bool:  # type: ignore[override]
        return self.options.kind == "block" and self.most > 1

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed"} if self.most > 1 else ())

    def recorded(self, steps: int) -> int:
        return min(self.most, steps) if self.needs_tape else 0

    @property
    def shortest(self) -> int:
        return self.k + 1

    def check(self, network: Network) -> None:
        if self.needs_tape:
            require_addressable(network.machine, "truncated backpropagation through time in blocks")

    def fits(self, steps: int) -> None:
        if self.most > steps:
            key = "k" if isinstance(self.options.k, int) else "k.most"
            raise ConfigError(
                f"learning.{key}: {self.most} steps, and a sequence has {steps}; k has to be from 1 to {steps}, where "
                f"{steps} is bptt"
            )

    def at(self, update: int, updates: int) -> TBPTT:
        k = self.options.k
        return self if isinstance(k, int) else self.but(k=k.at(update))

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        """In a window k lags; in blocks as many as there are steps to the end of the block, 1 to k."""
        k = min(self.most, steps)
        if k == steps:
            return Keeps((Lags.up_to(steps),), backward=self.needs_tape)
        first, last = (steps - 1) % k + 1, min(k, steps - directions.loss_from)
        cut = Lags(1, k) if last > first else Lags(max(first - last, 0) + 1, first)  # losses of the last block alone
        lags = Lags.up_to(k) if self.options.kind == "window" else cut
        return Keeps((lags,), jointly=True, backward=self.needs_tape)

    def gradients(self, network: Network) -> None:
        k = min(self.k, network.machine.episode.steps)
        if k == 1:
            super().gradients(network)
        elif self.options.kind == "window":
            self._in_a_window(network, k)
        else:
            self._in_blocks(network, k)

    def _in_a_window(self, network: Network, k: int) -> None:
        machine, episode = network.machine, network.machine.episode
        with machine.workspace() as workspace:
            span = Span(network, workspace, k, episode.loss_steps, self.options.recall)
            for step in machine.forward_pass("forward"):
                output, seen = span.advance(step)
                error = network.loss_error(output, step)
                if error is None:
                    continue  # no step up to here has a loss
                if step.past(k - 1):
                    span.back(error, seen, k, learn_all=step.last)
                else:
                    span.keep(error, seen)
        network.finish_gradient()

    def _in_blocks(self, network: Network, k: int) -> None:
        machine, episode = network.machine, network.machine.episode
        with machine.workspace(keep_inputs=k) as workspace:
            states = network.states(workspace, restarts=False)
            behind = network.states(workspace, "behind", restarts=False)
            tapes, carried = tapes_of(states, workspace), carried_errors(network, workspace)
            for block in machine.rounds([range(at, min(at + k, episode.steps)) for at in range(0, episode.steps, k)]):
                learns = block[-1] >= episode.loss_from
                for step in machine.forward_pass("forward", block):
                    network.step(states, step, tapes if learns else None)
                if not learns:
                    continue
                for step in machine.backward_pass("backward", block):
                    with machine.part(purpose=ERROR):
                        output, seen = network.recall(states, step, tapes, self.options.recall, behind)
                    for level in network.downward(network.loss_error(output, step), seen):
                        later = carried[level.layer]
                        delta = level.g() if step.begins else level.plus_g(later.load())
                        assert delta is not None, "the last step of the block carries a loss"
                        drive = level.learn(delta)
                        if not step.ends:
                            later.store(level.cell.transposed(level.at, delta, drive))
        network.finish_gradient()
