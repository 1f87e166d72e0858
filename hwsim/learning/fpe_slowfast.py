"""Forward error propagation along slow directions: what is forgotten fast comes from a short window."""

from __future__ import annotations

from itertools import chain
from math import ceil, exp, isnan
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import LEARNING, STATE
from hwsim.errors import ConfigError
from hwsim.learning.diagnostics import Diagnostic, Look
from hwsim.learning.horizon import Horizon, Precision
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.rule import Rule
from hwsim.machine import DelayLine, Signal, Step, Workspace
from hwsim.networks import Level, Network, Seen, States
from hwsim.networks.downward import downward
from hwsim.operations import gather, identity, join, project, qr, singles, solve, take
from hwsim.records import ERROR, WARM_UP


class Options(BaseModel, extra="forbid"):
    """Forward error propagation along the slow directions of each layer, for cells with dense Jacobians."""

    name: Literal["fpe_slowfast"]
    slow: Annotated[
        int,
        Field(ge=1, description="k: directions of each layer's state along which errors go on; a complex mode has two"),
    ]
    lag: Annotated[
        int,
        Field(ge=1, description="D: steps over which errors go back in all directions; a layer learns so late"),
    ] = 16
    tolerance: Annotated[
        float,
        Field(gt=0, lt=1, description="what may be left of a fast error after D steps, and what the horizon accepts"),
    ] = 0.01


