"""Spiking neurons in discrete time: what fires, one step of the membranes, and the slope that learning takes.

The state of N neurons is blocks of N wires, one behind the other: the membrane v; the rise b of the threshold, if it
adapts; and r, the share of the refractory time that is still to pass, if there is one. A spike is not held: it follows
from the state, z = [v > θ + b and r = 0], so the state is as small as it can be and its Jacobian has an inverse.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np

from hwsim.errors import CapabilityError
from hwsim.operations.derivative import Linear, Node
from hwsim.operations.elementwise import scale
from hwsim.operations.kernels import above, brief, compiled
from hwsim.operations.operation import Lowered, Operation, Size, Unary, Work, each
from hwsim.operations.surrogate import SHAPES, shaped
from hwsim.operations.wiring import join, pad, take
from hwsim.records import Shape


class Neuron(NamedTuple):
    """The numbers of a neuron, a constant of the operations below.

    Attributes:
        threshold: θ, at rest.
        decay: α, what the membrane keeps from step to step.
        rise: β, by which a spike raises the threshold; None if the threshold does not adapt.
        recovery: ρ, what that rise keeps from step to step.
        refractory: steps behind a spike without another, the step of the spike itself among them; 0 or 1: none.
        subtracts: whether a spike takes θ off the membrane; otherwise the membrane starts again from 0.
        slope: name of the surrogate slope; None without one.
        height, width: of the surrogate slope.
    """

    threshold: float = 1.0
    decay: float = 0.0
    rise: float | None = None
    recovery: float = 0.0
    refractory: int = 0
    subtracts: bool = True
    slope: str | None = None
    height: float = 0.0
    width: float = 1.0

    @property
    def adapts(self) -> bool:
        return self.rise is not None

    @property
    def rests(self) -> bool:
        """Whether there is a step in which it may not fire."""
        return self.refractory > 1

    @property
    def blocks(self) -> int:
        """How many blocks of wires its state has."""
        return 1 + self.adapts + self.rests


# ---- values ------------------------------------------------------------------------------------------------------


@compiled
def _may_fire(h, c, t, i, n, adapts, rests):  # type: ignore[no-untyped-def]
    """Whether the refractory time of neuron i is over: r is a whole number of shares, but for rounding."""
    return not rests or h[c, t, n * (2 if adapts else 1) + i] * 2 * rests < 1


@compiled
def _fired(h, blocks, threshold, adapts, rests):  # type: ignore[no-untyped-def]
    n = h.shape[2] // blocks
    out = np.empty((h.shape[0], h.shape[1], n), h.dtype)
    level = h.dtype.type(threshold)
    for c in range(h.shape[0]):
        for t in range(h.shape[1]):
            for i in range(n):
                barrier = level + h[c, t, n + i] if adapts else level
                out[c, t, i] = 1 if h[c, t, i] > barrier and _may_fire(h, c, t, i, n, adapts, rests) else 0
    return out


@compiled
def _slopes(h, n, threshold, adapts, rests, number, height, width):  # type: ignore[no-untyped-def]
    out = np.empty((h.shape[0], h.shape[1], n), h.dtype)
    for c in range(h.shape[0]):
        for t in range(h.shape[1]):
            for i in range(n):
                barrier = threshold + h[c, t, n + i] if adapts else threshold
                u = (h[c, t, i] - barrier) / (threshold * width)
                allowed = _may_fire(h, c, t, i, n, adapts, rests)
                out[c, t, i] = height * shaped(number, u, width) / threshold if allowed else u * 0
    return out


@compiled
def _stepped(h, z, x, threshold, decay, adapts, rise, recovery, rests, subtracts):  # type: ignore[no-untyped-def]
    n = x.shape[2]
    if z.shape != x.shape or h.shape[0] != x.shape[0] or h.shape[1] != x.shape[1]:
        raise ValueError("state, spikes and input are of different neurons")
    if h.shape[2] != n * (1 + (1 if adapts else 0) + (1 if rests else 0)):
        raise ValueError("the state has other blocks than the neuron")
    out, number = np.empty(h.shape, h.dtype), h.dtype.type
    kept, level, b, rho = number(decay), number(threshold), number(rise), number(recovery)
    for c in range(h.shape[0]):
        for t in range(h.shape[1]):
            for i in range(n):
                if subtracts:
                    out[c, t, i] = kept * h[c, t, i] + x[c, t, i] - level * z[c, t, i]
                else:
                    out[c, t, i] = kept * h[c, t, i] * (1 - z[c, t, i]) + x[c, t, i]
            if adapts:
                for i in range(n):
                    out[c, t, n + i] = rho * h[c, t, n + i] + b * z[c, t, i]
            if rests:
                first, share = n * (2 if adapts else 1), number(1.0 / rests)
                for i in range(n):
                    left = h[c, t, first + i] + z[c, t, i] - share
                    out[c, t, first + i] = min(max(left, number(0)), number(1))
    return out


@brief
def _leaked(h, z, x, threshold, decay):  # type: ignore[no-untyped-def]
    """The same for a membrane alone that spikes take θ off; without branches, so it becomes vector instructions."""
    if z.shape != x.shape or h.shape != x.shape:
        raise ValueError("state, spikes and input are of different neurons")
    out, number = np.empty(h.shape, h.dtype), h.dtype.type
    kept, level = number(decay), number(threshold)
    for c in range(h.shape[0]):
        for t in range(h.shape[1]):
            for i in range(h.shape[2]):
                out[c, t, i] = kept * h[c, t, i] + x[c, t, i] - level * z[c, t, i]
    return out


@compiled
def _lasting(z):  # type: ignore[no-untyped-def]
    out = np.empty(z.shape, z.dtype)
    a, o = z.ravel(), out.ravel()
    for i in range(a.size):
        o[i] = 1 - a[i]
    return out


def _resting(neuron: Neuron) -> int:
    return neuron.refractory if neuron.rests else 0


def _fires_by(neuron: Neuron) -> Lowered:
    """The kernel that finds what fires in a state, and its numbers behind the state."""
    if neuron.rise is None and neuron.refractory <= 1:
        return above, (neuron.threshold,)
    return _fired, (neuron.blocks, neuron.threshold, neuron.adapts, _resting(neuron))


def _fire(h: np.ndarray, neuron: Neuron) -> Any:
    kernel, numbers = _fires_by(neuron)
    return kernel(h, *numbers)


def _slope(h: np.ndarray, neuron: Neuron) -> Any:
    shape = SHAPES[neuron.slope or ""]
    surrogate = shape.number, neuron.height, neuron.width
    n = h.shape[-1] // neuron.blocks
    return _slopes(h, n, neuron.threshold, neuron.adapts, _resting(neuron), *surrogate)


def _steps_by(neuron: Neuron) -> Lowered:
    """The kernel of a step of membranes, and its numbers behind state, spikes and input."""
    if neuron.rise is None and neuron.refractory <= 1 and neuron.subtracts:
        return _leaked, (neuron.threshold, neuron.decay)
    adaptation = neuron.adapts, neuron.rise or 0.0, neuron.recovery
    return _stepped, (neuron.threshold, neuron.decay, *adaptation, _resting(neuron), neuron.subtracts)


def _step(h: np.ndarray, z: np.ndarray, x: np.ndarray, neuron: Neuron) -> Any:
    kernel, numbers = _steps_by(neuron)
    return kernel(h, z, x, *numbers)


# ---- shapes, and work: a size is (vectors, neurons, 1 + what is counted as often as it is there, …) -----------------


def _each(h: Shape, neuron: Neuron) -> Shape:
    return *h[:-1], h[-1] // neuron.blocks


def _size_of_firing(h: Shape, neuron: Neuron) -> Size:
    return *h[2:-1], h[-1] // neuron.blocks, 1 + neuron.adapts, 1 + neuron.rests


def _size_of_slope(h: Shape, neuron: Neuron) -> Size:
    return *_size_of_firing(h, neuron), 1 + SHAPES[neuron.slope or ""].number


def _size_of_step(h: Shape, z: Shape, x: Shape, neuron: Neuron) -> Size:
    return *x[2:], 1 + neuron.adapts, 1 + neuron.rests, 2 - neuron.subtracts


def _counted(size: Size, parts: int) -> tuple[int, list[int]]:
    """Neurons, and whether they have each of these parts; a size without parts is of the plainest neurons."""
    if len(size) <= parts:
        return prod(size), [0] * parts
    return prod(size[:-parts]), [count - 1 for count in size[-parts:]]


def _firing(size: Size) -> Work:
    """The membrane against its threshold; the threshold raised; the refractory time against zero."""
    n, (adapts, rests) = _counted(size, 2)
    return {"add": n * adapts, "compare": n * (1 + rests)}


def _sloping(size: Size) -> Work:
    """What is above threshold, in multiples of w θ; the shape; its height."""
    n, (adapts, rests, number) = _counted(size, 3)
    (shape,) = (known for known in SHAPES.values() if known.number == number)
    counts = {"add": 1 + adapts, "multiply": 2, "compare": rests}
    for name, count in shape.work.items():
        counts[name] = counts.get(name, 0) + count
    return {name: n * count for name, count in counts.items()}


def _stepping(size: Size) -> Work:
    """α v + x, where it did not fire, or - θ z where it did; ρ b + β z; r + z - 1/n between 0 and 1."""
    n, (adapts, rests, restarts) = _counted(size, 3)
    add, compare = 2 - restarts + adapts + 2 * rests, restarts + 2 * rests
    return {"multiply": n * (1 + adapts), "add": n * add, "compare": n * compare}


# ---- derivatives ---------------------------------------------------------------------------------------------------


def _neuron_of(node: Node) -> Neuron:
    (neuron,) = node.constants
    found: Neuron = neuron
    return found


def surrogate(node: Node) -> Any:
    """The slope of what fired with its membrane.

    Raises:
        CapabilityError: the neuron has none.
    """
    neuron = _neuron_of(node)
    if neuron.slope is None:
        raise CapabilityError(
            f"{node.result._machine.layer}: a spike has no slope, and the cell no surrogate for it, so no rule can "
            f"take errors back through it; give `surrogate`, such as triangle: {', '.join(SHAPES)}"
        )
    return fire_slope(node.operands[0], neuron)


def _unfired(node: Node, position: int, error: Any) -> Any:
    """The error at the state, from the one at spikes: on the membrane, against it on the threshold."""
    neuron = _neuron_of(node)
    at_membrane = node.slope(0, surrogate) * error
    at = join(at_membrane, -at_membrane) if neuron.adapts else at_membrane
    return pad(at, 0, error.width) if neuron.rests else at


def _fired_along(node: Node, position: int, change: Any) -> Any:
    neuron, n = _neuron_of(node), node.result.width
    above = take(change, 0, n) if neuron.blocks > 1 else change
    if neuron.adapts:
        above = above - take(change, n, 2 * n)
    return node.slope(0, surrogate) * above


def _kept(node: Node, signal: Any) -> Any:
    """A change of the state as the membranes and the thresholds keep it, or an error at it; both keep the same.

    What is left of the refractory time is passed on as it is. Nothing depends on it, so no error ever comes to it.
    """
    neuron, n = _neuron_of(node), node.operands[1].width
    blocks = [take(signal, at * n, (at + 1) * n) for at in range(neuron.blocks)] if neuron.blocks > 1 else [signal]
    blocks[0] = scale(blocks[0], neuron.decay) if neuron.decay != 1 else blocks[0]
    if not neuron.subtracts:
        blocks[0] = node.slope(1, lambda node: quiet(node.operands[1])) * blocks[0]
    if neuron.adapts:
        blocks[1] = scale(blocks[1], neuron.recovery)
    return join(*blocks) if len(blocks) > 1 else blocks[0]


def _unstepped(node: Node, position: int, error: Any) -> Any:
    """The error at an operand. That at spikes is by the threshold alone: the reset is cut."""
    neuron, n = _neuron_of(node), node.operands[1].width
    if position == 0:
        return _kept(node, error)
    if position == 1:
        return None if neuron.rise is None else scale(take(error, n, 2 * n), neuron.rise)
    return take(error, 0, n) if neuron.blocks > 1 else error


def _stepped_along(node: Node, position: int, change: Any) -> Any:
    neuron, n = _neuron_of(node), node.operands[1].width
    if position == 0:
        return _kept(node, change)
    if position == 1:
        return None if neuron.rise is None else pad(scale(change, neuron.rise), n, n * (neuron.blocks - 2))
    return pad(change, 0, n * (neuron.blocks - 1)) if neuron.blocks > 1 else change


fire = Operation(
    "fire",
    _fire,
    shape=_each,
    size=_size_of_firing,
    work=_firing,
    circuit="neuron",
    derivative=Linear(_unfired, _fired_along),
    lowered=_fires_by,
)
"""1 where a neuron fires, z = [v > θ + b and r = 0], else 0: `fire(state, Neuron(…))`."""
fire_slope: Operation = Operation("fire slope", _slope, shape=_each, size=_size_of_slope, work=_sloping)
"""The surrogate of its slope with the membrane, 0 in the refractory time: `fire_slope(state, Neuron(…))`."""
membrane = Operation(
    "membrane",
    _step,
    size=_size_of_step,
    work=_stepping,
    circuit="neuron",
    derivative=Linear(_unstepped, _stepped_along),
    lowered=_steps_by,
)
"""One step of neurons with an input x and the spikes z of the step before: `membrane(state, z, x, Neuron(…))`.

v' = α v + x - θ z, or α v (1 - z) + x where the membrane starts again from 0; b' = ρ b + β z; r' = r + z - 1/n between
0 and 1. In derivatives the reset is cut: spikes act on the next state through the threshold b and the weights only
(Bellec et al., Nat. Commun. 11:3625, 2020, the code of the authors)."""
quiet = Unary("quiet", _lasting, work=each(compare=1), circuit="compare")
"""1 where a neuron did not fire: 1 - z."""
BLOCKWISE = fire, membrane
"""Words that work neuron by neuron on blocks of wires."""
