"""Machines: what carries out the equations of a rule, and the words in which rules write them."""

from typing import TYPE_CHECKING, Any

from hwsim.catalogue import choice, implementation, members
from hwsim.machine.counted import Counted
from hwsim.machine.crossbar import CrossbarMachine, Hold
from hwsim.machine.functions import (
    at_least,
    at_most,
    complex_product,
    conjugate_product,
    cos,
    exp,
    gate,
    hypot,
    interleave,
    larger,
    largest,
    norm,
    pair_cross,
    pair_dot,
    plus,
    project,
    reciprocal,
    relu,
    sin,
    softmax,
    sqrt,
    square,
    standardise,
    standardise_error,
    tanh,
    tanh_slope,
    total,
)
from hwsim.machine.ideal import IdealMachine
from hwsim.machine.machine import Divergence, Machine, Precision
from hwsim.machine.numerics import EXACT, Numerics
from hwsim.machine.parameters import Bias, Diagonal, Gain, InverseDiagonal, Matrix, ModeGain, Trainable
from hwsim.machine.sequencer import Snapshot
from hwsim.machine.shapes import Expectations, Shapes
from hwsim.machine.signal import Signal
from hwsim.machine.step import Step
from hwsim.machine.storage import Accumulator, Register, Storage, Tape, Workspace

MACHINES = members(__name__, __path__, "kind")
if TYPE_CHECKING:
    AnyOptions = Any
else:
    AnyOptions = choice(MACHINES, "kind")


def build(options: Any, *, chips: int = 1, seed: int = 0, strict: bool = False, numerics: Numerics = EXACT) -> Machine:
    """The machine that `options` describe.

    Args:
        chips: instances side by side; machines that are all alike are made once.
        strict: poison values when their step ends.
        numerics: what operations do to values.
    """
    kind = implementation(MACHINES[options.kind], Machine)
    made: Machine = kind(options, chips=chips, seed=seed, strict=strict, numerics=numerics)
    return made


__all__ = [
    "EXACT",
    "MACHINES",
    "Accumulator",
    "AnyOptions",
    "Bias",
    "Counted",
    "CrossbarMachine",
    "Diagonal",
    "Divergence",
    "Expectations",
    "Gain",
    "Hold",
    "IdealMachine",
    "InverseDiagonal",
    "Machine",
    "Matrix",
    "ModeGain",
    "Numerics",
    "Precision",
    "Register",
    "Shapes",
    "Signal",
    "Snapshot",
    "Step",
    "Storage",
    "Tape",
    "Trainable",
    "Workspace",
    "at_least",
    "at_most",
    "build",
    "complex_product",
    "conjugate_product",
    "cos",
    "exp",
    "gate",
    "hypot",
    "interleave",
    "larger",
    "largest",
    "norm",
    "pair_cross",
    "pair_dot",
    "plus",
    "project",
    "reciprocal",
    "relu",
    "sin",
    "softmax",
    "sqrt",
    "square",
    "standardise",
    "standardise_error",
    "tanh",
    "tanh_slope",
    "total",
]