class SlowFast(Rule):
    """δ_t = Σ_{s<D} (J_{t+s} … J_{t+1})ᵀ g_{t+s} + (J_{t+D} … J_{t+1})ᵀ Q_{t+D} y_{t+D}, where y_t = Q_tᵀ δ_t.

    The k columns of Q_t are orthonormal and follow the slow directions: J_{t+1} Q_t = Q_{t+1} R_{t+1}, a QR
    decomposition per step. Then y obeys a recursion of its own, y_t = Q_tᵀ g_t + R_{t+1}ᵀ y_{t+1}, which goes forward
    as in `fpe`, but with k numbers, and with the rates of the slow directions alone: y_t = R_t⁻ᵀ (y_{t-1} - Q_{t-1}ᵀ
    g_{t-1}). What it leaves out is forgotten within D steps, over which errors go back exactly, along delay lines that
    hold the last D states, inputs and g. So the network may forget fast in some directions, as long as k counts none
    of them.

    A layer warms up in one pass: Q is found in the first D steps; from there on k tangents M_t = J_t … J_{D+1} Q_D
    give y_D = Σ_t M_tᵀ g_t. In the next pass y starts from there, and the layer learns D steps behind the front. It
    sends its errors to the layer below, a copy of which follows D steps behind, warms up in the same pass, and learns
    in the next. L layers take L + 1 passes, the last of which goes on for L D steps beyond the input. Where the
    sequence is no longer than D, it is backpropagation through time.

    Memory is k N numbers for Q, as many for Q_D, and D (2N + d) for the lines, with d inputs; work is N² (k + D) per
    step. Source: ours; bases of slow directions are those of Benettin et al., Meccanica 15, 1980.
    """

    options: Options

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        """A quarter of the directions are slow."""
        return [{"slow": max(1, width // 4)}]

    @property
    def uses(self) -> frozenset[str]:
        return frozenset({"transposed"})

    @property
    def shortest(self) -> int:
        return self.options.lag + 3

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if self.options.slow > layer.cell.width:
                raise ConfigError(
                    f"learning.slow: {self.options.slow} directions, and the state of {layer.name} has only "
                    f"{layer.cell.width}"
                )

    def horizon(self, look: Look) -> Horizon | None:
        rates = _sorted(look)
        if not rates:
            return None
        slowest = max(of_layer[: self.options.slow][-1] for of_layer in rates)
        return Horizon.of(max(look.steps - self.options.lag, 0), slowest, Precision.of(look), self.options.tolerance)

    def diagnostics(self, look: Look) -> list[Diagnostic]:
        rates, k, window = _sorted(look), self.options.slow, self.options.lag
        fast = [of_layer[k] for of_layer in rates if len(of_layer) > k]
        left = max((exp(-rate * window) for rate in fast), default=0.0) if look.steps > window else 0.0
        what = f"share of the slowest error outside {k} directions that is left after {window} steps"
        good = left <= self.options.tolerance
        said = None if good else f"more than {self.options.tolerance:g} is left: take more directions, or a longer lag"
        found = [Diagnostic("left_of_fast_errors", "", what, left, verdict=said, good=good)] if rates else []
        return [*found, *super().diagnostics(look)]

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        rates, lag = directions.rates, min(self.options.lag, steps)
        count = self.options.slow // 2 if directions.modes else self.options.slow
        slow = set(sorted(range(len(rates)), key=rates.__getitem__)[:count])
        lags = [Lags.up_to(steps if each in slow else lag) for each in range(len(rates))]
        return Keeps(tuple(lags), inverted=tuple(steps - lag if each in slow else 0 for each in range(len(rates))))

    def gradients(self, network: Network) -> None:
        machine, layers = network.machine, network.layers
        lag = min(self.options.lag, machine.episode.steps)
        with machine.workspace(keep_inputs=True) as workspace:
            states, fronts = network.states(workspace), list[Front]()
            length = (len(layers) - 1) * lag
            inputs = workspace.delay_line("inputs on their way", machine.episode.width, length) if length else None
            for number in range(1, len(layers) + 2):
                if number <= len(layers):
                    fronts.append(Front(network, workspace, states, self.options.slow, lag, number - 1))
                for step in machine.forward_pass(f"pass {number}", beyond=(number - 1) * lag):
                    if not step.beyond:
                        output, seen = network.step(states, step)
                        if inputs:
                            inputs.store(step.input)
                        for level in downward(layers[-1:], network.loss_error(output, step), seen[-1:]):
                            fronts[0].take(level, step)
                    else:
                        fronts[0].go_on(step)
                    for lags in range(1, number):
                        meet(fronts[lags - 1], fronts[lags] if lags < len(layers) else None, inputs, step)
                fronts[-1].open()
                if number > 1:
                    fronts[number - 2].learns = False
        network.finish_gradient()


def _sorted(look: Look) -> list[list[float]]:
    """The rates of each layer, from the slowest direction; none if one is undefined."""
    rates = [sorted(of_layer) for of_layer in look.directions().values()]
    return [] if any(map(isnan, chain.from_iterable(rates))) else rates


def meet(rear: Front, front: Front | None, inputs: DelayLine | None, step: Step) -> None:
    """Where the errors of one layer reach the copy of the layers below, which takes them."""
    begun, over = step.past(rear.behind + rear.lag), step.past(rear.behind + rear.lag + rear.steps)
    if over and front:
        front.go_on(step)
    if over or not begun:
        return
    layers, seen = [rear.layer], [Seen(rear.at, [], rear.x)]
    if front:
        assert inputs is not None, "several layers have a delay line of inputs"
        layers, seen = [front.layer, *layers], [front.follow(inputs.tap(front.behind), step), *seen]
    for level in downward(layers, None, seen):
        if front and level.layer is front.layer:
            front.take(level, step)
        elif rear.learns:
            level.learn(rear.delta)
        else:
            level.send(rear.delta)


class Front:
    """A copy of the layers up to one, some lags behind the input, and the errors of that one layer.

    Attributes:
        learns: whether the layer is to learn in this pass.
        at, x, delta: of the layer D steps before, once it is known in a step: its operating point, input and error.
    """

    at: Any
    x: Signal
    delta: Signal

    def __init__(self, network: Network, workspace: Workspace, states: States, slow: int, lag: int, lags: int) -> None:
        self.machine, self.workspace, self.lag, self.behind = network.machine, workspace, lag, lags * lag
        self.layers = network.layers[: len(network.layers) - lags]
        *_, self.layer = self.layers
        self.steps, self.starts, self.learns = self.machine.episode.steps, states.starts, True
        if lags:
            self.states = [
                workspace.register(f"{layer.name} h, {lags} behind", layer.cell.width, STATE, resets=True)
                for layer in self.layers
            ]
        else:
            self.states = states.layers
        self.warm = False
        width = self.layer.cell.width
        self.tangents = workspace.register(f"{self.layer.name} tangents", width, LEARNING, bundle=slow)
        self.basis = workspace.register(f"{self.layer.name} first basis", width, LEARNING, bundle=slow)
        self.first = workspace.register(f"{self.layer.name} first slow error", slow, LEARNING)

    def open(self) -> None:
        """The warm-up is over."""
        if self.warm:
            return
        name, width, self.warm = self.layer.name, self.layer.cell.width, True
        self.rest = self.workspace.register(f"{name} slow error", self.first.size[-1], LEARNING)
        self.past = self.workspace.delay_line(f"{name} states on their way", width, self.lag)
        self.shown = self.workspace.delay_line(f"{name} inputs on their way", self.layer.inputs, self.lag)
        self.losses = self.workspace.delay_line(f"{name} g on their way", width, self.lag)

    # ---- dynamics ------------------------------------------------------------------------------------------------

    def follow(self, x: Signal, step: Step) -> Seen:
        """One step of the copy; what it saw of its last layer."""
        with self.machine.part(purpose=ERROR):
            for number, layer in enumerate(self.layers):
                with self.machine.part(layer.name):
                    x, seen = layer.step(self._before(number, step), x, self.states[number])
        return seen

    def _before(self, number: int, step: Step) -> Signal:
        """The state that the step begins with."""
        if self.starts and step.past(self.behind) and not step.past(self.behind + 1):
            return self.starts[number].load()
        return self.states[number].load()

    # ---- errors --------------------------------------------------------------------------------------------------

    def take(self, level: Level, step: Step) -> None:
        """A step of the layer, with the error at its output."""
        if not self.warm:
            with self.machine.part(purpose=WARM_UP):
                self._warm_up(level, level.g(), step)
            return
        g = level.g(learn=False)
        slow = self._slow_error(level, g, step)
        self._go_back(self._before(len(self.layers) - 1, step), level, slow, step)
        self.shown.store(level.seen.x)
        if g is not None:
            self.losses.store(g)

    def go_on(self, step: Step) -> None:
        """A step behind the end of the input of the copy: what is on its way goes on."""
        if self.warm:
            with self.machine.part(self.layer.name, ERROR):
                self._go_back(self.states[-1].load(), None, None, step)

    def _warm_up(self, level: Level, g: Signal | None, step: Step) -> None:
        """A step of the tangents: orthogonal up to the D-th, from which on M_t = J_t M_{t-1} and y_D = Σ_t M_tᵀ g_t."""
        begins, begun = step.past(self.behind + self.lag), step.past(self.behind + self.lag + 1)
        M = level.cell.along(level.at, self.tangents.load() if step.past(self.behind + 1) else self._start())
        if not begun:
            M, _ = qr(M)
        self.tangents.store(M)
        if begins and not begun:
            self.basis.store(M)
        if begins and g is not None:
            self.first.store(self.first.load() + project(M, g))

    def _start(self) -> Signal:
        """The first tangents: each has a part along every k-th unit, so that all units are in one of them."""
        slow, width = self.first.size[-1], self.layer.cell.width
        each = identity(self.machine, slow)
        start: Signal = take(join(*[each] * ceil(width / slow)), 0, width)
        return start

    def _slow_error(self, level: Level, g: Signal | None, step: Step) -> Signal | None:
        """Q_t y_t, from the D-th step on."""
        begins, begun = step.past(self.behind + self.lag), step.past(self.behind + self.lag + 1)
        if not begins:
            return None
        if begun:
            Q, R = qr(level.cell.along(level.at, self.tangents.load()))
            y = solve(R, self.rest.load())
        else:
            Q, y = self.basis.load(), self.first.load()
        self.tangents.store(Q)
        self.rest.store(y if g is None else y - project(Q, g))
        slow: Signal = gather(Q * singles(y))
        return slow

    def _go_back(self, h: Signal, level: Level | None, error: Signal | None, step: Step) -> None:
        """From δ of this step to the one D steps before, along the lines; `h` is the state before this step."""
        self.past.store(h)
        if not step.past(self.behind + self.lag):
            return
        cell, at, x = self.layer.cell, level and level.at, h
        for age in range(1, self.lag + 1):
            g = self.losses.tap(age)
            error = g if error is None else g + cell.transposed(at, error)
            before, x = self.past.tap(age), self.shown.tap(age)
            at, h = cell.recall(before, x, h), before
        assert error is not None, "there is a step to go back"
        self.at, self.x, self.delta = at, x, error
