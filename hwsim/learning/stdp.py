"""Spike-timing-dependent plasticity: weights change with the times of spikes, and cells need no error."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.accounts.memory import LEARNING
from hwsim.cells.spiking import Kept, kept, once
from hwsim.errors import CapabilityError
from hwsim.learning.keeps import Directions, Keeps
from hwsim.learning.rule import Rule
from hwsim.machine import Matrix, Register, Signal, Workspace
from hwsim.networks import Layer, Level, Network, traced
from hwsim.operations import greater, singles
from hwsim.quantities import Time
from hwsim.records import GRADIENT

Amplitude = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Weight = Annotated[float, Field(allow_inf_nan=False)]
Constant = Annotated[Time | None, Field(gt=0)]


class Bounds(BaseModel, extra="forbid"):
    """How far weights go."""

    kind: Annotated[
        Literal["soft", "hard"],
        Field(
            description="`soft`: changes shrink in proportion to the distance from the bound that they go to; `hard`: "
            "they are whole, and there are none beyond it"
        ),
    ] = "soft"
    smallest: Annotated[Weight, Field(description="w_min")]
    largest: Annotated[Weight, Field(description="w_max, above `smallest`")]

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.smallest >= self.largest:
            raise ValueError(f"smallest: {self.smallest} is not below the largest weight, {self.largest}")
        return self


class Triplet(BaseModel, extra="forbid"):
    """What further spikes before add to the change that a pair makes, by a slow trace on each side."""

    a_plus: Annotated[Amplitude, Field(description="A₃₊, on the slow trace of the neuron's own spikes")]
    a_minus: Annotated[Amplitude, Field(description="A₃₋, on the slow trace of what arrives")]
    tau_x: Annotated[Constant, Field(description="time constant of the slow trace of what arrives")] = None
    decay_x: Annotated[Kept | None, Field(description="what it keeps from step to step, in place of tau_x")] = None
    tau_y: Annotated[Constant, Field(description="time constant of the slow trace of the neuron's own spikes")] = None
    decay_y: Annotated[Kept | None, Field(description="what it keeps from step to step, in place of tau_y")] = None


class Options(BaseModel, extra="forbid"):
    """Spike-timing-dependent plasticity, which needs no error."""

    name: Literal["stdp"]
    a_plus: Annotated[Amplitude, Field(description="A₊: the change where a spike arrives just before its neuron fires")]
    a_minus: Annotated[Amplitude, Field(description="A₋: the size of the change the other way round")]
    tau_plus: Annotated[Constant, Field(description="time constant of the trace of what arrives, τ₊")] = None
    decay_plus: Annotated[Kept | None, Field(description="what it keeps from step to step, in place of tau_plus")] = (
        None
    )
    tau_minus: Annotated[Constant, Field(description="time constant of the trace of the neuron's own spikes, τ₋")] = (
        None
    )
    decay_minus: Annotated[Kept | None, Field(description="what it keeps from step to step, in place of tau_minus")] = (
        None
    )
    time_step: Annotated[Constant, Field(description="what one step of the input is in time")] = None
    triplet: Annotated[Triplet | None, Field(description="terms of three spikes; without them, pairs alone count")] = (
        None
    )
    bounds: Annotated[
        Bounds | None, Field(description="how far weights go; without them, as far as the machine holds them")
    ] = None
    readout: Annotated[
        Literal["error", "fixed"],
        Field(description="whether the last readout learns from its own error in each step, or stays as it began"),
    ] = "error"

    @model_validator(mode="after")
    def _decays_once(self) -> Self:
        for key in ("plus", "minus"):
            once(self.time_step, *_said(self, key), needed=True)
        if self.triplet is not None:
            for key in ("x", "y"):
                once(self.time_step, *_said(self.triplet, key), needed=True)
        return self

    def kept(self, key: str) -> float:
        """What a trace keeps from step to step."""
        of = self.triplet if key in ("x", "y") else self
        (_, tau), (_, decay) = _said(of, key)
        return kept(self.time_step, tau, decay)


def _said(options: Any, key: str) -> tuple[tuple[str, float | None], tuple[str, float | None]]:
    """A trace's time constant and its decay, by the names of their keys."""
    tau, decay = f"tau_{key}", f"decay_{key}"
    return (tau, getattr(options, tau)), (decay, getattr(options, decay))


