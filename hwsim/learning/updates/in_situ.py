"""Pulses at every step: what a rule adds to a gradient changes the weights in place, and nothing is summed."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, Field, model_validator

from hwsim.errors import CapabilityError
from hwsim.learning.updates.scheme import Rate, Scheme, plain, refuse, size_of_pulses
from hwsim.machine import Machine, Matrix, Pulses, Signal, Trainable
from hwsim.machine.sparse import SparseMatrix
from hwsim.networks import Network

LONGEST = 31
"""Slots of random trains, as in aihwkit (Rasch et al., AICAS 2021)."""
MOST = 64
"""Slots that random trains can have."""


class Options(BaseModel, extra="forbid"):
    """Change weights by pulses at every step; for rules of one pass whose errors are final. Chips need `batch: 1`."""

    name: Literal["in_situ"]
    levels: Annotated[
        int | None,
        Field(
            ge=1,
            description="pulses from zero to the largest weight, for devices whose data sheet has no `update`",
        ),
    ] = None
    trains: Annotated[
        Literal["graded", "deterministic", "stochastic"] | None,
        Field(
            description="graded: one pulse for each change, as large as it is; deterministic: changes are rounded to "
            "whole pulses; stochastic: rows and columns have random trains, and devices are pulsed where these meet. "
            "By default graded; deterministic with `levels`; stochastic where the data sheet has an `update`"
        ),
    ] = None
    longest: Annotated[
        int | None,
        Field(
            ge=1,
            description="pulses that a weight gets at most in one step, if they are not graded; by default 1, and "
            f"{LONGEST} of random trains, which have at most {MOST} slots",
        ),
    ] = None

    @model_validator(mode="after")
    def _trains_fit(self) -> Self:
        if self.trains == "graded" and self.levels is not None:
            raise ValueError("trains: graded pulses are of any size; leave out `levels`, or take `deterministic`")
        if self.trains == "stochastic" and self.longest is not None and self.longest > MOST:
            raise ValueError(f"longest: random trains have at most {MOST} slots")
        return self


class InPlace:
    """Stands where the sums of a gradient stand; holds nothing.

    Attributes:
        size: of the sums that it stands for.
        rate: what is added changes weights by so many times of it, negative.
    """

    def __init__(self, trainable: Trainable) -> None:
        self._trainable, self.size, self.rate = trainable, trainable.shape, 0.0

    def add(self, signal: Signal) -> None:
        """Change the parameter by -rate times a signal, summed over the batch."""
        assert self._trainable.holder is not None
        self._trainable.holder.pulse(signal, -self.rate)

    def add_outer(self, error: Signal, signal: Signal) -> None:
        """Change the matrix by -rate times an outer product, summed over the batch."""
        assert isinstance(self._trainable.holder, Matrix)
        self._trainable.holder.pulse_outer(error, signal, -self.rate)


class InSitu(Scheme):
    """w ← w - η e xᵀ at the end of each step, where a rule adds e xᵀ to a gradient.

    The array computes the outer product itself: the error is on its rows, the signal on its columns, and every device
    changes at the same time. So there are no sums of gradients and, where devices hold the weights, no copy of them.
    (Burr et al., "Experimental demonstration and tolerancing of a large-scale neural network (165 000 synapses) using
    phase-change memory as the synaptic weight element", IEEE Trans. Electron Devices 62:3498, 2015; Gokmen and Vlasov,
    "Acceleration of deep neural network training with resistive cross-point devices: design considerations", Front.
    Neurosci. 10:333, 2016.)

    The rate is that of one loss: the change of a whole batch is η times the gradient of the sum of its losses, where
    other schemes divide by their number. Biases and gains change in place as well. Parameters that a cell computes its
    coefficients from, such as ν, θ and log γ of an LRU, are not on any array: their gradients are summed, and change
    them by the same η, not divided either, when the rule says that a batch is over.
    """

    pulses = True
    summed = False

    @classmethod
    def accepts(cls, optimizer: Any, clip: Any) -> None:
        plain("in_situ", optimizer)
        if clip:
            raise ValueError(
                "clip: in_situ changes weights before the gradient of a batch is known, so nothing can be clipped; "
                "leave it out, and take a smaller rate"
            )

    def check(self, machine: Machine, rule: Any, batch: int) -> None:
        name = rule.options.name
        if not rule.in_place:
            refuse(
                f"in_situ changes weights at every step, and {name} needs them constant until its passes are over, or "
                "corrects what it has added before; take a rule of one forward pass, such as one_step, or "
                "`update: {name: accumulate}`"
            )
        if batch > machine.parallel:
            refuse(
                f"in_situ changes weights at every step, so all {batch} sequences of a batch have to be at the same "
                f"step at the same time, and this machine works on {machine.parallel} side by side; set "
                f"training.batch to {machine.parallel}, or take a digital machine with a larger batch_parallel"
            )

    def prepare(self, network: Network) -> None:
        for trainable in network.trainables:
            if trainable.holder is None:
                continue
            if isinstance(trainable.holder, SparseMatrix):
                raise CapabilityError(
                    f"{trainable.name} is sparse, and in_situ changes dense matrices; leave out fan_in, or take "
                    "`update: {name: accumulate}`"
                )
            trainable.gradient = InPlace(trainable)
            if isinstance(trainable.holder, Matrix):
                trainable.pulses = self._pulses(trainable, trainable.holder)

    def _pulses(self, trainable: Trainable, matrix: Matrix) -> Pulses | None:
        """The pulses of a matrix; None if they are graded.

        Raises:
            HwsimError: the trains that were asked for do not go with what holds it.
        """
        options, whole = self.options, matrix.unit.whole
        by_default = "stochastic" if whole else "graded" if options.levels is None else "deterministic"
        trains = options.trains or by_default
        if trains == "graded":
            if whole:
                refuse("the data sheet has an `update`, so pulses are not graded; take `trains: stochastic`")
            return None
        random = trains == "stochastic"
        if random and (trainable.machine.devices is None or trainable.kept):
            refuse(
                "trains: stochastic ones meet at devices, and on this machine numbers hold the weights; take "
                "`deterministic` with `levels`, or a chip without a host"
            )
        longest = options.longest or (LONGEST if random else 1)
        if random and longest > MOST:
            refuse(f"longest: random trains have at most {MOST} slots, not {longest}")
        pulses = size_of_pulses(trainable, options.levels, longest)
        if pulses is None:
            refuse(
                "nothing says how large a pulse is; give `levels`, the number of pulses from zero to the largest one"
            )
        return pulses._replace(random=random)

    def begin(self, network: Network, rate: Rate) -> None:
        for trainable in network.trainables:
            if not self.sums(trainable):
                trainable.pulsed, trainable.gradient.rate = True, rate(trainable)

    def sums(self, trainable: Trainable) -> bool:
        return not isinstance(trainable.gradient, InPlace)

    def losses(self, losses: int) -> int:
        return 1
