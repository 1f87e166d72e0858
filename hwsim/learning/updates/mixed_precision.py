"""Sums of gradients and pulses: small changes wait in a digital accumulator until they are worth a pulse."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from hwsim.accounts.memory import OPTIMIZER
from hwsim.learning.optimizers import Optimizer
from hwsim.learning.updates.scheme import Rate, Scheme, plain, refuse, size_of_pulses
from hwsim.machine import Machine, Matrix, Register, Signal, Trainable
from hwsim.networks import Network
from hwsim.operations import whole


class Options(BaseModel, extra="forbid"):
    """Sum the changes that are wanted in digital memory; where they exceed a pulse, devices get whole pulses."""

    name: Literal["mixed_precision"]
    levels: Annotated[
        int | None,
        Field(
            ge=1,
            description="pulses from zero to the largest weight; by default the programming steps of the data sheet; "
            "machines without devices need a number",
        ),
    ] = None
    longest: Annotated[
        int, Field(ge=1, description="pulses that a weight gets at most in one update; what is left goes on waiting")
    ] = 10


class MixedPrecision(Scheme):
    """χ ← χ - η ∂L/∂w; n = ⌊|χ| / ε⌋ pulses of size ε and the sign of χ change w, and are taken from χ.

    χ has the precision of the machine's updates, ε is the change that one pulse makes, so that no gradient is lost that
    is smaller than a device can show. No pulse is verified, and where devices hold the weights nothing else does: no
    copy is kept in digital memory. (Nandakumar et al., "Mixed-precision deep learning based on computational memory",
    Front. Neurosci. 14:406, 2020, with the principle of Le Gallo et al., "Mixed-precision in-memory computing",
    Nat. Electron. 1:246, 2018.)

    Matrices have a χ. Biases, gains, and what a cell computes its coefficients from are digital, and few: these are
    updated as they are without devices, w ← w - η ∂L/∂w.
    """

    pulses = True

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        self.chi: dict[str, Register] = {}

    @classmethod
    def accepts(cls, optimizer: Any, clip: Any) -> None:
        plain("mixed_precision", optimizer)

    def check(self, machine: Machine, rule: Any, batch: int) -> None:
        if self.options.levels is None and machine.devices is None:
            refuse(
                "mixed_precision has to know how large a pulse is, and this machine has no devices whose data sheet "
                "says it; give `levels`, the number of pulses from zero to the largest weight"
            )

    def prepare(self, network: Network) -> None:
        for trainable in network.trainables:
            if isinstance(trainable.holder, Matrix):
                trainable.pulses = size_of_pulses(trainable, self.options.levels, self.options.longest)
                self.chi[trainable.name] = trainable.slot(f"{trainable.name} chi", OPTIMIZER)

    def begin(self, network: Network, rate: Rate) -> None:
        for trainable in network.trainables:
            trainable.pulsed = trainable.name in self.chi
            if trainable.pulses is not None and trainable.pulsed:
                trainable.pulses = trainable.pulses._replace(scaled=rate(trainable), waits=True)

    def change(self, trainable: Trainable, gradient: Signal, rate: float, optimizer: Optimizer) -> None:
        chi, matrix, pulses = self.chi.get(trainable.name), trainable.holder, trainable.pulses
        if chi is None:
            super().change(trainable, gradient, rate, optimizer)
            return
        assert isinstance(matrix, Matrix)
        assert pulses is not None
        wanted = chi.load() - rate * gradient
        given = whole(wanted, pulses.step, pulses.most)
        chi.store(wanted - given)
        matrix.pulse(given, 1.0)
