"""The machine: what carries out the equations of a rule, and what rules see of it."""

from hwsim.machine.counted import Counted
from hwsim.machine.loop import FeedbackLoop
from hwsim.machine.machine import Machine, UnitErrors
from hwsim.machine.numerics import EXACT, Numerics, Pulses
from hwsim.machine.parameters import Bias, Diagonal, Gain, InverseDiagonal, Matrix, ModeGain, Trainable
from hwsim.machine.port import Divergence
from hwsim.machine.shapes import Expectations, Shapes
from hwsim.machine.signal import Signal
from hwsim.machine.snapshot import Snapshot, resume, snapshot
from hwsim.machine.sparse import SparseMatrix
from hwsim.machine.step import Step
from hwsim.machine.storage import Accumulator, Carried, DelayLine, Queue, Register, Ring, Storage, Tape, Workspace

__all__ = [
    "EXACT",
    "Accumulator",
    "Bias",
    "Carried",
    "Counted",
    "DelayLine",
    "Diagonal",
    "Divergence",
    "Expectations",
    "FeedbackLoop",
    "Gain",
    "InverseDiagonal",
    "Machine",
    "Matrix",
    "ModeGain",
    "Numerics",
    "Pulses",
    "Queue",
    "Register",
    "Ring",
    "Shapes",
    "Signal",
    "Snapshot",
    "SparseMatrix",
    "Step",
    "Storage",
    "Tape",
    "Trainable",
    "UnitErrors",
    "Workspace",
    "resume",
    "snapshot",
]