class STDP(Rule):
    """Δw = A₊ z x - A₋ y p: p arrives at a neuron, z says whether it fires; x is a trace of p, y one of z.

    In each step, for each synapse,

        x ← ρ₊ x + p,   Δw = A₊ z x - A₋ (ρ₋ y) p,   y ← ρ₋ y + z,   with ρ = exp(-step/τ),

    so that a pair of spikes with δ = t_post - t_pre gives A₊ exp(-δ/τ₊) for δ ≥ 0 and -A₋ exp(δ/τ₋) for δ < 0. All
    pairs count. What arrives in the step in which the neuron fires took part in it, so it came first: δ = 0 counts as
    potentiation. p is what W and U are multiplied with in the step: by W the layer's own spikes of the step before, so
    that t_pre is when a spike arrives, by U the input as it is, where a number counts as so many spikes.

    With `triplet`, slow traces x₂ of p and y₂ of z take part, both without what comes in the step itself:

        Δw = z x (A₊ + A₃₊ ρ_y y₂) - (ρ₋ y) p (A₋ + A₃₋ ρ_x x₂).

    With bounds, potentiation is multiplied by (w_max - w) / (w_max - w_min), and depression by (w - w_min) / (w_max -
    w_min), if they are soft; by [w < w_max] and [w > w_min] if they are hard. For that the weights are read as numbers.

    The rule adds -Δw to gradients, and the optimizer and the update scheme do the rest. With plain gradient descent, w
    changes by η Σ Δw, divided by the number of losses where a scheme divides gradients by it. Biases, and the gate of a
    liquid cell, stay as they are. Plasticity goes on in all steps, whether they have a loss or not. The last readout
    learns from its own error in each step, which goes no further; readouts between layers stay as they began.

    It goes forward once, and holds a number per neuron and per line by which something arrives; with triplets two.

    Source: Song, Miller and Abbott, "Competitive Hebbian learning through spike-timing-dependent synaptic plasticity",
    Nature Neuroscience 3:919, 2000, with τ = 20 ms, A₊ = .01 of the largest weight and A₋ = 1.05 A₊; for triplets
    Pfister and Gerstner, "Triplets of spikes in a model of spike timing-dependent plasticity", Journal of Neuroscience
    26:9673, 2006.
    """

    takes_errors = False
    in_place = True

    def check(self, network: Network) -> None:
        for layer in network.layers:
            if not layer.cell.synapses:
                raise CapabilityError(
                    f"learning: stdp goes by the times of spikes, and units of {layer.name} do not fire; take the cell "
                    "lif, alif or liquid, a circuit whose neuron has a threshold, or another rule, such as eprop"
                )
            if self.options.bounds is not None and any(len(each.shape) > 2 for each in layer.cell.synapses):
                raise CapabilityError(
                    f"learning.bounds: they take the weights as those of a dense matrix, and {layer.name} has sparse "
                    "synapses; leave out bounds, or fan_in and input_fan_in"
                )
            if self.options.bounds is not None and not layer.cell.synapses[0].trainable.kept:
                raise CapabilityError(
                    f"learning.bounds: they take the weights as numbers, and devices alone hold those of {layer.name}; "
                    "leave bounds out, as the range of the devices bounds them, or take `update: {name: accumulate}`"
                )

    def keeps(self, directions: Directions, steps: int) -> Keeps | str:
        return "it computes no gradient of a loss"

    def gradients(self, network: Network) -> None:
        machine = network.machine
        with machine.workspace() as workspace:
            states = network.states(workspace)
            traces = {layer: Traces(layer, workspace, self.options) for layer in network.layers}
            for step in machine.forward_pass("forward"):
                output, seen = network.step(states, step)
                error = network.loss_error(output, step)  # which is what losses are reported from as well
                for level in network.downward(error if self.options.readout == "error" else None, seen):
                    if level.error is not None:
                        level.layer.readout.back(level.seen.readout, level.error, learn=True, onward=False)
                    with machine.part(purpose=GRADIENT):
                        traces[level.layer].learn(level)
        network.finish_gradient()


