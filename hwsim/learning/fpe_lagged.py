"""Lagged forward error propagation: copies of the network follow some steps behind, and know their errors by then."""

from __future__ import annotations

from itertools import pairwise
from math import ceil, exp, isnan, isqrt
from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.memory import LEARNING, STATE
from hwsim.cells.cell import LOOP
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon, Precision
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Rule
from hwsim.machine import DelayLine, Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network, Seen, States
from hwsim.networks.downward import downward
from hwsim.records import ERROR, WARM_UP


class LagOptions(BaseModel, extra="forbid"):
    """How far behind the front layers learn."""

    lag: Annotated[
        int, Field(ge=1, description="D: how many steps a layer learns behind those that its errors come from")
    ] = 50
    every: Annotated[
        int | None,
        Field(
            ge=1,
            description="S: steps between errors that are summed directly; those in between follow by the inverse "
            "Jacobian. By default the root of the lag, rounded down",
        ),
    ] = None
    age: Annotated[
        int | None,
        Field(ge=1, description="steps whose losses such a sum takes in; by default the lag"),
    ] = None
    inverse: Annotated[
        Literal["exact", "analog"],
        Field(description="J⁻ᵀ, as the chip solves with dense Jacobians, or by its analog inverse solver (`analog`)"),
    ] = "exact"
    tolerance: Annotated[
        float,
        Field(
            gt=0, lt=1, description="what may be left of an error behind its last step, and what the horizon accepts"
        ),
    ] = 0.01

    @model_validator(mode="after")
    def _fit(self) -> Self:
        if self.age is not None and self.age > self.lag:
            raise ValueError(f"age: {self.age} steps are not over after a lag of {self.lag}")
        most = self.age or self.lag
        if self.every is not None and self.every > most:
            raise ValueError(f"every: {self.every} steps are more than the {most} whose losses each sum takes in")
        return self

    @property
    def stride(self) -> int:
        """S."""
        return self.every or isqrt(self.age or self.lag)


class Options(LagOptions):
    """Forward error propagation at a distance: one pass, no replay, and memory that does not depend on the length."""

    name: Literal["fpe_lagged"]


class Lagged(Rule):
    """Errors of the window behind each step: δ_t = g_t + J_{t+1}ᵀ g_{t+1} + … , and dL/dθ ≈ Σ_t F_tᵀ δ_t, in one pass.

    Every S steps the front opens an *anchor* A = g_t with a product of Jacobians P = I. In each further step
    P ← P Jᵀ and A ← A + P g. A copy of the layer follows D steps behind, on a delay line of the input. By then A
    holds g_t … g_{t+D-1} and is δ_t; up to the next anchor the copy continues with δ_t = J_t⁻ᵀ (δ_{t-1} - g_{t-1}), as
    `fpe` does. Nothing grows further than over S - 1 steps, and neither inputs nor states are kept for longer than the
    lag. With D = T it is backpropagation through time. Otherwise losses more than D - S to D steps behind are left
    out, so a mode that forgets with the time constant τ needs D > τ ln(1/tolerance): the `truncated` share of modes
    does not.

    In a stack the copy of the last layer sends the layer below its errors D steps late, so that one is followed by a
    copy another D steps behind: L + 1 copies, of which the last has one layer, and L D steps beyond the end of the
    input. The delay lines hold the input, and the error at the output of each layer; copies recompute the readouts.

    The recursion is that of Zucchet, Pourcel and Ernoult, "Forward propagation of errors through time", a post of
    2026. Direct sums every S steps are multiple shooting (Morrison, Riley and Zancanaro, Comm. ACM 5, 1962), estimates
    at a fixed distance are fixed-lag smoothing (Rauch, IEEE Trans. Autom. Control 8, 1963).
    """

    options: LagOptions
    in_place = True

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        """The lag that it has by itself, and one that is the length of a sequence."""
        return [{}, {"lag": steps}] if steps > 50 else [{"lag": steps}]

    @property
    def uses(self) -> frozenset[str]:
        inverse = {"inverse", *([LOOP] if self.options.inverse == "analog" else [])}
        return frozenset({"transposed", *(inverse if self.options.stride > 1 else ())})

    @property
    def shortest(self) -> int:
        return self.options.lag + 2 * self.options.stride + 1

    def horizon(self, look: Look) -> Horizon | None:
        steps = min(self.options.stride, look.steps) - 1
        return Horizon.of(steps, look.forgetting(), Precision.of(look), self.options.tolerance)

    lagging, remedy = "modes or directions", ""
    """What has errors that a lag cuts off, and what the rule advises against it."""

    def rates(self, look: Look) -> list[float]:
        """The rates of all that is `lagging`."""
        return [rate for of_layer in look.rates().values() for rate in of_layer]

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        rates, tolerance = self.rates(look), self.options.tolerance
        if not rates or any(map(isnan, rates)):
            return super().diagnostics(look)
        window = min(self.options.age or self.options.lag, look.steps)
        slow = sum(exp(-rate * window) > tolerance for rate in rates) if window < look.steps else 0
        said = f"more than {tolerance:g} of an error is left after {window} steps{self.remedy}" if slow else None
        what = f"share of {self.lagging} whose errors go further than the lag"
        return [
            Diagnostic("truncated", "", what, slow / len(rates), verdict=said, good=not slow),
            *super().diagnostics(look),
        ]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        """What is within an anchor's age: the full age at the anchor, and S - 1 lags fewer just before the next."""
        age, stride = min(self.options.age or self.options.lag, steps), self.options.stride
        lags = Lags.up_to(steps) if age == steps else Lags(age - stride + 1, age)
        return Keeps((lags,), inverted=(min(stride, steps) - 1,))

    def gradients(self, network: Network) -> None:
        machine, layers = network.machine, network.layers
        clock = Clock.of(self.options, machine.episode.steps)
        with machine.workspace() as workspace:
            front = network.states(workspace)
            anchors = [self.anchors(layer, workspace, clock, lags) for lags, layer in enumerate(reversed(layers))]
            copies = [Copy(network, workspace, clock, lags, anchors) for lags in range(1, len(layers) + 1)]
            for copy, other in pairwise(copies):
                copy.next = other
            states = States(
                front.layers, front.pooled, starts=copies[0].states
            )  # which are handed on from copy to copy
            inputs = workspace.delay_line("inputs on their way", machine.episode.width, len(layers) * clock.lag)
            for step in machine.forward_pass("front and rear", beyond=len(layers) * clock.lag):
                if not step.beyond:
                    output, seen = network.step(states, step)
                    inputs.store(step.input)
                    for level in downward(layers[-1:], network.loss_error(output, step), seen[-1:]):
                        anchors[0].take_in(level, step)
                else:
                    anchors[0].move_on(step)
                for copy in copies:
                    copy.follow(inputs, step)
        network.finish_gradient()

    def anchors(self, layer: Layer, workspace: Workspace, clock: Clock, lags: int) -> Anchors:
        """What takes in the losses for one layer, at a distance of some lags."""
        return Anchors(layer, workspace, clock, lags)


