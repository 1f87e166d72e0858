"""Spiking cells: what leaky integrate-and-fire neurons share, with or without an adapting threshold."""

from __future__ import annotations

from math import exp
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim import initial
from hwsim.cells.backward import OperatingPoint
from hwsim.cells.cell import Membranes, Size
from hwsim.cells.derived import Derived
from hwsim.cells.factor import Factor
from hwsim.cells.synapses import FanIn, InputFanIn, factors, per_neuron, require_neurons_to_hear, synapses, together
from hwsim.errors import CapabilityError
from hwsim.machine import Bias, Machine, Signal
from hwsim.operations import Neuron, fire, join, membrane, ones, quiet, take
from hwsim.operations import surrogate as surrogates
from hwsim.operations.derivative import Node
from hwsim.operations.neurons import surrogate as slope_of
from hwsim.quantities import Time

Kept = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Shape = Literal["triangle", "fast_sigmoid", "multi_gaussian", "atan", "sigmoid", "exponential"]


class Surrogate(BaseModel, extra="forbid"):
    """A surrogate slope γ s(u), with u = x / w, of x = (v - A) / θ: how far the membrane is above its threshold A."""

    name: Annotated[Shape, Field(description="s")]
    height: Annotated[Positive | None, Field(description="γ; by default that of the code which introduced s")] = None
    width: Annotated[Positive | None, Field(description="w; by default that of the code which introduced s")] = None

    @property
    def numbers(self) -> tuple[str, float, float]:
        """Its name, γ and w."""
        shape = surrogates.SHAPES[self.name]
        return self.name, self.height or shape.height, self.width or shape.width


class FiringOptions(BaseModel, extra="forbid"):
    """What all spiking cells have: a threshold, and what learning takes for its slope."""

    units: Annotated[int, Field(ge=1, description="number of neurons N")]
    threshold: Annotated[Positive, Field(description="θ, the threshold at rest")] = 1.0
    surrogate: Annotated[
        Shape | Surrogate | None,
        Field(
            description="what learning takes for the slope of a spike: a name, or a name with its height and width; "
            "null for a cell without, which no rule takes that propagates errors"
        ),
    ] = "triangle"
    reset: Annotated[
        Literal["subtract", "zero"],
        Field(
            description="what a spike does to the membrane: take θ off it, or let it start again from 0. With `zero` "
            "a spike makes the Jacobian singular, so rules that need its inverse refuse"
        ),
    ] = "subtract"
    gain: Annotated[float, Field(ge=0, allow_inf_nan=False, description="gain of the initial weights W and U")] = 1.0
    fan_in: FanIn = None
    input_fan_in: InputFanIn = None

    @model_validator(mode="after")
    def _has_neurons_to_hear(self) -> Self:
        require_neurons_to_hear(self)
        return self

    @property
    def slope(self) -> tuple[str | None, float, float]:
        """Name, height and width of the surrogate slope."""
        if self.surrogate is None:
            return None, 0.0, 1.0
        return (Surrogate(name=self.surrogate) if isinstance(self.surrogate, str) else self.surrogate).numbers

    @property
    def firing(self) -> Neuron:
        """How a neuron fires and restarts; its membrane keeps nothing."""
        slope, height, width = self.slope
        subtracts = self.reset == "subtract"
        return Neuron(self.threshold, subtracts=subtracts, slope=slope, height=height, width=width)


