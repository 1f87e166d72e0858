"""Adaptive leaky integrate-and-fire neurons in discrete time: a spike raises the threshold, which recovers slowly."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hwsim.cells import spiking
from hwsim.cells.cell import Size
from hwsim.cells.spiking import Kept, MembraneOptions, Spiking
from hwsim.operations import Neuron
from hwsim.quantities import Time


class Options(MembraneOptions, extra="forbid"):
    """Adaptive leaky integrate-and-fire neurons."""

    name: Annotated[Literal["alif"], Field(description="which cell")]
    beta: Annotated[
        float, Field(ge=0, allow_inf_nan=False, description="β: by how much a spike raises the threshold θ")
    ]
    tau_adaptation: Annotated[
        Time | None, Field(description="time constant with which the threshold recovers; needs `time_step`")
    ] = None
    adaptation_decay: Annotated[
        Kept | None, Field(description="ρ: what the threshold's rise keeps from step to step, in place of that")
    ] = None

    @model_validator(mode="after")
    def _recovers_once(self) -> Self:
        tau, decay = ("tau_adaptation", self.tau_adaptation), ("adaptation_decay", self.adaptation_decay)
        spiking.once(self.time_step, tau, decay, needed=True)
        return self

    @property
    def neuron(self) -> Neuron:
        recovery = spiking.kept(self.time_step, self.tau_adaptation, self.adaptation_decay)
        return super().neuron._replace(rise=self.beta, recovery=recovery)


def size(options: Options, inputs: int) -> Size:
    """2N wires of membranes and thresholds, and N of each of: the leaky readout, the refractory time; W, U and b."""
    return spiking.size(options, inputs)


class ALIF(Spiking):
    """The membrane of `lif`, with a threshold θ + B that spikes raise: B' = ρ B + β z, z = [v > θ + B].

    B is β a of the paper. A reset takes θ off the membrane, not the raised threshold.

    Source: Bellec, Salaj, Subramoney, Legenstein and Maass, NeurIPS 2018; Bellec et al., Nature Communications
    11:3625, 2020, equations 8 to 10, in the form of the authors' code, where neither input nor spikes are divided by a
    time constant.
    """