class Clock(NamedTuple):
    """When things happen, in steps: those of the sequence, D, S, and how many losses an anchor takes in."""

    steps: int
    lag: int
    stride: int
    age: int

    @classmethod
    def of(cls, options: LagOptions, steps: int) -> Self:
        """A sequence that is shorter than the lag is over after its own length."""
        return cls(steps, min(options.lag, steps), options.stride, min(options.age or options.lag, steps))


class Anchors:
    """The errors of every S-th step of one layer, while the losses behind it come in.

    A new anchor goes into the first place, and all others move on by one place, so what a step does is the same every
    S steps. One that has taken in its last loss waits in a queue until the copy comes to it.

    Args:
        lags: between the front of the network and the copy whose errors come in.

    Attributes:
        sends_g: whether g_t of the step that the copy is at is needed to hand errors on.
    """

    sends_g = False

    def __init__(self, layer: Layer, workspace: Workspace, clock: Clock, lags: int) -> None:
        self.layer, self.workspace, self.clock, self.begin = layer, workspace, clock, lags * clock.lag
        self.products: list[Register] = []
        self.sums: list[Register] = []
        for place in range(1, ceil(clock.age / clock.stride) + 1):
            self.products.append(self.product(f"{layer.name} product {place}"))
            self.sums.append(self.register(f"{layer.name} anchor {place}"))
        self.closed = workspace.queue(f"{layer.name} closed", self.width) if clock.age < clock.lag else None
        self.rest = self.register(f"{layer.name} error, {lags + 1} behind") if clock.stride > 1 else None
        self.errors = workspace.delay_line(f"{layer.name} output errors on their way", layer.outputs, clock.lag)

    def take_in(self, level: Level, step: Step) -> None:
        """A step of the layer with the error at its output: P ← P Jᵀ and A ← A + P g for all open anchors."""
        if level.error is not None:
            self.errors.store(level.error)
        g = level.g()
        with self.layer.machine.part(purpose=WARM_UP):
            self.add(level, g, step)

    def add(self, level: Level, g: Signal | None, step: Step) -> None:
        """Add the loss of a step to all open anchors."""
        self._close(step)
        opens = step.every(self.clock.stride, after=self.begin)
        if opens:
            self.products[0].store(self.held(level.cell.identity()))
            self.sums[0].clear() if g is None else self.sums[0].store(self.held(g))
        for place in range(len(self.sums) - opens):
            product = level.cell.extend(self.whole(self.products[place].load()), level.at)
            self.products[place + opens].store(self.held(product))
            known = self.sums[place].load()
            more = None if g is None else self.held(level.cell.through(product, g))
            self.sums[place + opens].store(known if more is None else known + more)

    def move_on(self, step: Step) -> None:
        """A step without the layer, behind the end of its input."""
        with self.layer.machine.part(self.layer.name, WARM_UP):
            self._close(step)
            if step.every(self.clock.stride, after=self.begin):
                for before, place in pairwise(self.sums):
                    place.store(before.load())

    def _close(self, step: Step) -> None:
        """Put the anchor that has taken in its last loss into the queue."""
        last = self.begin + self.clock.steps + self.clock.age
        closes, over = step.every(self.clock.stride, after=self.begin + self.clock.age), step.past(last)
        if self.closed and closes and not over:
            self.closed.put(self.sums[-1].load())

    def due(self) -> Signal:
        """The error of the step that the copy is at, which is D steps behind."""
        return self.closed.get() if self.closed else self.sums[-1].load()

    def learn(self, level: Level, step: Step) -> None:
        """Learn from δ_t: an anchor, or J_t⁻ᵀ (δ_{t-1} - g_{t-1})."""
        g = level.g(learn=False) if self.rest or self.sends_g else None
        anchored = step.every(self.clock.stride, after=self.begin + self.clock.lag) or self.rest is None
        delta = self.due() if anchored else self._inverse_transposed(level)
        if self.rest:
            self.rest.store(delta if g is None else delta - self.held(g))
        self.hand_on(level, self.whole(delta), g)

    def hand_on(self, level: Level, delta: Signal, g: Signal | None) -> None:
        """Learn from δ, and send it to the layer below."""
        level.learn(delta)

    def _inverse_transposed(self, level: Level) -> Signal:
        assert self.rest is not None, "there are steps between anchors"
        return self.held(level.cell.inverse_transposed(level.at, self.whole(self.rest.load())))

    # ---- which wires of the state are held: here all of them --------------------------------------------------------

    @property
    def width(self) -> int:
        """Number of wires of an error."""
        return self.layer.cell.width

    def held(self, signal: Signal) -> Signal:
        """What is held of a signal on the wires of the state."""
        return signal

    def whole(self, signal: Signal) -> Signal:
        """A signal on the wires of the state, from what is held of it."""
        return signal

    def product(self, name: str) -> Register:
        """A register for a product of Jacobians."""
        return self.layer.cell.product(self.workspace, name)

    def register(self, name: str) -> Register:
        """A register for an error."""
        return self.workspace.register(name, self.width, LEARNING)