class MembraneOptions(FiringOptions, extra="forbid"):
    """Membranes that leak, with a time constant or a factor per step."""

    tau: Annotated[Time | None, Field(description="time constant of the membrane; needs `time_step`")] = None
    decay: Annotated[
        Kept | None, Field(description="α: what the membrane keeps from step to step, in place of tau")
    ] = None
    time_step: Annotated[Time | None, Field(description="what one step of the input is in time; α = exp(-step/τ)")] = (
        None
    )
    refractory: Annotated[
        int,
        Field(
            ge=0,
            description="steps from a spike on without another one, the step of the spike itself among them, so 0 and "
            "1 are the same; the membrane goes on integrating",
        ),
    ] = 0
    tau_readout: Annotated[
        Time | None,
        Field(
            description="time constant of a leaky readout; needs `time_step`. Without it, and without `readout_decay`, "
            "the readout sees the spikes of the step"
        ),
    ] = None
    readout_decay: Annotated[
        Kept | None, Field(description="κ: what a leaky readout keeps from step to step, in place of tau_readout")
    ] = None

    @model_validator(mode="after")
    def _decays_once(self) -> Self:
        once(self.time_step, ("tau", self.tau), ("decay", self.decay), needed=True)
        once(self.time_step, ("tau_readout", self.tau_readout), ("readout_decay", self.readout_decay))
        return self

    @property
    def alpha(self) -> float:
        """What the membrane keeps from step to step."""
        return kept(self.time_step, self.tau, self.decay)

    @property
    def kappa(self) -> float | None:
        """What a leaky readout keeps from step to step; None without one."""
        if self.tau_readout is None and self.readout_decay is None:
            return None
        return kept(self.time_step, self.tau_readout, self.readout_decay)

    @property
    def neuron(self) -> Neuron:
        """The numbers of a neuron."""
        return self.firing._replace(decay=self.alpha, refractory=self.refractory)


def once(
    time_step: float | None, tau: tuple[str, float | None], decay: tuple[str, float | None], needed: bool = False
) -> None:
    """Check that a decay is said in one way.

    Raises:
        ValueError: it is said twice, or not at all where it is needed, or a time constant lacks the step's length.
    """
    if tau[1] is not None and decay[1] is not None:
        raise ValueError(f"{tau[0]}: give either {tau[0]} or {decay[0]}, not both")
    if needed and tau[1] is None and decay[1] is None:
        raise ValueError(f"{tau[0]}: give {tau[0]}, such as '20 ms', with time_step, or {decay[0]}, such as 0.95")
    if tau[1] is not None and time_step is None:
        raise ValueError(
            f"time_step: {tau[0]} is a time, so say how long a step is, such as '1 ms', or give {decay[0]}"
        )


def kept(time_step: float | None, tau: float | None, decay: float | None) -> float:
    """The factor per step, exp(-step/τ) for a time constant."""
    if decay is not None:
        return decay
    assert time_step is not None, "options were checked"
    assert tau is not None, "options were checked"
    return exp(-time_step / tau)


def refuse_inverse(name: str, options: FiringOptions, uses: frozenset[str]) -> None:
    """Refuse a rule that needs J⁻¹ where a spike makes J singular.

    Raises:
        CapabilityError: it does."""
    if "inverse" in uses and options.reset == "zero":
        raise CapabilityError(
            f"{name}: with `reset: zero` the membrane of a neuron that fires forgets all, so the Jacobian has no "
            "inverse, which this rule needs; take `reset: subtract`, or a rule without the inverse, such as eprop or "
            "bptt"
        )


def size(options: MembraneOptions, inputs: int) -> Size:
    """The blocks of the neuron, with those of the readout in front if it leaks; N wires are visible.

    Raises:
        CapabilityError: neurons have more synapses from the input than it has wires.
    """
    n = options.units
    parameters = n * (per_neuron(options, inputs) + 1)
    return Size(n * (options.neuron.blocks + (options.kappa is not None)), n, parameters, n)


