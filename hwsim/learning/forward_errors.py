"""Errors that run forward in time: what the rules share that invert the recursion of BPTT's errors, layer by layer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from math import inf
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING
from hwsim.cells.cell import LOOP
from hwsim.errors import ConfigError
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon, Precision
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Rule
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.records import WARM_UP


class CommonOptions(BaseModel, extra="forbid"):
    """Options of all these rules."""

    inverse: Annotated[
        Literal["exact", "analog", "two_minus", "neumann"],
        Field(
            description="J⁻ᵀ; the same in one step by the chip's analog inverse solver (`analog`); its approximation "
            "2I - Jᵀ, which is close where J is near I; or the sum of more powers of I - Jᵀ (`neumann`)"
        ),
    ] = "exact"
    terms: Annotated[
        int, Field(ge=1, description="highest power of I - Jᵀ in the `neumann` sum; with 1 it is 2I - Jᵀ")
    ] = 3
    passes: Annotated[
        int | None,
        Field(ge=1, description="passes over the input; by default as many as are exact: one more than warm-ups take"),
    ] = None
    tolerance: Annotated[
        float, Field(gt=0, description="relative error at the end of a sequence that the horizon accepts")
    ] = 0.2


class Turn(NamedTuple):
    """What is done in one pass.

    Attributes:
        warms: the layer that warms up; None in the pass after the last warm-up.
        part: which of its warm-up passes it is, from 0.
        learns: the layer that learns; None in the first pass, and in those in which a warm-up goes on.
    """

    warms: Layer | None
    part: int
    learns: Layer | None


class ForwardErrors(Rule):
    """Layer by layer from the top, each warms up in one pass or several, then learns, and then sends errors down.

    The errors that reach the layer below are exact in the pass in which a layer learns, so the layer below begins to
    warm up in the same pass. A readout needs no δ: it learns in the first warm-up pass of its layer.
    """

    compares = ("residual",)

    @abstractmethod
    def errors(self, layer: Layer, workspace: Workspace, top: bool) -> Errors:
        """The errors of a layer that begins to warm up."""

    def warm_ups(self, layer: Layer) -> int:
        """Number of passes that a layer's warm-up takes."""
        return 1

    @property
    def uses(self) -> frozenset[str]:
        inverse = {"exact": {"inverse"}, "analog": {"inverse", LOOP}}.get(self.options.inverse, set[str]())
        return frozenset({"transposed", *inverse})

    def check(self, network: Network) -> None:
        most, asked = len(list(self._turns(network.layers))), self.options.passes
        if asked is not None and asked > most:
            raise ConfigError(f"learning.passes: {asked} are too many; {self.options.name} is exact after {most}")

    def turns(self, network: Network) -> list[Turn]:
        """What is done in each pass."""
        return list(self._turns(network.layers))[: self.options.passes]

    def _turns(self, layers: list[Layer]) -> Iterator[Turn]:
        ready: Layer | None = None
        for layer in reversed(layers):
            for part in range(self.warm_ups(layer)):
                yield Turn(layer, part, None if part else ready)
            ready = layer
        yield Turn(None, 0, ready)

    def horizon(self, look: Look) -> Horizon | None:
        return Horizon.of(self.reach(look.steps), look.forgetting(), Precision.of(look), self.options.tolerance)

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        if self.options.inverse in ("two_minus", "neumann"):
            return "how far an approximate inverse puts errors off has no closed form here"
        if self.options.passes is not None:
            return "what layers keep after fewer passes than are exact has no closed form here"
        return self.forward(directions, steps)

    def forward(self, directions: Directions, steps: int) -> Keeps:
        """The same after all passes."""
        return Keeps((Lags.up_to(steps),), inverted=(steps,))

    def reach(self, steps: int) -> int:
        """Number of steps over which errors are carried, in a sequence of `steps` steps."""
        return steps

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        horizon = super().diagnostics(look)
        if not horizon:  # at weights that are no numbers all errors are off
            return []
        missing, said = look.differences("residual"), None
        off = {layer: share for layer, share in missing.items() if share > self.options.tolerance}
        if off:
            by = ", ".join(
                f"more than any number in {layer}" if share == inf else f"{share:.0%} in {layer}"
                for layer, share in off.items()
            )
            said = (
                f"in the last training step, the errors propagated to the end of a sequence were off by {by}. Fresh "
                "noise makes forward signals differ from pass to pass, which the horizon does not count"
            )
        what = "relative error of errors at the end of a sequence"
        residual = Diagnostic("end_residual", "", what, missing, verdict=said, good=False if off else None)
        return [residual, *horizon]

    def gradients(self, network: Network) -> None:
        machine, top = network.machine, network.layers[-1]
        with machine.workspace(keep_inputs=True) as workspace:
            states, turns = network.states(workspace), self.turns(network)
            errors: dict[Layer, Errors] = {}  # of the layers that are no longer idle, from the top
            for number, (warms, part, learns) in enumerate(turns, 1):
                if warms:
                    if not part:
                        errors[warms] = self.errors(warms, workspace, warms is top)
                    errors[warms].begin_warm_up(part)
                for step in machine.forward_pass(f"pass {number}"):
                    output, seen = network.step(states, step)
                    for level in network.downward(network.loss_error(output, step), seen):
                        if level.layer is warms:
                            with machine.part(purpose=WARM_UP):
                                errors[warms].warm_up(level, step, part)
                        elif level.layer in errors:
                            again = number < len(turns)
                            errors[level.layer].propagate(level, step, level.layer is learns, again)
                if warms:
                    errors[warms].end_warm_up(part)
        self.finish(network)

    def finish(self, network: Network) -> None:
        """Turn sums into gradients."""
        network.finish_gradient()