class Copy:
    """The layers that follow the front at a distance of some lags; the last of them learns, and sends its errors on.

    Attributes:
        states: a register per layer.
        next: the copy that follows this one, which learns the layer below.
    """

    next: Copy | None = None

    def __init__(self, network: Network, workspace: Workspace, clock: Clock, lags: int, anchors: list[Anchors]) -> None:
        self.machine, self.clock, self.behind = network.machine, clock, lags * clock.lag
        self.layers = network.layers[: len(network.layers) + 1 - lags]
        *_, self.learning = self.layers
        self.anchors, self.below = anchors[lags - 1], anchors[lags] if len(self.layers) > 1 else None
        self.loss_from = self.machine.episode.loss_from if lags == 1 else 0

        def register(name: str, width: int, kind: str) -> Register:
            return workspace.register(f"{name}, {lags} behind", width, kind)

        self.states = [register(f"{layer.name} h", layer.cell.width, STATE) for layer in self.layers]

    def follow(self, inputs: DelayLine, step: Step) -> None:
        """One step, unless the copy has not begun or is over."""
        begun, over = step.past(self.behind), step.past(self.behind + self.clock.steps)
        carries_loss = step.past(self.behind + self.loss_from)
        if over and self.below:
            self.below.move_on(step)
        if over or not begun:
            return
        with self.machine.part(purpose=ERROR):
            seen = self._step(inputs.tap(self.behind), step)
            error = self.anchors.errors.load() if carries_loss else None
        for level in downward(self.layers[-2:], error, seen[-2:]):
            if level.layer is self.learning:
                self.anchors.learn(level, step)
            elif self.below:
                self.below.take_in(level, step)

    def _step(self, x: Signal, step: Step) -> list[Seen]:
        """The dynamics; the first of all states is handed on where it is no zero."""
        seen, begins = [], not step.past(self.behind + 1)
        for number, (layer, state) in enumerate(zip(self.layers, self.states, strict=True)):
            with self.machine.part(layer.name):
                before = state.load()
                if begins and self.machine.episode.continues and self.next and number < len(self.next.states):
                    self.next.states[number].store(before)
                x, point = layer.step(before, x, state)
            seen.append(point)
        return seen