class Spiking(Derived):
    """v' = α v + W z + U x + b - θ z, with z = [v > θ + rise and not refractory] of the step before.

    The state is the membrane v, the rise of the threshold where it adapts, and what is left of the refractory time;
    spikes follow from it. With a leaky readout, spikes filtered by κ stand in front, s' = κ s + z', so that the readout
    W_out s is the leaky readout y' = κ y + W_out z' (without its bias). In derivatives the reset is cut.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        options: MembraneOptions,
        inputs: int,
        uses: frozenset[str],
    ) -> None:
        super().__init__(machine, name)
        refuse_inverse(name, options, uses)
        n, neuron = options.units, options.neuron
        self.n, self.neuron, self.kappa = n, neuron, options.kappa
        self.emits = self.kappa is None
        self.blocks = neuron.blocks + (self.kappa is not None)
        self.traced_blocks = self.blocks - neuron.rests
        self.width = self.blocks * n
        if "inverse" in uses and 0 in (neuron.decay, self.kappa, neuron.recovery if neuron.adapts else 1):
            raise CapabilityError(f"{name}: what keeps nothing from step to step has a Jacobian without an inverse")
        self.W, self.U = synapses(machine, name, options, inputs, options.gain, options.gain)
        self.b = Bias.trained(machine, f"{name} b", "input", initial.zeros(n))
        self.keep(self.W, self.U, self.b)
        self.synapses = self.W, self.U
        first = 0 if self.kappa is None else n
        self.membranes = Membranes(first, neuron.threshold, first + n if neuron.adapts else None)

    @property
    def together(self) -> list[list[str]]:
        return together(self.W, self.U)

    def next(self, h: Signal, x: Signal) -> Signal:
        inner = h if self.kappa is None else take(h, self.n, self.width)
        z = fire(inner, self.neuron)
        new: Signal = membrane(inner, z, self.W @ z + self.U @ x + self.b, self.neuron)
        if self.kappa is None:
            return new
        state: Signal = join(self.kappa * take(h, 0, self.n) + fire(new, self.neuron), new)
        return state

    def emitted(self, h: Signal) -> Node:
        return emitted(h, self.neuron)

    def fired(self, at: OperatingPoint, emitted: Signal | None) -> Signal:
        """What the readout saw, or what was added to the leaky readout."""
        new: Signal = _fired(at)[-1].result if emitted is None else emitted
        return new

    def arriving(self, at: OperatingPoint) -> tuple[Signal, ...]:
        return _fired(at)[0].result, at.x

    def factors(self, at: OperatingPoint) -> list[Factor]:
        """An entry of W, U or b reaches the membrane of its own neuron, and through a new spike the readout's trace."""
        one = ones(self.machine, self.n)
        inner = [one] + [None] * (self.neuron.blocks - 1)
        rows = tuple(inner) if self.kappa is None else (_slope(at, -1), *inner)
        entries = ("W", self.W, _fired(at)[0].result), ("U", self.U, at.x), ("b", self.b, None)
        return factors(entries, rows, one)

    def own_decay(self, at: OperatingPoint, recurrent: bool = True) -> list[list[Any]]:
        rows = self._inner_decay(at, recurrent)
        if self.kappa is None:
            return rows
        fresh, (of_v, *of_b) = _slope(at, -1), rows
        net = [_less(*each) for each in zip(of_v, of_b[0], strict=True)] if self.neuron.adapts else of_v
        filtered = [self.kappa, *(None if each is None else fresh * each for each in net)]
        return [filtered, *([None, *row] for row in rows)]

    def _inner_decay(self, at: OperatingPoint, recurrent: bool) -> list[list[Any]]:
        """The same without the readout's trace: of the membrane, the threshold and the refractory time."""
        neuron = self.neuron
        kept: Any = neuron.decay if neuron.subtracts else neuron.decay * quiet(_fired(at)[0].result)
        own = _slope(at, 0) * self.W.diagonal() if recurrent else None
        rows: list[list[Any]] = [[kept if own is None else own + kept]]
        if neuron.rise is not None:
            raised = neuron.rise * _slope(at, 0)
            rows[0].append(None if own is None else -own)
            rows.append([raised, neuron.recovery - raised])
        if neuron.rests:
            rows = [[*row, None] for row in rows] + [[None] * (neuron.blocks - 1) + [1.0]]
        return rows


def _fired(at: OperatingPoint) -> list[Node]:
    """What fired at the start of the step, and behind it where the readout's trace needs it."""
    return [node for node in at.nodes if node.operation is fire]


def _slope(at: OperatingPoint, which: int) -> Signal:
    node = _fired(at)[which]
    slope: Signal = node.slope(0, slope_of)
    return slope


def _less(this: Any, that: Any) -> Any:
    return this if that is None else -that if this is None else this - that


def emitted(h: Signal, neuron: Neuron) -> Node:
    """The spikes of a state, with the operation that made them."""
    return Node(fire, (h,), (neuron,), None, fire(h, neuron))