class Errors(ABC):
    """One layer's errors: what the warm-up finds, and from it δ_t, step by step, in each later pass."""

    def __init__(self, layer: Layer, workspace: Workspace, options: Any, top: bool) -> None:
        self.layer, self.workspace, self.options, self.top = layer, workspace, options, top
        self.delta: Register
        self.g_before: Register

    @abstractmethod
    def begin_warm_up(self, part: int) -> None:
        """A pass of the warm-up begins."""

    @abstractmethod
    def warm_up(self, level: Level, step: Step, part: int) -> None:
        """One step of a warm-up pass."""

    @abstractmethod
    def end_warm_up(self, part: int) -> None:
        """A pass of the warm-up is over."""

    @abstractmethod
    def before(self, step: Step, again: bool) -> Signal:
        """δ - g of the step before: what the warm-up found, or what is `following`.

        Args:
            again: whether there is a later pass over the step.
        """

    def propagate(self, level: Level, step: Step, learn: bool, again: bool) -> None:
        """One step of a later pass: sends the error at the layer's output on to its input."""
        delta = self.advance(level.at, self.before(step, again))
        self.remember(delta, self.loss_gradient(level, learn=False), step)
        self.hand_on(level, delta, learn)

    def following(self, step: Step) -> Signal:
        """δ - g of the step before, from what it kept."""
        delta = self.delta.load()
        return delta - self.g_before.load() if step.loss_before or not self.top else delta

    def advance(self, at: Any, before: Signal) -> Signal:
        """δ_t = J_{t-1}⁻ᵀ (δ_{t-1} - g_{t-1}), kept for the next step."""
        delta = self.inverse_transposed(at, before)
        self.delta.store(delta)
        return delta

    def remember(self, delta: Signal, g: Signal | None, step: Step) -> None:
        """Keep g_t for the next step; after the last step, δ_T - g_T should be zero."""
        if g is not None:
            self.g_before.store(g)
            if step.last:
                self.layer.machine.probe(f"{self.layer.name} residual", delta, g)

    def loss_gradient(self, level: Level, learn: bool) -> Signal | None:
        """g_t, from the errors above; None if there is none."""
        return level.g(learn)

    def hand_on(self, level: Level, delta: Signal, learn: bool) -> None:
        """Use δ_t in this step: F_tᵀ δ_t if the layer learns, and the error of the layer below."""
        if learn:
            level.learn(delta)
        else:
            level.send(delta)

    def inverse_transposed(self, at: Any, v: Signal) -> Signal:
        """J⁻ᵀ v, or (2I - Jᵀ) v, or Σ_k (I - Jᵀ)^k v."""
        cell = self.layer.cell
        if self.options.inverse in ("exact", "analog"):
            return cell.inverse_transposed(at, v)
        if self.options.inverse == "two_minus":
            return 2.0 * v - cell.transposed(at, v)
        power = total = v
        for _ in range(self.options.terms):
            power = power - cell.transposed(at, power)
            total = total + power
        return total

    def open(self) -> None:
        """Registers for δ and g of the step before."""
        self.delta, self.g_before = self.register("error"), self.register("loss gradient")

    def register(self, what: str, width: int | None = None) -> Register:
        return self.workspace.register(f"{self.layer.name} {what}", width or self.layer.cell.width, LEARNING)