class Trace:
    """A trace that decays from step to step, and rises by what arrives, or fires, in each."""

    def __init__(self, register: Register, kept: float) -> None:
        self._register, self._kept = register, kept

    def before(self) -> Signal:
        """What is left of it in this step, without what comes in this step."""
        return self._kept * self._register.load()

    def after(self, before: Signal, now: Signal) -> Signal:
        """The trace with what comes in this step, for the next one to go on from."""
        trace = before + now
        self._register.store(trace)
        return trace


class Side(NamedTuple):
    """The traces of one side of synapses: a fast one, and a slow one for triplets."""

    fast: Trace
    slow: Trace | None


class Traces:
    """The traces of one layer, and the changes of its weights in a step.

    Attributes:
        own: of what fires.
        arriving: of what arrives, for each matrix.
    """

    def __init__(self, layer: Layer, workspace: Workspace, options: Options) -> None:
        self._options, self._cell = options, layer.cell
        rows = layer.cell.synapses[0].shape[0]
        self.own = self._side(workspace, f"{layer.name} spikes", rows, "minus", "y")
        self.arriving = [
            self._side(workspace, f"{matrix.name} arrivals", matrix.shape[-1], "plus", "x")
            for matrix in layer.cell.synapses
        ]

    def _side(self, workspace: Workspace, name: str, width: int, fast: str, slow: str) -> Side:
        options = self._options

        def made(what: str, key: str) -> Trace:
            return Trace(workspace.register(f"{name}, {what}", width, LEARNING), options.kept(key))

        return Side(made("trace", fast), None if options.triplet is None else made("slow trace", slow))

    def learn(self, level: Level) -> None:
        """Add -Δw of this step to the gradients."""
        cell, options, triplet = self._cell, self._options, self._options.triplet
        fired = cell.fired(level.at, level.emitted)
        y = self.own.fast.before()
        raising, own_slow = options.a_plus * fired, None
        if self.own.slow is not None and triplet is not None:
            own_slow = self.own.slow.before()
            raising = (triplet.a_plus * own_slow + options.a_plus) * fired
        for matrix, side, arrived in zip(cell.synapses, self.arriving, cell.arriving(level.at), strict=True):
            x = side.fast.after(side.fast.before(), arrived)
            lowering = options.a_minus * arrived
            if side.slow is not None and triplet is not None:
                slow = side.slow.before()
                lowering = (triplet.a_minus * slow + options.a_minus) * arrived
                side.slow.after(slow, arrived)
            self._add(matrix, (raising, x), (y, lowering))
        cell.machine.probe(traced(cell.name), self.own.fast.after(y, fired))
        if self.own.slow is not None and own_slow is not None:
            self.own.slow.after(own_slow, fired)

    def _add(self, matrix: Matrix, up: tuple[Signal, Signal], down: tuple[Signal, Signal]) -> None:
        """Add what lowers a matrix less what raises it, each an outer product of what fires and of what arrives."""
        bounds = self._options.bounds
        if bounds is None:
            matrix.gradient.add_outer(-up[0], up[1])
            matrix.gradient.add_outer(*down)
            return
        weights, room = matrix.columns(), bounds.largest - bounds.smallest
        if bounds.kind == "soft":
            above, below = (bounds.largest - weights) / room, (weights - bounds.smallest) / room
        else:
            above, below = greater(-weights, -bounds.largest), greater(weights, bounds.smallest)
        matrix.gradient.add(down[0] * singles(down[1]) * below - up[0] * singles(up[1]) * above)
