"""Lagged forward error propagation for the fast modes, and sensitivities that run forward for the slow ones."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from hwsim.accounts.memory import LEARNING
from hwsim.errors import CapabilityError, ConfigError
from hwsim.learning.diagnostics import Look
from hwsim.learning.fpe_lagged import Anchors, Clock, Lagged, LagOptions
from hwsim.learning.keeps import Directions, Keeps, Lags
from hwsim.learning.sensitivities import columns
from hwsim.machine import Register, Signal, Step, Workspace
from hwsim.networks import Layer, Level, Network
from hwsim.operations import Places, pad, pick
from hwsim.records import GRADIENT


class Options(LagOptions):
    """Lagged forward error propagation, but for the slow modes of diagonal cells."""

    name: Literal["fpe_hybrid"]
    slow: Annotated[
        int,
        Field(ge=1, description="modes of each layer with exact sensitivities: those that forget most slowly at first"),
    ]


class Hybrid(Lagged):
    """Fast modes as in `fpe_lagged`; slow ones by M_t = λ M_{t-1} + F_t and dL/dθ = Σ_t M_tᵀ g_t, as in `rtrl`.

    A lag of D steps leaves out what modes with τ ln(1/tolerance) > D remember for longer. Just for them a sensitivity
    per parameter is exact, strictly forward, and without any lag, where the recurrence is diagonal; it takes d + 3
    numbers per mode, for d inputs, while a fast mode needs no more than its open anchors. So the layer is exact for
    all τ. Which modes are slow is chosen once, by |λ| at the start of training, and never by values within a pass.

    In a stack, the parameters of the last layer have their exact gradient. A layer below gets the errors of the fast
    modes above it, and of the slow ones only what the loss of that step gives. All of theirs would take the second
    pass of `fpe`, which is stable for exactly these modes, but needs inputs that are kept.

    Memory and sums are those of the modes that are held in each way. Units of a machine apply all λ, or all γ, of a
    layer at a time, so products with them are charged for all modes.
    """

    options: Options

    @classmethod
    def tried(cls, steps: int, width: int, layers: int) -> list[dict[str, Any]]:
        """A quarter of the modes are slow."""
        slow = max(1, width // 8)
        return [{"slow": slow}] if steps > 50 else [{"slow": slow, "lag": steps}]

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if layer.cell.dense:
                raise CapabilityError(
                    f"learning: fpe_hybrid treats modes in two ways, and the cell of {layer.name} has none, since its "
                    "recurrence is dense; take a diagonal one, such as lru, or fpe_slowfast"
                )
            modes = layer.cell.width // 2
            if self.options.slow >= modes:
                raise ConfigError(
                    f"learning.slow: {self.options.slow} of the {modes} modes of {layer.name} leave none that is fast; "
                    "with all modes slow it is rtrl"
                )

    def prepare(self, network: Network) -> None:
        self.lowest = network.layers[0]
        self.modes = {layer: Modes.of(layer, self.options.slow) for layer in network.layers if not layer.cell.dense}

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        fast = super().keeps(directions, steps)
        assert isinstance(fast, Keeps), "that of fast modes is known"
        rates = directions.rates
        slow = sorted(range(len(rates)), key=rates.__getitem__)[: self.options.slow]
        lags, inverted = list(fast.lags) * len(rates), list(fast.inverted) * len(rates)
        sends = list(lags)
        for mode in slow:
            lags[mode], inverted[mode], sends[mode] = Lags.up_to(steps), 0, Lags.up_to(1)
        return Keeps(tuple(lags), sends=tuple(sends), inverted=tuple(inverted))

    def anchors(self, layer: Layer, workspace: Workspace, clock: Clock, lags: int) -> Anchors:
        return FastAnchors(layer, workspace, clock, lags, self.modes[layer], layer is self.lowest)

    lagging, remedy = "fast modes", ": more modes are slow"

    def rates(self, look: Look) -> list[float]:
        return [rate for of_layer in look.rates().values() for rate in sorted(of_layer)[self.options.slow :]]


class Wires:
    """The wires of some modes of a layer, and where each wire of its state is among those; else a zero behind them."""

    def __init__(self, layer: Layer, modes: list[int]) -> None:
        chosen = [wire for mode in modes for wire in (2 * mode, 2 * mode + 1)]
        self.width, width = len(chosen), layer.cell.width
        self._chosen = Places(chosen)
        self._places = {
            len(some): Places([some.index(place) if place in some else len(some) for place in range(of)])
            for some, of in ((chosen, width), (modes, width // 2))
        }

    def held(self, signal: Signal) -> Signal:
        """These wires of a signal on the wires of the state."""
        held: Signal = pick(signal, self._chosen)
        return held

    def whole(self, signal: Signal) -> Signal:
        """The wires of the state, of which all others are zero; or a number for each mode, likewise."""
        whole: Signal = pick(pad(signal, 0, 1), self._places[signal.width])
        return whole


class Modes(NamedTuple):
    """The wires of a layer's fast and slow modes."""

    fast: Wires
    slow: Wires

    @classmethod
    def of(cls, layer: Layer, slow: int) -> Modes:
        slowest = layer.cell.slowest(slow)
        fast = [mode for mode in range(layer.cell.width // 2) if mode not in slowest]
        return cls(Wires(layer, fast), Wires(layer, slowest))


class FastAnchors(Anchors):
    """The anchors of the fast modes of a layer, and beside them the sensitivities of its slow ones."""

    def __init__(self, layer: Layer, workspace: Workspace, clock: Clock, lags: int, modes: Modes, lowest: bool) -> None:
        self.modes, self.sends_g = modes, not lowest
        super().__init__(layer, workspace, clock, lags)
        self.traces: dict[str, Register] = {}
        for name, shape in layer.cell.traced.items():
            trace = f"{layer.name} trace of {name}"
            self.traces[name] = workspace.register(trace, modes.slow.width, LEARNING, bundle=columns(shape))

    def add(self, level: Level, g: Signal | None, step: Step) -> None:
        """Add the loss of a step to all open anchors; M ← λ M + F, and Mᵀ g to the gradient."""
        super().add(level, g, step)
        slow = self.modes.slow
        with self.layer.machine.part(purpose=GRADIENT):
            for factor in level.cell.factors(level.at):
                trace = self.traces[factor.name]
                now = slow.held(level.cell.along(level.at, slow.whole(trace.load()))) + slow.held(factor.own(0))
                trace.store(now)
                if g is not None:
                    factor.sums.add(slow.whole(factor.product(slow.held(g), now)))

    def hand_on(self, level: Level, delta: Signal, g: Signal | None) -> None:
        """Learn fast modes from δ; the layer below gets it, and g of slow modes."""
        level.learn(delta)
        if self.sends_g and g is not None:
            level.send(delta + self.modes.slow.whole(self.modes.slow.held(g)))

    @property
    def width(self) -> int:
        return self.modes.fast.width

    def held(self, signal: Signal) -> Signal:
        return self.modes.fast.held(signal)

    def whole(self, signal: Signal) -> Signal:
        return self.modes.fast.whole(signal)

    def product(self, name: str) -> Register:
        return self.workspace.register(name, self.width, LEARNING, initial=(1.0, 0.0))
